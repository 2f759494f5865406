"""The pages of the documentation, and the programs on them."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    README,
    *(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md"))),
]


def blocks_of(page: str, language: str) -> list[str]:
    """Return the blocks of code in *language* on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


PROGRAMS = [program for page in PAGES for program in blocks_of(page, "python")]
