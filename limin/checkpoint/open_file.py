"""The file of a checkpoint, which all calls of a process share that name it.

Its lock keeps other processes out. In this process calls may run in several event loops,
each in a thread of its own, so each change of the file is one step.
"""

from __future__ import annotations

import json
import math
import os
import stat
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from weakref import WeakValueDictionary

from limin.checkpoint.line import decode_line, read_request, restore_completion
from limin.checkpoint.lines import Lines
from limin.errors import CheckpointError, LiminError

if sys.platform == "win32":  # pragma: no cover (Windows)
    import msvcrt

    _BINARY = os.O_BINARY
    # The lock keeps readers out too, so it is on a byte beyond every line.
    _LOCKED_BYTE = 1 << 40

    def _lock(file: BinaryIO) -> None:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
        file.seek(0)

    def _unlock(file: BinaryIO) -> None:
        # Closing unlocks, too, but Windows may take its time.
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

    _sync = os.fsync
else:
    import fcntl

    _BINARY = 0

    def _lock(file: BinaryIO) -> None:
        file.seek(0)  # A pipe cannot, and would be read without end.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: BinaryIO) -> None:
        """Do nothing: closing unlocks."""

    def _sync(descriptor: int) -> None:
        """Wait until the disk has the file.

        macOS's fsync leaves it in the disk's cache, where a power cut destroys it.
        Source: https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/fsync.2.html
        """
        full = getattr(fcntl, "F_FULLFSYNC", None)
        try:
            if full is not None:
                fcntl.fcntl(descriptor, full)
                return
        except OSError:  # A network's file system may not know it.
            pass
        os.fsync(descriptor)


if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from limin.values.completion import TextCompletion

# A pipe that nobody writes to would be waited for, and a terminal would become the
# program's own.
_HARMLESS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | _BINARY
_TO_READ = os.O_RDONLY | _HARMLESS
_TO_WRITE = os.O_RDWR | os.O_CREAT | os.O_APPEND | _HARMLESS
_OWNER_ONLY = 0o600  # Prompts are in the file.

# Bytes that are read before others have their turn: about three milliseconds.
_STEP = 1 << 18


