"""Finished completions on disk, one JSON line each: what a broken-off run goes on from.

Who asks decides what is asked again; here it is only remembered. What a line holds
is told by `record`.
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
    read_completion_in,
    recorded,
)
from limin.errors import CheckpointError, LiminError

if sys.platform == "win32":  # pragma: no cover (Windows)
    import msvcrt

    _BINARY = os.O_BINARY

    def _lock(file: BinaryIO) -> None:
        file.seek(1 << 40)  # The lock bars readers too: a byte beyond every line.
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
        file.seek(0)
else:
    import fcntl

    _BINARY = 0

    def _lock(file: BinaryIO) -> None:
        file.seek(0)  # A pipe, which would be read for ever, cannot.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from limin.checkpoint.line import Line, RecordedAnswer
    from limin.values.completion import TextCompletion

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY
_OWNER_ALONE = 0o600  # Prompts are in the file.


class Checkpoint:
    """A file of finished completions, for one run at a time."""

    def __init__(self, path: str, file: BinaryIO, *, fsync: bool) -> None:
        """Read *file*, which this run has locked; use `open` instead."""
        self._path, self._file, self._fsync = path, file, fsync
        self._untaken: dict[bytes, list[int]] = {}
        end = 0
        for start, end, line in _read(file, path):  # noqa: B007 (the last end is used)
            self._untaken.setdefault(bytes.fromhex(line.request), []).append(start)
        for places in self._untaken.values():
            places.reverse()  # The first is taken from the end.
        if os.fstat(file.fileno()).st_size > end:
            os.ftruncate(file.fileno(), end)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, fsync: bool = False) -> Checkpoint:
        """The checkpoint at *path*, made if there is none, locked until it is closed.

        A last line that was torn is cut off. Of the others only the places are
        kept in memory.

        Args:
            path: The file, readable by its owner alone if it is made.
            fsync: Wait after each line until the disk has it.

        Raises:
            CheckpointError: If the file cannot be opened, is in use by another
                run, or is no checkpoint; then it is left as it was.
        """
        name = os.fspath(path)
        with _explained(name):
            file = os.fdopen(os.open(name, _FLAGS, _OWNER_ALONE), "rb")
            try:
                _lock(file)
                return cls(name, file, fsync=fsync)
            except BaseException:
                file.close()
                raise

    def take(self, request: bytes) -> RecordedAnswer | None:
        """The next line recorded for *request*, and not taken yet; None if there is none.

        Equal requests are told apart by their count alone. Lines that this very
        object added are not among them.

        Args:
            request: The body that would be sent.

        Raises:
            CheckpointError: If the line can be read no more.
        """
        places = self._untaken.get(digest(request))
        if not places:
            return None
        place = places.pop()
        with _explained(self._path):
            self._file.seek(place)
            written = self._file.readline()
        line = _decoded(written, self._path, f"at byte {place}")
        return recorded(line)

    def add(self, request: bytes, completion: TextCompletion) -> None:
        """Write down that *completion* is the answer to *request*.

        Args:
            request: The body that was sent, as `RequestEncoder` made it.
            completion: What came.

        Raises:
            CheckpointError: If it cannot be written; no part of the line stays.
        """
        line = encode_line(request, completion) + b"\n"
        with _explained(self._path):
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
        """Close the file, and let others open it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        self.close()


def read_checkpoint(path: str | os.PathLike[str]) -> Iterator[TextCompletion]:
    """The completions in the checkpoint at *path*, read from it one by one.

    A run may be writing to it meanwhile. A last line that was torn is left out.

    Args:
        path: The file.

    Yields:
        The completions in the order in which they came. Their attempts' errors
        are plain ones of `LiminError` that say which class they were of.

    Raises:
        CheckpointError: If the file cannot be read, or a line is no line of a
            checkpoint; while iterating, not when called.
    """
    name = os.fspath(path)
    with _explained(name), open(name, "rb") as file:  # noqa: PTH123 (a path may be text)
        for number, (_, _, line) in enumerate(_read(file, name), 1):
            try:
                completion = read_completion_in(line)
            except LiminError as error:
                problem = f"line {number}: expected a completion, found none"
                raise CheckpointError(problem, name) from error
            yield completion


@contextmanager
def _explained(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        locked = isinstance(error, BlockingIOError)
        problem = "in use by another run" if locked else error.strerror or str(error)
        raise CheckpointError(problem, path) from error


def _read(file: BinaryIO, path: str) -> Iterator[tuple[int, int, Line]]:
    """Where each whole line starts, where it ends, and what it holds."""
    start = 0
    for number, written in enumerate(file, 1):
        where = f"line {number}"
        if not written.endswith(b"\n"):
            if not (written.startswith(MARK) or MARK.startswith(written)):
                raise _foreign(path, where)
            return
        line = _decoded(written, path, where)
        yield start, start + len(written), line
        start += len(written)


def _decoded(written: bytes, path: str, where: str) -> Line:
    line = decode_line(written)
    if line is None:
        raise _foreign(path, where)
    return line


def _foreign(path: str, where: str) -> CheckpointError:
    problem = f"{where}: expected a line of a checkpoint of version 1, found another"
    return CheckpointError(problem, path)
