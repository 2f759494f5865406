"""The program that test_survival.py kills: a batch with a checkpoint.

Its argument is a JSON object; it prints the outcome of the batch as another.
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any

import trio

import limin

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = {"asyncio": lambda program: asyncio.run(program()), "trio": trio.run}


async def main(
    prompts: int, *, iterated: bool, show_progress: bool, **options: Any
) -> dict[str, Any]:
    """Ask for all prompts, and return the outcome."""
    source = (str(n) for n in range(prompts))
    try:
        if not iterated:
            options["show_progress"] = show_progress
            return outcome(await limin.generate_text_completions(source, **options))
        async with limin.iter_text_completions(source, **options) as results:
            by_index = {index: result async for index, result in results}
    except limin.BatchError as error:
        return outcome(error.results, error.stopped_by)
    except limin.CheckpointError as error:
        return outcome([], error)
    return outcome([by_index[index] for index in range(prompts)])


def outcome(
    results: Sequence[limin.TextCompletion | limin.LiminError],
    stopped_by: limin.LiminError | None = None,
) -> dict[str, Any]:
    """Return messages of completions, and names of errors."""
    messages = [
        result.message
        if isinstance(result, limin.TextCompletion)
        else type(result).__name__
        for result in results
    ]
    name = None if stopped_by is None else type(stopped_by).__name__
    return {"results": messages, "stopped_by": name, "message": str(stopped_by)}


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    # A shell starts its background jobs, and so their children, with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    backend, file_bytes = arguments.pop("backend"), arguments.pop("file_bytes")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, limits[1]))

    async def program() -> dict[str, Any]:
        """The user's program."""
        return await main(**arguments)

    result = RUN[backend](program)
    # Coverage has a file of its own to write.
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    json.dump(result, sys.stdout)
