"""The way out: one POST to the client's endpoint, and its answer, whole or coming.

Directly over connections of our own, or through an HTTP client: the user's, or
httpx's own where a proxy of the environment applies, or where somebody has
replaced httpx's transport to answer in its place, as tests do.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio.lowlevel

from limin.errors import ConfigurationError
from limin.transport.connection import Origin
from limin.transport.content import ACCEPTED
from limin.transport.foreign import ForeignClient
from limin.transport.pool import Pool
from limin.values.endpoint import proxy_may_apply

if TYPE_CHECKING:
    import ssl

    from limin.transport.foreign import HttpClient
    from limin.values.endpoint import Endpoint, Limits
    from limin.wire.http import HttpResponse, OpenResponse

_PORTS = {"http": 80, "https": 443}

# Whose code answers httpx's requests, if nobody has replaced it.
_HTTPX_OWN = "httpx._transports.default"


class HttpTransport:
    """Posts to one endpoint."""

    def __init__(
        self, endpoint: Endpoint, limits: Limits, http_client: HttpClient | None = None
    ) -> None:
        """Post to *endpoint*, through *http_client* if it is given."""
        self._endpoint = endpoint
        self._limits = limits
        self._pool = Pool(self._origin, limits)
        self._head = _head(endpoint)
        self._context: ssl.SSLContext | None = None
        self._closed = False
        self._given: ForeignClient | None = None
        self._own: tuple[object, ForeignClient] | None = None
        if http_client is not None:
            self._given = ForeignClient(http_client, endpoint, limits)
        self._proxied = http_client is None and _is_proxied(endpoint)

    async def post(self, body: bytes) -> HttpResponse:
        """Send *body* and read the answer.

        Raises:
            TransportError: If no complete answer came.
            ConfigurationError: If the environment names a proxy or certificates
                that cannot be used.
        """
        foreign = self._foreign()
        if foreign is not None:
            return await foreign.post(body)
        return await self._pool.exchange(self._request(body))

    async def open(self, body: bytes) -> OpenResponse:
        """Send *body* and read the head of the answer; see `post`.

        Raises:
            TransportError: If no head of an answer came.
            ConfigurationError: If the environment names a proxy or certificates
                that cannot be used.
        """
        foreign = self._foreign()
        if foreign is not None:
            return await foreign.open(body)
        return await self._pool.open(self._request(body))

    async def aclose(self) -> None:
        """Close the connections, unless they are the user's."""
        self._closed = True
        self._pool.close()
        if self._own is not None:
            await self._own[1].aclose()

    def _foreign(self) -> ForeignClient | None:
        """The HTTP client that requests go through; None for our own connections."""
        if self._closed:
            problem = "the client is closed"
            raise RuntimeError(problem)
        if self._given is not None:
            return self._given
        return self._own_client() if self._proxied or _is_replaced() else None

    def _request(self, body: bytes) -> bytes:
        return b"%b%d\r\n\r\n%b" % (self._head, len(body), body)

    def _own_client(self) -> ForeignClient:
        """A client of httpx's for this event loop: one of another loop is of no use."""
        loop = anyio.lowlevel.current_token().native_token
        if self._own is None or self._own[0] is not loop:
            self._own = loop, ForeignClient(self._new(), self._endpoint, self._limits)
        return self._own[1]

    def _new(self) -> HttpClient:
        httpx = _httpx()
        unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        timeout = httpx.Timeout(None, connect=self._limits.connect_seconds)
        try:
            client: HttpClient = httpx.AsyncClient(limits=unlimited, timeout=timeout)
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            # Its words may quote the proxy's URL, and that a password.
            problem = "the environment names a proxy that cannot be used"
            raise ConfigurationError(problem) from error
        except OSError as error:
            raise _certificates_error(error) from error
        return client

    def _origin(self) -> Origin:
        """The endpoint's server; a TLS context takes long to make, so one is kept."""
        parts = urlsplit(self._endpoint.base_url)
        if parts.scheme == "https" and self._context is None:
            try:
                context: ssl.SSLContext = _httpx().create_ssl_context()
            except OSError as error:
                raise _certificates_error(error) from error
            context.set_alpn_protocols(["http/1.1"])
            self._context = context
        port = parts.port or _PORTS[parts.scheme]
        return Origin(parts.hostname or "", port, self._context)


def _certificates_error(error: OSError) -> ConfigurationError:
    words = error.strerror or type(error).__name__
    return ConfigurationError(
        f"SSL_CERT_FILE or SSL_CERT_DIR: expected certificates, found none: {words}"
    )


def _head(endpoint: Endpoint) -> bytes:
    """The start of every request, up to the value of its Content-Length."""
    parts = urlsplit(endpoint.completions_url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"host": parts.netloc, "accept-encoding": ACCEPTED, "user-agent": "limin"}
    headers |= endpoint.request_headers()
    lines = [f"POST {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "content-length: "]).encode("ascii")


def _is_replaced() -> bool:
    """Whether somebody answers in the place of httpx's transport.

    pytest-httpx and its like replace this method for the time of a test. Whoever
    does so means every request, and ours go that way then.
    """
    httpx = sys.modules.get("httpx")
    if httpx is None:
        return False
    module: str = httpx.AsyncHTTPTransport.handle_async_request.__module__
    return module != _HTTPX_OWN


def _is_proxied(endpoint: Endpoint) -> bool:
    """Whether the environment names a proxy for *endpoint*; httpx then decides."""
    if not proxy_may_apply():
        return False
    request = importlib.import_module("urllib.request")
    parts = urlsplit(endpoint.base_url)
    proxies = request.getproxies()
    named = parts.scheme in proxies or "all" in proxies
    return named and not request.proxy_bypass(parts.hostname or "")


def _httpx() -> Any:  # noqa: ANN401 (a module)
    """httpx, whose import adds a fifth to limin's; plain HTTP does without it."""
    return importlib.import_module("httpx")
