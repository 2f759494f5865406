"""One connection of a scripted endpoint: HTTP/1.1 as curl and every client speaks it.

llhttp reads the requests, as it reads responses elsewhere in limin.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio
import attrs
import httptools

from limin.testing.answers import Garbage, Silence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import ByteStream

    from limin.testing.responses import Response

    Reaction = Response | Garbage | Silence

# A test that sends more has a loop, or is not the sender. A head may be counted with what
# came before it at once.
MOST_BYTES_OF_HEAD = 131_072
MOST_BYTES_OF_BODY = 67_108_864

# Why the connection ends, by the status that says so.
_FAULTS = {
    400: "expected HTTP/1.1, without an upgrade to another protocol",
    413: f"expected a request of at most {MOST_BYTES_OF_BODY} bytes",
    431: f"expected headers of at most {MOST_BYTES_OF_HEAD} bytes",
}

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_END = b"0\r\n\r\n"


@attrs.define
class HttpRequest:
    """An HTTP request that came whole.

    Attributes:
        method: Such as `POST`.
        target: Path and query.
        headers: Names and values as they came.
        body: The body.
        may_keep: Whether the connection may carry another request.
        takes_chunks: Whether the response may be in chunks: not in HTTP/1.0.
    """

    method: str = ""
    target: str = ""
    headers: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]], repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    may_keep: bool = True
    takes_chunks: bool = True


class RequestReader:
    """Reads the requests of one connection. Never waits.

    The methods named `on_...` are called by the parser.

    Attributes:
        requests: The requests that are complete, and not taken yet.
        wants_continue: Whether the client waits for an interim response before it sends
            the body.
        fault: The status that ends the connection, since no request can be read any
            more; None while all is well.
    """

    def __init__(self) -> None:
        self.requests = deque[HttpRequest]()
        self.wants_continue = False
        self.fault: int | None = None
        self._parser = httptools.HttpRequestParser(self)
        self.on_message_begin()

    def feed(self, data: bytes) -> None:
        """Read the next bytes of the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.requests.pop()  # Its body was not read.
            self.fault = self.fault or 400
        except httptools.HttpParserError:
            self.fault = self.fault or 400
        if not self._has_head:
            self._bytes_of_head += len(data)
            if self._bytes_of_head > MOST_BYTES_OF_HEAD:
                self.fault = 431

    def on_message_begin(self) -> None:
        """Start a request."""
        self._has_head, self._bytes_of_head, self._target = False, 0, b""
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()

    def on_url(self, target: bytes) -> None:
        """Keep path and query, which may come in pieces."""
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header, or one trailer."""
        self._headers.append((name.decode("latin-1"), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        """Note that all that follows is the body."""
        self._has_head = True
        self.wants_continue = any(
            name.lower() == "expect" and value.lower() == "100-continue"
            for name, value in self._headers
        )

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self.wants_continue = False
        if len(self._body) + len(data) > MOST_BYTES_OF_BODY:
            self.fault = 413
            return
        self._body += data

    def on_message_complete(self) -> None:
        """Keep the request, unless it was too large."""
        self.wants_continue = False
        if self.fault is not None:
            return
        self.requests.append(
            HttpRequest(
                method=self._parser.get_method().decode("latin-1"),
                target=self._target.decode("latin-1"),
                headers=self._headers,
                body=bytes(self._body),
                may_keep=self._parser.should_keep_alive(),
                takes_chunks=self._parser.get_http_version() != "1.0",
            )
        )


async def serve_connection(
    stream: ByteStream,
    answer: Callable[[HttpRequest], Awaitable[Reaction]],
    refuse: Callable[[int, str], Response],
) -> None:
    """Answer the requests that come through *stream*, one after the other.

    Args:
        stream: The connection, which the caller closes.
        answer: Says how to answer a request.
        refuse: Says how to refuse what is no request, by a status and words.
    """
    reader = RequestReader()
    while True:
        while reader.requests:
            request = reader.requests.popleft()
            if not await _send(stream, await answer(request), request):
                return
        if reader.fault is not None:
            last = HttpRequest(may_keep=False)
            await _send(stream, refuse(reader.fault, _FAULTS[reader.fault]), last)
            return
        try:
            data = await stream.receive()
        except anyio.EndOfStream:
            return
        reader.feed(data)
        if reader.wants_continue:
            reader.wants_continue = False
            await stream.send(_CONTINUE)


async def _send(stream: ByteStream, reaction: Reaction, request: HttpRequest) -> bool:
    """Send *reaction*; return whether the connection may carry another request."""
    if isinstance(reaction, Silence):
        await _wait_until_closed(stream)
        return False
    if isinstance(reaction, Garbage):
        if reaction.data:
            await stream.send(reaction.data)
        return False
    await anyio.sleep(reaction.delay)
    is_chunked = reaction.is_chunked and request.takes_chunks
    may_keep = request.may_keep and not reaction.is_cut
    may_keep = may_keep and is_chunked == reaction.is_chunked
    unsent = _head_of(reaction, is_chunked=is_chunked, may_keep=may_keep)
    pieces = () if request.method == "HEAD" else reaction.pieces
    for number, piece in enumerate(pieces):
        if number and reaction.pause:
            await stream.send(unsent)
            await anyio.sleep(reaction.pause)
            unsent = b""
        unsent += b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece
    if is_chunked and not reaction.is_cut and request.method != "HEAD":
        unsent += _END
    await stream.send(unsent)
    return may_keep


def _head_of(response: Response, *, is_chunked: bool, may_keep: bool) -> bytes:
    headers = dict(response.headers)
    if is_chunked:
        headers["transfer-encoding"] = "chunked"
    elif not response.is_chunked:
        headers["content-length"] = str(response.size)
    headers["connection"] = "keep-alive" if may_keep else "close"
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


async def _wait_until_closed(stream: ByteStream) -> None:
    """Wait until the client closes *stream*; what else it sends is not read."""
    while True:
        try:
            await stream.receive()
        except anyio.EndOfStream:
            return
