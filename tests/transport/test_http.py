"""The one way out, through an `httpx.AsyncClient`: limin's own or the user's."""

from __future__ import annotations

import gzip
import json
import logging
import sys
import zlib
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import anyio
import anyio.lowlevel
import attrs
import httpcore
import httpx
import httpx2
import pytest
from loopback import Loopback, Request, completion, http, serve, serve_streams
from streaming import HELLO

import limin
from limin import Client, ConfigurationError, Limits, ProtocolError
from limin.transport.http import HttpTransport
from limin.transport.query_filter import QueryFilter
from limin.values.endpoint import SECRET_PATH_START, Endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import ModuleType

    from anyio.abc import SocketStream
    from pytest_httpx import HTTPXMock

URL = "http://model.test/v1"
KEY = "sk-very-secret-key-0123456789"

PACKAGES = pytest.mark.parametrize("package", [httpx, httpx2], ids=lambda it: it.__name__)


async def ask(base_url: str, **how: Any) -> str:
    """Return the completion that a new client gets from *base_url*."""
    async with Client(base_url, KEY, timeout=30, **how) as client:
        return (await client.generate_text_completion("hello")).message


def head_of(server: Loopback) -> bytes:
    """Return the head of the only request that reached *server*."""
    (request,) = server.requests
    return request.head.lower()


async def test_request_to_the_byte() -> None:
    """A head holds path, query, host with port, the key once, and nothing else."""
    async with serve() as server:
        host = server.base_url.removeprefix("http://").removesuffix("/v1")
        await ask(f"{server.base_url}/?api-version=1&a=%20")
    (request,) = server.requests
    assert request.head.decode() == (
        "POST /v1/chat/completions?api-version=1&a=%20 HTTP/1.1\r\n"
        f"Host: {host}\r\n"
        "user-agent: limin\r\n"
        "accept-encoding: gzip, deflate\r\n"
        "content-type: application/json\r\n"
        "accept: application/json\r\n"
        f"authorization: Bearer {KEY}\r\n"
        f"content-length: {len(request.body)}"
    )
    assert json.loads(request.body)["messages"] == [{"role": "user", "content": "hello"}]


async def test_header_of_the_user_replaces_ours() -> None:
    """A header is sent once, in whichever case it is written."""
    headers = {"User-Agent": "mine", "AUTHORIZATION": "Basic abc", "Host": "front.test"}
    async with serve() as server:
        await ask(server.base_url, headers=headers)
    lines = head_of(server).split(b"\r\n")
    for name, value in headers.items():
        wanted = f"{name}: {value}".lower().encode()
        assert [line for line in lines if line.startswith(wanted[:6])] == [wanted]


@pytest.mark.parametrize("end", ["\r", "\n", "\0", "\r\nx-evil: 1"])
@pytest.mark.parametrize("position", ["name", "value", "key", "path", "query"])
async def test_line_breaks_are_refused(position: str, end: str) -> None:
    """The error is raised before anything is sent: a server would read a new header."""
    async with serve() as server:
        url, key, headers = server.base_url, KEY, {"x-a": "b"}
        match position:
            case "name":
                headers = {f"x-a{end}": "b"}
            case "value":
                headers = {"x-a": f"b{end}c"}
            case "key":
                key += f"{end}c"
            case "path":
                url += f"/{end}"
            case _:
                url += f"?a={end}b"
        with pytest.raises(ConfigurationError) as caught:
            Client(url, key, headers=headers)
        assert server.connections == 0
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
async def test_line_end_behind_a_value_is_not_sent(end: str) -> None:
    """A key or a header that was read from a file loses its line end, and is sent."""
    async with serve() as server:
        key, headers = f"{KEY}{end}", {"x-a": f"b{end}"}
        async with Client(server.base_url, key, headers=headers) as client:
            await client.generate_text_completion("hello")
    lines = head_of(server).split(b"\r\n")
    assert f"authorization: bearer {KEY}".lower().encode() in lines
    assert b"x-a: b" in lines


async def test_closed_client_is_closed() -> None:
    """Using it again is a mistake of the caller, and sends nothing."""
    async with serve() as server:
        client = Client(server.base_url)
        await client.generate_text_completion("hello")
        await client.aclose()
        with pytest.raises(RuntimeError, match="the client is closed"):
            await client.generate_text_completion("hello")
    assert len(server.requests) == 1


