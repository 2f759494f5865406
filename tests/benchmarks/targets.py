"""The limits that the design sets, and whether this run keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from file_memory import FEW, MANY
from memory import ALL, SOME
from observing import IDLE, PLAIN
from streams import LOG_PROBS, ONE_BY_ONE, STREAMS, TEXT

if TYPE_CHECKING:
    from runs import Figures, Loads, Parsings, Readings

# The shape of answer for which the design sets a limit.
_POSITIONS, _ALTERNATIVES = 1000, 20

_OPENAI_SHARES = {16: 0.16, 256: 0.12, 1000: 0.08}
_BY_HAND_AT_MOST = 1.75
_ALONE_BY_HAND_AT_MOST = 2.5
_GROWTH_AT_MOST = 1.25
_IMPORT_AT_MOST = 1.3
_GROWN_AT_MOST_KB = 5000
_AUTO_AT_MOST = 1.1
_IDLE_OBSERVER_US = 30.0

_STREAM_SHARES = {TEXT: 0.04, LOG_PROBS: 0.10}
_STREAM_BY_HAND_AT_MOST = 1.0


@attrs.frozen
class Target:
    """One limit, and this run's ratio.

    Attributes:
        promise: The two figures of the ratio, in words.
        limit: The largest ratio that keeps the promise.
        ratio: The ratio of this run; None if a figure is missing.
    """

    promise: str
    limit: float
    ratio: float | None

    @property
    def verdict(self) -> str:
        """Whether the promise is kept, in a word or two."""
        if self.ratio is None:
            return "not measured"
        return "met" if self.ratio <= self.limit else "missed"


def targets(figures: Figures) -> list[Target]:
    """Return every limit, with this run's ratio."""
    loads, imports = figures.loads, figures.imports
    return [
        *_of_openai(loads),
        *_by_hand(loads),
        _growth(loads),
        *_parsing(figures.parsings),
        *_streams(figures.readings),
        Target(
            "`import limin` against `import httpx`, time",
            _IMPORT_AT_MOST,
            imports["limin"] / imports["httpx"],
        ),
        _memory(figures.memory, SOME, ALL, "prompts"),
        _memory(figures.file_memory, FEW, MANY, "lines of a file"),
        _parallelism(figures.parallelism),
        _observing(figures.observing),
    ]


def cpu_ratio(loads: Loads, over: tuple[str, int], under: tuple[str, int]) -> float | None:
    """Return the ratio of two CPU times per request; None if one is missing."""
    if over not in loads or under not in loads:
        return None
    return loads[over].cpu_us / loads[under].cpu_us


def reading_ratio(readings: Readings, kind: str, over: str, under: str) -> float | None:
    """Return the same ratio for two clients on the same *kind* of stream."""
    if (over, kind) not in readings or (under, kind) not in readings:
        return None
    return readings[over, kind].cpu_us / readings[under, kind].cpu_us


def _streams(readings: Readings) -> list[Target]:
    limits = [(kind, "openai", share) for kind, share in _STREAM_SHARES.items()]
    limits.append((ONE_BY_ONE, "aiohttp, by hand", _STREAM_BY_HAND_AT_MOST))
    names = {"openai": "openai's SDK", "aiohttp, by hand": "aiohttp by hand"}
    return [
        Target(
            f"stream of {STREAMS[kind].chunks} chunks, {kind}, "
            f"limin against {names[peer]}, CPU per chunk",
            limit,
            reading_ratio(readings, kind, "limin", peer),
        )
        for kind, peer, limit in limits
    ]


def _observing(observing: dict[str, float]) -> Target:
    ratio = None
    if PLAIN in observing and IDLE in observing:
        ratio = (observing[IDLE] - observing[PLAIN]) / _IDLE_OBSERVER_US
    promise = f"{IDLE} against {_IDLE_OBSERVER_US:g} µs a request, CPU"
    return Target(promise, 1.0, ratio)


def _of_openai(loads: Loads) -> list[Target]:
    return [
        Target(
            f"limin against openai's SDK, {n_parallel} in parallel, CPU",
            share,
            cpu_ratio(loads, ("limin", n_parallel), ("openai", n_parallel)),
        )
        for n_parallel, share in _OPENAI_SHARES.items()
    ]


def _by_hand(loads: Loads) -> list[Target]:
    return [
        Target(
            f"limin against aiohttp by hand, {n_parallel} in parallel, CPU",
            _ALONE_BY_HAND_AT_MOST if n_parallel == 1 else _BY_HAND_AT_MOST,
            cpu_ratio(loads, ("limin", n_parallel), ("aiohttp, by hand", n_parallel)),
        )
        for n_parallel in sorted({n_parallel for _, n_parallel in loads})
    ]


def _growth(loads: Loads) -> Target:
    ratio = cpu_ratio(loads, ("limin", 1000), ("limin", 16))
    return Target("limin, 1000 in parallel against 16, CPU", _GROWTH_AT_MOST, ratio)


def _memory(memory: dict[str, int], few: int, many: int, what: str) -> Target:
    some, most = (memory.get(str(number)) for number in (few, many))
    growth = None if some is None or most is None else (most - some) / _GROWN_AT_MOST_KB
    promise = f"peak memory, {many} {what} less that of {few}, in units of 5 MB"
    return Target(promise, 1.0, growth)


def _parallelism(parallelism: dict[str, dict[str, float]]) -> Target:
    seconds = {name: figures["seconds"] for name, figures in parallelism.items()}
    auto = seconds.pop("auto", None)
    ratio = None if auto is None else auto / min(seconds.values())
    promise = '`n_parallel="auto"` against the best fixed number on llama.cpp, time'
    return Target(promise, _AUTO_AT_MOST, ratio)


def _parsing(parsings: Parsings) -> list[Target]:
    parsing = parsings.get((_POSITIONS, _ALTERNATIVES))

    def ratio(kind: str, peer: str) -> float | None:
        return None if parsing is None else parsing[kind]["limin"] / parsing[kind][peer]

    shape = f"{_POSITIONS} positions with {_ALTERNATIVES} alternatives"
    return [
        Target(
            f"{shape}, limin against openai's SDK, time", 0.1, ratio("seconds", "openai")
        ),
        Target(f"{shape}, limin against `json.loads`, time", 1.0, ratio("seconds", "json")),
        Target(
            f"{shape}, limin against openai's SDK, memory", 0.25, ratio("kept", "openai")
        ),
    ]
