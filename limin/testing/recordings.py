"""Answers of a checkpoint by request, for a test that only reads it.

Unlike a run, a test neither locks the file nor changes it: several tests, and the workers
of pytest-xdist, may read one recording at the same time.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from limin.checkpoint.file import check_path
from limin.checkpoint.line import decode_line, read_line, read_request
from limin.checkpoint.lines import Lines, damaged_line
from limin.checkpoint.open_file import explain_os_errors, open_to_read
from limin.checkpoint.request import ShortBody
from limin.testing.bodies import encode

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from limin.checkpoint.line import RecordedAnswer
    from limin.testing.requests import Request

# The way of fetching an answer does not make it the answer to another question.
_FETCHING = ("stream", "stream_options")


def whole_body(request: Request, **changes: object) -> bytes:
    """Return the body that asks for the answer to *request* as a whole."""
    kept = {n: v for n, v in request.parameters.items() if n not in _FETCHING}
    return encode({**kept, **changes, "messages": request.messages})


def digests_of(request: Request) -> list[bytes]:
    """Return the digests that *request* may be recorded under.

    Where no alternatives are wanted, limin asks for one, and records that none are.
    """
    bodies = [whole_body(request)]
    if request.parameters.get("top_logprobs") == 1:
        bodies.append(whole_body(request, top_logprobs=0))
    return [ShortBody(body).digest() for body in bodies]


class ReadRecording:
    """A checkpoint that is only read; each of its lines answers one request.

    Only the offsets of the lines are kept in memory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open and read the checkpoint at *path*.

        Raises:
            CheckpointError: If it cannot be read, or is no checkpoint.
            ConfigurationError: If *path* is no path.
        """
        self.path = check_path(path)
        self._has_searched = False
        self._untaken: dict[bytes, list[int]] = {}
        self._sizes: dict[bytes, int] = {}
        with ExitStack() as closing:
            closing.enter_context(explain_os_errors(self.path))
            self._file = closing.enter_context(open_to_read(self.path))
            for offset, digest in Lines(self._file, self.path, read_request):
                self._untaken.setdefault(digest, []).append(offset)
            self._closing = closing.pop_all()
        for digest, offsets in self._untaken.items():
            self._sizes[digest] = len(offsets)
            offsets.reverse()  # The first is taken from the end.

    def take(self, request: Request) -> RecordedAnswer | None:
        """Take the next answer that was recorded for *request*; None if none is left.

        Raises:
            CheckpointError: If the line cannot be read any more.
        """
        for digest in digests_of(request):
            offsets = self._untaken.get(digest)
            if offsets:
                return self._read(offsets.pop())
        return None

    def _read(self, offset: int) -> RecordedAnswer:
        with explain_os_errors(self.path):
            self._file.seek(offset)
            line = decode_line(self._file.readline().removesuffix(b"\n"))
        if line is None:
            raise damaged_line(self.path, f"at byte {offset}")
        return read_line(line, offset)

    def explain(self, request: Request) -> str:
        """Return why there is no answer to *request*, without any text of it."""
        digests = digests_of(request)
        n_recorded = sum(self._sizes.get(digest, 0) for digest in digests)
        if n_recorded:
            times = "once" if n_recorded == 1 else f"{n_recorded} times"
            return f"it is recorded {times}, and was asked for once more"
        if self._has_searched:  # Reading all lines takes a while.
            return "it is not recorded"
        self._has_searched = True
        for parameters in self._parameters_beside(request.messages):
            asked = {n: v for n, v in request.parameters.items() if n not in _FETCHING}
            names = sorted(asked.keys() | parameters.keys())
            other = [n for n in names if asked.get(n, ...) != parameters.get(n, ...)]
            return f"its messages are recorded with another {', '.join(other)}"
        return "it is not recorded"

    def _parameters_beside(self, messages: object) -> Iterator[Mapping[str, Any]]:
        """Yield the parameters of each line that has these *messages*."""
        with explain_os_errors(self.path):
            self._file.seek(0)
            for data in self._file:
                line = decode_line(data.removesuffix(b"\n"))
                if line is not None and json.loads(bytes(line.messages)) == messages:
                    fields = line.parameters.items()
                    yield {n: json.loads(bytes(v)) for n, v in fields if n not in _FETCHING}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        self._closing.close()
