"""A pipe that nobody reads any more, on every platform."""

from __future__ import annotations

import errno
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def as_broken_pipe() -> Generator[None]:
    """Raise the error of a pipe that nobody reads as a `BrokenPipeError` on Windows, too.

    Windows reports an invalid argument. Source: https://bugs.python.org/issue35754
    """
    try:
        yield
    except OSError as error:
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            raise BrokenPipeError(errno.EPIPE, "nobody reads the pipe") from error
        raise
