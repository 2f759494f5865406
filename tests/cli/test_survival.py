"""`limin run` as a process: pipes, terminals, Ctrl-C, kill -9, a closed stdout."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from loopback import Request, completion, http
from programs import PROGRAM, environment, run_program, run_shell, serving, started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from limin.local import LocalEndpoint


class Held:
    """A server that answers some prompts, and then only when it may."""

    def __init__(self, n_free: int) -> None:
        """Answer *n_free* prompts at once."""
        self.n_free, self.is_open = n_free, False
        self.answered = Counter[str]()
        self.on_held: Callable[[], None] = lambda: None

    async def respond(self, request: Request) -> bytes:
        """Answer *request*, or keep it waiting."""
        if not self.is_open and self.answered.total() >= self.n_free:
            on_held, self.on_held = self.on_held, lambda: None
            on_held()
            await anyio.sleep_forever()
        self.answered[request.prompt] += 1
        return http(completion(f"answer {request.prompt}"))


def prompts(folder: Path, count: int) -> list[str]:
    """Write an input of *count* prompts, and return them."""
    texts = [f"prompt {n}" for n in range(count)]
    (folder / "in.txt").write_text("".join(f"{text}\n" for text in texts))
    return texts


def output(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of the output."""
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_killed_run_is_resumed(tmp_path: Path, kind: signal.Signals) -> None:
    """Ctrl-C and kill -9 cost no answer; --resume sends only the rest."""
    texts, held = prompts(tmp_path, 60), Held(20)
    command = ["run", "in.txt", "-o", "out.jsonl", "-n", "4"]
    with serving(held.respond) as server:
        place = {"base_url": server.base_url, "folder": tmp_path}
        with started(*command, stderr=subprocess.PIPE, **place) as process:
            held.on_held = lambda: process.send_signal(kind)
            _, shown = process.communicate(timeout=20)
        written = {line["prompt"] for line in output(tmp_path)}
        assert written <= set(held.answered)
        assert len(held.answered) - len(written) <= 4  # Those that were under way.
        held.is_open = True
        done = run_program(*command, "--resume", **place)
    assert done.returncode == 0, done.stderr
    assert f"limin: {len(written)} of 60 lines have an answer already" in done.stderr
    assert all(held.answered[text] == 1 for text in written), "asked twice"
    lines = output(tmp_path)
    assert sorted(line["limin"]["line"] for line in lines) == list(range(1, 61))
    assert {line["answer"] for line in lines} == {f"answer {text}" for text in texts}
    if kind == signal.SIGINT:
        assert process.returncode == 130
        last = shown.decode().splitlines()[-1]
        assert last == (
            "limin: interrupted; all answers are in out.jsonl; the same command with "
            "--resume goes on"
        )


def test_torn_line_is_sent_again(tmp_path: Path) -> None:
    """A last line that a power cut tore is dropped, and its prompt is sent."""
    prompts(tmp_path, 3)
    held = Held(99)
    command = ["run", "in.txt", "-o", "out.jsonl", "-n", "1"]
    with serving(held.respond) as server:
        place = {"base_url": server.base_url, "folder": tmp_path}
        assert run_program(*command, **place).returncode == 0
        data = (tmp_path / "out.jsonl").read_bytes()
        (tmp_path / "out.jsonl").write_bytes(data[:-30])
        assert run_program(*command, "--resume", **place).returncode == 0
    assert held.answered == {"prompt 0": 1, "prompt 1": 1, "prompt 2": 2}
    assert len(output(tmp_path)) == 3


def test_pipes(llama: LocalEndpoint, tmp_path: Path) -> None:
    """Prompts come by a pipe, and answers go into one."""
    script = (
        "printf 'What is 1+1?\\n\\nName a color.\\n' | limin run - --max-tokens 4 "
        '| python3 -c \'import json, sys; print(*(json.loads(l)["prompt"] for l in '
        'sys.stdin), sep="|")\'; echo ${PIPESTATUS[@]}'
    )
    done = run_shell(script, base_url=llama.base_url, folder=tmp_path)
    prompts_shown, statuses = done.stdout.splitlines()
    assert set(prompts_shown.split("|")) == {"What is 1+1?", "Name a color."}
    assert statuses == "0 0 0"
    assert done.stderr.startswith("limin: 2 done in ")


