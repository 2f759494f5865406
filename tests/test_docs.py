"""The examples of the README and the documentation run, word for word."""

from __future__ import annotations

import ast
import asyncio
import inspect
import multiprocessing
import os
import re
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from programs import run_shell

import limin.testing
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

OUTPUTS = ("out.txt", "err.txt")


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


def be_program(program: str, environment: dict[str, str], folder: Path) -> None:
    """Run *program* as the main module of this process; its output goes into files.

    Lines with `await` outside of a function run as they do in a cell of a notebook.
    """
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name in enumerate(OUTPUTS, start=1):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), descriptor)
    warnings.simplefilter("error")
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    code = compile(program, "program.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    value = eval(code, main.__dict__)  # noqa: S307 (our own)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(value)


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


def test_pages_have_programs() -> None:
    """The pattern above finds every program."""
    assert len(PROGRAMS) == "".join(PAGES).count("```python\n") > 50


def test_reference_names_all_that_is_public() -> None:
    """Every public name is in the reference, and every name there is public."""
    page = (ROOT / "docs" / "reference.md").read_text()
    entries = re.findall(
        r"^\.\. (?:auto(?!module)|py:)\w+:: limin\.(\w+)$", page, re.MULTILINE
    )
    assert sorted(entries) == sorted(limin.__all__)
    entries = re.findall(
        r"^\.\. (?:auto|py:)\w+:: limin\.testing\.(\w+)$", page, re.MULTILINE
    )
    assert sorted(entries) == sorted(limin.testing.__all__)


def test_reference_lists_the_odd_answers() -> None:
    """Whoever looks for his provider finds each odd answer, and who sends it."""
    page = (ROOT / "docs" / "reference.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \| (.*) \|$", page, re.MULTILINE)
    quirks = [(quirk.name, quirk.description, quirk.servers) for quirk in QUIRKS.values()]
    assert rows == quirks


def test_continuous_integration_runs_the_readmes_command() -> None:
    """The command that the README promises is the command that is tested."""
    commands = re.findall(r"^python3 .*/nox -s (\w+)$", README, re.MULTILINE)
    assert commands == ["demo", "tests"]
    assert (ROOT / ".ci" / "run").read_text().count("README.md") == 1
