"""A run that a command reads: its argument, and what is said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.cli import console
from limin.files.stored_run import StoredRun

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name the run and allow a file to be replaced."""
    parser.add_argument(
        "source",
        metavar="RUN",
        help="an output of `limin run`, or a checkpoint of the library; - for stdin",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the file that is written"
    )


def open_run(name: str) -> StoredRun:
    """Open the run *name*, and note if some of its answers do not count.

    Raises:
        CheckpointError: See `StoredRun.open`.
    """
    run = StoredRun.open(name)
    if run.n_replaced:
        console.note(
            "answers left out because a newer line has their number or id, and another "
            f"request: {run.n_replaced}"
        )
    return run
