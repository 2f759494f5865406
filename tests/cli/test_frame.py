"""The program's frame: commands, help, version, exit statuses."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from loopback import Request, completion, http
from programs import PROGRAM, Terminal, run_shell, serving

import limin
from limin import _find_version
from limin.__main__ import main
from limin.cli import console
from limin.cli.commands import COMMANDS, parse

if TYPE_CHECKING:
    from pathlib import Path


def loaded_by(*arguments: str) -> set[str]:
    """Return the modules that the program has loaded at its end."""
    script = (
        "import sys\n"
        "from limin.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_version_loads_little() -> None:
    """`limin --version` costs no more than `import limin` and argparse."""
    program = "import sys, limin, argparse; print(*sys.modules, sep='\\n')"
    done = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    more = loaded_by("--version") - set(done.stdout.split())
    ours = {name for name in more if name.startswith("limin")}
    assert ours == {
        "limin.__main__",
        "limin.cli",
        "limin.cli.commands",
        "limin.cli.console",
        "limin.cli.environment",
        "limin.cli.statuses",
        "limin.files",
        "limin.files.pipes",
    }
    assert {"rich", "httpx", "polars", "asyncio"} & more == set()


@pytest.mark.parametrize(
    ("folders", "version"),
    [(["limin-1.2.dist-info"], "1.2"), ([], None), (["limin-1.dist-info"] * 2, "1")],
)
def test_version_is_in_the_name_of_a_folder(
    tmp_path: Path, folders: list[str], version: str | None
) -> None:
    """The version of a wheel is found without the slow way."""
    for folder in folders:
        (tmp_path / folder).mkdir(exist_ok=True)
    assert _find_version(tmp_path) == (version or limin.__version__)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is that of the package."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"limin {limin.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command is described, and shown."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"examples:\n  limin {command}" in shown
    assert "--base-url" in shown or command in {"show", "convert"}


def test_help_names_commands_and_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    """The help tells what there is."""
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"    {name} " in shown for name in COMMANDS)
    assert "OPENAI_API_KEY" in shown
    assert "130  interrupted" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_key_is_no_argument(command: str) -> None:
    """Lists of processes show arguments, so no argument takes a key."""
    with pytest.raises(SystemExit) as ended:
        parse([command, "--help"])
    assert ended.value.code == 0
    with pytest.raises(SystemExit) as ended:
        parse([command, "--api-key", "k"])
    assert ended.value.code == 2


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["run", "a", "--formt=x"]])
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is told in one line after the usage."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: limin")


def test_complaint_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """An argument that is repeated in a complaint does not act on the terminal."""
    with pytest.raises(SystemExit):
        main(["run", "in", "-n", "\x1b[31m"])
    with pytest.raises(SystemExit):
        main(["\x1b]0;title\x07"])
    assert "\x1b" not in capsys.readouterr().err


def test_name_of_a_file_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """The name of a file may hold an escape sequence."""
    assert main(["run", "\x1b[31m"]) == 2
    assert capsys.readouterr().err.startswith("limin: input ␛[31m: No such file")


def test_program_by_its_module() -> None:
    """`python -m limin` is the program."""
    done = subprocess.run(  # noqa: S603 (our own program)
        [*PROGRAM, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"limin {limin.__version__}\n"


def test_interrupted_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends any command with its own status."""

    def interrupt(_options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("limin.cli.demo.run", interrupt)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert main(["demo"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)


def test_text_is_bare_to_a_pipe_and_harmless_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a model wrote acts on no terminal, and is unchanged in a file."""
    pipe, terminal = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", pipe)
    console.write("\x1b[31m\n")
    monkeypatch.setattr(sys, "stdout", terminal)
    console.write("\x1b[31m\n")
    console.write_styled("\x1b[1m")
    assert (pipe.getvalue(), terminal.getvalue()) == ("\x1b[31m\n", "␛[31m\n\x1b[1m")


def test_closed_streams_take_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without stdout and stderr the program still works."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    console.write("a")
    console.write_styled("a")
    console.note("a")
    console.settle_stdout()
    console.give_up_stdout()
    assert not console.is_terminal()


def test_full_disk_under_stdout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What cannot be written is given up, so that Python does not complain at its end."""
    with (tmp_path / "out").open("wb", buffering=0) as file:

        class Full(io.StringIO):
            def flush(self) -> None:
                raise OSError

            def fileno(self) -> int:
                return file.fileno()

        monkeypatch.setattr(sys, "stdout", Full())
        console.settle_stdout()
        file.write(b"lost")
    assert (tmp_path / "out").read_bytes() == b""


@pytest.mark.parametrize(
    ("error", "raised", "problem"),
    [
        (OSError(errno.ENOSPC, "No space left"), limin.LiminError, "stdout: No space left"),
        (OSError(), limin.LiminError, "output stdout: it cannot be written"),
        (BrokenPipeError(), BrokenPipeError, ""),
    ],
)
def test_output_that_cannot_be_written(
    error: OSError,
    raised: type[Exception],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is one of limin's errors, except that a reader has gone."""

    class Broken(io.StringIO):
        def flush(self) -> None:
            raise error

    monkeypatch.setattr(sys, "stdout", Broken())
    with pytest.raises(raised, match=problem or None):
        console.write("a")


def test_encoding_of_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it lacks is written as an escape."""
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(data, encoding="latin-1"))
    console.write("é €\n")
    assert data.getvalue() == "é \\u20ac\n".encode("latin-1")


COMMANDS_WITH_OUTPUT = [
    "ask hi",
    "ask hi --json",
    "chat < in.txt",
    "models",
    "run in.txt --dry-run",
    "run in.txt",
    "run in.txt -o /dev/full",
    "decide in.txt --labels a,b",
    "demo",
]


@pytest.mark.parametrize("command", COMMANDS_WITH_OUTPUT)
def test_no_space_for_the_output(command: str, tmp_path: Path) -> None:
    """It is told in a line, and never by a traceback."""
    (tmp_path / "in.txt").write_text("hello\n")
    with serving(answer_all) as server:
        script = f"limin {command} > /dev/full; echo $? >&2"
        done = run_shell(script, base_url=server.base_url, folder=tmp_path)
    *_, problem, status = done.stderr.splitlines()
    is_run = command.startswith(("run", "decide")) and "dry" not in command
    assert ("No space left on device" in problem, status) == (True, "3" if is_run else "1")
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr


async def answer_all(request: Request) -> bytes:
    """Answer any question, and list models with any names."""
    if request.head.startswith(b"GET"):
        return http(b'{"data": [{"id": "caf\xc3\xa9"}, {"id": "half \\ud800"}]}')
    return http(completion("caf\N{LATIN SMALL LETTER E WITH ACUTE}"))


@pytest.mark.parametrize(
    ("command", "encoding", "expected"),
    [
        ("ask hi", "ascii", "caf\\xe9\n"),
        ("models", "ascii", "caf\\xe9\nhalf \\ud800\n"),
        ("models", "", "café\nhalf \\ud800\n"),
    ],
)
def test_encoding_that_lacks_characters(
    command: str, encoding: str, expected: str, tmp_path: Path
) -> None:
    """They are written as escapes; half of a surrogate pair is in no encoding."""
    with serving(answer_all) as server:
        done = run_shell(
            f"limin {command}",
            base_url=server.base_url,
            folder=tmp_path,
            PYTHONIOENCODING=encoding,
        )
    assert (done.stdout, done.stderr) == (expected, "")


def test_stderr_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under the log ends no run."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    console.note("a")


def test_completion_of_a_shell(tmp_path: Path) -> None:
    """With argcomplete, a shell completes commands and arguments."""
    pytest.importorskip("argcomplete")
    line = "limin run --sha"
    script = (
        f"COMP_LINE='{line}' COMP_POINT={len(line)} _ARGCOMPLETE=1 limin 8>completions "
        "9>/dev/null; cat completions"
    )
    done = run_shell(script, base_url="", folder=tmp_path, _ARGCOMPLETE_IFS=" ")
    assert done.stdout.strip() == "--shard"


def test_reader_that_has_gone(tmp_path: Path) -> None:
    """A closed pipe is no error, and costs no word."""
    script = "from limin.cli import console\nconsole.write('x' * 100)"
    (tmp_path / "program.py").write_text(
        "import sys, limin.__main__ as program\n"
        f"class Options:\n    def run(self, _):\n        exec({script!r})\n"
        "program.parse = lambda _: Options()\n"
        "sys.exit(program.main([]))"
    )
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(  # noqa: S603 (our own program)
            [sys.executable, tmp_path / "program.py"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
