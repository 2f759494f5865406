"""`n_parallel="auto"` beside fixed numbers, on a real llama.cpp server of four slots.

Prints, as JSON, the seconds that the same prompts take under each, and the mean number of
requests in flight at the end of the run, which shows where `auto` ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING

import limin
from limin.local import local_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOTS = 4
PARALLEL: tuple[int | str, ...] = (1, 2, 4, 8, 16, "auto")
PROMPTS = 80
_TOKENS = 16


class _Prompts:
    """Prompts that count how many of them are in flight when one more is taken."""

    def __init__(self) -> None:
        self.taken = self.done = 0
        self.in_flight: list[int] = []

    def __iter__(self) -> Iterator[str]:
        for number in range(PROMPTS):
            self.in_flight.append(self.taken - self.done)
            self.taken += 1
            yield f"Tell me a story about the number {number}."


async def _run(base_url: str, model: str, n_parallel: int | str) -> tuple[float, float]:
    prompts = _Prompts()
    start = time.perf_counter()
    async with limin.iter_text_completions(
        iter(prompts),
        n_parallel,  # type: ignore[arg-type]  # a number or "auto"
        base_url=base_url,
        model=model,
        temperature=0,
        max_tokens=_TOKENS,
    ) as results:
        async for _index, result in results:
            assert isinstance(result, limin.TextCompletion)
            prompts.done += 1
    last = prompts.in_flight[-PROMPTS // 4 :]
    return time.perf_counter() - start, sum(last) / len(last)


async def main() -> dict[str, dict[str, float]]:
    """Measure seconds and the number in flight at the end, by `n_parallel`."""
    figures: dict[str, dict[str, float]] = {}
    async with local_endpoint(n_parallel=SLOTS, n_ctx=256) as endpoint:
        await _run(endpoint.base_url, endpoint.model, SLOTS)  # The server warms up.
        for n_parallel in PARALLEL:
            seconds, in_flight = await _run(endpoint.base_url, endpoint.model, n_parallel)
            figures[str(n_parallel)] = {"seconds": seconds, "in_flight": in_flight}
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main())))