class OpenFile:
    """A locked file of lines, and which of them no call has taken yet.

    Attributes:
        size: Number of lines in the file, once it has been read.
        n_users: Number of calls that use it.
    """

    def __init__(self, file: BinaryIO, path: str) -> None:
        """Use *file*, which is locked; call `share` instead."""
        self.size = 0
        self._file, self._path, self.n_users = file, path, 0
        self._unsynced: Sequence[Path] = Path(path).resolve().parents
        self._untaken: dict[bytes, list[int]] = {}
        self._first_checksum = math.inf
        self._step = threading.Lock()
        self._reading: Iterator[None] | None = self._read()

    @classmethod
    def share(cls, path: str) -> OpenFile:
        """Return the file at *path*, opened and locked unless this process has it open.

        Each call of this method needs one of `release`.

        Raises:
            OSError: If the file cannot be opened, is no regular file, or is locked by
                another process.
        """
        file = os.fdopen(os.open(path, _TO_WRITE, _OWNER_ONLY), "rb")
        with _registry:
            shared = _open_files.get(_identify(file))
            if shared is None:
                shared = cls._lock_first(file, path)
            else:
                file.close()
            shared.n_users += 1
        return shared

    @classmethod
    def _lock_first(cls, file: BinaryIO, path: str) -> OpenFile:
        try:
            _lock(file)
            _check_regular(file)
        except BaseException:
            file.close()
            raise
        shared = _open_files[_identify(file)] = cls(file, path)
        return shared

    def release(self) -> None:
        """Close and unlock the file if nobody else in this process uses it."""
        with _registry:
            self.n_users -= 1
            if not self.n_users:
                _open_files.pop(_identify(self._file), None)
                _unlock(self._file)
                self._file.close()

    def read_on(self) -> bool:
        """Read some lines, if they have not been read; return whether there are more.

        Whoever shares the file reads it until there are no more. If one fails or gives
        up in the middle, the next begins anew.

        Raises:
            CheckpointError: If the file is no checkpoint; it is left as it was.
        """
        with self._step:
            if self._reading is None:
                return False
            try:
                for _ in self._reading:
                    return True
            except BaseException:
                self._reading = self._read()
                raise
            self._reading = None
            return False

    def _read(self) -> Iterator[None]:
        """Read the lines, repair the end of the file, and yield now and then."""
        self._go_to(0)
        self._untaken.clear()
        lines, step_end = Lines(self._file, self._path, read_request), _STEP
        for offset, request in lines:
            self._untaken.setdefault(request, []).append(offset)
            if offset > step_end:
                step_end = offset + _STEP
                yield
        if os.fstat(self._file.fileno()).st_size > lines.end:
            os.ftruncate(self._file.fileno(), lines.end)
        if lines.lacks_newline:
            self._append(b"\n", fsync=False)
        self._first_checksum = lines.first_checksum
        self.size = sum(map(len, self._untaken.values()))
        for offsets in self._untaken.values():
            offsets.reverse()  # The first is taken from the end.

    def take(self, request: bytes) -> tuple[int, bytes] | None:
        """Take the next line of *request*, a digest, that nobody has taken.

        Return its offset and its bytes; None if there is no such line. Lines that were
        added since the file was opened are not taken.
        """
        with self._step:
            offsets = self._untaken.get(request)
            if not offsets:
                return None
            offset = offsets.pop()
            self._go_to(offset)
            return offset, self._file.readline().removesuffix(b"\n")

    def _go_to(self, offset: int) -> None:
        """Continue reading at *offset*, with what is in the file now.

        Lines are added past the buffer, and move the file's own position. A search from
        the end forgets the buffer.
        """
        self._file.seek(0, os.SEEK_END)
        self._file.seek(offset)

    def must_have_checksum(self, offset: int) -> bool:
        """Return whether a line at *offset* has a checksum, as the lines before it."""
        return offset >= self._first_checksum

    def find_completion(self, model: str, start: int) -> tuple[TextCompletion | None, int]:
        """Look for the first completion of *model*, in some lines from *start* on.

        Return it, and the offset at which to look on; -1 at the end of the file.
        """
        with self._step:
            self._go_to(start)
            return find_completion(self._file, model, start)

    def add(self, line: bytes, *, fsync: bool) -> None:
        """Append *line*, and with *fsync* wait until the disk has it, and the file."""
        with self._step:
            self._append(line + b"\n", fsync=fsync)
            self.size += 1
            if fsync:
                self._sync_names()

    def _sync_names(self) -> None:
        """Wait once until the disk has the names of the file and of its folders.

        All of them may be new. To sync the file does not sync its name.
        Source: https://man7.org/linux/man-pages/man2/fsync.2.html
        """
        for folder in self._unsynced:
            _sync_folder(folder)
        self._unsynced = ()

    def _append(self, line: bytes, *, fsync: bool) -> None:
        descriptor, rest = self._file.fileno(), memoryview(line)
        size = os.fstat(descriptor).st_size
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if fsync:
                _sync(descriptor)
        except BaseException:
            # Another line behind a torn one would make the file unreadable.
            os.ftruncate(descriptor, size)
            raise


# The files that are open in this process, by what tells files apart. A process that was
# forked has to lock them itself.
_open_files: WeakValueDictionary[tuple[int, int, int], OpenFile] = WeakValueDictionary()
_registry = threading.Lock()


def _identify(file: BinaryIO) -> tuple[int, int, int]:
    status = os.fstat(file.fileno())
    return os.getpid(), status.st_dev, status.st_ino


def _sync_folder(path: Path) -> None:
    """Wait until the disk has the names in the folder *path*, if that can be done.

    Windows opens no folder, and some file systems sync none.
    """
    with suppress(OSError):
        descriptor = os.open(path, _TO_READ)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)


def find_completion(
    file: BinaryIO, model: str, start: int
) -> tuple[TextCompletion | None, int]:
    """Look for a completion of *model* in the next lines of *file*, which is at *start*.

    Return it, and the offset at which to look on; -1 at the end of the file.
    """
    names = _spell_model(model)
    while data := file.readline():
        completion = _read_if_of(names, data.removesuffix(b"\n"))
        offset = file.tell()
        if completion is not None or offset > start + _STEP:
            return completion, offset
    return None, -1


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


def open_to_read(path: str) -> BinaryIO:
    """Open *path*.

    Raises:
        OSError: If that cannot be done, or the file is a device, for example.
    """
    file = os.fdopen(os.open(path, _TO_READ, _OWNER_ONLY), "rb")
    try:
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
def explain_os_errors(path: str) -> Generator[None]:
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
