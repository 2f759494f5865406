"""Finished completions on disk, one JSON line each, so that a run can be resumed.

This module only remembers them; the caller decides what is asked again. The fields of
a line stand in `checkpoint.line`.
"""

from __future__ import annotations

import json
import math
import os
import stat
import sys
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Generic, Self, TypeVar

from limin.checkpoint.line import (
    MARK,
    MARK_WITHOUT_CHECKSUM,
    decode_line,
    digest,
    encode_line,
    has_checksum,
    identify,
    read_line,
    read_request,
    restore_completion,
)
from limin.errors import CheckpointError, ConfigurationError, LiminError
from limin.values.checks import describe_type

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
    from collections.abc import Callable, Generator, Iterator

    from limin.checkpoint.line import RecordedAnswer
    from limin.values.completion import TextCompletion

T = TypeVar("T")

# A file that begins with less may be another program's.
_NAME = b'{"limin_checkpoint"'

# A pipe that nobody writes to would be waited for, and a terminal would become the
# program's own.
_HARMLESS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | _BINARY
_TO_READ = os.O_RDONLY | _HARMLESS
_TO_WRITE = os.O_RDWR | os.O_CREAT | os.O_APPEND | _HARMLESS
_OWNER_ONLY = 0o600  # Prompts are in the file.

# Bytes that are read before others have their turn: about three milliseconds.
_STEP = 1 << 18


