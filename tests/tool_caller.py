"""The program that test_run_tools.py kills: a run with tools and a checkpoint.

Its arguments are the endpoint, the event loop, the checkpoint, and the number at which its
tool kills the program.
"""

from __future__ import annotations

import os
import signal
import sys

import anyio

import limin


async def main(base_url: str, checkpoint: str, die_at: int) -> str:
    """Run the tool until there is an answer, and return it."""

    def add(a: int) -> int:
        """Add one."""
        if a == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return a + 1

    ended = await limin.run_tools(
        "count 6", [add], base_url=base_url, checkpoint=checkpoint
    )
    return str(ended)


if __name__ == "__main__":
    base_url, backend, checkpoint, die_at = sys.argv[1:]
    print(anyio.run(main, base_url, checkpoint, int(die_at), backend=backend))  # noqa: T201 (its output)
