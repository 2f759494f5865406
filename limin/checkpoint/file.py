"""Finished completions on disk, one JSON line each, so that a run can be resumed.

This module only remembers them; the caller decides what is asked again. The fields of
a line stand in `checkpoint.line`.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Self

from limin.checkpoint.line import (
    MARK,
    decode_line,
    digest,
    encode_line,
    read_line,
    restore_completion,
)
from limin.errors import CheckpointError, LiminError

if sys.platform == "win32":  # pragma: no cover (Windows)
    import msvcrt

    _BINARY = os.O_BINARY

    def _lock(file: BinaryIO) -> None:
        file.seek(1 << 40)  # The lock keeps readers out too: a byte beyond every line.
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
        file.seek(0)
else:
    import fcntl

    _BINARY = 0

    def _lock(file: BinaryIO) -> None:
        file.seek(0)  # A pipe cannot, and would be read without end.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from limin.checkpoint.line import Line, RecordedAnswer
    from limin.values.completion import TextCompletion

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY
_OWNER_ONLY = 0o600  # Prompts are in the file.


class Checkpoint:
    """A file of finished completions, for one run at a time."""

    def __init__(self, path: str, file: BinaryIO, *, fsync: bool) -> None:
        """Read *file*, which this run has locked; use `open` instead."""
        self._path, self._file, self._fsync = path, file, fsync
        self._untaken: dict[bytes, list[int]] = {}
        end = 0
        for start, end, line in _read_lines(file, path):  # noqa: B007 (the last end is used)
            self._untaken.setdefault(bytes.fromhex(line.request), []).append(start)
        for offsets in self._untaken.values():
            offsets.reverse()  # The first is taken from the end.
        if os.fstat(file.fileno()).st_size > end:
            os.ftruncate(file.fileno(), end)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, fsync: bool = False) -> Checkpoint:
        """Open the checkpoint at *path*, made if there is none, and lock it.

        A last line that was torn is cut off. Only the offsets of the others are
        kept in memory.

        Args:
            path: The file; if it is made, only its owner can read it.
            fsync: Whether to wait after each line until the disk has it.

        Raises:
            CheckpointError: If the file cannot be opened, is in use by another
                run, or is no checkpoint; then it is left as it was.
        """
        name = os.fspath(path)
        with _explain_os_errors(name):
            file = os.fdopen(os.open(name, _FLAGS, _OWNER_ONLY), "rb")
            try:
                _lock(file)
                return cls(name, file, fsync=fsync)
            except BaseException:
                file.close()
                raise

    def take(self, request: bytes) -> RecordedAnswer | None:
        """Take the next line recorded for *request*; None if there is none left.

        Equal requests take different lines, in the order of the file. Lines that
        this object added are not taken.

        Args:
            request: The body that would be sent.

        Raises:
            CheckpointError: If the line cannot be read any more.
        """
        offsets = self._untaken.get(digest(request))
        if not offsets:
            return None
        offset = offsets.pop()
        with _explain_os_errors(self._path):
            self._file.seek(offset)
            data = self._file.readline()
        return read_line(_decode(data, self._path, f"at byte {offset}"))

    def add(self, request: bytes, completion: TextCompletion) -> None:
        """Write *completion*, the answer to *request*, as a line.

        Args:
            request: The body that was sent, as `RequestEncoder` made it.
            completion: The answer to it.

        Raises:
            CheckpointError: If it cannot be written; no part of the line stays.
        """
        line = encode_line(request, completion) + b"\n"
        with _explain_os_errors(self._path):
            self._append(line)

    def _append(self, line: bytes) -> None:
        descriptor, rest = self._file.fileno(), memoryview(line)
        size = os.fstat(descriptor).st_size
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if self._fsync:
                os.fsync(descriptor)
        except BaseException:
            # Another line behind a torn one would make the file unreadable.
            os.ftruncate(descriptor, size)
            raise

    def close(self) -> None:
        """Close and unlock the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        self.close()


def read_checkpoint(path: str | os.PathLike[str]) -> Iterator[TextCompletion]:
    """Read the completions in the checkpoint at *path* one by one.

    A run may be writing to it meanwhile. A last line that was torn is left out.

    Args:
        path: The file.

    Yields:
        The completions in the order in which they came. Their attempts' errors
        are plain `LiminError`s that name their classes.

    Raises:
        CheckpointError: If the file cannot be read, or a line is no line of a
            checkpoint; while iterating, not when called.
    """
    name = os.fspath(path)
    with _explain_os_errors(name), open(name, "rb") as file:  # noqa: PTH123 (a path may be text)
        for number, (_, _, line) in enumerate(_read_lines(file, name), 1):
            try:
                completion = restore_completion(line)
            except LiminError as error:
                problem = f"line {number}: expected a completion, found none"
                raise CheckpointError(problem, name) from error
            yield completion


@contextmanager
def _explain_os_errors(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        locked = isinstance(error, BlockingIOError)
        problem = "in use by another run" if locked else error.strerror or str(error)
        raise CheckpointError(problem, path) from error


def _read_lines(file: BinaryIO, path: str) -> Iterator[tuple[int, int, Line]]:
    """Yield the start, the end and the content of each whole line."""
    start = 0
    for number, data in enumerate(file, 1):
        where = f"line {number}"
        if not data.endswith(b"\n"):
            if not (data.startswith(MARK) or MARK.startswith(data)):
                raise _foreign_line(path, where)
            return
        line = _decode(data, path, where)
        yield start, start + len(data), line
        start += len(data)


def _decode(data: bytes, path: str, where: str) -> Line:
    line = decode_line(data)
    if line is None:
        raise _foreign_line(path, where)
    return line


def _foreign_line(path: str, where: str) -> CheckpointError:
    problem = f"{where}: expected a line of a checkpoint of version 1, found another"
    return CheckpointError(problem, path)
