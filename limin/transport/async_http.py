"""httpx's transport, with limin's pool in the place of httpcore's.

httpx hands its transport's pool a request of httpcore's, and expects a response of that
shape and exceptions of httpcore's. `HttpcorePool` translates between the two.
"""

from __future__ import annotations

import ssl
import string
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast
from weakref import WeakKeyDictionary

import anyio.lowlevel
import httpcore
import httpx

from limin.errors import (
    CertificateError,
    ConfigurationError,
    ConnectError,
    ProtocolError,
    RequestTimeoutError,
    TransportError,
)
from limin.transport.connection import Origin, RequestBytes
from limin.transport.pool import NO_TIMEOUTS, ConnectionPool, PooledResponse, Timeouts
from limin.values.endpoint import DEFAULT_PORTS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

# Path of a certificate; or that, the path of its key, and the key's password.
ClientCertificate: TypeAlias = str | tuple[str, str] | tuple[str, str, str]

# RFC 9110, 5.1 and 5.5: names are tokens; values hold no control characters but tabs.
_OF_TOKENS = (string.ascii_letters + string.digits + "!#$%&'*+.^_`|~-").encode()
_CONTROLS = bytes(code for code in (*range(32), 127) if code != ord("\t"))
_NOT_IN_TARGETS = _CONTROLS + b"\t "

_PORTS = {scheme.encode(): port for scheme, port in DEFAULT_PORTS.items()}

# Whoever replaces httpcore's pool to respond in its place, as respx does, means every
# request. The replacement may wrap the name, the module and the identity of the method;
# the file that its code is in stays another one.
_HTTPCORE = str(Path(httpcore.__file__).parent)


class AsyncHTTPTransport(httpx.AsyncHTTPTransport):
    """A transport for an `httpx.AsyncClient` of your own, over limin's connections.

    It costs the same for each request however many are under way, is not harmed by
    cancellations, and may be used by several event loops. It speaks HTTP/1.1. The
    client's timeouts hold, but for `pool`: there is no limit of connections and so
    nothing to wait for. The body of a request is read whole before it is sent.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        verify: ssl.SSLContext | bool = True,
        cert: ClientCertificate | None = None,
    ) -> None:
        """Make a transport without connections.

        Args:
            limits: What a server may cost at most; those of the body are the client's.
            verify: Whether to verify certificates, or the context to use; as httpx has it.
            cert: A client certificate: its path; or that, the path of its key, and the
                key's password.
        """
        context: ssl.SSLContext | None = None

        def tls_context() -> ssl.SSLContext:
            nonlocal context
            if context is None:  # It takes long to make, so one is made and kept.
                context = make_tls_context(verify=verify, cert=cert)
            return context

        # httpx's own constructor would make a pool and a context that nobody needs.
        # This one attribute is all that limin uses of httpx and that is not public.
        self._pool: Any = HttpcorePool(ConnectionPool(limits or Limits(), tls_context))

    def __repr__(self) -> str:
        """Return how many connections are active, and how many are idle."""
        return f"<limin.AsyncHTTPTransport: {self.active} active, {self.idle} idle>"

    @property
    def active(self) -> int:
        """How many connections carry an exchange."""
        active: int = self._pool.pool.active
        return active

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        idle: int = self._pool.pool.idle
        return idle


class ProxiedTransport(httpx.AsyncHTTPTransport):
    """A transport through a proxy: httpcore's connections, for each event loop its own."""

    def __init__(self, proxy_url: str) -> None:
        """Go through the proxy at *proxy_url*.

        Raises:
            ValueError: If the proxy cannot be used; so do `ImportError` for one that
                needs another package, and `httpx.InvalidURL`.
            OSError: If the certificates that the environment names cannot be read.
        """
        proxy, context = httpx.Proxy(proxy_url), make_tls_context()
        unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=None)

        def make() -> Any:  # noqa: ANN401 (httpcore's)
            transport = httpx.AsyncHTTPTransport(
                verify=context, trust_env=False, limits=unlimited, proxy=proxy
            )
            return transport._pool  # noqa: SLF001 (the attribute that is set above)

        make()  # A proxy that cannot be used is refused here.
        self._pool: Any = _PoolsByLoop(make)


def make_tls_context(
    *, verify: ssl.SSLContext | bool = True, cert: ClientCertificate | None = None
) -> ssl.SSLContext:
    """Return a context for TLS, with the certificates that the environment names.

    Raises:
        ConfigurationError: If these cannot be read.
    """
    try:
        context = httpx.create_ssl_context(verify)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problem = (
            "SSL_CERT_FILE or SSL_CERT_DIR: expected certificates, found none: " + reason
        )
        raise ConfigurationError(problem) from error
    if not isinstance(verify, ssl.SSLContext):
        context.set_alpn_protocols(["http/1.1"])
    if cert is not None:
        context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    return context


