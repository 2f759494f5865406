"""The pages of the documentation name what there is, and lead somewhere."""

from __future__ import annotations

import hashlib
import re

from pages import PAGES, PROGRAMS, README, ROOT, blocks_of

import limin
import limin.testing
from limin import errors
from limin.testing import QUIRKS

REFERENCE = "".join(
    page.read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs" / "reference").glob("*.md"))
)


def test_links_of_the_readme_lead_somewhere() -> None:
    """Each file that is named is there, under the name that it has today."""
    links = re.findall(r"""(?:\]\(|src(?:set)?=")([^)"#]+)""", README)
    files = [link for link in links if "://" not in link]
    assert len(files) > 50
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_pages_have_programs() -> None:
    """The pattern above finds every program."""
    assert len(PROGRAMS) == "".join(PAGES).count("```python\n") > 50


def test_reference_names_all_that_is_public() -> None:
    """Every public name is in the reference, and every name there is public."""
    entries = re.findall(
        r"^\.\. (?:auto(?!module)|py:)\w+:: limin\.(\w+)$", REFERENCE, re.MULTILINE
    )
    assert sorted(entries) == sorted(limin.__all__)
    entries = re.findall(
        r"^\.\. (?:auto|py:)\w+:: limin\.testing\.(\w+)$", REFERENCE, re.MULTILINE
    )
    assert sorted(entries) == sorted(limin.testing.__all__)


def test_reference_lists_the_odd_answers() -> None:
    """Whoever looks for his provider finds each odd answer, and who sends it."""
    page = (ROOT / "docs" / "reference" / "testing.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \| (.*) \|$", page, re.MULTILINE)
    quirks = [(quirk.name, quirk.description, quirk.servers) for quirk in QUIRKS.values()]
    assert rows == quirks


def test_examples_name_all_that_is_public() -> None:
    """Every public name but the errors is in an example of the reference."""
    examples = " ".join(blocks_of(REFERENCE, "python"))
    used = set(re.findall(r"\w+", examples))
    raised = {name for name in limin.__all__ if name.endswith("Error")}
    assert set(limin.__all__) - raised - used == set()


def test_tree_of_errors_on_the_page() -> None:
    """The page draws the tree of the classes, each with when it comes and what to do."""
    rows = re.findall(
        r"^\| (\W*)\{py:exc\}`~limin\.(\w+)` \| [^|]{9,} \| [^|]{9,} \|$",
        REFERENCE,
        re.MULTILINE,
    )
    drawn = [(len(prefix) // 3, name) for prefix, name in rows]
    lines = (errors.__doc__ or "").partition("The tree::")[2].splitlines()
    tree = [(len(line) - len(line.lstrip()), line.split()[0]) for line in lines if line]
    assert drawn == [(indent // 4 - 1, name) for indent, name in tree]


def test_page_of_the_notebook_is_up_to_date() -> None:
    """Whoever changes the notebook runs `nox -s notebook`, which writes its page."""
    source = (ROOT / "docs" / "notebook.ipynb").read_bytes()
    page = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    assert page.splitlines()[1] == f"% {hashlib.sha256(source).hexdigest()}"


def test_continuous_integration_runs_the_readmes_command() -> None:
    """The command that the README promises is the command that is tested."""
    commands = re.findall(r"^python3 .*/nox -s (\w+)$", README, re.MULTILINE)
    assert commands == ["demo", "tests"]
    assert (ROOT / ".ci" / "run").read_text().count("README.md") == 1
