"""A file that a command makes: it is there as a whole, or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from limin.errors import ConfigurationError, LiminError
from limin.files.run_file import STANDARD_OUTPUT, is_stream
from limin.files.sources import describe_problem
from limin.files.terminals import harmless, open_stdout

if TYPE_CHECKING:
    from collections.abc import Generator

_TO_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
_MODE = 0o666  # Less what the user's mask takes, as for every output.


class Writable(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Write *data*."""


@contextmanager
def new_file(path: str, source: str, *, overwrites: bool) -> Generator[Writable]:
    """Open the file *path*, or stdout for `-`, to be written within the block.

    It appears when the block has ended, and not if that failed. A pipe or a device is
    written to at once. What is written to a terminal, in whole characters, is harmless.

    Args:
        path: The file.
        source: The file that is read meanwhile, which *path* must not be.
        overwrites: Whether a file that is there is replaced.

    Raises:
        ConfigurationError: If there is such a file, or it cannot be made.
        LiminError: If it cannot be written.
        BrokenPipeError: If nobody reads it any more.
    """
    if path == STANDARD_OUTPUT:
        with explain_write_errors("stdout"):
            yield from _write_stdout()
        return
    if _is_same_file(path, source):
        problem = "expected an output that is not the run"
        raise ConfigurationError(problem)
    if os.path.lexists(path) and not overwrites and not is_stream(path):
        problem = f"{path} exists; --overwrite replaces it"
        raise ConfigurationError(problem)
    with explain_write_errors(path):
        yield from _write_stream(path) if is_stream(path) else _write_file(path)


@contextmanager
def explain_write_errors(name: str) -> Generator[None]:
    """Raise an error of the output *name* as a `LiminError`; but not that of a closed pipe.

    Raises:
        LiminError: If it cannot be written.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = f"output {name}: {describe_problem(error)}"
        raise LiminError(problem) from error


def _is_same_file(path: str, other: str) -> bool:
    with suppress(OSError, ValueError):
        return Path(path).samefile(other)
    return False


def _write_stdout() -> Generator[Writable]:
    file = open_stdout()
    if file is None:
        yield from _write_stream(os.devnull)
        return
    yield file
    file.flush()


def _write_stream(path: str) -> Generator[Writable]:
    with Path(path).open("wb") as file:
        yield harmless(file)


def _write_file(path: str) -> Generator[Writable]:
    target = os.path.realpath(path)  # A link stays a link.
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(temporary, _TO_CREATE, _MODE)
    except (OSError, ValueError) as error:
        problem = f"output {path}: {describe_problem(error)}"
        raise ConfigurationError(problem) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
