"""Files and pipes, opened so that they can be read again."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

STANDARD_INPUT = "-"


def open_source(name: str) -> BinaryIO:
    """Open the file *name*, or stdin for `-`.

    What cannot be read again from its start, a pipe for example, is copied to a temporary
    file.

    Raises:
        OSError, ValueError: If there is no such file; see `describe_problem`.
    """
    source = _open(name)
    # Stdin may be a file whose first lines another program has read.
    is_at_start = source.seekable() and source.tell() == 0
    return source if is_at_start else _spool(source)


def describe_problem(error: OSError | ValueError) -> str:
    """Return why a file cannot be opened, in the words of the operating system.

    A path with a NUL is a ValueError for Python, and so is half a surrogate pair.
    """
    return getattr(error, "strerror", None) or "it cannot be opened"


def _open(name: str) -> BinaryIO:
    if name != STANDARD_INPUT:
        return Path(name).open("rb")
    if sys.stdin is None:
        problem = "stdin is closed"
        raise ValueError(problem)
    return sys.stdin.buffer


def _spool(source: BinaryIO) -> BinaryIO:
    """Return a copy of *source* that can be read again."""
    spooled = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the reader)
    with source:
        shutil.copyfileobj(source, spooled)
    spooled.seek(0)
    return cast("BinaryIO", spooled)  # On Windows it is wrapped.
