"""`n_parallel="auto"` beside fixed numbers, on a real llama.cpp server of four slots.

Prints, as JSON, the seconds that the same prompts take under each, and where `auto`
ended: how many requests were under way at the end of the run, in the mean.
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
    """Prompts that count how many of them are under way when one more is taken."""

    def __init__(self) -> None:
        self.taken = self.done = 0
        self.under_way: list[int] = []

    def __iter__(self) -> Iterator[str]:
        for number in range(PROMPTS):
            self.under_way.append(self.taken - self.done)
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
        async for _place, result in results:
            assert isinstance(result, limin.TextCompletion)
            prompts.done += 1
    last = prompts.under_way[-PROMPTS // 4 :]
    return time.perf_counter() - start, sum(last) / len(last)


async def main() -> dict[str, dict[str, float]]:
    """Seconds and the number under way at the end, by `n_parallel`."""
    found: dict[str, dict[str, float]] = {}
    async with local_endpoint(n_parallel=SLOTS, n_ctx=256) as endpoint:
        await _run(endpoint.base_url, endpoint.model, SLOTS)  # The server warms up.
        for n_parallel in PARALLEL:
            seconds, under_way = await _run(endpoint.base_url, endpoint.model, n_parallel)
            found[str(n_parallel)] = {"seconds": seconds, "under_way": under_way}
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main())))
