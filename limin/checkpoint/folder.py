"""A folder of checkpoints: each process writes to a file of its own, and reads all.

A file belongs to the process that has its lock, whatever its name is. So a run that died
is found again by what stands in its files, and by whichever process comes first.
"""

from __future__ import annotations

import os
import secrets
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from limin.checkpoint.line import read_request
from limin.checkpoint.lines import Lines
from limin.checkpoint.open_file import (
    OpenFile,
    explain_os_errors,
    find_completion,
    open_to_read,
)
from limin.values.checks import check_argument

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from limin.values.completion import TextCompletion

SUFFIX = ".jsonl"

# Lines that are read before others have their turn: about a millisecond.
_STEP = 500

# Bytes of a digest that stand for it in memory; the line itself has all of them.
_SHORT = 8


def is_folder(path: str) -> bool:
    """Return whether *path* is a folder, or ends as the name of one does."""
    return path.endswith(os.sep) or os.path.isdir(path)  # noqa: PTH112 (a text)


def as_folder(path: object) -> str:
    """Return *path* as the name of a folder, whether there is one or not.

    Raises:
        ConfigurationError: If it is no path.
    """
    is_path = isinstance(path, (str, bytes, os.PathLike))
    check_argument("checkpoint", path, "a path or None", fits=is_path)
    return os.path.join(os.fsdecode(cast("str", path)), "")  # noqa: PTH118 (a text)


def find_files(folder: str) -> list[str]:
    """Return the paths of the checkpoints in *folder*, in the order of their names.

    Raises:
        OSError: If there is no such folder, or it cannot be read.
    """
    names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX))  # noqa: PTH208 (texts)
    return [os.path.join(folder, name) for name in names]  # noqa: PTH118 (texts)


def share_file(folder: str) -> tuple[str, OpenFile]:
    """Lock a file of *folder* that no other process uses; a new one if all are in use.

    The folder is made if there is none.

    Raises:
        OSError: If the folder or the file cannot be made or opened.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 (a text)
    for path in find_files(folder):
        with suppress(BlockingIOError):
            return path, OpenFile.share(path)
    # Nobody else can have found it before it is locked, except to read it.
    path = os.path.join(folder, secrets.token_hex(8) + SUFFIX)  # noqa: PTH118 (a text)
    return path, OpenFile.share(path)


class OtherFiles:
    """The lines in the files of a folder that other processes write, or wrote.

    Attributes:
        size: Number of lines, once they have been read.
    """

    def __init__(self, folder: str, own: str) -> None:
        """Know of no line yet; those of the file *own* of *folder* are left out."""
        self.size = 0
        self._folder, self._own = folder, own
        self._paths: list[str] = []
        # By the start of the digest: index of the file and offset, one after the other.
        self._untaken: dict[bytes, array[int]] = {}

    def read(self) -> Iterator[None]:
        """Read the lines that are there now.

        Yields:
            None, now and then: nothing else may have its turn meanwhile.

        Raises:
            CheckpointError: If a file is no checkpoint, or cannot be read.
        """
        with explain_os_errors(self._folder):
            paths = [path for path in find_files(self._folder) if path != self._own]
        identities = set[bytes]()
        for path in paths:
            self._paths.append(path)
            with explain_os_errors(path), open_to_read(path) as file:
                for offset, request in Lines(file, path, read_request, identities):
                    positions = self._untaken.setdefault(request[:_SHORT], array("q"))
                    positions.extend((len(self._paths) - 1, offset))
                    self.size += 1
                    if not self.size % _STEP:
                        yield

    def find_completion(self, model: str) -> Generator[None, None, TextCompletion | None]:
        """Look for a completion of *model*, and return the first in the order of the files.

        Yields:
            None, now and then: nothing else may have its turn meanwhile.

        Raises:
            CheckpointError: If a file cannot be read any more.
        """
        for path in self._paths:
            offset = 0
            with explain_os_errors(path), open_to_read(path) as file:
                while offset >= 0:
                    completion, offset = find_completion(file, model, offset)
                    if completion is not None:
                        return completion
                    yield
        return None

    def take(self, request: bytes) -> tuple[str, int, bytes] | None:
        """Take the next line of *request*, a digest, that this process has not taken.

        Return the path of its file, its offset and its bytes; None if there is none.

        Raises:
            CheckpointError: If the file cannot be read any more.
        """
        positions = self._untaken.get(request[:_SHORT])
        if not positions:
            return None
        index, offset = positions[0], positions[1]
        del positions[:2]
        path = self._paths[index]
        with explain_os_errors(path), open_to_read(path) as file:
            file.seek(offset)
            return path, offset, file.readline().removesuffix(b"\n")