@pytest.mark.parametrize("host", ["256.1.1.1", "a.test/" + "b" * 70_000])
def test_url_that_httpx_cannot_read(host: str) -> None:
    """It is refused as any wrong argument, before anything is asked."""
    with pytest.raises(
        limin.ConfigurationError, match=r"base_url: .* httpx can read"
    ) as caught:
        Client(f"http://{host}/v1?key={KEY}")
    assert caught.value.__context__ is None


PROXY_NAMES = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]


@pytest.mark.parametrize("name", PROXY_NAMES)
async def test_proxy_of_the_environment_is_used(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy gets the whole URL, since it has to know where to go."""
    async with serve() as proxy:
        monkeypatch.setenv(name, proxy.base_url.removesuffix("/v1"))
        client = Client(URL, KEY)
        assert (await client.generate_text_completion("a")).message == "a"
        assert (await client.generate_text_completion("b")).message == "b"
        await client.aclose()
    assert [request.prompt for request in proxy.requests] == ["a", "b"]
    line, *headers = proxy.requests[0].head.split(b"\r\n")
    assert line == b"POST http://model.test/v1/chat/completions HTTP/1.1"
    assert {b"host: model.test", f"authorization: Bearer {KEY}".encode()} <= {
        name.lower() + colon + value
        for name, colon, value in (header.partition(b":") for header in headers)
    }
    assert proxy.connections == 1


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_proxy_of_the_environment_for_https(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy opens a tunnel and never sees the key; its refusal is in the error."""
    received: list[bytes] = []

    async def refuse(stream: SocketStream) -> None:
        received.append(await stream.receive())
        await stream.send(http(b"", "403 Not From Here"))

    async with serve_streams(refuse) as port:
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        with pytest.raises(limin.ConnectError, match="no connection by the proxy: 403"):
            await ask("https://model.test/v1")
    assert received[0].startswith(b"CONNECT model.test:443 HTTP/1.1\r\n")
    assert KEY.encode() not in received[0]


@pytest.mark.parametrize(
    ("proxy_name", "name", "value"),
    [
        ("HTTP_PROXY", "NO_PROXY", "127.0.0.1"),
        ("http_proxy", "no_proxy", "model.test,127.0.0.1"),
        ("ALL_PROXY", "NO_PROXY", "*"),
        ("HTTPS_PROXY", "", ""),
    ],
)
async def test_no_proxy_goes_direct(
    proxy_name: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy for other hosts is not used."""
    async with serve() as proxy, serve() as server:
        monkeypatch.setenv(proxy_name, proxy.base_url.removesuffix("/v1"))
        if name:
            monkeypatch.setenv(name, value)
        assert await ask(server.base_url) == "hello"
    assert len(server.requests) == 1
    assert proxy.connections == 0


async def test_proxy_that_is_gone_is_a_connect_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error of a proxy that is not there names the proxy."""
    async with serve() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
    with pytest.raises(limin.ConnectError, match="no connection to the proxy: "):
        await ask(URL)


async def test_mock_of_httpx_answers(httpx_mock: HTTPXMock) -> None:
    """Tests with pytest-httpx need nothing of limin's."""
    httpx_mock.add_response(content=completion("mocked"))
    assert await ask(URL) == "mocked"
    request = httpx_mock.get_request()
    assert request is not None
    assert request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.httpx_mock(should_mock=lambda request: request.url.host == "model.test")
async def test_mock_of_httpx_lets_others_through(httpx_mock: HTTPXMock) -> None:
    """Requests that the mock lets through go to the network."""
    httpx_mock.add_response(content=completion("mocked"))
    assert await ask(URL) == "mocked"
    async with serve() as server:
        assert await ask(server.base_url) == "hello"
    assert len(server.requests) == 1


async def test_mock_ends() -> None:
    """The same client uses the server again when the mock is gone."""

    async def mocked(_transport: object, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=completion("mocked"), request=request)

    async with serve() as server, Client(server.base_url) as client:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", mocked)
            assert (await client.generate_text_completion("a")).message == "mocked"
        assert (await client.generate_text_completion("b")).message == "b"
    assert [request.prompt for request in server.requests] == ["b"]


@PACKAGES
async def test_client_of_the_user_is_used_and_left_open(package: ModuleType) -> None:
    """Its headers are sent beside limin's, and it stays open after the client."""
    async with serve() as server, package.AsyncClient(headers={"x-mine": "1"}) as mine:
        assert await ask(server.base_url, http_client=mine) == "hello"
        assert await ask(server.base_url, http_client=mine) == "hello"
        assert not mine.is_closed
    heads = [request.head.lower() for request in server.requests]
    assert all(b"x-mine: 1\r\n" in head for head in heads)
    assert all(head.count(b"\r\nauthorization: ") == 1 for head in heads)
    assert server.connections == 1


@PACKAGES
async def test_heir_of_a_client_is_a_client(package: ModuleType) -> None:
    """A subclass of the user's is an httpx client, too."""

    class Counting(package.AsyncClient):  # type: ignore[misc,name-defined]
        """A client of the user's own class."""

    async with serve() as server, Counting() as mine:
        assert await ask(server.base_url, http_client=mine) == "hello"


class AsyncClient:
    """An object that only has the name of an httpx client."""


@pytest.mark.parametrize("wrong", [AsyncClient(), "client", 1, httpx, httpx2.MockTransport])
def test_other_object_is_no_client(wrong: Any) -> None:
    """The error is raised at once, and shows only the type."""
    name = type(wrong).__name__
    message = f"expected an httpx.AsyncClient or an httpx2.AsyncClient, found a {name}$"
    with pytest.raises(ConfigurationError, match=message):
        Client(URL, http_client=wrong)


@PACKAGES
def test_client_without_async_is_no_client(package: ModuleType) -> None:
    """A blocking client would stop all other tasks."""
    with (
        package.Client() as mine,
        pytest.raises(ConfigurationError, match="found a Client"),
    ):
        Client(URL, http_client=mine)


ERRORS = [
    ("ConnectError", "refused", limin.ConnectError),
    ("ConnectTimeout", "slow", limin.ConnectError),
    ("ProxyError", "no", limin.ConnectError),
    ("ReadTimeout", "slow", limin.RequestTimeoutError),
    ("WriteTimeout", "slow", limin.RequestTimeoutError),
    ("PoolTimeout", "", limin.RequestTimeoutError),
    ("RemoteProtocolError", "half", limin.ProtocolError),
    ("DecodingError", "bad gzip", limin.ProtocolError),
    ("UnsupportedProtocol", "gopher", limin.TransportError),
    ("ReadError", "reset", limin.TransportError),
    ("WriteError", "", limin.TransportError),
]


@PACKAGES
@pytest.mark.parametrize("late", [False, True], ids=["at once", "in the body"])
@pytest.mark.parametrize(("name", "message", "expected"), ERRORS)
async def test_exceptions_of_a_client_become_ours(
    package: ModuleType, name: str, message: str, expected: type, *, late: bool
) -> None:
    """Each exception of httpx becomes a `LiminError` with the same message."""
    raised = getattr(package, name)(message)

    async def body() -> AsyncGenerator[bytes]:
        yield b"{"
        raise raised

    def handle(_request: object) -> Any:
        if not late:
            raise raised
        return package.Response(200, content=body())

    async with package.AsyncClient(transport=package.MockTransport(handle)) as mine:
        with pytest.raises(limin.TransportError) as caught:
            await ask(URL, http_client=mine)
    assert type(caught.value) is expected
    assert caught.value.reason.endswith(message or name)
    assert caught.value.__cause__ is raised


@PACKAGES
async def test_request_that_a_client_refuses_is_not_quoted(package: ModuleType) -> None:
    """The message quotes a header, which may be a key; sent again, it fails again."""

    async def spoil(request: Any) -> None:
        sent.append(request)
        quoting = f"Illegal header value {KEY!r}"
        raise package.LocalProtocolError(quoting)

    sent: list[object] = []
    async with package.AsyncClient(event_hooks={"request": [spoil]}) as mine:
        with pytest.raises(limin.TransportError, match="refuses to send") as caught:
            await ask(URL, http_client=mine)
    assert KEY not in str(caught.value) + repr(caught.value)
    assert len(sent) == 1


def clients() -> list[Any]:
    """Return no client, and one of each package that would follow a redirect."""
    follow = {"follow_redirects": True}
    return [
        pytest.param(dict, id="own"),
        pytest.param(lambda: {"http_client": httpx.AsyncClient(**follow)}, id="httpx"),
        pytest.param(lambda: {"http_client": httpx2.AsyncClient(**follow)}, id="httpx2"),
    ]


LOCATIONS = ["http://[", "http://xn--a/", "mailto:x", "http://a:x/", "javascript:1", "\xff"]


@pytest.mark.parametrize("client", clients())
@pytest.mark.parametrize("location", LOCATIONS)
async def test_redirect_to_no_address(client: Any, location: str) -> None:
    """Httpx reads it although it is not followed; the error is limin's."""

    async def elsewhere(_request: Request) -> bytes:
        return http(b"", "302 Found", f"Location: {location}\r\n")

    how = client()
    async with serve(elsewhere) as server:
        with pytest.raises(limin.LiminError):
            await ask(server.base_url, **how)
        if how:
            await how["http_client"].aclose()
    assert len(server.requests) == 1


@pytest.mark.parametrize("reads", [False, True])
@PACKAGES
async def test_event_hook_that_raises_for_the_status(
    package: ModuleType, *, reads: bool
) -> None:
    """The error is that of the status, with its words if the hook has read them."""

    async def refuse(_request: Request) -> bytes:
        return http(b'{"error": "no such model"}', "404 Not Found")

    async def check(response: Any) -> None:
        if reads:
            await response.aread()
        response.raise_for_status()

    hooks = {"response": [check]}
    async with serve(refuse) as server, package.AsyncClient(event_hooks=hooks) as mine:
        with pytest.raises(limin.NotFoundError) as caught:
            await ask(server.base_url, http_client=mine)
    assert len(server.requests) == 1
    assert ("no such model" in str(caught.value)) is reads


async def test_event_hook_that_keeps_nothing_of_what_it_reads() -> None:
    """Then the body cannot be had any more."""

    async def count(response: httpx.Response) -> None:
        async for _ in response.aiter_raw():
            pass

    hooks = {"response": [count]}
    async with serve() as server, httpx.AsyncClient(event_hooks=hooks) as mine:
        with pytest.raises(limin.TransportError, match="has read the answer, and not kept"):
            await ask(server.base_url, http_client=mine, max_retries=0)


@pytest.mark.parametrize("error", [OSError("odd"), TimeoutError(), UnicodeError("odd")])
async def test_odd_exceptions_of_a_transport_become_ours(error: Exception) -> None:
    """A transport of the user's own may raise more than it should."""

    def handle(_request: object) -> Any:
        raise error

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as mine:
        with pytest.raises(limin.TransportError) as caught:
            await ask(URL, http_client=mine, max_retries=0)
    assert caught.value.__cause__ is error


async def test_kept_connection_that_died_costs_an_attempt() -> None:
    """What was sent may have been worked on: the attempt is told, and counts."""

    async def talk(stream: SocketStream) -> None:
        received.append(await stream.receive())
        await stream.send(http(completion("hi")))
        received.append(await stream.receive())

    received: list[bytes] = []
    async with serve_streams(talk) as port:
        base_url = f"http://127.0.0.1:{port}/v1"
        async with Client(base_url, max_retries=1) as client:
            await client.generate_text_completion("hello")
            again = await client.generate_text_completion("hello")
        (failed, _) = again.timing.attempts
        assert type(failed.error) is ProtocolError
        assert len(received) == 3
        async with Client(base_url, max_retries=0) as client:
            await client.generate_text_completion("hello")
            with pytest.raises(ProtocolError, match="without an answer"):
                await client.generate_text_completion("hello")
    assert len(received) == 5


async def test_proxy_that_wants_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its response is not the server's, and the same one comes again."""

    async def refuse(_request: Request) -> bytes:
        return http(b"", "407 Proxy Authentication Required")

    async with serve(refuse) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.replace("//", "//me:hunter22@"))
        with pytest.raises(limin.ConnectError, match="by the proxy: it wants") as caught:
            await ask(URL)
    assert "hunter22" not in str(caught.value)
    assert len(proxy.requests) == 1


async def test_exceptions_of_httpx_itself_become_ours(httpx_mock: HTTPXMock) -> None:
    """The default client names the limit that passed inside httpx, too."""
    httpx_mock.add_exception(httpx.ReadTimeout("slow"))
    with pytest.raises(limin.RequestTimeoutError, match="own limit passed: slow"):
        await ask(URL, max_retries=0)


@PACKAGES
async def test_own_limit_of_a_client_is_named(package: ModuleType) -> None:
    """The error names the limit that the user set, not limin's deadline."""

    async def silent(_request: Request) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError

    async with serve(silent) as server, package.AsyncClient(timeout=0.05) as mine:
        with pytest.raises(limin.RequestTimeoutError, match="client's own limit passed"):
            await ask(server.base_url, http_client=mine)


@pytest.mark.parametrize("client", clients())
async def test_body_beyond_the_limit_is_refused(client: Any) -> None:
    """The limits on size hold for every client."""
    size = len(completion("hello"))
    how = client()
    async with serve() as server:
        with pytest.raises(limin.ResponseTooLargeError) as caught:
            await ask(server.base_url, limits=Limits(body_bytes=size - 1), **how)
        assert await ask(server.base_url, limits=Limits(body_bytes=size), **how) == "hello"
        if how:
            await how["http_client"].aclose()
    assert caught.value.limit == size - 1
    assert caught.value.reason.endswith(f"the body is larger than {size - 1} bytes")


@pytest.mark.parametrize("client", clients())
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed(client: Any, status: int) -> None:
    """A redirect is never followed, so the key goes to no other host."""
    how = client()
    async with serve() as target:

        async def elsewhere(_request: Request) -> bytes:
            return http(b"", f"{status} Elsewhere", f"Location: {target.base_url}\r\n")

        async with serve(elsewhere) as server:
            with pytest.raises(limin.StatusError) as caught:
                await ask(server.base_url, **how)
        if how:
            await how["http_client"].aclose()
        assert target.connections == 0
    assert caught.value.status == status
    assert len(server.requests) == 1


async def replaced(_pool: object, request: httpcore.Request) -> httpcore.Response:
    """Respond instead of httpcore's pool, as respx does."""
    assert request.url.target == b"/v1/chat/completions"
    return httpcore.Response(200, content=completion("replaced"))


@pytest.mark.parametrize("late", [False, True], ids=["client inside", "client before"])
async def test_replacement_of_httpcores_pool_is_used(
    monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    """A replacement gets every request, and the real server gets none."""
    async with serve() as server, Client(server.base_url) as client:
        if late:
            await client.generate_text_completion("real")
        monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", replaced)
        assert (await client.generate_text_completion("a")).message == "replaced"
        async with client.stream_text_completion("b") as stream:
            assert (await stream.until_done()).message == "replaced"
        monkeypatch.undo()
        assert (await client.generate_text_completion("c")).message == "c"
    assert [request.prompt for request in server.requests][late:] == ["c"]


async def test_replacement_by_anything_that_can_be_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mock object without code of its own is accepted."""
    answer = AsyncMock(return_value=httpcore.Response(200, content=completion("mock")))
    monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", answer)
    assert await ask(URL) == "mock"


async def test_cookies_are_neither_kept_nor_sent() -> None:
    """The session of one user never reaches the requests of the next."""

    async def set_cookie(request: Request) -> bytes:
        return http(completion(request.prompt), headers="Set-Cookie: session=1\r\n")

    async with serve(set_cookie) as server, Client(server.base_url) as client:
        await client.generate_text_completion("a")
        await client.generate_text_completion("b")
        client._servers.server.transport._own.cookies = {"a": "b"}
        await client.generate_text_completion("c")
    assert all(b"cookie" not in request.head.lower() for request in server.requests)


async def test_cookies_of_the_users_client_are_the_users() -> None:
    """Limin changes nothing about the user's client."""
    async with serve() as server, httpx.AsyncClient(cookies={"a": "b"}) as mine:
        await ask(server.base_url, http_client=mine)
    assert b"cookie: a=b" in head_of(server)


@pytest.mark.parametrize("client", clients())
async def test_query_is_not_logged(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A query may hold a key, and httpx logs every URL."""
    how = client()
    with caplog.at_level(logging.INFO):
        async with serve() as server:
            await ask(f"{server.base_url}?key={KEY}&a=1", **how)
            if how:
                await how["http_client"].aclose()
    assert f"key={KEY}&a=1".encode() in server.requests[0].head
    (record,) = [record for record in caplog.records if "HTTP Request" in record.message]
    assert record.message.endswith('/v1/chat/completions?*** "HTTP/1.1 200 OK"')
    assert KEY not in caplog.text


@pytest.mark.parametrize("query", ["", f"?key={KEY}"])
async def test_secret_path_is_not_logged(
    query: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads the log cannot use the local server."""
    secret = SECRET_PATH_START + "0123456789abcdef" * 2
    with caplog.at_level(logging.INFO):
        async with serve() as server:
            url = server.base_url.replace("/v1", f"/{secret}/v1")
            await ask(url + query)
    assert f"/{secret}/v1/".encode() in server.requests[0].head
    (record,) = [record for record in caplog.records if "HTTP Request" in record.message]
    path = "/***/v1/chat/completions" + query.replace(f"key={KEY}", "***")
    assert record.message.endswith(f'{path} "HTTP/1.1 200 OK"')
    assert secret not in caplog.text


async def test_other_queries_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Limin does not change the log of the user's own requests."""
    async with serve() as server, httpx.AsyncClient() as mine:
        await ask(f"{server.base_url}?key={KEY}")
        with caplog.at_level(logging.INFO):
            logging.getLogger("httpx").info("a line of %(kind)s", {"kind": "another kind"})
            url = server.base_url + "/chat/completions?page=2"
            await mine.post(url, content=json.dumps({"messages": [{"content": "a"}]}))
    assert "/v1/chat/completions?page=2" in caplog.text
    assert "another kind" in caplog.text


async def test_headers_of_one_request_win() -> None:
    """They replace the client's headers, for this request only."""
    endpoint = Endpoint.resolve(URL, KEY, {"x-a": "1"})
    async with serve() as server:
        endpoint = attrs.evolve(endpoint, base_url=server.base_url)
        transport = HttpTransport(endpoint, Limits())
        body = json.dumps({"messages": [{"content": "a"}]}).encode()
        for headers in ({"x-a": "2", "x-b": "3"}, None):
            response = await (await transport.open(body, headers)).read()
            assert response.status == 200
        await transport.aclose()
    first, second = (request.head for request in server.requests)
    assert b"x-a: 2\r\nx-b: 3" in first
    assert b"x-a: 1" in second
    assert b"x-b" not in second


@PACKAGES
async def test_response_that_an_event_hook_has_read(package: ModuleType) -> None:
    """A body that a hook has read is used as it is, decoded already."""

    async def read(response: Any) -> None:
        await response.aread()

    async def packed(request: Request) -> bytes:
        body = gzip.compress(completion(request.prompt))
        return http(body, headers="Content-Encoding: gzip\r\n")

    hooks = {"response": [read]}
    async with serve(packed) as server, package.AsyncClient(event_hooks=hooks) as mine:
        assert await ask(server.base_url, http_client=mine) == "hello"


async def test_body_in_pieces_is_whole() -> None:
    """A body is inflated, however many pieces it arrives in."""

    async def drip(stream: SocketStream) -> None:
        await stream.receive()
        body = completion("slow")
        await stream.send(http(body)[: -len(body)])
        for byte in body:
            await stream.send(bytes([byte]))
            await anyio.lowlevel.checkpoint()

    async with serve_streams(drip) as port:
        assert await ask(f"http://127.0.0.1:{port}/v1") == "slow"


async def test_no_more_is_inflated_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's client does not inflate a bomb before limin looks at it."""
    inflated = 0
    make = zlib.decompressobj

    class Watched:
        def __init__(self, bits: int) -> None:
            self._inner = make(bits)

        def decompress(self, data: bytes, room: int = 0) -> bytes:
            nonlocal inflated
            piece = self._inner.decompress(data, room)
            inflated += len(piece)
            return piece

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    async def bomb(_request: Request) -> bytes:
        body = gzip.compress(bytes(10_000_000))
        return http(body, headers="Content-Encoding: gzip\r\n")

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    limits = Limits(body_bytes=100_000)
    async with serve(bomb) as server, httpx.AsyncClient() as mine:
        with pytest.raises(limin.ResponseTooLargeError):
            await ask(server.base_url, limits=limits, http_client=mine, max_retries=0)
    assert inflated <= 100_001


@PACKAGES
@pytest.mark.parametrize("is_own", [False, True])
async def test_decompression_gives_way(package: ModuleType, *, is_own: bool) -> None:
    """A few bytes become many MB step by step; a wait between two can be cancelled."""
    whole = bytes(20 << 20)

    async def bomb(_request: Request) -> bytes:
        return http(gzip.compress(whole), headers="Content-Encoding: gzip\r\n")

    n_turns = 0

    async def count() -> None:
        nonlocal n_turns
        while True:
            await anyio.lowlevel.checkpoint()
            n_turns += 1

    async with serve(bomb) as server, package.AsyncClient() as mine:
        endpoint = Endpoint.resolve(server.base_url)
        transport = HttpTransport(endpoint, Limits(), None if is_own else mine)
        response = await transport.open(b"{}")
        size = len(await response.receive())
        with anyio.CancelScope() as scope:
            scope.cancel()
            await response.receive()
        assert scope.cancelled_caught
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            while data := await response.receive():
                size += len(data)
            tasks.cancel_scope.cancel()
        await response.aclose()
        await transport.aclose()
    assert size == len(whole)
    assert n_turns >= 18


async def test_large_body_is_joined_in_a_step_of_its_own() -> None:
    """Whoever's time is over by then does not wait until it is read."""
    body = completion("a" * (2 << 20))

    async def large(_request: Request) -> bytes:
        return http(body)

    async with serve(large) as server, Client(server.base_url) as client:
        response = await client._servers.server.transport.open(b"{}")
        reading = response._next

        async def last() -> bytes:
            data = await reading()
            if response._is_ended:
                scope.cancel()
            return data

        response._next = last
        with anyio.CancelScope() as scope:
            await response.read()
        assert scope.cancelled_caught
        assert (await client.generate_text_completion("hello")).message[:2] == "aa"


async def test_compression_that_was_not_requested() -> None:
    """The response is refused, and its connection is closed."""

    async def packed(_request: Request) -> bytes:
        return http(b"x", headers="Content-Encoding: br\r\n")

    async with serve(packed) as server, Client(server.base_url) as client:
        with pytest.raises(limin.ProtocolError, match="not asked for: 'br'"):
            await client.generate_text_completion("hello")
        assert client._servers.server.transport.idle in {0, 1}
    assert len(server.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("word", ["none", "UTF-8", ""])
async def test_coding_that_names_no_compression(word: str, *, stream: bool) -> None:
    """Some gateways fill the header with such words: the body is as it is."""

    async def answer(_request: Request) -> bytes:
        events = "Content-Type: text/event-stream\r\n" if stream else ""
        body = b"".join(HELLO) if stream else completion("Hello")
        return http(body, headers=f"{events}Content-Encoding: {word}\r\n")

    async with serve(answer) as server, Client(server.base_url) as client:
        answered = await client.generate_text_completion("hello", stream=stream)
    assert answered.message == "Hello"
    assert len(server.requests) == 1


async def test_response_that_is_closed_twice() -> None:
    """Closing a second time changes nothing."""
    async with serve() as server:
        transport = HttpTransport(Endpoint.resolve(server.base_url), Limits())
        response = await transport.open(b'{"messages": [{"content": "a"}]}')
        assert transport.in_flight == 1
        for _ in range(2):
            await response.aclose()
            assert transport.in_flight == 0
        await transport.aclose()


def test_repr_of_a_log_filter_shows_no_query() -> None:
    """A tool that lists the filters of a logger shows no key."""
    hidden = QueryFilter()
    hidden.add(KEY.encode())
    assert repr(hidden) == "<limin hides 1 queries>"


async def test_program_loads_httpx_with_its_first_client() -> None:
    """`import limin` does not load httpx."""
    program = (
        "import sys, limin; assert 'httpx' not in sys.modules; "
        "limin.Client('http://a/v1'); assert 'httpx' in sys.modules"
    )
    await anyio.run_process([sys.executable, "-c", program])
