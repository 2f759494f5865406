"""Each measurement in a process of its own, and the best of several.

Other load on the machine only ever makes a figure worse, so the best of several is the
nearest to the truth. The rounds are interleaved, so that a busy minute does not strike
one client only.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import first_token
import observing
from clients import CASES
from program import STEPS
from streams import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).parent

PARALLEL = (1, 16, 256, 1000)
POSITIONS = (50, 1000, 10_000)
ALTERNATIVES = (0, 5, 20)
TYPED_POSITIONS = 1000
MODULES = ("limin", "httpx", "openai")

FIRST_TOKENS = 300

_IMPORTS = 7
_SECONDS_SLOW = 8.0
_ROUNDS_SLOW = 2
_SECONDS_AT_MOST = 300.0
_ERROR_SHOWN = 600

_GIT_ARCHIVE = ("git", "archive", "--format=tar")

_IMPORT = (
    "import time; start = time.perf_counter(); import {module}; "
    "print(time.perf_counter() - start)"
)


@attrs.frozen(kw_only=True)
class Load:
    """The cost of one client under one load.

    Attributes:
        cpu_us: Microseconds of CPU for each request.
        per_second: Requests in a second.
        first_cpu_us: The same as `cpu_us` for the first requests, which open the
            connections.
        rounds: Number of measurements.
    """

    cpu_us: float
    per_second: float
    first_cpu_us: float
    rounds: int


@attrs.frozen(kw_only=True)
class Reading:
    """The cost of one stream, read by one client.

    Attributes:
        cpu_us: Microseconds of CPU for each chunk.
        per_second: Chunks in a second.
        megabytes_per_second: The same in megabytes of the body.
        bytes: Size of the body.
    """

    cpu_us: float
    per_second: float
    megabytes_per_second: float
    bytes: int


Loads: TypeAlias = dict[tuple[str, int], Load]
Readings: TypeAlias = dict[tuple[str, str], Reading]
Parsings: TypeAlias = dict[tuple[int, int], dict[str, Any]]


@attrs.frozen(kw_only=True)
class Figures:
    """All figures of a run.

    Attributes:
        loads: Requests of whole answers, by client and number in parallel.
        imports: Seconds of each import.
        parsings: Costs of parsing, by positions and alternatives.
        typed: Costs of typed answers, by positions and alternatives.
        memory: Peak memory in kilobytes, by the number of prompts.
        file_memory: The same of the program and of a file of prompts.
        parallelism: Seconds and requests in flight, by `n_parallel`.
        readings: Streams, by client and kind.
        first_tokens: Seconds to the first token, by client.
        program: Seconds, CPU and peak memory of the program, by step.
        observing: Microseconds of CPU for each request, by who observes.
        beside: Name of the other commit of limin; None if there is none.
    """

    loads: Loads
    imports: dict[str, float]
    parsings: Parsings
    typed: Parsings
    memory: dict[str, int]
    file_memory: dict[str, int]
    parallelism: dict[str, dict[str, float]]
    readings: Readings
    first_tokens: dict[str, float]
    program: dict[str, dict[str, float]]
    observing: dict[str, float]
    beside: str | None = None


@attrs.frozen
class Commit:
    """Another commit of limin, measured beside this one.

    Attributes:
        revision: Its name in git.
        folder: A folder that holds its package.
    """

    revision: str
    folder: Path

    @property
    def name(self) -> str:
        """Its name in the report."""
        return f"limin at {self.revision}"


@contextmanager
def checked_out(revision: str | None) -> Iterator[Commit | None]:
    """Unpack limin's package as it is at *revision*, for the length of the block."""
    if revision is None:
        yield None
        return
    archive = subprocess.run(  # noqa: S603 (the user's own repository)
        [*_GIT_ARCHIVE, "--end-of-options", revision, "limin"],
        cwd=HERE.parent.parent,
        stdout=subprocess.PIPE,
        check=True,
    )
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as package:
            package.extractall(folder, filter="data")
        yield Commit(revision, Path(folder))


