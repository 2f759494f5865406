"""`limin models`: which models the endpoint has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from limin.cli import arguments, console, statuses
from limin.client import Client

if TYPE_CHECKING:
    import argparse

DESCRIPTION = "List the models of the endpoint, one a line."
EXAMPLES = """\
  limin models
  limin models --base-url http://localhost:11434/v1    those of an Ollama
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to *parser*."""
    arguments.add_endpoint(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command with the parsed *options*, and return its exit status.

    Raises:
        LiminError: If the endpoint does not tell.
    """

    async def ask() -> list[str]:
        async with Client(**arguments.client_options(options)) as client:
            return await client.models()

    for name in anyio.run(ask):
        console.write(" ".join(name.split()) + "\n")
    return statuses.ANSWERED
