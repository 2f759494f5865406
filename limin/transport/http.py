"""The one way out: posts JSON through an `httpx.AsyncClient`, and opens the response.

The client is limin's own, or the user's, of httpx or of httpx2. Its exceptions become
`TransportError`s here.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from limin.errors import (
    ConfigurationError,
    ConnectError,
    ProtocolError,
    RequestTimeoutError,
    TransportError,
)
from limin.transport import query_filter
from limin.transport.async_http import AsyncHTTPTransport, ProxiedTransport
from limin.transport.content import ACCEPTED
from limin.transport.frames import chain_of, forget_frames
from limin.transport.own_client import OwnClient
from limin.transport.proxies import find_proxy
from limin.transport.readable import ReadableResponse
from limin.values.headers import PrivateHeaders
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import ModuleType

    from limin.values.endpoint import Endpoint, Limits
    from limin.wire.http import OpenResponse

# httpx2 is pydantic's continuation of httpx, with the same names.
_PACKAGES = ("httpx", "httpx2")

_PROXY_AUTHENTICATION_REQUIRED = 407

# How h11, under a client of the user's, refuses bytes that are no proper HTTP (messages of
# _readers.py and _headers.py of h11 0.16): the same bytes would come again.
_REFUSALS = (
    "illegal ",
    "malformed ",
    "bad Content-Length",
    "conflicting Content-Length",
    "continuation line",
    "multiple Transfer-Encoding",
    "Only Transfer-Encoding",
)


class HttpClient(Protocol):
    """The part of an `httpx.AsyncClient`, or an `httpx2.AsyncClient`, that limin uses."""

    @property
    def build_request(self) -> Callable[..., Any]:
        """Makes a request, with the client's own headers."""
        ...

    @property
    def send(self) -> Callable[..., Awaitable[Any]]:
        """Sends a request."""
        ...


class HttpTransport:
    """Posts to one endpoint.

    Attributes:
        in_flight: Requests that were sent and whose response is not closed.
        is_own: Whether the client is limin's own.
        is_closed: Whether `aclose` was called.
        body_limit: Largest body of a response, in bytes, also after decompression.
        http_error: The client's root of exceptions.
    """

    def __init__(
        self, endpoint: Endpoint, limits: Limits, http_client: HttpClient | None = None
    ) -> None:
        """Post to *endpoint*, through *http_client* if it is not None.

        Raises:
            ConfigurationError: If *http_client* is of neither family, or httpx cannot read
                the URL of *endpoint*.
        """
        self.in_flight = 0
        self.is_closed = False
        self.body_limit = limits.body_bytes
        self._requests = _RequestMaker(endpoint)
        self._endpoint = endpoint
        self._given = http_client
        self._package = httpx if http_client is None else _find_package(http_client)
        self.http_error: type[Exception] = self._package.HTTPError
        # Of an address that httpx reads for nothing, as in a redirect that is not
        # followed, or of a transport of the user's own.
        self._errors: tuple[type[Exception], ...] = (
            self.http_error,
            self._package.InvalidURL,
            UnicodeError,
            OSError,
        )
        self.is_own = http_client is None
        self._proxy = find_proxy(endpoint.base_url) if http_client is None else None
        self._pool = AsyncHTTPTransport(limits)
        self._own: OwnClient | None = None
        query_filter.hide(_parse_url(endpoint), self._package.__name__)

    @property
    def idle(self) -> int | None:
        """How many connections are idle; None if they are not limin's own."""
        is_own = self._given is None and self._proxy is None
        return self._pool.idle if is_own else None

    async def open(
        self, body: bytes | None, headers: Mapping[str, str] | None = None
    ) -> OpenResponse:
        """Send *body*, and read the head of the response; a redirect is a response, too.

        Args:
            body: The JSON of the request; None to get the list of models instead.
            headers: More headers, of this request only; they win over the others.

        Raises:
            TransportError: If no head of a response came.
            ConfigurationError: If the environment names a proxy or certificates
                that cannot be used.
            RuntimeError: If `aclose` was called.
        """
        if self.is_closed:
            problem = "the client is closed"
            raise RuntimeError(problem)
        client = self._given or self._own or self._make_client()
        # The response is no local variable: its repr holds words of the server.
        opened = ReadableResponse(await self._send(client, body, headers), self, headers)
        try:
            self._check_proxy(opened.head.status)
            opened.start_decoding()
        except TransportError as error:
            forget_frames(error)
            await opened.aclose()
            raise
        return opened

    async def _send(
        self, client: HttpClient, body: bytes | None, headers: Mapping[str, str] | None
    ) -> Any:  # noqa: ANN401 (of either family)
        """Send *body*, and return the client's response, whose body still comes."""
        self.in_flight += 1
        try:
            request = self._requests.build(client, body, headers)
            return await client.send(request, stream=True, follow_redirects=False)
        except self._package.HTTPStatusError as error:
            # An event hook has called `raise_for_status`.
            return error.response
        except self._errors as error:
            failure = self.translate(error, headers)
        except BaseException:
            self.in_flight -= 1
            raise
        # Raised here, it has no context, whose message may quote the server's bytes.
        self.in_flight -= 1
        raise failure

    async def aclose(self) -> None:
        """Close the connections, unless they are the user's."""
        self.is_closed = True
        if self._own is not None:
            await self._own.aclose()

    def _check_proxy(self, status: int) -> None:
        """Refuse a response of the proxy that is none of the server's."""
        if self._proxy is not None and status == _PROXY_AUTHENTICATION_REQUIRED:
            error = ConnectError("no connection by the proxy: it wants another password")
            error.is_permanent = True
            raise error

    def _make_client(self) -> OwnClient:
        if self._proxy is None:
            self._own = OwnClient(self._pool)
            return self._own
        try:
            self._own = OwnClient(ProxiedTransport(self._proxy))
        except ConfigurationError:
            raise
        except ImportError as error:  # It says which package is missing.
            reason = str(error)
        except (ValueError, httpx.InvalidURL) as error:
            # Its message may quote the proxy's URL, and so a password.
            reason = type(error).__name__
        else:
            return self._own
        # Raised here, it has no context, whose message and frames may show a password.
        problem = f"the environment names a proxy that cannot be used: {reason}"
        raise ConfigurationError(problem)

    def translate(
        self, error: BaseException, headers: Mapping[str, str] | None
    ) -> TransportError:
        """Return limin's error for *error* of the client's, which is its cause.

        The request had more *headers*, whose values no message shows.

        If limin's own pool is under the client, its error comes out as it was. No
        traceback is left, since its frames hold the server's bytes; and no cause if its
        message quotes a key, as h11's do.
        """
        forget_frames(error)
        cause = error.__cause__
        while cause is not None:
            if isinstance(cause, TransportError):
                return cause
            cause = cause.__cause__
        secrets = (*self._endpoint.secrets(), *(headers or {}).values())
        package, message = self._package, type(error).__name__
        message = excerpt(str(error), secrets) or message
        unreadable = (package.InvalidURL, UnicodeError)
        if isinstance(error, unreadable) or isinstance(error.__context__, unreadable):
            failure: TransportError = ProtocolError(
                f"the request, or a redirect, has an address that cannot be read: {message}"
            )
            failure.is_permanent = True
        elif isinstance(error, package.LocalProtocolError):
            # Its message quotes the header, which may be a key.
            failure = TransportError("the HTTP client refuses to send the request")
            failure.is_permanent = True
        elif isinstance(error, package.ProxyError):
            failure = ConnectError(f"no connection by the proxy: {message}")
        elif isinstance(error, (package.ConnectError, package.ConnectTimeout)):
            way = "" if self._proxy is None else " to the proxy"
            failure = ConnectError(f"no connection{way}: {message}")
        elif isinstance(error, package.TimeoutException):
            failure = RequestTimeoutError(f"the HTTP client's own limit passed: {message}")
        elif isinstance(error, (package.RemoteProtocolError, package.DecodingError)):
            failure = ProtocolError(f"the answer broke off or is no HTTP: {message}")
            failure.is_permanent = message.startswith(_REFUSALS)
        else:
            failure = TransportError(f"the connection failed: {message}")
        failure.__cause__ = None if _quotes_secret(error, secrets) else error
        return failure


