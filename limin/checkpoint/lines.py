"""The whole lines of a checkpoint, and what is no line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, BinaryIO, Generic, TypeVar

from limin.checkpoint.line import MARK, MARK_WITHOUT_CHECKSUM, has_checksum, identify
from limin.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

# A file that begins with less may be another program's.
FIRST_BYTES = b'{"limin_checkpoint"'


class Lines(Generic[T]):
    """The whole lines of a file, each with its offset, as they are iterated.

    A line that stands in the file twice, to the bit, is one line.

    Attributes:
        number: Number of the line that was read last, from 1.
        end: End of the last whole line, its newline included if it has one.
        lacks_newline: Whether the last whole line has none.
        first_checksum: Offset of the first line with a checksum; infinity if there
            is none. All lines behind it must have one.
    """

    def __init__(
        self,
        file: BinaryIO,
        path: str,
        read: Callable[[bytes], T | None],
        identities: set[bytes] | None = None,
    ) -> None:
        """Read the lines of *file*, each by *read*, which returns None for no line.

        Lines with *identities* were in another file already; those of this one are added.
        """
        self._identities = set[bytes]() if identities is None else identities
        self._file, self._path, self._read = file, path, read
        self.number, self.end, self.lacks_newline = 0, 0, False
        self.first_checksum = math.inf

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Yield the offset and the content of each line.

        Raises:
            CheckpointError: If a line is none of a checkpoint, or is damaged.
        """
        identities, offset = self._identities, 0
        for data in self._file:
            self.number += 1
            text, is_finished = split_end(data)
            content, has_mark = self._read(text), text.startswith(MARK)
            if content is None or (self._has_checksums and not has_mark):
                if is_finished or not self._is_torn(text):
                    raise self._error(text)
                return
            self.end = offset + len(text) + is_finished
            self.lacks_newline = not is_finished
            identity = identify(text) if has_mark else None
            if identity is None or identity not in identities:
                yield offset, content
            if identity is not None:
                identities.add(identity)
                self.first_checksum = min(self.first_checksum, offset)
            if not is_finished:  # Its newline may come meanwhile, if a run writes it.
                return
            offset += len(data)

    @property
    def _has_checksums(self) -> bool:
        return self.first_checksum < math.inf

    def _is_torn(self, text: bytes) -> bool:
        """Return whether *text*, the end of the file, is the start of a line.

        A line that is whole but for the bytes behind it is not.
        """
        marks = (MARK,) if self._has_checksums else (MARK, MARK_WITHOUT_CHECKSUM)
        if text.startswith(marks):
            return not has_checksum(text[: text.rfind(b"}") + 1])
        is_ours = self.end > 0 or text.startswith(FIRST_BYTES)
        return is_ours and any(mark.startswith(text) for mark in marks)

    def _error(self, text: bytes) -> CheckpointError:
        position = f"line {self.number}"
        if text.startswith((MARK, MARK_WITHOUT_CHECKSUM)) or self._has_checksums:
            return damaged_line(self._path, position)
        problem = f"{position}: expected a line of a checkpoint of version 1 or 2, "
        return CheckpointError(problem + "found another", self._path)


def split_end(data: bytes) -> tuple[bytes, bool]:
    """Return the line *data* without its end, and whether that was a newline."""
    if data.endswith(b"\n"):
        return data[:-1], True
    # After a power cut there may be zeros where bytes were not written yet.
    return data.rstrip(b"\0"), False


def damaged_line(path: str, position: str) -> CheckpointError:
    """Return the error that a line is not as it was written."""
    problem = f"{position}: expected a line as it was written, found a damaged one"
    return CheckpointError(problem, path)
