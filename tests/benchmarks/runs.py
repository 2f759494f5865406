"""Runs each measurement in a process of its own, and keeps the best of each.

What the machine does besides only ever makes a figure worse, so the best of several
is the nearest to the truth; the rounds are interleaved, so that a busy minute does
not strike one client alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import first_token
from clients import CASES
from streams import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent

PARALLEL = (1, 16, 256, 1000)
POSITIONS = (50, 1000, 10_000)
ALTERNATIVES = (0, 5, 20)
MODULES = ("limin", "httpx", "openai")

FIRST_TOKENS = 300

_IMPORTS = 7
_SECONDS_SLOW = 8.0
_ROUNDS_SLOW = 2
_SECONDS_AT_MOST = 300.0
_ERROR_SHOWN = 600

_IMPORT = (
    "import time; start = time.perf_counter(); import {module}; "
    "print(time.perf_counter() - start)"
)


@attrs.frozen(kw_only=True)
class Load:
    """What one client costs under one load.

    Attributes:
        cpu_us: Microseconds of CPU for each request.
        per_second: Requests in a second.
        first_cpu_us: The same as `cpu_us` for the first requests, which open the
            connections.
        rounds: How many times this was measured.
    """

    cpu_us: float
    per_second: float
    first_cpu_us: float
    rounds: int


@attrs.frozen(kw_only=True)
class Reading:
    """What it costs one client to read one stream.

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
    """All that was measured."""

    loads: Loads
    imports: dict[str, float]
    parsings: Parsings
    memory: dict[str, int]
    parallelism: dict[str, dict[str, float]]
    readings: Readings
    first_tokens: dict[str, float]


def environment() -> dict[str, str]:
    """Ours, without what would send the clients elsewhere or have them compiled anew."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and not name.startswith("OPENAI_")
        and name != "PYTHONDONTWRITEBYTECODE"
    }


def note(text: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def python(*arguments: str, **more_environment: str) -> str | None:
    """What a fresh interpreter prints; None if it fails, and stderr then says why."""
    try:
        done = subprocess.run(  # noqa: S603 (our own programs)
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
    return done.stdout


@contextmanager
def server() -> Iterator[str]:
    """A server beside us, and the base URL that reaches it."""
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


def measure_loads(rounds: int) -> Loads:
    """Every client under every load; one that failed is left out."""
    best: Loads = {}
    left = {(name, n_parallel): rounds for n_parallel in PARALLEL for name in CASES}
    with server() as url:
        for place in range(rounds):
            note(f"requests: round {place + 1} of {rounds}")
            for case in [case for case, number in left.items() if number > place]:
                start = time.monotonic()
                line = python("clients.py", case[0], str(case[1]), url)
                if line is None:
                    left[case] = 0
                    best.pop(case, None)
                    continue
                if time.monotonic() - start > _SECONDS_SLOW:
                    left[case] = min(rounds, _ROUNDS_SLOW)
                best[case] = _better(best.get(case), json.loads(line))
    return best


def _better(known: Load | None, found: dict[str, float]) -> Load:
    if known is None:
        known = Load(
            cpu_us=float("inf"), per_second=0.0, first_cpu_us=float("inf"), rounds=0
        )
    return Load(
        cpu_us=min(known.cpu_us, found["cpu_us"]),
        per_second=max(known.per_second, found["per_second"]),
        first_cpu_us=min(known.first_cpu_us, found["first_cpu_us"]),
        rounds=known.rounds + 1,
    )


def measure_streams(rounds: int) -> Readings:
    """Every client on each stream; one that failed is left out."""
    best: Readings = {}
    failed: set[tuple[str, str]] = set()
    cases = [(name, kind) for kind in STREAMS for name in STREAMS[kind].clients]
    with server() as url:
        for place in range(rounds):
            note(f"streams: round {place + 1} of {rounds}")
            for case in [case for case in cases if case not in failed]:
                line = python("streams.py", *case, url)
                if line is None:
                    failed.add(case)
                    best.pop(case, None)
                    continue
                best[case] = _better_reading(best.get(case), json.loads(line))
    return best


def _better_reading(known: Reading | None, line: dict[str, Any]) -> Reading:
    found = Reading(**line)
    if known is None:
        return found
    return Reading(
        cpu_us=min(known.cpu_us, found.cpu_us),
        per_second=max(known.per_second, found.per_second),
        megabytes_per_second=max(known.megabytes_per_second, found.megabytes_per_second),
        bytes=found.bytes,
    )


def measure_first_tokens(rounds: int) -> dict[str, float]:
    """The median seconds to the first token by each client, at best."""
    best: dict[str, float] = {}
    with server() as url:
        for place in range(rounds):
            note(f"first tokens: round {place + 1} of {rounds}")
            for name in first_token.CASES:
                line = python("first_token.py", name, str(FIRST_TOKENS), url)
                for kind, seconds in json.loads(line or "{}").items():
                    best[kind] = min(seconds, best.get(kind, seconds))
    return best


def measure_imports() -> dict[str, float]:
    """Seconds that each module takes to import, in turn, at best."""
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
    """Seconds and bytes of each reading, for each shape of answer."""
    found: Parsings = {}
    for positions in POSITIONS:
        for alternatives in ALTERNATIVES:
            note(f"parsing: {positions} positions, {alternatives} alternatives")
            line = python("parsing.py", str(positions), str(alternatives))
            if line is not None:
                found[positions, alternatives] = json.loads(line)
    return found


def measure_memory() -> dict[str, int]:
    """Kilobytes held at most after some of the prompts of a long run, and after all."""
    note("memory")
    with server() as url:
        line = python("memory.py", url)
    return {} if line is None else json.loads(line)


def measure_parallelism() -> dict[str, dict[str, float]]:
    """Seconds and requests under way on a real model, by `n_parallel`."""
    note("parallelism")
    line = python("parallelism.py")
    return {} if line is None else json.loads(line)
