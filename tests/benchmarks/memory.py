"""Peak memory of many prompts from a generator, taken as they finish.

Prints, as JSON, the peak kilobytes of the process after some of the prompts, and after
all of them.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import TYPE_CHECKING

import limin

if TYPE_CHECKING:
    from collections.abc import Iterator

SOME, ALL = 20_000, 200_000
_PARALLEL = 64


def _prompts() -> Iterator[str]:
    return (f"What is {number} + {number}?" for number in range(ALL))


def _peak() -> int:
    """Return the peak kilobytes so far, on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def _run(url: str) -> dict[str, int]:
    peaks = {}
    done = 0
    async with limin.iter_text_completions(
        _prompts(), _PARALLEL, base_url=url, api_key="", max_retries=0
    ) as results:
        async for _index, result in results:
            assert isinstance(result, limin.TextCompletion)
            done += 1
            if done in {SOME, ALL}:
                peaks[str(done)] = _peak()
    return peaks


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_run(sys.argv[1]))))