class _RequestMaker:
    """Makes the requests to one endpoint; holds a key, and so has a silent repr."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._url, self._models_url = endpoint.completions_url, endpoint.models_url
        headers = {"accept-encoding": ACCEPTED} | endpoint.request_headers()
        self._headers = PrivateHeaders(headers)
        self._make: Callable[[bytes, Mapping[str, str] | None], httpx.Request] | None = None

    def build(
        self, client: HttpClient, body: bytes | None, headers: Mapping[str, str] | None
    ) -> Any:  # noqa: ANN401 (of either family)
        """Return the request that posts *body*, or without one gets the list of models.

        limin's own client parses nothing anew.
        """
        if body is None:
            headers = PrivateHeaders(self._headers)
            headers.pop("content-type", None)
            return client.build_request("GET", self._models_url, headers=headers)
        if not isinstance(client, OwnClient):
            headers = PrivateHeaders(self._headers | dict(headers or {}))
            return client.build_request("POST", self._url, headers=headers, content=body)
        if self._make is None:
            self._make = client.prepare("POST", self._url, self._headers)
        return self._make(body, headers)


def _parse_url(endpoint: Endpoint) -> httpx.URL:
    """Return the URL that requests to *endpoint* go to.

    Raises:
        ConfigurationError: If httpx refuses it: for an address of IPv4 with a number above
            255, for a name that is no name of the internet, or for its length.
    """
    with suppress(httpx.InvalidURL, UnicodeError):
        return httpx.URL(endpoint.completions_url)
    # Raised here, it has no context, whose frames hold the query.
    problem = "base_url: expected a URL that httpx can read, found another"
    raise ConfigurationError(problem)


def _quotes_secret(error: BaseException, secrets: tuple[str, ...]) -> bool:
    """Return whether the message of *error*, or of what it came from, has a secret."""
    texts = [str(each) for each in chain_of(error)]
    return any(excerpt(text, secrets) != excerpt(text) for text in texts)


def _find_package(client: HttpClient) -> ModuleType:
    """Return the package that *client*, or a class that it inherits from, is of."""
    for base in type(client).__mro__:
        name = base.__module__.partition(".")[0]
        if name in _PACKAGES and base.__name__ == "AsyncClient":
            return sys.modules[name]
    problem = (
        "http_client: expected an httpx.AsyncClient or an httpx2.AsyncClient, "
        f"found a {type(client).__name__}"
    )
    raise ConfigurationError(problem)
