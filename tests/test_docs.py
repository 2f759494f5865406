"""The examples of the README and the documentation run, word for word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from programs import run_shell

import limin

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

# For the local server that a program starts itself; conftest.py says why.
ONE_THREAD = {"OMP_THREAD_LIMIT": "1"}


def run(program: str, base_url: str, folder: Path) -> str:
    """Run *program* by itself in *folder*, as a user does, and return its output.

    A program that defines tests is a file for pytest.
    """
    arguments = ["-c", program]
    if re.search(r"^(?:async )?def test_", program, re.MULTILINE):
        (folder / "test_program.py").write_text(program)
        arguments = ["-m", "pytest", "test_program.py"]
    result = subprocess.run(  # noqa: S603 (the project's own example)
        [sys.executable, "-W", "error", *arguments],
        env={"OPENAI_BASE_URL": base_url, "PATH": "", **ONE_THREAD},
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_runs(program: str, llama: LocalEndpoint, tmp_path: Path) -> None:
    """A newcomer who pastes a program sees output."""
    assert run(program, llama.base_url, tmp_path).strip()


def test_commands_of_the_program_run(llama: LocalEndpoint, tmp_path: Path) -> None:
    """Whoever pastes the commands of the page, one after the other, sees no error."""
    page = (ROOT / "docs" / "guides" / "program.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 9
    script = "set -ex\n" + "".join(blocks)
    done = run_shell(script, base_url=llama.base_url, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_have_programs() -> None:
    """The pattern above finds every program."""
    assert len(PROGRAMS) == 58


def test_reference_names_all_that_is_public() -> None:
    """Every public name is in the reference, and every name there is public."""
    page = (ROOT / "docs" / "reference.md").read_text()
    entries = re.findall(
        r"^\.\. (?:auto(?!module)|py:)\w+:: limin\.(\w+)$", page, re.MULTILINE
    )
    assert sorted(entries) == sorted(limin.__all__)


def test_continuous_integration_runs_the_readmes_command() -> None:
    """The command that the README promises is the command that is tested."""
    commands = re.findall(r"^python3 .*/nox -s (\w+)$", README, re.MULTILINE)
    assert commands == ["demo", "tests"]
    assert (ROOT / ".ci" / "run").read_text().count("README.md") == 1
