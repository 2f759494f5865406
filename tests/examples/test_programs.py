"""The programs and commands of the README and the documentation run, word for word.

`nox -s docs` runs them, with the packages that the pages name.
"""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from forked_program import OUTPUTS, be_program
from pages import PROGRAMS, README, ROOT, blocks_of
from programs import run_shell

if TYPE_CHECKING:
    from pathlib import Path

    from limin.local import LocalEndpoint

# A program whose first line names a file is a module, which other programs import.
FILES = {
    name[1]: program
    for program in PROGRAMS
    if (name := re.match(r"# (\w+\.py)\n", program))
}


def is_run_here(program: str) -> bool:
    """Whether *program* can run by itself; `nox -s ecosystem` runs the one about Sentry."""
    return program not in FILES.values() and "import sentry_sdk" not in program


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
    """A newcomer who pastes a program sees output, or has a picture."""
    output = run(program, llama.base_url, tmp_path)
    assert output.strip() or [*tmp_path.glob("*.svg")]


def test_commands_of_the_program_run(llama: LocalEndpoint, tmp_path: Path) -> None:
    """Whoever pastes the commands of the page, one after the other, sees no error."""
    page = (ROOT / "docs" / "guides" / "program.md").read_text()
    blocks = blocks_of(page, "sh")
    assert len(blocks) == 13
    script = "set -ex\n" + "".join(blocks)
    place = {"base_url": llama.base_url, "folder": tmp_path}
    done = run_shell(script, **place, seconds=300)  # Many programs, on a busy machine.
    assert done.returncode == 0, done.stdout + done.stderr


def test_commands_of_the_readme_run(llama: LocalEndpoint, tmp_path: Path) -> None:
    """The first run from the command line works as it stands."""
    (script,) = (block for block in blocks_of(README, "sh") if "limin run" in block)
    done = run_shell(f"set -ex\n{script}", base_url=llama.base_url, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 2
