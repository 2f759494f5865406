"""Finished completions on disk, one JSON line each: what a broken-off run goes on from.

Who asks decides what is asked again; here it is only remembered. No key ever
comes here. The fields of a line, version 1 of the format, are those of `_Line`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal, Self

import attrs
import msgspec

from limin.conversation import Conversation, Message
from limin.errors import CheckpointError, LiminError
from limin.timing import Attempt, Latency, Timing
from limin.visible import visible
from limin.wire import Answer, schema
from limin.wire.response import Question, read_completion

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

    from limin.completion import TextCompletion

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY
_MARK = b'{"limin_checkpoint":1,'
_OWNER_ALONE = 0o600  # Prompts are in the file.

# How an answer is fetched does not make it the answer to another question.
_FETCHING = ("stream", "stream_options")


class _Attempt(msgspec.Struct, gc=False):
    """One of `attempts`; the error is its class, a colon, and its words."""

    start_time: float
    duration: float
    waited: float
    error: str | None


class _Streamed(msgspec.Struct, gc=False, omit_defaults=True):
    """What a stream has shown; see `Timing`."""

    delta_times: tuple[float, ...] = ()
    time_to_first_byte: float | None = None
    time_to_first_token: float | None = None
    time_to_first_reasoning: float | None = None
    time_to_first_text: float | None = None
    inter_token_latency: Latency | None = None
    tokens_per_second: float | None = None


class _Line(msgspec.Struct, gc=False, omit_defaults=True):
    """A line of the file, its newline apart; fields not named here are ignored.

    Attributes:
        limin_checkpoint: Version of the format.
        request: SHA-256 of the request's JSON with sorted keys, in hex digits,
            without how the answer was fetched. The endpoint's URL is no part of
            it, since local servers change their ports.
        messages: What was asked.
        parameters: The other fields of the request, as they were sent.
        start_time, end_time, duration, attempts: Those of `Timing`.
        request_id: The server's name for the exchange; null if it gave none.
        body: The answer's body as it came; null if it is no UTF-8.
        body_base64: The body then.
        streamed: What else its `Timing` tells; null for an answer that came whole.
    """

    limin_checkpoint: Literal[1]
    request: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    messages: list[schema.RequestMessage]
    parameters: dict[str, msgspec.Raw]
    start_time: float
    end_time: float
    duration: float
    attempts: list[_Attempt]
    request_id: str | None
    body: str | None
    body_base64: bytes | None = None
    streamed: _Streamed | None = None


_encoder = msgspec.json.Encoder()
_line_decoder = msgspec.json.Decoder(_Line)


@attrs.frozen
class Recorded:
    """What a line tells of a request: its answer, and the time that it took.

    Attributes:
        answer: The body as it came, with the request's name for its headers.
        timing: When, and how long. The attempts' errors are plain `LiminError`s
            that say which class they were of.
    """

    answer: Answer
    timing: Timing


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

    def take(self, request: bytes) -> Recorded | None:
        """The next line recorded for *request*, and not taken yet; None if there is none.

        Equal requests are told apart by their count alone. Lines that this very
        object added are not among them.

        Args:
            request: The body that would be sent.

        Raises:
            CheckpointError: If the line can be read no more.
        """
        places = self._untaken.get(_digest(request))
        if not places:
            return None
        place = places.pop()
        with _explained(self._path):
            self._file.seek(place)
            written = self._file.readline()
        line = _decoded(written, self._path, f"at byte {place}")
        return Recorded(_answer(line), _timing(line))

    def add(self, request: bytes, completion: TextCompletion) -> None:
        """Write down that *completion* is the answer to *request*.

        Args:
            request: The body that was sent, as `RequestEncoder` made it.
            completion: What came.

        Raises:
            CheckpointError: If it cannot be written; no part of the line stays.
        """
        line = _encoder.encode(_line(request, completion)) + b"\n"
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
                completion = _completion(line)
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


def _read(file: BinaryIO, path: str) -> Iterator[tuple[int, int, _Line]]:
    """Where each whole line starts, where it ends, and what it holds."""
    start = 0
    for number, written in enumerate(file, 1):
        where = f"line {number}"
        if not written.endswith(b"\n"):
            if not (written.startswith(_MARK) or _MARK.startswith(written)):
                raise _foreign(path, where)
            return
        line = _decoded(written, path, where)
        yield start, start + len(written), line
        start += len(written)


def _decoded(written: bytes, path: str, where: str) -> _Line:
    try:
        return _line_decoder.decode(written)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _foreign(path, where) from None


def _foreign(path: str, where: str) -> CheckpointError:
    problem = f"{where}: expected a line of a checkpoint of version 1, found another"
    return CheckpointError(problem, path)


def _digest(request: bytes) -> bytes:
    """SHA-256 of the canonical JSON of *request*."""
    try:
        asked = _asked(msgspec.json.decode(request, type=dict[str, object]))
        canonical = msgspec.json.encode(asked, order="sorted")
    except ValueError:  # Half a surrogate pair in `extra_body`, say.
        asked = _asked(json.loads(request))
        canonical = json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).digest()


def _asked(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in _FETCHING}


def _parameters(request: bytes) -> dict[str, msgspec.Raw]:
    """The fields of *request* as they were sent, but for half surrogates."""
    try:
        return msgspec.json.decode(request, type=dict[str, msgspec.Raw])
    except ValueError:
        text = json.dumps(json.loads(request), ensure_ascii=False)
        return _parameters(text.encode(errors="replace"))


def _line(request: bytes, completion: TextCompletion) -> _Line:
    parameters = _parameters(request)
    messages = msgspec.json.decode(
        parameters.pop("messages"), type=list[schema.RequestMessage]
    )
    timing, raw = completion.timing, completion.raw_bytes
    try:
        body, body_base64 = raw.decode(), None
    except UnicodeDecodeError:
        body, body_base64 = None, raw
    return _Line(
        limin_checkpoint=1,
        request=_digest(request).hex(),
        messages=messages,
        parameters=parameters,
        start_time=timing.start_time,
        end_time=timing.end_time,
        duration=timing.duration,
        attempts=[
            _Attempt(one.start_time, one.duration, one.waited, _words(one.error))
            for one in timing.attempts
        ],
        request_id=completion.request_id,
        body=body,
        body_base64=body_base64,
        streamed=_streamed(timing),
    )


def _streamed(timing: Timing) -> _Streamed | None:
    if timing.time_to_first_byte is None:
        return None
    names = _Streamed.__struct_fields__
    return _Streamed(**{name: getattr(timing, name) for name in names})


def _words(error: LiminError | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {visible(str(error))}"


def _answer(line: _Line) -> Answer:
    headers = {"x-request-id": line.request_id} if line.request_id else {}
    body = line.body_base64 if line.body is None else line.body.encode()
    return Answer(200, headers, body or b"")


def _timing(line: _Line) -> Timing:
    shown = {} if line.streamed is None else msgspec.structs.asdict(line.streamed)
    return Timing(
        start_time=line.start_time,
        end_time=line.end_time,
        duration=line.duration,
        attempts=tuple(
            Attempt(
                start_time=one.start_time,
                duration=one.duration,
                waited=one.waited,
                error=None if one.error is None else LiminError(one.error),
            )
            for one in line.attempts
        ),
        **shown,
    )


def _completion(line: _Line) -> TextCompletion:
    model, asks, top = (
        json.loads(bytes(line.parameters.get(name, b"null")))
        for name in ("model", "logprobs", "top_logprobs")
    )
    messages = [Message(one.role, one.content) for one in line.messages]  # type: ignore[arg-type] # Message checks its role
    question = Question(
        conversation=Conversation(messages),
        model=str(model),
        asks_log_probs=bool(asks),
        top_log_probs=top if type(top) is int else None,
        secrets=[message.content for message in messages],
    )
    return read_completion(question, _timing(line), _answer(line))
