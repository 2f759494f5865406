"""One finished completion as a line of JSON, and back: the format of checkpoints.

The fields of a line are those of `Line`; none of them holds a key. A line of version 2
begins with the CRC-32 of its bytes behind that field, so that a damaged line is never
taken for an answer. Lines of version 1 have no checksum; the digest of the request is
one of the messages and the parameters, but nothing is of the answer.
"""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Literal

import attrs
import msgspec

from limin.checkpoint.request import NO_METADATA, ShortBody, read_messages
from limin.errors import LiminError
from limin.values.safe_text import escape_controls
from limin.values.timing import Attempt, Latency, Timing
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire.http import HttpResponse
from limin.wire.response import ReadingContext, read_completion
from limin.wire.sampling import Sampling

if TYPE_CHECKING:
    from limin.checkpoint.request import RecordedRequest
    from limin.values.completion import TextCompletion

# The first bytes of a line that limin wrote, of version 1 and of version 2.
MARK_WITHOUT_CHECKSUM = b'{"limin_checkpoint":1,'
MARK = b'{"limin_checkpoint":2,"crc32":"'

# A line of version 2 is the mark, eight hex digits, `",`, and the fields that they are
# the checksum of: first `"request":"`, and the digest in 64 hex digits.
_FIELDS = len(MARK) + 8 + 2
_REQUEST = slice(_FIELDS + 11, _FIELDS + 11 + 64)

# Bytes of an identity. Among 10 million lines the chance that any two have the same one
# is 4e-23 (by the birthday bound, n²/2¹²¹). In memory it takes as much as 8 bytes would.
_IDENTITY = 15


class _Attempt(msgspec.Struct, gc=False, omit_defaults=True):
    """One of `attempts`; the error is its class, a colon, and its sentence.

    The endpoint is written if it is not the line's.
    """

    start_time: float
    duration: float
    waited: float
    error: str | None
    endpoint: str | None = None


