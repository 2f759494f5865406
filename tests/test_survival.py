"""Finished answers survive kill -9, a full disk, Ctrl-C, and a second program."""

from __future__ import annotations

import json
import random
import re
import signal
import sys
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest
from loopback import Loopback, Request, completion, http, serve

import limin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from anyio.abc import Process

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="signals and limits of POSIX"
)

SURVIVOR = Path(__file__).with_name("survivor.py")
SEED = 20_261_124

# Words that a program does not print when it ends in good order.
NOISE = (
    "Exception ignored",
    "was destroyed",
    "never awaited",
    "never retrieved",
    "ResourceWarning",
    "ExceptionGroup",
)


@attrs.define
class Ended:
    """A program that has ended."""

    returncode: int
    out: str
    err: str

    @property
    def outcome(self) -> dict[str, Any]:
        """The object that it printed."""
        assert self.returncode == 0, self.err
        outcome: dict[str, Any] = json.loads(self.out)
        return outcome


@attrs.define(kw_only=True)
class Run:
    """The way to run `survivor.py`."""

    backend: str
    checkpoint: Path
    server: Loopback
    prompts: int
    n_parallel: int = 16
    iterated: bool = False
    show_progress: bool = False
    program: int = 0

    @asynccontextmanager
    async def started(self, file_bytes: int | None = None) -> AsyncGenerator[Process]:
        """Start the program, with a limit on its files' sizes; end it with the block."""
        arguments = {
            "backend": self.backend,
            "base_url": f"{self.server.base_url}/{self.program}",
            "checkpoint": str(self.checkpoint),
            "prompts": self.prompts,
            "n_parallel": self.n_parallel,
            "iterated": self.iterated,
            "show_progress": self.show_progress,
            "file_bytes": file_bytes,
        }
        command = [sys.executable, "-W", "default", str(SURVIVOR), json.dumps(arguments)]
        async with await anyio.open_process(command, stdout=PIPE, stderr=PIPE) as process:
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.kill()

    async def to_the_end(self, file_bytes: int | None = None) -> Ended:
        """Start the program, and wait until it ends."""
        async with self.started(file_bytes) as process:
            return await end_of(process)

    def raw(self) -> list[dict[str, Any]]:
        """Return the lines of the checkpoint; each must be whole."""
        data = self.checkpoint.read_bytes() if self.checkpoint.exists() else b""
        assert not data or data.endswith(b"\n"), data[-200:]
        return [json.loads(line) for line in data.splitlines()]

    def recorded(self) -> list[str]:
        """Return the prompts in the checkpoint."""
        lines = self.raw()
        assert all(line["limin_checkpoint"] == 2 for line in lines)
        return [line["messages"][-1]["content"] for line in lines]


async def end_of(process: Process) -> Ended:
    """Wait until *process* ends, and return its output."""
    parts = {"out": b"", "err": b""}

    async def read(name: str, stream: Any) -> None:
        async for chunk in stream:
            parts[name] += chunk

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, "out", process.stdout)
            tasks.start_soon(read, "err", process.stderr)
            returncode = await process.wait()
    return Ended(returncode, parts["out"].decode(), parts["err"].decode())


def _chance() -> random.Random:
    return random.Random(SEED)  # noqa: S311 (no secret)


@attrs.define
class Answers:
    """A server's answers, after a moment; a program is killed at a planned answer.

    Requests of a killed program may be answered while the next one runs, so each
    program sends its number in the URL.
    """

    chance: random.Random = attrs.field(factory=_chance)
    given: list[str] = attrs.field(factory=list)
    by_program: defaultdict[int, list[str]] = attrs.field(factory=lambda: defaultdict(list))
    kills: dict[int, tuple[int, Callable[[], None]]] = attrs.field(factory=dict)

    async def respond(self, request: Request) -> bytes:
        """Return the answer to *request*; first kill the program if that is planned."""
        await anyio.sleep(self.chance.random() / 200)
        program = int(request.head.split(b"/")[2])
        self.given.append(request.prompt)
        mine = self.by_program[program]
        mine.append(request.prompt)
        count, kill = self.kills.get(program, (None, None))
        if kill is not None and len(mine) == count:
            kill()
        return http(answer(request.prompt))


