"""One finished completion as a line of JSON, and back: the format of checkpoints.

The fields of a line, version 1 of the format, are those of `Line`. No key ever comes
here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

import attrs
import msgspec

from limin.errors import LiminError
from limin.values.conversation import Conversation, Message
from limin.values.safe_text import escape_controls
from limin.values.timing import Attempt, Latency, Timing
from limin.values.warnings import ResponseWarning  # noqa: TC001 (msgspec reads it)
from limin.wire import schema
from limin.wire.http import HttpResponse
from limin.wire.response import ReadingContext, read_completion

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion

# msgspec's own error is a ValueError in its later versions alone.
_UNREADABLE = (ValueError, msgspec.DecodeError)

# How every line begins.
MARK = b'{"limin_checkpoint":1,'

# How an answer is fetched does not make it the answer to another question.
_FETCHING = ("stream", "stream_options")


class _Attempt(msgspec.Struct, gc=False):
    """One of `attempts`; the error is its class, a colon, and its words."""

    start_time: float
    duration: float
    waited: float
    error: str | None


class _Streamed(msgspec.Struct, gc=False, omit_defaults=True):
    """What a stream has shown; see `Timing`.

    The warnings are those of its chunks, which its body does not show any more.
    """

    delta_times: tuple[float, ...] = ()
    time_to_first_byte: float | None = None
    time_to_first_token: float | None = None
    time_to_first_reasoning: float | None = None
    time_to_first_text: float | None = None
    inter_token_latency: Latency | None = None
    tokens_per_second: float | None = None
    warnings: tuple[ResponseWarning, ...] | None = None


_TIMES = frozenset(_Streamed.__struct_fields__) - {"warnings"}


class Line(msgspec.Struct, gc=False, omit_defaults=True):
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
_line_decoder = msgspec.json.Decoder(Line)


class RecordedAnswer(msgspec.Struct, frozen=True):
    """What a line tells of a request: its answer, and the time that it took.

    Attributes:
        answer: The body as it came, with the request's name for its headers.
        timing: When, and how long. The attempts' errors are plain `LiminError`s
            that say which class they were of.
        warnings: What was odd about the body, if it does not show it any more.
    """

    answer: HttpResponse
    timing: Timing
    warnings: tuple[ResponseWarning, ...] | None = None

    def completion(self, question: ReadingContext) -> TextCompletion:
        """The completion that the line holds.

        Raises:
            LiminError: If it holds none.
        """
        found = read_completion(question, self.timing, self.answer)
        if self.warnings is None:
            return found
        return attrs.evolve(found, body_warnings=self.warnings)


def encode_line(request: bytes, completion: TextCompletion) -> bytes:
    """The line, without its newline, that *completion* is the answer to *request*."""
    return _encoder.encode(_line(request, completion))


def decode_line(written: bytes) -> Line | None:
    """The line that was *written*; None if it is none of this version."""
    try:
        return _line_decoder.decode(written)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def digest(request: bytes) -> bytes:
    """SHA-256 of the canonical JSON of *request*."""
    from hashlib import sha256  # noqa: PLC0415 (loads OpenSSL, which checkpoints alone need)

    try:
        asked = _asked(msgspec.json.decode(request, type=dict[str, object]))
        canonical = msgspec.json.encode(asked, order="sorted")
    except _UNREADABLE:  # Half a surrogate pair in `extra_body`, say.
        asked = _asked(json.loads(request))
        canonical = json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()
    return sha256(canonical).digest()


def _asked(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in _FETCHING}


def _parameters(request: bytes) -> dict[str, msgspec.Raw]:
    """The fields of *request* as they were sent, but for half surrogates."""
    try:
        return msgspec.json.decode(request, type=dict[str, msgspec.Raw])
    except _UNREADABLE:
        text = json.dumps(json.loads(request), ensure_ascii=False)
        return _parameters(text.encode(errors="replace"))


def _line(request: bytes, completion: TextCompletion) -> Line:
    parameters = _parameters(request)
    messages = msgspec.json.decode(
        parameters.pop("messages"), type=list[schema.RequestMessage]
    )
    timing, raw = completion.timing, completion.raw_bytes
    try:
        body, body_base64 = raw.decode(), None
    except UnicodeDecodeError:
        body, body_base64 = None, raw
    return Line(
        limin_checkpoint=1,
        request=digest(request).hex(),
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
        streamed=_streamed(completion),
    )


def _streamed(completion: TextCompletion) -> _Streamed | None:
    if completion.timing.time_to_first_byte is None:
        return None
    times = {name: getattr(completion.timing, name) for name in _TIMES}
    return _Streamed(warnings=completion.body_warnings or None, **times)


def _words(error: LiminError | None) -> str | None:
    return (
        None if error is None else f"{type(error).__name__}: {escape_controls(str(error))}"
    )


def _answer(line: Line) -> HttpResponse:
    headers = {"x-request-id": line.request_id} if line.request_id else {}
    body = line.body_base64 if line.body is None else line.body.encode()
    return HttpResponse(200, headers, body or b"")


def _timing(line: Line) -> Timing:
    streamed = line.streamed or _Streamed()
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
        **{name: getattr(streamed, name) for name in _TIMES},
    )


def read_completion_in(line: Line) -> TextCompletion:
    """The completion in *line*, by which alone it was asked for.

    Raises:
        LiminError: If there is none.
    """
    model, asks, top = (
        json.loads(bytes(line.parameters.get(name, b"null")))
        for name in ("model", "logprobs", "top_logprobs")
    )
    messages = [Message(one.role, one.content) for one in line.messages]  # type: ignore[arg-type] # Message checks its role
    question = ReadingContext(
        conversation=Conversation(messages),
        model=str(model),
        asks_log_probs=bool(asks),
        top_log_probs=top if type(top) is int else None,
        secrets=[message.content for message in messages],
    )
    return recorded(line).completion(question)


def recorded(line: Line) -> RecordedAnswer:
    """What *line* tells of its request."""
    warnings = None if line.streamed is None else line.streamed.warnings
    return RecordedAnswer(_answer(line), _timing(line), warnings)
