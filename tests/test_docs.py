"""The examples of the README and the documentation run, word for word."""

from __future__ import annotations

import hashlib
import multiprocessing
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forked_program import OUTPUTS, be_program
from programs import run_shell

import limin.testing
from limin import errors
from limin.testing import QUIRKS

if TYPE_CHECKING:
    from limin.local import LocalEndpoint

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [README, *(page.read_text() for page in sorted((ROOT / "docs").rglob("*.md")))]
PROGRAMS = [
    program
    for page in PAGES
    for program in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
]
REFERENCE = "".join(
    page.read_text() for page in sorted((ROOT / "docs" / "reference").glob("*.md"))
)

# A program whose first line names a file is a module, which other programs import.
FILES = {
    name[1]: program
    for program in PROGRAMS
    if (name := re.match(r"# (\w+\.py)\n", program))
}

# Packages that other sessions have: `ecosystem`, which runs the program about Sentry, and
# `screenshots`, which draws the plot.
ELSEWHERE = re.compile(r"^import (?:sentry_sdk|matplotlib)", re.MULTILINE)


def is_run_here(program: str) -> bool:
    """Whether *program* can run by itself, with the packages of this session."""
    return program not in FILES.values() and not ELSEWHERE.search(program)


# For the local server that a program starts itself; conftest.py says why.
ONE_THREAD = {"OMP_THREAD_LIMIT": "1"}

# A process that has loaded what most programs load, and forks for each of them.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["limin", "httpx", "limin.client", "limin.values.display"])


def run_file_of_tests(program: str, environment: dict[str, str], folder: Path) -> str:
    """Run *program*, which defines tests, with pytest, and return its output."""
    (folder / "test_program.py").write_text(program)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "test_program.py"],
        env=environment,
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def run(program: str, base_url: str, folder: Path) -> str:
    """Run *program* by itself in *folder*, as a user does, and return its output."""
    environment = {"OPENAI_BASE_URL": base_url, "PATH": "", **ONE_THREAD}
    for name, text in FILES.items():
        (folder / name).write_text(text)
    if re.search(r"^(?:async )?def test_", program, re.MULTILINE):
        return run_file_of_tests(program, environment, folder)
    process = FORKS.Process(target=be_program, args=(program, environment, folder))
    process.start()
    process.join()
    out, err = (folder.joinpath(name).read_text() for name in OUTPUTS)
    assert process.exitcode == 0, out + err
    return out


@pytest.mark.parametrize("program", [*filter(is_run_here, PROGRAMS)])
def test_program_runs(program: str, llama: LocalEndpoint, tmp_path: Path) -> None:
    """A newcomer who pastes a program sees output."""
    assert run(program, llama.base_url, tmp_path).strip()


def test_commands_of_the_program_run(llama: LocalEndpoint, tmp_path: Path) -> None:
    """Whoever pastes the commands of the page, one after the other, sees no error."""
    page = (ROOT / "docs" / "guides" / "program.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 13
    script = "set -ex\n" + "".join(blocks)
    place = {"base_url": llama.base_url, "folder": tmp_path}
    done = run_shell(script, **place, seconds=300)  # Many programs, on a busy machine.
    assert done.returncode == 0, done.stdout + done.stderr


def test_commands_of_the_readme_run(llama: LocalEndpoint, tmp_path: Path) -> None:
    """The first run from the command line works as it stands."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    (script,) = (block for block in blocks if "limin run" in block)
    done = run_shell(f"set -ex\n{script}", base_url=llama.base_url, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 2


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
    examples = " ".join(
        re.findall(r"^```python\n(.*?)^```", REFERENCE, re.DOTALL | re.MULTILINE)
    )
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
