"""The program that test_survival.py kills: a batch with a checkpoint.

Its arguments are a JSON object; what became of the batch goes to stdout as JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import TYPE_CHECKING, Any

import trio

import limin

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = {"asyncio": lambda program: asyncio.run(program()), "trio": trio.run}


async def main(prompts: int, *, iterated: bool, **options: Any) -> dict[str, Any]:
    """Ask for all prompts; what came of it."""
    source = (str(n) for n in range(prompts))
    try:
        if not iterated:
            options["show_progress"] = False
            return told(await limin.generate_text_completions(source, **options))
        async with limin.iter_text_completions(source, **options) as results:
            found = {place: result async for place, result in results}
    except limin.BatchError as error:
        return told(error.results, error.stopped_by)
    except limin.CheckpointError as error:
        return told([], error)
    return told([found[place] for place in range(prompts)])


def told(
    results: Sequence[limin.TextCompletion | limin.LiminError],
    stopped_by: limin.LiminError | None = None,
) -> dict[str, Any]:
    """Messages of completions and names of errors."""
    messages = [
        one.message if isinstance(one, limin.TextCompletion) else type(one).__name__
        for one in results
    ]
    name = None if stopped_by is None else type(stopped_by).__name__
    return {"results": messages, "stopped_by": name, "words": str(stopped_by)}


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    backend, file_bytes = arguments.pop("backend"), arguments.pop("file_bytes")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, limits[1]))

    async def program() -> dict[str, Any]:
        """The user's program."""
        return await main(**arguments)

    outcome = RUN[backend](program)
    # Coverage has a file of its own to write.
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    json.dump(outcome, sys.stdout)