class Checkpoint:
    """A file of finished completions, for one run at a time.

    Attributes:
        path: Path of the file.
        size: Number of completions in the file.
        served_model: The name that `find_served_model` found; None if it found none.
    """

    def __init__(self, path: str, file: BinaryIO, *, fsync: bool) -> None:
        """Use *file*, which this run has locked; call `open` or `lock` instead."""
        self.path, self.size = path, 0
        self._file, self._fsync = file, fsync
        self.served_model: str | None = None
        self._untaken: dict[bytes, list[int]] = {}
        self._first_checksum = math.inf

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, fsync: bool = False) -> Checkpoint:
        """Open the checkpoint at *path*, made if there is none, and lock it.

        A last line that was torn is cut off, and one that lacks only its newline gets
        it. Only the offsets of the lines are kept in memory.

        Args:
            path: The file; if it is made, only its owner can read it.
            fsync: Whether to wait after each line until the disk has it.

        Raises:
            CheckpointError: If the file cannot be opened, is in use by another
                run, or is no checkpoint; then it is left as it was.
            ConfigurationError: If *path* is no path.
        """
        with ExitStack() as stack:
            checkpoint = stack.enter_context(cls.lock(path, fsync=fsync))
            for _ in checkpoint.read():
                pass
            stack.pop_all()
        return checkpoint

    @classmethod
    def lock(cls, path: str | os.PathLike[str], *, fsync: bool) -> Checkpoint:
        """Open and lock the checkpoint at *path*, but do not read it; see `open`."""
        name = _check_path(path)
        with _explain_os_errors(name):
            return cls(name, _open_regular(name, _TO_WRITE, prepare=_lock), fsync=fsync)

    def read(self) -> Iterator[None]:
        """Read the lines, and repair the end of the file.

        Yields:
            None, now and then: nothing else may have its turn meanwhile.

        Raises:
            CheckpointError: If the file is no checkpoint; it is left as it was.
        """
        with _explain_os_errors(self.path):
            lines, step_end = _Lines(self._file, self.path, read_request), _STEP
            for offset, request in lines:
                self._untaken.setdefault(request, []).append(offset)
                if offset > step_end:
                    step_end = offset + _STEP
                    yield
            if os.fstat(self._file.fileno()).st_size > lines.end:
                os.ftruncate(self._file.fileno(), lines.end)
            if lines.lacks_newline:
                self._append(b"\n")
        self._first_checksum = lines.first_checksum
        for offsets in self._untaken.values():
            self.size += len(offsets)
            offsets.reverse()  # The first is taken from the end.

    def take(self, request: bytes) -> RecordedAnswer | None:
        """Take the next line recorded for *request*; None if there is none left.

        Equal requests take different lines, in the order of the file. Lines that
        this object added are not taken.

        Args:
            request: The body that would be sent.

        Raises:
            CheckpointError: If the line cannot be read any more.
        """
        wanted = digest(request)
        offsets = self._untaken.get(wanted)
        if not offsets:
            return None
        offset = offsets.pop()
        with _explain_os_errors(self.path):
            self._file.seek(offset)
            data = self._file.readline().removesuffix(b"\n")
        line = decode_line(data)
        if line is None or line.request != wanted.hex():
            raise _damaged_line(self.path, f"at byte {offset}")
        if line.crc32 is None and offset >= self._first_checksum:
            raise _damaged_line(self.path, f"at byte {offset}")
        return read_line(line, offset)

    def find_served_model(self, model: str) -> Iterator[None]:
        """Find the name that the server gave to *model* in the first line with it.

        It becomes `served_model`, unless there is no such line, or the server gave no
        name.

        Yields:
            None, now and then: nothing else may have its turn meanwhile.

        Raises:
            CheckpointError: If the file cannot be read any more.
        """
        names, step_end = _spell_model(model), _STEP
        with _explain_os_errors(self.path):
            self._file.seek(0)
            while data := self._file.readline():
                completion = _read_if_of(names, data.removesuffix(b"\n"))
                if completion is not None:
                    self.served_model = completion.served_model
                    return
                if self._file.tell() > step_end:
                    step_end += _STEP
                    yield

    def add(self, request: bytes, completion: TextCompletion[object]) -> None:
        """Write *completion*, the answer to *request*, as a line.

        Args:
            request: The body that was sent, as `RequestEncoder` made it.
            completion: The answer to it.

        Raises:
            CheckpointError: If it cannot be written; no part of the line stays.
        """
        with _explain_os_errors(self.path):
            self._append(encode_line(request, completion) + b"\n")
        self.size += 1

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
        are plain `LiminError` objects that name their classes.

    Raises:
        CheckpointError: If the file cannot be read, or a line is no line of a
            checkpoint; while iterating, not when called.
    """
    name = _check_path(path)
    with _explain_os_errors(name), _open_regular(name, _TO_READ) as file:
        lines = _Lines(file, name, decode_line)
        for _, line in lines:
            try:
                completion = restore_completion(line)
            except LiminError as error:
                raise no_completion(name, f"line {lines.number}") from error
            yield completion


def _spell_model(model: str) -> tuple[bytes, ...]:
    """Return how the lines of *model* may hold its name.

    Requests are ASCII. If one had half a surrogate pair, its line is UTF-8.
    """
    names = {json.dumps(model), json.dumps(model, ensure_ascii=False)}
    return tuple(name.encode(errors="replace") for name in names)


def _read_if_of(names: tuple[bytes, ...], data: bytes) -> TextCompletion | None:
    """Return the completion in the line *data*, if its model has one of the *names*."""
    if not any(b'"model":' + name in data for name in names):
        return None  # Few lines have to be decoded.
    line = decode_line(data)
    if line is None or bytes(line.parameters.get("model", b"")) not in names:
        return None
    with suppress(LiminError):
        return restore_completion(line)
    return None


def no_completion(path: str, position: str) -> CheckpointError:
    """Return the error that a line holds an answer in which there is no completion."""
    return CheckpointError(f"{position}: expected a completion, found none", path)


def _check_path(path: str | os.PathLike[str]) -> str:
    """Return *path* as text.

    Raises:
        ConfigurationError: If it is no path.
    """
    try:
        return os.fsdecode(path)
    except TypeError:
        problem = f"checkpoint: expected a path, found {describe_type(path)}"
        raise ConfigurationError(problem) from None


def _open_regular(
    path: str, flags: int, *, prepare: Callable[[BinaryIO], None] | None = None
) -> BinaryIO:
    """Open *path*, and *prepare* the file.

    Raises:
        OSError: If that cannot be done, or the file is a device, for example.
    """
    file = os.fdopen(os.open(path, flags, _OWNER_ONLY), "rb")
    try:
        if prepare is not None:
            prepare(file)
        _check_regular(file)
    except BaseException:
        file.close()
        raise
    return file


def _check_regular(file: BinaryIO) -> None:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        problem = "expected a regular file, found a device or a pipe"
        raise OSError(problem)


@contextmanager
def _explain_os_errors(path: str) -> Generator[None]:
    """Raise an error of the file or its path as a `CheckpointError`.

    A path with a NUL is a ValueError for Python, and so is half a surrogate pair.
    """
    try:
        yield
    except OSError as error:
        locked = isinstance(error, BlockingIOError)
        problem = "in use by another run" if locked else error.strerror or str(error)
        raise CheckpointError(problem, path) from error
    except ValueError as error:
        raise CheckpointError(str(error), path) from error


class _Lines(Generic[T]):
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
        self, file: BinaryIO, path: str, read: Callable[[bytes], T | None]
    ) -> None:
        """Read the lines of *file*, each by *read*, which returns None for no line."""
        self._file, self._path, self._read = file, path, read
        self.number, self.end, self.lacks_newline = 0, 0, False
        self.first_checksum = math.inf

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Yield the offset and the content of each line.

        Raises:
            CheckpointError: If a line is none of a checkpoint, or is damaged.
        """
        identities: set[bytes] = set()
        offset = 0
        for data in self._file:
            self.number += 1
            is_finished = data.endswith(b"\n")
            # After a power cut there may be zeros where bytes were not written yet.
            text = data[:-1] if is_finished else data.rstrip(b"\0")
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
        is_ours = self.end > 0 or text.startswith(_NAME)
        return is_ours and any(mark.startswith(text) for mark in marks)

    def _error(self, text: bytes) -> CheckpointError:
        position = f"line {self.number}"
        if text.startswith((MARK, MARK_WITHOUT_CHECKSUM)) or self._has_checksums:
            return _damaged_line(self._path, position)
        problem = f"{position}: expected a line of a checkpoint of version 1 or 2, "
        return CheckpointError(problem + "found another", self._path)


def _damaged_line(path: str, position: str) -> CheckpointError:
    problem = f"{position}: expected a line as it was written, found a damaged one"
    return CheckpointError(problem, path)
