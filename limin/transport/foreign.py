"""Exchanges through an HTTP client that is not ours: httpx's, or httpx2's.

Their exceptions end here: what leaves is a `TransportError`.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.lowlevel
import attrs

from limin.errors import (
    ConfigurationError,
    ConnectError,
    ProtocolError,
    RequestTimeoutError,
    ResponseTooLargeError,
    TransportError,
)
from limin.values.safe_text import excerpt
from limin.wire.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import ModuleType

    from limin.values.endpoint import Endpoint, Limits
    from limin.wire.http import OpenResponse

# httpx2 is pydantic's continuation of httpx, with the same names.
_PACKAGES = ("httpx", "httpx2")

# Pieces that one read from a socket can hold: chunks of a few bytes each.
_MOST_HELD = 20_000


class HttpClient(Protocol):
    """What is used of an `httpx.AsyncClient` or an `httpx2.AsyncClient`."""

    @property
    def stream(self) -> Callable[..., Any]:
        """Opens an exchange."""
        ...

    @property
    def aclose(self) -> Callable[[], Awaitable[None]]:
        """Closes the client."""
        ...


class ForeignClient:
    """Posts to one endpoint through a client."""

    def __init__(self, client: HttpClient, endpoint: Endpoint, limits: Limits) -> None:
        """Post to *endpoint* through *client*.

        Raises:
            ConfigurationError: If *client* is of neither family.
        """
        self._client = client
        self._package = _find_package(client)
        self._url = endpoint.completions_url
        self._headers = endpoint.request_headers()
        self._limit = limits.body_bytes

    async def post(self, body: bytes) -> HttpResponse:
        """Send *body* and read the answer; a redirect is an answer too.

        Raises:
            TransportError: If no complete answer came.
        """
        incoming = await self.open(body)
        pieces: list[bytes] = []
        try:
            while piece := await incoming.receive():
                pieces.append(piece)
        finally:
            await incoming.aclose()
        return attrs.evolve(incoming.head, body=b"".join(pieces))

    async def open(self, body: bytes) -> OpenResponse:
        """Send *body* and read the head of the answer.

        Raises:
            TransportError: If none came.
        """
        exchange = self._client.stream(
            "POST",
            self._url,
            headers=self._headers,
            content=body,
            follow_redirects=False,
        )
        with self._translating():
            response = await exchange.__aenter__()
        return _ForeignIncoming(response, exchange, self._limit, self._translating)

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    @contextmanager
    def _translating(self) -> Generator[None]:
        try:
            yield
        except self._package.HTTPError as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> TransportError:
        package = self._package
        words = excerpt(str(error)) or type(error).__name__
        if isinstance(
            error, (package.ConnectError, package.ConnectTimeout, package.ProxyError)
        ):
            return ConnectError(f"no connection: {words}")
        if isinstance(error, package.TimeoutException):
            return RequestTimeoutError(f"the HTTP client's own limit passed: {words}")
        if isinstance(error, (package.RemoteProtocolError, package.DecodingError)):
            return ProtocolError(f"the answer broke off or is no HTTP: {words}")
        return TransportError(f"the connection failed: {words}")


class _ForeignIncoming:
    """The body of a client's response as it comes."""

    def __init__(
        self,
        response: Any,  # noqa: ANN401 (of either family)
        exchange: AbstractAsyncContextManager[object],
        limit: int,
        translating: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.head = HttpResponse(response.status_code, response.headers, b"")
        self._pieces: AsyncIterator[bytes] = response.aiter_bytes()
        self._exchange, self._translating = exchange, translating
        self._limit, self._size = limit, 0
        self._is_ended = self._is_cut = False

    async def receive(self) -> bytes:
        if self._is_cut:
            reason = "the HTTP client has ended the answer, since a wait was cancelled"
            raise TransportError(reason)
        piece = b""
        with self._translating():
            while not (piece or self._is_ended):
                # A transport for tests may never let another task have its turn.
                await anyio.lowlevel.checkpoint()
                piece = await self._next()
        self._size += len(piece)
        if self._size > self._limit:
            reason = f"the body is larger than {self._limit} bytes"
            raise ResponseTooLargeError(reason, self._limit)
        return piece

    async def aclose(self) -> None:
        try:
            # Left in the middle, the generators inside httpx would be closed by the
            # garbage collector; a cancellation unwinds them from within, once they
            # have handed over what they hold.
            with anyio.CancelScope() as scope, suppress(Exception):
                scope.cancel()
                for _ in range(_MOST_HELD):
                    if self._is_ended or self._is_cut:
                        break
                    await self._next()
        finally:
            # What comes of closing changes nothing about the answer.
            with suppress(TransportError), self._translating():
                await self._exchange.__aexit__(None, None, None)

    async def _next(self) -> bytes:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            self._is_ended = True
            return b""
        except BaseException:
            self._is_cut = True
            raise


def _find_package(client: HttpClient) -> ModuleType:
    """The package that *client*, or what it inherits from, is of."""
    for base in type(client).__mro__:
        name = base.__module__.partition(".")[0]
        if name in _PACKAGES and base.__name__ == "AsyncClient":
            return sys.modules[name]
    problem = (
        "http_client: expected an httpx.AsyncClient or an httpx2.AsyncClient, "
        f"found a {type(client).__name__}"
    )
    raise ConfigurationError(problem)
