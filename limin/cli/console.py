"""What the program writes: answers on stdout, everything else on stderr."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

from limin.cli import environment
from limin.errors import LiminError
from limin.files.pipes import as_broken_pipe
from limin.values.safe_text import escape_controls


def write_every_character() -> None:
    """Let stdout and stderr take what a model writes, whatever their encoding is.

    Files and pipes get UTF-8, unless the user chose another encoding: the code page of
    Windows has no emoji. A terminal shows escapes in the place of what it cannot show.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream.isatty() or environment.chooses_encoding():
            stream.reconfigure(errors="backslashreplace")
        else:
            stream.reconfigure(encoding="utf-8", errors=stream.errors)


def is_terminal() -> bool:
    """Return whether stdout is a terminal; a closed one is not."""
    return sys.stdout is not None and sys.stdout.isatty()


def write(text: str) -> None:
    """Write *text* to stdout: bare to a pipe or a file, harmless to a terminal.

    Raises:
        LiminError: If it cannot be written, for example to a full disk.
        BrokenPipeError: If nobody reads it any more.
    """
    write_styled(escape_controls(text) if is_terminal() else text)


def write_styled(text: str) -> None:
    """Write *text* to stdout as it is: it is harmless already, and may hold colors.

    What the encoding of stdout lacks is written as an escape.

    Raises:
        LiminError: If it cannot be written, for example to a full disk.
        BrokenPipeError: If nobody reads it any more.
    """
    if sys.stdout is None:  # It was closed before the program began.
        return
    try:
        with as_broken_pipe():
            _put(text)
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = f"output stdout: {error.strerror or 'it cannot be written'}"
        raise LiminError(problem) from error


def _put(text: str) -> None:
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:  # Half of a surrogate pair, which UTF-8 lacks.
        encoding = sys.stdout.encoding
        data = text.encode(encoding, errors="backslashreplace")
        sys.stdout.write(data.decode(encoding))


def note(text: str) -> None:
    """Write a line about the run to stderr, if that can be written."""
    if sys.stderr is None:  # `print` would take stdout instead.
        return
    with suppress(OSError, ValueError):
        print(escape_controls(f"limin: {text}"), file=sys.stderr, flush=True)


def settle_stdout() -> None:
    """Write what is left for stdout; what cannot be written is given up."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # The disk is still full.
        give_up_stdout()


def note_error(error: LiminError) -> None:
    """Write the message of *error* and its notes to stderr, each on a line."""
    for text in (str(error), *getattr(error, "__notes__", ())):
        note(text)


def give_up_stdout() -> None:
    """Let nothing more be written to stdout, whose reader has gone.

    Python would flush it at its end, and complain.
    Source: https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
