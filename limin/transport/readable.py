"""A response of an HTTP client, whose body is read piece by piece, bounded and decoded."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx

from limin.errors import TransportError
from limin.transport.content import STEP_BYTES, BodyDecoder
from limin.transport.frames import forget_frames
from limin.wire.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from limin.transport.http import HttpTransport

_NOTHING = httpx.ByteStream(b"")

# Pieces that one read from a socket can hold: chunks of a few bytes each.
_MOST_HELD = 20_000


class ReadableResponse:
    """A client's response whose body is read piece by piece; see `OpenResponse`.

    httpx iterates over bodies by generators. A wait that is cancelled ends a generator:
    over limin's own pool another one goes on where it was, elsewhere the body is lost.
    Left in the middle, they would be closed by the garbage collector; a cancellation
    unwinds them from within, once they have handed over the pieces that they hold.
    """

    def __init__(
        self,
        response: Any,  # noqa: ANN401 (of either family)
        transport: HttpTransport,
        sent: Mapping[str, str] | None,
    ) -> None:
        """Read *response*, which came over *transport* to a request with headers *sent*."""
        headers = read_headers(response.headers.raw)
        self.head = HttpResponse(response.status_code, headers, b"")
        self._response, self._transport, self._sent = response, transport, sent
        self._resumes = "resumes" in response.extensions
        self._pieces: AsyncIterator[bytes] | None = None
        self._is_ended = self._is_cut = self._is_closed = False
        # A response for tests, or one that an event hook has read, is decoded already.
        self._is_read = response.is_stream_consumed
        # An event hook that raised an error has closed it.
        self._is_ended = response.is_closed and not self._is_read

    def start_decoding(self) -> None:
        """Prepare to decode the body.

        Raises:
            ProtocolError: If it is in a coding that was not asked for.
        """
        coding = "" if self._is_read else self.head.headers.get("content-encoding", "")
        self._decoder = BodyDecoder(coding, limit=self._transport.body_limit)

    async def receive(self) -> bytes:
        """Wait for the next bytes of the body; none at its end."""
        while not self._is_ended:
            if data := await self._decode_next():
                return data
        return b""

    async def read(self) -> HttpResponse:
        """Return the complete response, and close it."""
        collected = _Collected()  # Which shows nothing of the body in a traceback.
        try:
            while not self._is_ended:
                collected.add(await self._decode_next())
        finally:
            await self.aclose()
        response = HttpResponse(self.head.status, self.head.headers, collected.body())
        # To join a body is one step, to parse it will be another.
        if len(response.body) > STEP_BYTES:
            await anyio.lowlevel.checkpoint()
        return response

    async def aclose(self) -> None:
        """Close the connection at once, unless the body was read to its end."""
        if self._is_ended or self._is_cut or self._pieces is None:
            await self._close()
            return
        try:
            with anyio.CancelScope() as scope, suppress(Exception):
                scope.cancel()
                for _ in range(_MOST_HELD):
                    await anext(self._pieces)
        finally:
            await self._close()

    async def _close(self) -> None:
        """Close the response; what fails in that changes nothing about it."""
        self._is_cut = True
        if self._is_closed:
            return
        self._is_closed = True
        self._transport.in_flight -= 1
        is_own, response = self._transport.is_own, self._response
        # limin's pool needs no word at the end of a body, and nobody else looks.
        if not (is_own and self._is_ended and self._resumes):
            with suppress(self._transport.http_error):
                await response.aclose()
        if is_own:
            # httpx lets a response and its stream refer to each other. Separated, they
            # are freed at once; the garbage collector took a tenth of the time.
            response.stream = _NOTHING

    async def _decode_next(self) -> bytes:
        """Return the output of the next step of decoding; may be empty."""
        if self._decoder.has_more:
            await anyio.lowlevel.checkpoint()
            data = b""
        else:
            data = await self._next()
        try:
            return self._decoder.decode(data)
        except TransportError as error:
            del data
            forget_frames(error)
            raise

    async def _next(self) -> bytes:
        """Return the next piece of the body; empty at its end."""
        if self._is_cut:
            reason = "the HTTP client has ended the answer, since a wait was cancelled"
            raise TransportError(reason)
        if self._is_read:
            self._is_ended = True
            try:
                content: bytes = self._response.content
            except RuntimeError as error:  # ResponseNotRead
                reason = (
                    "an event hook of the HTTP client has read the answer, and not kept it"
                )
                raise TransportError(reason) from error
            return content
        if self._pieces is None:
            self._pieces = aiter(self._response.stream)
        if not self._resumes:
            # A transport for tests may never let another task have its turn.
            await anyio.lowlevel.checkpoint()
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            self._is_ended = True
            self._decoder.finish()
            return b""
        except self._transport.http_error as error:
            self._is_cut = True
            failure = self._transport.translate(error, self._sent)
        except BaseException:
            self._pieces, self._is_cut = None, not self._resumes
            raise
        raise failure


class _Collected:
    """A body as far as it came."""

    __slots__ = ("_body",)

    def __init__(self) -> None:
        self._body: bytes | bytearray = b""

    def add(self, data: bytes) -> None:
        """Add the next bytes; most bodies are one piece, and are not copied."""
        if not self._body:
            self._body = data
        elif data:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += data

    def body(self) -> bytes:
        """Return all of it."""
        return bytes(self._body)


def read_headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers by their names in lower case; of one name, joined by commas."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