class _Streamed(msgspec.Struct, gc=False, omit_defaults=True):
    """The times that only a stream has; see `Timing`.

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


# Which model and which replica answer is a question of the run.
_OF_RUN = frozenset({WarningCode.SERVED_MODEL_CHANGED, WarningCode.REPLICA_REFUSED})

_TIMES = frozenset(_Streamed.__struct_fields__) - {"warnings"}


class Line(msgspec.Struct, gc=False, omit_defaults=True):
    """A line of the file without its newline; fields not named here are ignored.

    Attributes:
        limin_checkpoint: Version of the format.
        crc32: CRC-32 of the bytes behind this field and its comma, up to the end of
            the line, in hex digits; null in version 1.
        request: SHA-256 of the request's JSON with sorted keys, in hex digits,
            without how the answer was fetched. The endpoint's URL is no part of
            it, since local servers change their ports.
        messages: The messages of the request, as they were sent, but without the bytes of
            parts: at the place of their base64 is an object with `sha256`, `media_type`
            and `size`.
        parameters: The other fields of the request, as they were sent.
        start_time, end_time, duration, attempts: Fields of `Timing`.
        request_id: Id of the exchange, as the server assigned it; null without one.
        endpoint: The base URL that answered, without query and secrets; null in lines
            of earlier versions of limin.
        body: The answer's body as it came; null if it is no UTF-8.
        body_base64: The body if it is no UTF-8.
        streamed: The other fields of `Timing`; null for an answer that came whole.
        metadata: Metadata of the conversation; null without any.
    """

    limin_checkpoint: Literal[1, 2]
    request: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    messages: msgspec.Raw
    parameters: dict[str, msgspec.Raw]
    start_time: float
    end_time: float
    duration: float
    attempts: list[_Attempt]
    request_id: str | None
    body: str | None
    endpoint: str | None = None
    body_base64: bytes | None = None
    streamed: _Streamed | None = None
    metadata: msgspec.Raw = NO_METADATA
    crc32: str | None = None


_encoder = msgspec.json.Encoder()
_line_decoder = msgspec.json.Decoder(Line)


class RecordedAnswer(msgspec.Struct, frozen=True):
    """The answer to a request as a line holds it, and the time that it took.

    Attributes:
        answer: The body as it came, with the request's id as its only header.
        timing: When it was asked for, and how long it took. The attempts' errors are
            plain `LiminError` objects that name their classes.
        warnings: The warnings that the body does not show any more; None if it
            shows all of them.
        endpoint: The base URL that answered; None if the line does not tell.
        offset: Offset of the line in its file.
    """

    answer: HttpResponse
    timing: Timing
    warnings: tuple[ResponseWarning, ...] | None = None
    endpoint: str | None = None
    offset: int = 0

    def completion(self, context: ReadingContext) -> TextCompletion:
        """Read the completion that the line holds.

        Raises:
            LiminError: If it holds none.
        """
        context = msgspec.structs.replace(context, endpoint=self.endpoint)
        is_stream = self.timing.time_to_first_byte is not None
        completion = read_completion(context, self.timing, self.answer, is_stream=is_stream)
        if self.warnings is None:
            return completion
        return attrs.evolve(completion, body_warnings=self.warnings)


def encode_line(request: RecordedRequest, completion: TextCompletion[object]) -> bytes:
    """Write *completion*, the answer to *request*, as a line without its newline."""
    # The version is the first field, and the checksum stands for all behind it.
    _version, _, fields = _encoder.encode(_make_line(request, completion)).partition(b",")
    return b'%b%08x",%b' % (MARK, zlib.crc32(fields), fields)


def has_checksum(data: bytes) -> bool:
    """Return whether the line *data* has a checksum that is right."""
    checksum = b'%08x",' % zlib.crc32(memoryview(data)[_FIELDS:])
    return data.startswith(MARK) and data.startswith(checksum, len(MARK))


def decode_line(data: bytes) -> Line | None:
    """Read *data* as a line; None if it is no line, or a damaged one."""
    try:
        line = _line_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if line.limin_checkpoint == 1 and line.crc32 is None:
        return line if _fits_digest(line) else None
    return line if has_checksum(data) else None


def _fits_digest(line: Line) -> bool:
    """Return whether the digest of a line of version 1 is that of its request.

    The digest is all that such a line proves: nothing in it proves the answer.
    """
    if any(b"?" in bytes(value) for value in line.parameters.values()):
        return True  # It may stand for half a surrogate pair, which the digest is of.
    request = _encoder.encode({**line.parameters, "messages": line.messages})
    return ShortBody(request).digest().hex() == line.request


def read_request(data: bytes) -> bytes | None:
    """Return the digest of the request in the line *data*; None as in `decode_line`.

    A line whose checksum is right is as limin wrote it, and need not be decoded.
    """
    if has_checksum(data) and len(data) > _REQUEST.stop:
        with suppress(ValueError):
            return bytes.fromhex(data[_REQUEST].decode())
    line = decode_line(data)
    return None if line is None else bytes.fromhex(line.request)


def identify(data: bytes) -> bytes:
    """Return the start of the SHA-256 of the line *data*, which no other line has.

    The CRC-32 does not: of 100,000 samples of one prompt it is the same for one pair.
    """
    from hashlib import sha256  # noqa: PLC0415 (loads OpenSSL, which only checkpoints need)

    return sha256(data).digest()[:_IDENTITY]


def _make_line(request: RecordedRequest, completion: TextCompletion[object]) -> Line:
    messages, parameters = request.split()
    timing, raw = completion.timing, completion.raw_bytes
    try:
        body, body_base64 = raw.decode(), None
    except UnicodeDecodeError:
        body, body_base64 = None, raw
    return Line(
        limin_checkpoint=2,
        request=request.digest.hex(),
        messages=messages,
        parameters=parameters,
        start_time=timing.start_time,
        end_time=timing.end_time,
        duration=timing.duration,
        attempts=[
            _Attempt(
                attempt.start_time,
                attempt.duration,
                attempt.waited,
                _describe(attempt.error),
                None if attempt.endpoint == completion.endpoint else attempt.endpoint,
            )
            for attempt in timing.attempts
        ],
        request_id=completion.request_id,
        endpoint=completion.endpoint,
        body=body,
        body_base64=body_base64,
        streamed=_times_of_stream(completion),
        metadata=request.metadata,
    )


def _times_of_stream(completion: TextCompletion[object]) -> _Streamed | None:
    if completion.timing.time_to_first_byte is None:
        return None
    times = {name: getattr(completion.timing, name) for name in _TIMES}
    warnings = tuple(
        warning for warning in completion.body_warnings if warning.code not in _OF_RUN
    )
    return _Streamed(warnings=warnings or None, **times)


def _describe(error: LiminError | None) -> str | None:
    if error is None:
        return None
    return f"{type(error).__name__}: {escape_controls(str(error))}"


def _read_answer(line: Line) -> HttpResponse:
    headers = {"x-request-id": line.request_id} if line.request_id else {}
    body = line.body_base64 if line.body is None else line.body.encode()
    return HttpResponse(200, headers, body or b"")


def _read_timing(line: Line) -> Timing:
    streamed = line.streamed or _Streamed()
    return Timing(
        start_time=line.start_time,
        end_time=line.end_time,
        duration=line.duration,
        attempts=tuple(
            Attempt(
                start_time=attempt.start_time,
                duration=attempt.duration,
                waited=attempt.waited,
                error=None if attempt.error is None else LiminError(attempt.error),
                endpoint=attempt.endpoint or line.endpoint,
            )
            for attempt in line.attempts
        ),
        **{name: getattr(streamed, name) for name in _TIMES},
    )


def restore_completion(line: Line) -> TextCompletion:
    """Read the completion in *line*; nothing else is known about its request.

    Raises:
        LiminError: If there is none.
    """
    fields = {name: json.loads(bytes(raw)) for name, raw in line.parameters.items()}
    top_log_probs, n_choices = fields.get("top_logprobs"), fields.get("n")
    conversation = read_messages(line.messages, line.metadata)
    context = ReadingContext(
        conversation=conversation,
        model=str(fields.get("model")),
        asks_log_probs=bool(fields.get("logprobs")),
        top_log_probs=top_log_probs if type(top_log_probs) is int else None,
        n_choices=n_choices if type(n_choices) is int else 1,
        sampling=Sampling.of(fields),
        secrets=conversation.texts(),
    )
    return read_line(line).completion(context)


def read_line(line: Line, offset: int = 0) -> RecordedAnswer:
    """Return the answer that *line*, at *offset* of its file, holds."""
    warnings = None if line.streamed is None else line.streamed.warnings
    answer, timing = _read_answer(line), _read_timing(line)
    return RecordedAnswer(answer, timing, warnings, line.endpoint, offset)