def answer(prompt: str) -> bytes:
    """Return the body of an answer to *prompt*."""
    return completion(f"answer {prompt}", model="m", usage={"completion_tokens": 3})


def answers(prompts: Iterable[str]) -> list[str]:
    """Return the messages that a batch of *prompts* must bring."""
    return [f"answer {prompt}" for prompt in prompts]


def numbers(count: int) -> list[str]:
    """Return the prompts of a program."""
    return [str(n) for n in range(count)]


def messages_of(path: Path) -> list[str]:
    """Return the messages of a checkpoint, sorted."""
    return sorted(completion.message for completion in limin.read_checkpoint(path))


async def test_ten_kills_lose_nothing_but_what_was_under_way(
    anyio_backend: str, tmp_path: Path
) -> None:
    """Kill -9 costs the requests in flight, and no recorded answer."""
    given = Answers()
    recorded = [set[str]()]
    async with serve(given.respond) as server:
        run = Run(
            backend=anyio_backend,
            checkpoint=tmp_path / "run.jsonl",
            server=server,
            prompts=300,
        )
        for run.program in range(10):
            async with run.started() as process:
                count = given.chance.randint(10, 28)
                given.kills[run.program] = count, process.kill
                killed = await end_of(process)
            assert killed.returncode == -signal.SIGKILL, killed.err
            _drop_torn_line(run.checkpoint)
            recorded.append(set(run.recorded()))
        run.program += 1
        ended = await run.to_the_end()
    lost = [len(set(given.by_program[n]) - recorded[n + 1]) for n in range(10)]
    print(  # noqa: T201 (pytest -s shows it)
        f"\n300 prompts, 10 kills: {len(given.given)} answers, of which the kills lost "
        f"{sum(lost)} ({', '.join(map(str, lost))}); {len(run.recorded())} lines at the end"
    )
    for program, before in enumerate(recorded):
        assert before.isdisjoint(given.by_program[program]), "recorded, and asked again"
    assert max(lost) <= run.n_parallel
    assert len(given.given) == 300 + sum(lost)
    assert ended.outcome["results"] == answers(numbers(300))
    assert sorted(run.recorded()) == sorted(numbers(300))
    assert messages_of(run.checkpoint) == sorted(answers(numbers(300)))


def _drop_torn_line(path: Path) -> None:
    """Cut a torn last line off, as the next opening does, so that the lines can be read."""
    data = path.read_bytes()
    path.write_bytes(data[: data.rfind(b"\n") + 1])


@pytest.mark.parametrize(("missing", "n_lost"), [(1, 0), (2, 1), (30, 1)])
async def test_torn_line_is_asked_for_again(
    anyio_backend: str, tmp_path: Path, missing: int, n_lost: int
) -> None:
    """A power failure that tears the last line costs only that line.

    One that lacks only its newline costs nothing.
    """
    given = Answers()
    async with serve(given.respond) as server:
        run = Run(
            backend=anyio_backend,
            checkpoint=tmp_path / "run.jsonl",
            server=server,
            prompts=9,
            n_parallel=3,
        )
        await run.to_the_end()
        last = run.recorded()[-1]
        run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:-missing])
        ended = await run.to_the_end()
    assert ended.outcome["results"] == answers(numbers(9))
    assert given.given[9:] == [last] * n_lost
    assert sorted(run.recorded()) == numbers(9)


