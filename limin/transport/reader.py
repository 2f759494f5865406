"""The bytes of an HTTP/1.1 response, to an `HttpResponse` or to pieces of it. Never waits.

llhttp, the parser of Node.js, reads the protocol; what it leaves to its callers
is here: when a body ends, and how much of anything a server may send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from limin.errors import ProtocolError, ResponseTooLargeError
from limin.transport.content import Body
from limin.values.safe_text import excerpt
from limin.wire.http import HttpResponse

if TYPE_CHECKING:
    from limin.values.endpoint import Limits

_INTERIM = range(100, 200)


class ResponseReader:
    """Reads the answers of one connection, one after the other.

    The methods named `on_...` are called by the parser.

    Attributes:
        started: Whether any byte of the answer came.
        answering: Whether the head of the answer came, which is no interim one.
        complete: Whether the answer is whole.
        reusable: Whether the connection may carry another request.
    """

    def __init__(self, limits: Limits) -> None:
        """A reader that holds the server to *limits*."""
        self._limits = limits
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the last answer, and expect the next."""
        self.started = self.answering = self.complete = self.reusable = False
        self._bare = 0
        self._failure: ProtocolError | None = None
        self.on_message_begin()

    def feed(self, data: bytes) -> None:
        """Read the next bytes that came.

        Raises:
            ProtocolError: If they are no HTTP, or beyond a limit.
        """
        self.started = True
        before = self._body.received
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                raise self._failure or _no_http(error) from error
            self.reusable = False
        if not self.complete:
            # Headers, trailers and chunk extensions that never end, and interim
            # answers without a final one, are all the same: bytes, and no body.
            self._bare = 0 if self._body.received > before else self._bare + len(data)
            self._bound("its head", self._bare, self._limits.header_bytes + len(data))

    def finish(self) -> None:
        """The server closed the connection: the end of a body without a length.

        Raises:
            ProtocolError: If the answer is not whole.
        """
        if not self.answering or self._framed:
            when = "in the middle of its answer" if self.started else "without an answer"
            reason = f"the server closed the connection {when}"
            raise ProtocolError(reason)
        self.complete = True

    def head(self) -> HttpResponse:
        """The answer as far as its head tells it, which came."""
        return HttpResponse(self._status, self._headers, b"")

    def take(self) -> bytes:
        """What came of the body since the last call; may be nothing.

        Raises:
            ProtocolError: If nothing more comes and the compressed body broke off.
        """
        return self._body.take() or (self._body.finish() if self.complete else b"")

    def answer(self) -> HttpResponse:
        """The complete answer.

        Raises:
            ProtocolError: If its compressed body broke off.
        """
        return HttpResponse(self._status, self._headers, self._body.finish())

    def on_message_begin(self) -> None:
        """Another answer starts; after a complete one, it was not asked for."""
        if self.complete:
            raise self._fail(ProtocolError("an answer that was not asked for"))
        self._status = 0
        self._headers: dict[str, str] = {}
        self._header_count = self._header_size = 0
        self._framed = False
        self._body = Body("", limit=0)
        self._head_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer, which is counted and not kept."""
        self._header_count += 1
        self._header_size += len(name) + len(value) + 4
        limits = self._limits
        self._bound("the number of its headers", self._header_count, limits.headers)
        self._bound("its head", self._header_size, limits.header_bytes)
        if not self._head_complete:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
            known = self._headers.get(key)
            self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """The head is whole; what follows is the body."""
        self._head_complete = True
        self._status = self._parser.get_status_code()
        self.answering = self._status not in _INTERIM
        headers = self._headers
        self._framed = "content-length" in headers or "transfer-encoding" in headers
        try:
            self._body = Body(
                headers.get("content-encoding", ""), limit=self._limits.body_bytes
            )
        except ProtocolError as error:
            raise self._fail(error) from None

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        try:
            self._body.add(data)
        except ProtocolError as error:
            raise self._fail(error) from None

    def on_message_complete(self) -> None:
        """The answer is whole, unless it is an interim one."""
        if self.answering:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()

    def _bound(self, what: str, size: int, limit: int) -> None:
        if size > limit:
            reason = f"the answer is beyond a limit: {what} is larger than {limit}"
            raise self._fail(ResponseTooLargeError(reason, limit))

    def _fail(self, failure: ProtocolError) -> ProtocolError:
        """*failure*, kept, since the parser raises its own in its place."""
        self._failure = failure
        return failure


def _no_http(error: Exception) -> ProtocolError:
    if isinstance(error, httptools.HttpParserUpgrade):
        return ProtocolError("the server wants to speak another protocol")
    return ProtocolError(f"the server's bytes are no HTTP: {excerpt(str(error))}")
