"""Where the bytes of a picture, a sound or a file come from."""

from __future__ import annotations

import os
import re
from pathlib import Path

from limin.errors import ConversationError
from limin.values.checks import describe_type

# A scheme of one letter is a drive of Windows.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:\S+")
_LONGEST_PATH = 255  # A longer one is hardly a path, but the content itself.


def is_url(text: str) -> bool:
    """Return whether *text* is a URL, and no path."""
    return _URL.fullmatch(text) is not None


def read_file(kind: str, path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of the file at *path*, which are those of a part of this *kind*.

    Raises:
        ConversationError: If it cannot be read.
    """
    expectation = f"{kind}: expected the path of a file that can be read"
    try:
        return Path(path).read_bytes()
    except TypeError:
        problem = f"{expectation}, found {describe_type(path)}"
        raise ConversationError(problem) from None
    except (OSError, ValueError) as error:  # A path with a NUL is a ValueError.
        reason = (error.strerror if isinstance(error, OSError) else None) or "no path"
        problem = f"{expectation}, found {_describe_path(path)}: {reason.lower()}"
        raise ConversationError(problem) from None


def _describe_path(path: str | os.PathLike[str]) -> str:
    """Return *path* for a message; a URL, or what is too long for a path, is not shown."""
    text = os.fspath(path)
    if is_url(text):
        return "a URL"
    return repr(text) if len(text) <= _LONGEST_PATH else "a longer text"


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of *data* in hex digits."""
    from hashlib import sha256  # noqa: PLC0415 (loads OpenSSL, which only checkpoints need)

    return sha256(data).hexdigest()
