"""Bytes of an HTTP/1.1 response -> status, headers, and pieces of the body. Never waits.

llhttp, the parser of Node.js, reads the protocol. What it leaves to its callers is
here: where a body ends, and how large a head may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import httptools

from limin.errors import ProtocolError, ResponseTooLargeError
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.values.endpoint import Limits

_INTERIM = range(100, 200)
_STARTS = (b"HTTP/1.1", b"HTTP/1.0")
_LONGEST_START = 16  # With line ends before it, which some servers leave behind a body.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class ResponseReader:
    """Reads the responses of one connection, one after the other.

    The methods named `on_...` are called by the parser.

    Attributes:
        has_started: Whether any byte of the response came.
        has_head: Whether the head is complete; that of an interim response is not one.
        is_complete: Whether the response is complete.
        is_reusable: Whether the connection may carry another request.
        status: Status code.
        reason: Reason phrase; empty if there is none.
        headers: Names and values as they came, without the trailers.
    """

    def __init__(self, limits: Limits) -> None:
        """Hold the server to *limits*."""
        self._limits = limits
        self._parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self, *, has_body: bool = True) -> None:
        """Forget the last response, and expect the next.

        Args:
            has_body: Whether it may have a body; that to a HEAD request has none.
        """
        self.has_started = self.has_head = False
        self.is_complete = self.is_reusable = False
        self._may_have_body = has_body
        self._bytes_without_body = self._bytes_fed = self._body_size = 0
        self._failure: ProtocolError | None = None
        self._start, self._is_start_checked = b"", False
        self._body: bytes | bytearray = b""
        self.on_message_begin()

    def feed(self, data: bytes) -> None:
        """Read the next bytes of the connection.

        Raises:
            ProtocolError: If they are not HTTP, or exceed a limit.
        """
        self.has_started = True
        if not self._is_start_checked:
            self._is_start_checked = data.startswith(_STARTS) and not self._start
            if not self._is_start_checked:
                self._check_start(data)
        size_before = self._body_size
        self._bytes_fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.is_complete:
                raise self._failure or _not_http(_describe(error)) from error
            self.is_reusable = False
        if not self.is_complete:
            # Headers, trailers and chunk extensions that never end, and interim
            # responses without a final one, are all the same: bytes without a body.
            has_grown = self._body_size > size_before
            self._bytes_without_body = (
                0 if has_grown else self._bytes_without_body + len(data)
            )
            if self._bytes_without_body > self._limits.header_bytes + len(data):
                self._refuse("its head", self._limits.header_bytes)

    def finish(self) -> None:
        """Note that the server closed the connection: a body without a length ends.

        Raises:
            ProtocolError: If the response is not complete.
        """
        is_framed = any(name.lower() in _FRAMING for name, _ in self.headers)
        if not self.has_head or is_framed:
            when = "in the middle of its" if self.has_started else "without an"
            reason = f"the server closed the connection {when} answer"
            raise ProtocolError(reason)
        self.is_complete = True

    def take(self) -> bytes:
        """Return the bytes of the body that came since the last call; may be empty."""
        data, self._body = bytes(self._body), b""
        return data

    def on_message_begin(self) -> None:
        """Start a response; one behind a complete response answers no request."""
        if self.is_complete:
            raise self._fail(ProtocolError("an answer that was not asked for"))
        self.status = 0
        self.reason = b""
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    def on_status(self, reason: bytes) -> None:
        """Keep the reason phrase, which may come in pieces."""
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header, or one trailer."""
        headers = self._headers
        headers.append((name, value.strip()))
        if len(headers) > self._limits.headers:
            self._refuse("the number of its headers", self._limits.headers)

    def on_headers_complete(self) -> None:
        """Note that the head is complete; all that follows is the body."""
        headers, self._headers = self._headers, []
        if self._bytes_fed > self._limits.header_bytes:
            size = sum(len(name) + len(value) + 4 for name, value in headers)
            if size > self._limits.header_bytes:
                self._refuse("its head", self._limits.header_bytes)
        self.headers = headers
        self.status = self._parser.get_status_code()
        self.has_head = self.status not in _INTERIM
        # The parser would wait for the body that the headers describe.
        self.is_complete = self.has_head and not self._may_have_body

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._body_size += len(data)
        if not self._body:
            self._body = data
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += data

    def on_message_complete(self) -> None:
        """Note that the response is complete, unless it is an interim one."""
        if self.has_head:
            self.is_complete = True
            self.is_reusable = self._may_have_body and self._parser.should_keep_alive()

    def _check_start(self, data: bytes) -> None:
        """Refuse other protocols that look like HTTP to the parser, such as RTSP.

        It may take some pieces until the start is there.
        """
        self._start += data[:_LONGEST_START]
        start = self._start.lstrip(b"\r\n")[: len(_STARTS[0])]
        if not any(version.startswith(start) for version in _STARTS):
            problem = "they do not begin with HTTP/1.0 or HTTP/1.1"
            raise _not_http(problem)
        self._is_start_checked = len(start) == len(_STARTS[0])

    def _refuse(self, name: str, limit: int) -> NoReturn:
        reason = f"the answer is beyond a limit: {name} is larger than {limit}"
        raise self._fail(ResponseTooLargeError(reason, limit))

    def _fail(self, failure: ProtocolError) -> ProtocolError:
        """Keep *failure*, since the parser raises an error of its own in its place."""
        self._failure = failure
        return failure


def _describe(error: Exception) -> str:
    is_upgrade = isinstance(error, httptools.HttpParserUpgrade)
    return "it wants to speak another protocol" if is_upgrade else excerpt(str(error))


def _not_http(problem: str) -> ProtocolError:
    error = ProtocolError(f"the server's bytes are no HTTP: {problem}")
    error.is_permanent = True
    return error
