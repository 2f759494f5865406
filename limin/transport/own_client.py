"""limin's own `httpx.AsyncClient`: without cookies, and with what costs time left out.

Each request goes through `AsyncClient.send` and the transport's
`handle_async_request`, so that whatever wraps these sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import httpx
import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping


class OwnClient(httpx.AsyncClient):
    """A client that neither keeps nor sends cookies, and has no limits of its own.

    An API client that sends one user's cookies with the next request is wrong; and
    extracting them is more than half of the time that httpx takes for a request.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        """Send requests over *transport*."""
        self._no_cookies = _NoCookies()
        super().__init__(
            auth=_NoAuth(),
            headers={"user-agent": "limin"},
            timeout=None,
            transport=transport,
        )
        del self.headers["connection"]  # HTTP/1.1 keeps connections without it.

    def prepare(
        self, method: str, url: str, headers: dict[str, str]
    ) -> Callable[[bytes, Mapping[str, str] | None], httpx.Request]:
        """Return a function that makes a request of a body, and of headers of its own.

        The rest is parsed once.
        """
        template = self.build_request(method, url, headers=headers, content=b" ")

        def make(body: bytes, more: Mapping[str, str] | None) -> httpx.Request:
            # httpx copies headers of its own class as they are; others it reads anew.
            request = httpx.Request(
                method,
                template.url,
                headers=template.headers,
                stream=httpx.ByteStream(body),
                extensions={"timeout": {}},
            )
            request.headers["content-length"] = str(len(body))
            if more:
                request.headers.update(more)
            return request

        return make

    @property
    def cookies(self) -> httpx.Cookies:
        """No cookies, whatever responses set."""
        return self._no_cookies

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        """Ignore *cookies*."""


class _NoCookies(httpx.Cookies):
    """A cookie jar that stays empty."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Ignore the cookies of *response*."""


class _NoAuth(httpx.Auth):
    """The request as it is: limin sets the header itself."""

    def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Return the one step of this flow, which waits for nothing."""
        return cast("AsyncGenerator[httpx.Request, httpx.Response]", _OneRequest(request))


class _OneRequest(msgspec.Struct, gc=False):
    """An authentication flow of one request.

    A generator would have to be known to the event loop, which takes longer.
    """

    request: httpx.Request

    async def __anext__(self) -> httpx.Request:
        return self.request

    async def asend(self, _response: httpx.Response) -> Any:  # noqa: ANN401 (never returns)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Do nothing."""