class HttpcorePool:
    """A connection pool as httpx expects one: httpcore's requests in, its responses out."""

    def __init__(self, pool: ConnectionPool) -> None:
        """Send requests over *pool*."""
        self.pool = pool
        self._httpcore = _PoolsByLoop(httpcore.AsyncConnectionPool)

    async def handle_async_request(self, request: httpcore.Request) -> Any:  # noqa: ANN401 (as httpcore's, by its attributes)
        """Send *request*, and return the response, whose body is still open.

        Raises:
            httpcore.NetworkError: If the connection fails; so do its kin
                `ProtocolError` and `TimeoutException`. The cause is limin's own error.
            httpcore.UnsupportedProtocol: If the URL is neither of http nor of https.
        """
        if _is_replaced():
            return await self._httpcore.handle_async_request(request)
        origin = _origin(request.url)
        outgoing = RequestBytes(await _encode(request))
        extensions = cast("Mapping[str, Any]", request.extensions)  # pyright: ignore[reportUnknownMemberType] (httpcore's type is not complete)
        seconds: Mapping[str, float | None] | None = extensions.get("timeout")
        try:
            response = await self.pool.open(
                origin,
                outgoing,
                _timeouts(seconds) if seconds else NO_TIMEOUTS,
                has_body=request.method != b"HEAD",
            )
        except TransportError as error:
            raise _as_httpcore(error) from error
        return _HttpcoreResponse(response)

    async def aclose(self) -> None:
        """Close the connections."""
        self.pool.close()
        await self._httpcore.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


class _PoolsByLoop:
    """Pools of httpcore's, one for each event loop, since they belong to one."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._pools: WeakKeyDictionary[object, Any] = WeakKeyDictionary()

    async def handle_async_request(self, request: httpcore.Request) -> Any:  # noqa: ANN401 (httpcore's)
        loop = anyio.lowlevel.current_token().native_token
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._pools[loop] = self._make()
        return await pool.handle_async_request(request)

    async def aclose(self) -> None:
        pool = self._pools.pop(anyio.lowlevel.current_token().native_token, None)
        if pool is not None:
            await pool.aclose()


class _HttpcoreResponse:
    """A response in the shape of httpcore's; its own class would check it all again.

    Attributes:
        status, headers: As they came.
        stream: The body.
        extensions: What httpx reads of it; `resumes` says that a wait for the body
            can be cancelled, and begun again.
    """

    __slots__ = ("extensions", "headers", "status", "stream")

    def __init__(self, response: PooledResponse) -> None:
        self.status, self.headers = response.status, response.headers
        self.stream = _BodyStream(response)
        self.extensions = {
            "http_version": b"HTTP/1.1",
            "reason_phrase": response.reason,
            "resumes": True,
        }


class _BodyStream:
    """The body of a response as httpx iterates over it."""

    __slots__ = ("_response",)

    def __init__(self, response: PooledResponse) -> None:
        self._response = response

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._response.receive()
        except TransportError as error:
            raise _as_httpcore(error) from error
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        self._response.close()


def _is_replaced() -> bool:
    """Return whether somebody responds in the place of httpcore's pool."""
    method = httpcore.AsyncConnectionPool.handle_async_request
    file = getattr(getattr(method, "__code__", None), "co_filename", None)
    return not (isinstance(file, str) and file.startswith(_HTTPCORE))


def _origin(url: httpcore.URL) -> Origin:
    """Return the server that *url* names.

    Raises:
        httpcore.UnsupportedProtocol: If its scheme is neither http nor https.
    """
    if url.scheme not in _PORTS:
        problem = "expected a URL of http or https, found another scheme, or none"
        raise httpcore.UnsupportedProtocol(problem)
    host = url.host.decode("ascii").removeprefix("[").removesuffix("]")
    return Origin(host, url.port or _PORTS[url.scheme], url.scheme == b"https")


def _is_legal(request: httpcore.Request) -> bool:
    """Return whether the head is one head: nothing in it ends a line, or a word of one."""
    names = [name for name, _ in request.headers]
    values = b"".join([value for _, value in request.headers])
    target = request.url.target
    return (
        all((request.method, target, *names))
        and not (request.method + b"".join(names)).translate(None, _OF_TOKENS)
        and values.translate(None, _CONTROLS) == values
        and target.translate(None, _NOT_IN_TARGETS) == target
    )


async def _encode(request: httpcore.Request) -> bytes:
    """Return the bytes of *request*, head and body.

    Raises:
        httpcore.LocalProtocolError: If the head is not legal.
    """
    if not _is_legal(request):
        # It is not shown, since it may hold a key.
        problem = "a header, or the target, of the request holds an illegal character"
        raise httpcore.LocalProtocolError(problem)
    lines = [b"%b %b HTTP/1.1" % (request.method, request.url.target)]
    lines += [b"%b: %b" % header for header in request.headers]
    head = b"\r\n".join(lines)
    if isinstance(request.stream, Iterable):
        body = b"".join(request.stream)
    else:
        body = b"".join([piece async for piece in request.stream])
        if any(name.lower() == b"transfer-encoding" for name, _ in request.headers):
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = chunk + b"0\r\n\r\n"
    return b"%b\r\n\r\n%b" % (head, body)


def _timeouts(seconds: Mapping[str, float | None]) -> Timeouts:
    return Timeouts(seconds.get("connect"), seconds.get("read"), seconds.get("write"))


def _as_httpcore(error: TransportError) -> Exception:
    """Return the exception of httpcore's that says the same as *error*."""
    message = str(error)
    if isinstance(error, ConnectError) and not isinstance(error, CertificateError):
        is_late = isinstance(error.__cause__, TimeoutError)
        return (httpcore.ConnectTimeout if is_late else httpcore.ConnectError)(message)
    if isinstance(error, ConnectError):
        return httpcore.ConnectError(message)
    if isinstance(error, ProtocolError):
        return httpcore.RemoteProtocolError(message)
    if isinstance(error, RequestTimeoutError):
        return httpcore.ReadTimeout(message)
    return httpcore.ReadError(message)