def test_reader_that_wants_one_line(tmp_path: Path) -> None:
    """`| head -1` ends the run without a word, and nothing more is sent."""
    prompts(tmp_path, 500)
    held = Held(9999)
    with serving(held.respond) as server:
        script = "limin run in.txt -n 1 | head -1; echo ${PIPESTATUS[0]}"
        done = run_shell(script, base_url=server.base_url, folder=tmp_path)
    line, status = done.stdout.splitlines()
    assert json.loads(line)["answer"] == "answer prompt 0"
    assert (status, done.stderr) == ("0", "")
    assert held.answered.total() < 500


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    """Without stdout, stderr or stdin a run writes its file, and nothing else."""
    prompts(tmp_path, 3)
    held = Held(99)
    with serving(held.respond) as server:
        script = f"limin run in.txt -o out.jsonl {closed}"
        done = run_shell(script, base_url=server.base_url, folder=tmp_path)
    assert done.returncode == 0
    assert [line["error"] for line in output(tmp_path)] == [None] * 3


def on_terminal(*arguments: str, base_url: str, folder: Path, **more: str) -> str:
    """Run the program with a terminal as its stderr, and return what it shows."""
    ours, its = pty.openpty()
    try:
        process = subprocess.Popen(  # noqa: S603 (our own program)
            [*PROGRAM, *arguments],
            cwd=folder,
            env=environment(base_url, TERM="xterm-256color", **more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=its,
        )
        os.close(its)
        shown = b""
        with process:
            while data := _read(ours):
                shown += data
        assert process.returncode == 0, shown
    finally:
        os.close(ours)
    return shown.decode()


def _read(terminal: int) -> bytes:
    """Return the next bytes on *terminal*; none when the program has closed it."""
    try:
        return os.read(terminal, 4096)
    except OSError:  # As Linux says it.
        return b""


@pytest.mark.parametrize("no_color", [False, True])
def test_bar_on_a_terminal(llama: LocalEndpoint, tmp_path: Path, *, no_color: bool) -> None:
    """On a terminal there is a bar, without colors if these are not wanted."""
    prompts(tmp_path, 3)
    more = {"NO_COLOR": "1"} if no_color else {}
    command = ["run", "in.txt", "-o", "out.jsonl", "--max-tokens", "2"]
    shown = on_terminal(*command, base_url=llama.base_url, folder=tmp_path, **more)
    assert "━" in shown
    assert "3 done in " in shown
    has_colors = re.search(r"\x1b\[[0-9;]*3[0-9]", shown) is not None
    assert has_colors != no_color
    assert len(output(tmp_path)) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_memory_is_flat(tmp_path: Path) -> None:
    """Five thousand answers take no more memory than five hundred."""
    answer = http(completion("x" * 4_000))

    async def respond(_request: Request) -> bytes:
        return answer

    # The peak that `resource` tells is at least that of the process that started this one.
    program = (
        "import sys\nfrom limin.__main__ import main\n"
        "status = main(sys.argv[1:])\n"
        "lines = open('/proc/self/status').read().splitlines()\n"
        "print(status, *(l.split()[1] for l in lines if l.startswith('VmHWM')))"
    )
    peaks: list[int] = []
    with serving(respond) as server:
        for count in (500, 5_000):
            texts = (f"{n} " + "y" * 2_000 for n in range(count))
            (tmp_path / "in.txt").write_text("\n".join(texts))
            arguments = ["run", "in.txt", "-o", f"{count}.jsonl", "-n", "64"]
            done = subprocess.run(  # noqa: S603 (our own program)
                [sys.executable, "-c", program, *arguments],
                cwd=tmp_path,
                env=environment(server.base_url),
                capture_output=True,
                text=True,
                check=True,
            )
            status, peak = done.stdout.split()
            assert status == "0", done.stderr
            peaks.append(int(peak))
            with (tmp_path / f"{count}.jsonl").open() as file:
                assert sum(1 for _ in file) == count
            server.requests.clear()
    print(f"\npeak of 500 and 5000 lines: {peaks} kB")  # noqa: T201 (pytest -s shows it)
    assert peaks[1] - peaks[0] < 4_000  # The answers alone are 20 MB.
