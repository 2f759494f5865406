"""Terminals as outputs: nothing that a model wrote acts on one."""

from __future__ import annotations

import sys
from typing import BinaryIO

from limin.values.safe_text import escape_controls


class Terminal:
    """A terminal that shows symbols for the characters that would act on it."""

    def __init__(self, file: BinaryIO, encoding: str = "utf-8") -> None:
        """Write to *file*, a terminal with this *encoding*."""
        self._file, self._encoding = file, encoding

    def write(self, data: bytes, /) -> object:
        """Write *data*, which holds whole characters; what is no UTF-8 is replaced."""
        text = escape_controls(data.decode(errors="replace"))
        return self._file.write(text.encode(self._encoding, errors="backslashreplace"))

    def flush(self) -> None:
        """Let the terminal show what was written."""
        self._file.flush()

    def close(self) -> None:
        """Write no more."""
        self._file.close()


def harmless(file: BinaryIO) -> BinaryIO | Terminal:
    """Return *file*; if it is a terminal, one on which nothing acts."""
    return Terminal(file) if file.isatty() else file


def open_stdout() -> BinaryIO | Terminal | None:
    """Return stdout for bytes; a terminal is harmless. None if it is closed."""
    if sys.stdout is None:
        return None
    file = sys.stdout.buffer
    return Terminal(file, sys.stdout.encoding) if sys.stdout.isatty() else file
