"""Output compared with files; `LIMIN_WRITE_GOLDEN=1` writes them again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from samples import SAMPLES, conversation, parts, tool_run

from limin.rendering import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.values.conversation import Conversation

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = [40, 80, 200]


MARKDOWN: dict[str, Callable[[], Conversation]] = {
    "conversation": conversation,
    "parts": parts,
    "tool_run": lambda: tool_run().conversation,
}


def compare(text: str, path: Path) -> None:
    """Check that *text* is what the file holds, or write it."""
    if os.environ.get("LIMIN_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        pytest.fail(f"wrote {path.name}: look at it, and run without LIMIN_WRITE_GOLDEN")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_looks_as_it_did(name: str, width: int) -> None:
    """The output stays as it was when somebody last looked at it."""
    text = terminal.to_string(SAMPLES[name](), width=width, color=True) + "\n"
    compare(text, GOLDEN / f"{name}-{width}.txt")


@pytest.mark.parametrize("name", MARKDOWN)
def test_markdown_looks_as_it_did(name: str) -> None:
    """Markdown stays as it was, too."""
    compare(MARKDOWN[name]().to_markdown(), GOLDEN / f"{name}.md")


def test_no_file_is_left_over() -> None:
    """Each file belongs to a test."""
    named = {f"{name}-{width}.txt" for name in SAMPLES for width in WIDTHS}
    named |= {f"{name}.md" for name in MARKDOWN}
    assert {path.name for path in GOLDEN.iterdir()} == named
