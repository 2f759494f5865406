"""Bytes of an HTTP/1.1 response -> status, headers, and pieces of the body. Never waits.

llhttp, the parser of Node.js, reads the protocol. What it leaves to its callers is
here: where a body ends, how large a head may be, and which connection may be kept. A
head that it refuses is mended if HTTP allows that, and read once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import httptools

from limin.errors import ProtocolError, ResponseTooLargeError
from limin.transport.greetings import describe_greeting
from limin.transport.odd_heads import HeadMender, is_odd, transfer_codings
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.values.endpoint import Limits

_INTERIM = range(100, 200)
_STARTS = (b"HTTP/1.1", b"HTTP/1.0")
_LONGEST_START = 16  # What a greeting is known by.
_SHORT = 12  # All of IANA are shorter; what is longer may be the echo of a key.
_CODING, _SIZE_OF_CODING = b"transfer-encoding", 17


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
        self._may_have_body = self._may_be_kept = has_body
        self._bytes_without_body = self._bytes_fed = self._body_size = 0
        self._failure: ProtocolError | None = None
        self._start, self._is_start_checked = b"", False
        self._head: bytes | bytearray = b""  # All that came before it was complete.
        self._mender: HeadMender | None = None
        self._had_interim = self._is_chunked = False
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
            self._parse(data)
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
        is_framed = self._is_chunked or any(
            name.lower() == b"content-length" for name, _ in self.headers
        )
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
        self._transfer_codings: list[bytes] = []
        self._body = b""

    def on_status(self, reason: bytes) -> None:
        """Keep the reason phrase, which may come in pieces."""
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header, or one trailer."""
        headers = self._headers
        headers.append((name, value.strip()))
        if len(name) == _SIZE_OF_CODING and name.lower() == _CODING:
            self._transfer_codings.append(value)
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
        if self.status in _INTERIM:
            self._had_interim = True
            return
        if self._had_interim and not self._mender:
            self._check_version(HeadMender().feed(self._head) or b"")
        if self._transfer_codings:
            self._check_transfer_codings()
        self._head, self.has_head = b"", True
        # The parser would wait for the body that the headers describe.
        self.is_complete = not self._may_have_body

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
            self.is_reusable = self._may_be_kept and self._parser.should_keep_alive()

    def _parse(self, data: bytes) -> None:
        """Let the parser read *data*, behind a mended head if the parser refuses it."""
        if self.has_head:
            self._parser.feed_data(data)
            return
        if self._mender is None:
            self._hold(data)
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError:
                if self.has_head or self._failure or not is_odd(self._head):
                    raise
            else:
                return
            self._mender, self._may_be_kept = HeadMender(), False
            data = bytes(self._head)
        if (mended := self._mender.feed(data)) is not None:
            self._check_version(mended)
            self._parser = httptools.HttpResponseParser(self)
            self._parser.feed_data(mended)

    def _hold(self, data: bytes) -> None:
        """Keep *data*, in which the head may turn out to be odd."""
        if not self._head:
            self._head = data
            return
        if isinstance(self._head, bytes):
            self._head = bytearray(self._head)
        self._head += data

    def _check_start(self, data: bytes) -> None:
        """Refuse other protocols, some of which look like HTTP to the parser.

        It may take some pieces until the start is there. Some servers leave line ends
        behind a body, which come before it.
        """
        self._start += (data if self._start else data.lstrip(b"\r\n"))[:_LONGEST_START]
        self._check_version(self._start)
        self._is_start_checked = len(self._start) >= len(_STARTS[0])

    def _check_version(self, start: bytes) -> None:
        """Refuse an answer that does not *start* as one of HTTP/1 does."""
        version = start[: len(_STARTS[0])]
        if not any(each.startswith(version) for each in _STARTS):
            greeting = describe_greeting(start)
            what = "" if greeting is None else f", and look like {greeting}"
            problem = f"they do not begin with HTTP/1.0 or HTTP/1.1{what}"
            raise self._fail(_not_http(problem))

    def _check_transfer_codings(self) -> None:
        """Refuse a coding that was not asked for; see that oddities end the connection.

        A server of HTTP/1.0 knows no chunks (RFC 9112, 6.1).
        """
        is_plain = [each.lower() for each in self._transfer_codings] == [b"chunked"]
        self._is_chunked = is_plain or self._names_chunks()
        if not is_plain or self._parser.get_http_version() == "1.0":
            self._may_be_kept = False

    def _names_chunks(self) -> bool:
        """Return whether the body comes in chunks; if not, it ends with the connection."""
        codings = transfer_codings(self._transfer_codings)
        if codings in ({b"chunked"}, {b"identity"}):
            return b"chunked" in codings
        reason = "the body has a transfer coding that was not asked for"
        if all(len(each) < _SHORT for each in codings):
            ways = b", ".join(self._transfer_codings).decode("latin-1")
            reason = f"{reason}: '{excerpt(ways)}'"
        error = ProtocolError(reason)
        error.is_permanent = True
        raise self._fail(error)

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