def client(program: str, name: str, *arguments: str, beside: Commit | None) -> str | None:
    """Run *program* for the client *name*; None if it fails.

    The client of another commit is the program's own `limin`, found in another folder.
    """
    if beside is None or name != beside.name:
        return python(program, name, *arguments)
    return python(program, "limin", *arguments, PYTHONPATH=str(beside.folder))


def _with_commit(names: Iterable[str], beside: Commit | None) -> list[str]:
    """Return *names* with that of *beside* right after limin's."""
    if beside is None:
        return list(names)
    pairs = ([name, beside.name] if name == "limin" else [name] for name in names)
    return [name for pair in pairs for name in pair]


def environment() -> dict[str, str]:
    """Return ours, without proxies, endpoints, and a ban on writing bytecode."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and not name.startswith("OPENAI_")
        and name != "PYTHONDONTWRITEBYTECODE"
    }


def note(text: str) -> None:
    """Print the progress to stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def python(*arguments: str, **more_environment: str) -> str | None:
    """Run a fresh interpreter, and return its output; None, with a note, if it fails."""
    try:
        result = subprocess.run(  # noqa: S603 (our own programs)
            [sys.executable, *arguments],
            env=environment() | more_environment,
            cwd=HERE,
            capture_output=True,
            timeout=_SECONDS_AT_MOST,
            check=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        note(f"failed: {' '.join(arguments)}\n{error.stderr[-_ERROR_SHOWN:]}")
        return None
    except subprocess.TimeoutExpired as error:
        note(f"failed: {error}")
        return None
    return result.stdout


@contextmanager
def server() -> Iterator[str]:
    """Start a server in another process, and yield its base URL."""
    with subprocess.Popen(
        [sys.executable, "server.py"],
        env=environment(),
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.stdin.close()


def measure_loads(rounds: int, beside: Commit | None = None) -> Loads:
    """Measure every client under every load; leave out one that failed."""
    best: Loads = {}
    names = _with_commit(CASES, beside)
    rounds_of = {(name, n_parallel): rounds for n_parallel in PARALLEL for name in names}
    with server() as url:
        for index in range(rounds):
            note(f"requests: round {index + 1} of {rounds}")
            for case in [case for case, number in rounds_of.items() if number > index]:
                start = time.monotonic()
                line = client("clients.py", case[0], str(case[1]), url, beside=beside)
                if line is None:
                    rounds_of[case] = 0
                    best.pop(case, None)
                    continue
                if time.monotonic() - start > _SECONDS_SLOW:
                    rounds_of[case] = min(rounds, _ROUNDS_SLOW)
                best[case] = _better(best.get(case), json.loads(line))
    return best


def _better(best: Load | None, figures: dict[str, float]) -> Load:
    if best is None:
        best = Load(
            cpu_us=float("inf"), per_second=0.0, first_cpu_us=float("inf"), rounds=0
        )
    return Load(
        cpu_us=min(best.cpu_us, figures["cpu_us"]),
        per_second=max(best.per_second, figures["per_second"]),
        first_cpu_us=min(best.first_cpu_us, figures["first_cpu_us"]),
        rounds=best.rounds + 1,
    )


def measure_streams(rounds: int, beside: Commit | None = None) -> Readings:
    """Measure every client on each stream; leave out one that failed."""
    best: Readings = {}
    failed: set[tuple[str, str]] = set()
    cases = [
        (name, kind)
        for kind, stream in STREAMS.items()
        for name in _with_commit(stream.clients, beside)
    ]
    with server() as url:
        for index in range(rounds):
            note(f"streams: round {index + 1} of {rounds}")
            for case in [case for case in cases if case not in failed]:
                line = client("streams.py", *case, url, beside=beside)
                if line is None:
                    failed.add(case)
                    best.pop(case, None)
                    continue
                best[case] = _better_reading(best.get(case), json.loads(line))
    return best


def _better_reading(best: Reading | None, line: dict[str, Any]) -> Reading:
    reading = Reading(**line)
    if best is None:
        return reading
    return Reading(
        cpu_us=min(best.cpu_us, reading.cpu_us),
        per_second=max(best.per_second, reading.per_second),
        megabytes_per_second=max(best.megabytes_per_second, reading.megabytes_per_second),
        bytes=reading.bytes,
    )


def measure_first_tokens(rounds: int) -> dict[str, float]:
    """Measure the median seconds to the first token by each client, at best."""
    best: dict[str, float] = {}
    with server() as url:
        for index in range(rounds):
            note(f"first tokens: round {index + 1} of {rounds}")
            for name in first_token.CASES:
                line = python("first_token.py", name, str(FIRST_TOKENS), url)
                for kind, seconds in json.loads(line or "{}").items():
                    best[kind] = min(seconds, best.get(kind, seconds))
    return best


def measure_observing(rounds: int) -> dict[str, float]:
    """Measure the microseconds of CPU for each request, by who observes, at best."""
    best: dict[str, float] = {}
    with server() as url:
        for index in range(rounds):
            note(f"observers: round {index + 1} of {rounds}")
            for name in observing.CASES:
                line = python("observing.py", name, url)
                if line is not None:
                    cpu_us = json.loads(line)["cpu_us"]
                    best[name] = min(cpu_us, best.get(name, cpu_us))
    return best


def measure_imports() -> dict[str, float]:
    """Measure the seconds that each module takes to import, in turn, at best."""
    note("imports")
    best = dict.fromkeys(MODULES, float("inf"))
    # One store of bytecode for all, empty at first: else a package whose installer
    # compiled nothing would be compiled at each import, and the others not.
    with TemporaryDirectory() as store:
        for _ in range(_IMPORTS):
            for module in MODULES:
                program = _IMPORT.format(module=module)
                line = python("-c", program, PYTHONPYCACHEPREFIX=store)
                if line is not None:
                    best[module] = min(best[module], float(line))
    return best


def measure_parsings() -> Parsings:
    """Measure seconds and bytes of each reading, for each shape of answer."""
    results: Parsings = {}
    for positions in POSITIONS:
        for alternatives in ALTERNATIVES:
            note(f"parsing: {positions} positions, {alternatives} alternatives")
            line = python("parsing.py", str(positions), str(alternatives))
            if line is not None:
                results[positions, alternatives] = json.loads(line)
    return results


def measure_typed() -> Parsings:
    """Measure seconds of each reading of a JSON answer, for each number of alternatives."""
    results: Parsings = {}
    for alternatives in ALTERNATIVES:
        note(f"typed answers: {TYPED_POSITIONS} positions, {alternatives} alternatives")
        line = python("typed_answers.py", str(TYPED_POSITIONS), str(alternatives))
        if line is not None:
            results[TYPED_POSITIONS, alternatives] = json.loads(line)
    return results


def measure_memory() -> dict[str, int]:
    """Measure the peak kilobytes after some of the prompts of a long run, and after all."""
    note("memory")
    with server() as url:
        line = python("memory.py", url)
    return {} if line is None else json.loads(line)


def measure_file_memory() -> dict[str, int]:
    """Measure the peak kilobytes of the program over a short file, and over a long one."""
    note("memory of the program")
    with server() as url:
        line = python("file_memory.py", url)
    return {} if line is None else json.loads(line)


def measure_parallelism() -> dict[str, dict[str, float]]:
    """Measure seconds and requests in flight on a real model, by `n_parallel`."""
    note("parallelism")
    line = python("parallelism.py")
    return {} if line is None else json.loads(line)


def measure_program() -> dict[str, dict[str, float]]:
    """Measure the commands of the program on many lines; leave out one that failed."""
    figures: dict[str, dict[str, float]] = {}
    with server() as url, TemporaryDirectory() as folder:
        for step in STEPS:
            note(f"program: {step}")
            line = python("program.py", step, folder, url)
            if line is not None:
                figures[step] = json.loads(line)
    return figures