async def test_full_disk_stops_the_batch_and_loses_nothing(
    anyio_backend: str, tmp_path: Path
) -> None:
    """The results have every answer, the file those that fit; the rest comes later."""
    given = Answers()
    async with serve(given.respond) as server:
        run = Run(
            backend=anyio_backend,
            checkpoint=tmp_path / "run.jsonl",
            server=server,
            prompts=100,
        )
        full = (await run.to_the_end(file_bytes=10_000)).outcome
        asked, recorded = list(given.given), run.recorded()
        ended = await run.to_the_end()
    came = [text for text in full["results"] if text.startswith("answer")]
    print(  # noqa: T201 (pytest -s shows it)
        f"\nfull disk: {len(asked)} answers, {len(came)} in the results, "
        f"{len(recorded)} in the file; {full['message']}"
    )
    assert full["stopped_by"] == "CheckpointError"
    assert str(run.checkpoint) in full["message"]
    assert sorted(came) == sorted(answers(asked))
    assert 0 < len(recorded) < len(asked) < 100
    assert ended.outcome["results"] == answers(numbers(100))
    assert sorted(run.recorded()) == sorted(numbers(100))
    assert set(given.given[len(asked) :]).isdisjoint(recorded)
    assert max(Counter(given.given).values()) <= 2


@pytest.mark.parametrize(
    ("iterated", "show_progress"), [(False, False), (False, True), (True, False)]
)
async def test_ctrl_c_ends_at_once_and_keeps_what_was_answered(
    anyio_backend: str, tmp_path: Path, *, iterated: bool, show_progress: bool
) -> None:
    """Ctrl-C ends the program before the server answers, loses no answer, and says so."""
    held, given = anyio.Event(), []

    async def hold_back(request: Request) -> bytes:
        if len(given) < 20:
            given.append(request.prompt)
            return http(answer(request.prompt))
        if server.in_flight == run.n_parallel:
            held.set()
        await anyio.sleep_forever()
        return b""

    async with serve(hold_back) as server:
        run = Run(
            backend=anyio_backend,
            checkpoint=tmp_path / "run.jsonl",
            server=server,
            prompts=100,
            n_parallel=8,
            iterated=iterated,
            show_progress=show_progress,
        )
        async with run.started() as process:
            with anyio.fail_after(10):
                await held.wait()
            process.send_signal(signal.SIGINT)
            ended = await end_of(process)
    assert ended.returncode == -signal.SIGINT, ended.err
    # On trio the cause comes first, an error with the results.
    start = re.search("^(?:Traceback|limin.errors.BatchError)", ended.err, re.MULTILINE)
    assert start is not None
    printed, traceback = ended.err[: start.start()], ended.err[start.start() :]
    kept = f"limin: 20 completions are kept in {run.checkpoint}; "
    kept += "the same call goes on from there"
    if show_progress:
        assert printed.splitlines()[-1] == kept
    else:
        assert printed == "", "nothing is printed but the traceback"
    lines = traceback.splitlines()
    assert lines.count(kept) == 1, "a note in the traceback"
    assert "KeyboardInterrupt" in lines[-2:]
    assert [noise for noise in NOISE if noise in ended.err] == [], ended.err
    assert sorted(run.recorded()) == sorted(given)


async def test_second_program_on_the_same_file_is_refused(
    anyio_backend: str, tmp_path: Path
) -> None:
    """The second program does not start; the first goes on undisturbed."""
    started, go_on, given = anyio.Event(), anyio.Event(), Answers()

    async def wait(request: Request) -> bytes:
        started.set()
        await go_on.wait()
        return await given.respond(request)

    async with serve(wait) as server:
        run = Run(
            backend=anyio_backend,
            checkpoint=tmp_path / "run.jsonl",
            server=server,
            prompts=20,
            n_parallel=4,
        )
        async with run.started() as first:
            with anyio.fail_after(10):
                await started.wait()
            second = await run.to_the_end()
            go_on.set()
            ended = await end_of(first)
    assert second.outcome["stopped_by"] == "CheckpointError"
    assert second.outcome["results"] == []
    assert ended.outcome["results"] == answers(numbers(20))
    assert sorted(given.given) == sorted(run.recorded()) == sorted(numbers(20))
