"""One POST and its whole answer, over `httpx.AsyncClient`.

httpx's exceptions end here: what leaves is a `TransportError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from limin.errors import (
    ConnectError,
    ProtocolError,
    RequestTimeoutError,
    TransportError,
)
from limin.visible import excerpt
from limin.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

# Event loops stall under load, so a slow handshake is no sign of a dead server.
_CONNECT_SECONDS = 60.0


class HttpTransport:
    """Posts over one `httpx.AsyncClient`, the user's or one of its own."""

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        """Post over *client*, and leave it open; without one, open and own one.

        The own client has no limit on connections, since the batch bounds them,
        and none on the time to the first byte, since the deadline does.
        """
        self._owned = client is None
        self._client = client or httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send *body* and read the answer.

        Raises:
            TransportError: If no complete answer came.
        """
        try:
            response = await self._client.post(
                url, headers=dict(headers), content=body, follow_redirects=False
            )
        except httpx.HTTPError as error:
            raise _translated(error) from error
        return Answer(response.status_code, response.headers, response.content)

    async def aclose(self) -> None:
        """Close the connections, unless they are the user's."""
        if self._owned:
            await self._client.aclose()


def _translated(error: httpx.HTTPError) -> TransportError:
    words = excerpt(str(error)) or type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
        return ConnectError(f"no connection: {words}")
    if isinstance(error, httpx.TimeoutException):
        return RequestTimeoutError(f"the HTTP client's own limit passed: {words}")
    if isinstance(error, (httpx.RemoteProtocolError, httpx.DecodingError)):
        return ProtocolError(f"the answer broke off or is no HTTP: {words}")
    return TransportError(f"the connection failed: {words}")
