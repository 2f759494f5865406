"""A reply of the script, as the HTTP response to one request. Never waits."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import attrs

from limin.testing.answers import Answer, Garbage, Refusal, Silence, Stream
from limin.testing.bodies import body_of, completion_body, encode, error_body
from limin.testing.chunks import DONE, event_of, to_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from limin.testing.answers import Quirk, Reply
    from limin.testing.requests import Request

_JSON = "application/json"
_EVENTS = "text/event-stream; charset=utf-8"


@attrs.frozen(kw_only=True)
class Response:
    """An HTTP response, and how it is sent.

    Attributes:
        status: Status code.
        headers: Headers, without those that say where the body ends.
        pieces: The body.
        is_chunked: Whether each piece is a chunk of HTTP's; else the length is told.
        size: The length that is told, in bytes.
        delay: Seconds before anything is sent.
        pause: Seconds before each piece but the first.
        is_cut: Whether the connection is closed behind the last piece, and the body is
            not complete then.
    """

    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    pieces: Sequence[bytes] = ()
    is_chunked: bool = False
    size: int = 0
    delay: float = 0.0
    pause: float = 0.0
    is_cut: bool = False

    @property
    def reason(self) -> str:
        """The reason phrase; empty for a status without one."""
        is_standard = self.status in HTTPStatus.__members__.values()
        return HTTPStatus(self.status).phrase if is_standard else ""


def whole(
    body: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    delay: float = 0.0,
) -> Response:
    """Return a response with *body*: bytes as they are, other values as JSON."""
    data = body if isinstance(body, bytes) else encode(body)
    named = {"content-type": _JSON, **(headers or {})}
    return Response(
        status=status, headers=named, pieces=[data], size=len(data), delay=delay
    )


def streamed(
    events: Iterable[bytes],
    *,
    headers: Mapping[str, str] | None = None,
    delay: float = 0.0,
    pause: float = 0.0,
    is_cut: bool = False,
) -> Response:
    """Return a response that streams *events*."""
    named = {"content-type": _EVENTS, "cache-control": "no-cache", **(headers or {})}
    return Response(
        headers=named,
        pieces=list(events),
        is_chunked=True,
        delay=delay,
        pause=pause,
        is_cut=is_cut,
    )


def as_asked(
    body: Mapping[str, Any],
    request: Request,
    *,
    headers: Mapping[str, str] | None = None,
    delay: float = 0.0,
) -> Response:
    """Return a response with *body*, whole or as a stream."""
    if not request.streams:
        return whole(body, headers=headers, delay=delay)
    chunks = to_chunks(body, includes_usage=request.includes_usage)
    events = [*map(event_of, chunks), DONE]
    return streamed(events, headers=headers, delay=delay)


def to_response(reply: Reply, request: Request) -> Response | Garbage | Silence:
    """Return what is sent in answer to *request* if the script says *reply*."""
    match reply:
        case Answer():
            body = completion_body(reply, request)
            return as_asked(body, request, headers=reply.headers, delay=reply.delay)
        case Refusal():
            return refused(reply)
        case Stream():
            return _to_stream(reply, request)
        case Garbage() | Silence():
            return reply
        case _:
            quirk = cast("Quirk", reply)
            return quirk.respond(request, quirk.text)


def refused(refusal: Refusal) -> Response:
    """Return the response that *refusal* is."""
    headers = dict(refusal.headers)
    if refusal.retry_after is not None:
        # All digits: with an exponent nobody reads it as a number of seconds.
        seconds = f"{refusal.retry_after:.6f}".rstrip("0").rstrip(".")
        headers["retry-after"] = seconds
    return whole(error_body(refusal), status=refusal.status, headers=headers)


def _to_stream(stream: Stream, request: Request) -> Response:
    message = {"role": "assistant", "content": "".join(stream.pieces)}
    body = body_of(message, request, stream.log_probs)
    if not request.streams:
        return _joined(stream, encode(body))
    # Of each choice one chunk with the role, one for each piece, and one with the end.
    choices = [
        list(map(event_of, to_chunks(each, includes_usage=False, pieces=stream.pieces)))
        for each in ({**body, "choices": [choice]} for choice in body["choices"])
    ]
    roles, *events, ends = (b"".join(events) for events in zip(*choices, strict=True))
    events = [roles + events[0], *events[1:]] if events else [roles]
    if stream.cut_after is None:
        events[-1] += ends + DONE
    is_cut, pause = stream.cut_after is not None, stream.pause
    return streamed(events[: stream.cut_after], pause=pause, is_cut=is_cut)


def _joined(stream: Stream, data: bytes) -> Response:
    """Return the whole answer with the body *data*, after the pauses of *stream*."""
    is_cut = stream.cut_after is not None
    n_sent = len(stream.pieces[: stream.cut_after])
    return attrs.evolve(
        whole(data),
        pieces=[data[: len(data) // 2] if is_cut else data],
        delay=max(n_sent - 1, 0) * stream.pause,
        is_cut=is_cut,
    )
