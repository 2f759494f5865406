"""What the design promises, and whether this run keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from memory import ALL, SOME
from streams import LOG_PROBS, STREAMS, TEXT

if TYPE_CHECKING:
    from runs import Figures, Loads, Parsings, Readings

# The answer that the design speaks of.
_POSITIONS, _ALTERNATIVES = 1000, 20

_OPENAI_SHARES = {16: 1 / 4, 256: 1 / 6, 1000: 1 / 10}
_BY_HAND_AT_MOST = 2.5
_GROWTH_AT_MOST = 1.4
_IMPORT_AT_MOST = 1.3
_GROWN_AT_MOST_KB = 5000
_AUTO_AT_MOST = 1.1

_STREAM_SHARES = {TEXT: 1 / 15, LOG_PROBS: 1 / 10}


@attrs.frozen
class Target:
    """One promise.

    Attributes:
        promise: What is compared.
        limit: The largest ratio that keeps it.
        ratio: The ratio of this run; None if a figure is missing.
    """

    promise: str
    limit: float
    ratio: float | None

    @property
    def verdict(self) -> str:
        """In one word or two."""
        if self.ratio is None:
            return "not measured"
        return "met" if self.ratio <= self.limit else "missed"


def targets(figures: Figures) -> list[Target]:
    """Every promise, with this run's ratio."""
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
        _memory(figures.memory),
        _parallelism(figures.parallelism),
    ]


def cpu_ratio(loads: Loads, over: tuple[str, int], under: tuple[str, int]) -> float | None:
    """CPU of one client and load over that of another; None if one is missing."""
    if over not in loads or under not in loads:
        return None
    return loads[over].cpu_us / loads[under].cpu_us


def reading_ratio(readings: Readings, kind: str, over: str, under: str) -> float | None:
    """The same for two clients on the same *kind* of stream."""
    found, other = readings.get((over, kind)), readings.get((under, kind))
    return None if found is None or other is None else found.cpu_us / other.cpu_us


def _streams(readings: Readings) -> list[Target]:
    return [
        Target(
            f"stream of {STREAMS[kind].chunks} chunks, {kind}, "
            "limin against openai's SDK, CPU per chunk",
            share,
            reading_ratio(readings, kind, "limin", "openai"),
        )
        for kind, share in _STREAM_SHARES.items()
    ]


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
            _BY_HAND_AT_MOST,
            cpu_ratio(loads, ("limin", n_parallel), ("aiohttp, by hand", n_parallel)),
        )
        for n_parallel in sorted({n_parallel for _, n_parallel in loads})
    ]


def _growth(loads: Loads) -> Target:
    ratio = cpu_ratio(loads, ("limin", 1000), ("limin", 16))
    return Target("limin, 1000 in parallel against 16, CPU", _GROWTH_AT_MOST, ratio)


def _memory(memory: dict[str, int]) -> Target:
    some, most = (memory.get(str(number)) for number in (SOME, ALL))
    grown = None if some is None or most is None else (most - some) / _GROWN_AT_MOST_KB
    promise = f"peak memory, {ALL} prompts less that of {SOME}, in units of 5 MB"
    return Target(promise, 1.0, grown)


def _parallelism(parallelism: dict[str, dict[str, float]]) -> Target:
    took = {name: found["seconds"] for name, found in parallelism.items()}
    auto = took.pop("auto", None)
    ratio = None if auto is None else auto / min(took.values())
    promise = '`n_parallel="auto"` against the best fixed number on llama.cpp, time'
    return Target(promise, _AUTO_AT_MOST, ratio)


def _parsing(parsings: Parsings) -> list[Target]:
    found = parsings.get((_POSITIONS, _ALTERNATIVES))

    def ratio(kind: str, other: str) -> float | None:
        return None if found is None else found[kind]["limin"] / found[kind][other]

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
