"""The way out: direct, through a proxy, through a mock, through the user's client."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import httpx2
import pytest
from loopback import Loopback, Request, completion, http, serve, serve_streams

import limin
from limin import Client, ConfigurationError, Limits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import ModuleType

    from anyio.abc import SocketStream
    from pytest_httpx import HTTPXMock

URL = "http://model.test/v1"
KEY = "sk-very-secret-key-0123456789"

PACKAGES = pytest.mark.parametrize("package", [httpx, httpx2], ids=lambda it: it.__name__)

# What httpx sends of its own, and limin does not.
THROUGH_HTTPX = b"user-agent: python-httpx"
DIRECT = b"user-agent: limin\r\n"


async def ask(base_url: str, **how: Any) -> str:
    """What the server at *base_url* answers a client of its own."""
    async with Client(base_url, KEY, timeout=30, **how) as client:
        return (await client.generate_text_completion("hello")).message


def head_of(server: Loopback) -> bytes:
    """The head of the one request that *server* saw."""
    (request,) = server.requests
    return request.head.lower()


async def test_request_to_the_byte() -> None:
    """Path and query, the host with its port, the key once, and nothing else."""
    async with serve() as server:
        host = server.base_url.removeprefix("http://").removesuffix("/v1")
        await ask(f"{server.base_url}/?api-version=1&a=%20")
    (request,) = server.requests
    assert request.head.decode() == (
        "POST /v1/chat/completions?api-version=1&a=%20 HTTP/1.1\r\n"
        f"host: {host}\r\n"
        "accept-encoding: gzip, deflate\r\n"
        "user-agent: limin\r\n"
        "content-type: application/json\r\n"
        "accept: application/json\r\n"
        f"authorization: Bearer {KEY}\r\n"
        f"content-length: {len(request.body)}"
    )
    assert json.loads(request.body)["messages"] == [{"role": "user", "content": "hello"}]


async def test_header_of_the_user_replaces_ours() -> None:
    """In whichever case it is written, it is sent once."""
    headers = {"User-Agent": "mine", "AUTHORIZATION": "Basic abc", "Host": "front.test"}
    async with serve() as server:
        await ask(server.base_url, headers=headers)
    lines = head_of(server).split(b"\r\n")
    for name, value in headers.items():
        wanted = f"{name}: {value}".lower().encode()
        assert [line for line in lines if line.startswith(wanted[:6])] == [wanted]


@pytest.mark.parametrize("end", ["\r", "\n", "\0", "\r\nx-evil: 1"])
@pytest.mark.parametrize("place", ["name", "value", "key", "path", "query"])
async def test_nobody_writes_lines_of_the_request(place: str, end: str) -> None:
    """Refused before anything is sent: a server would read it as a header."""
    async with serve() as server:
        url, key, headers = server.base_url, KEY, {"x-a": "b"}
        match place:
            case "name":
                headers = {f"x-a{end}": "b"}
            case "value":
                headers = {"x-a": f"b{end}"}
            case "key":
                key += end
            case "path":
                url += f"/{end}"
            case _:
                url += f"?a={end}b"
        with pytest.raises(ConfigurationError) as caught:
            Client(url, key, headers=headers)
        assert server.connections == 0
    assert KEY not in str(caught.value)


async def test_closed_client_is_closed() -> None:
    """A mistake of the caller, told as such."""
    async with serve() as server:
        client = Client(server.base_url)
        await client.generate_text_completion("hello")
        await client.aclose()
        with pytest.raises(RuntimeError, match="the client is closed"):
            await client.generate_text_completion("hello")
    assert len(server.requests) == 1


PROXY_NAMES = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]


@pytest.mark.parametrize("name", PROXY_NAMES)
async def test_proxy_of_the_environment_is_asked(
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
    """A proxy is asked for a tunnel, and does not see the key; its no is told."""
    heard: list[bytes] = []

    async def refuse(stream: SocketStream) -> None:
        heard.append(await stream.receive())
        await stream.send(http(b"", "403 Not From Here"))

    async with serve_streams(refuse) as port:
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        with pytest.raises(limin.ConnectError, match="no connection: 403 Not From Here"):
            await ask("https://model.test/v1")
    assert heard[0].startswith(b"CONNECT model.test:443 HTTP/1.1\r\n")
    assert KEY.encode() not in heard[0]


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
    """A proxy for others is not ours."""
    async with serve() as proxy, serve() as server:
        monkeypatch.setenv(proxy_name, proxy.base_url.removesuffix("/v1"))
        if name:
            monkeypatch.setenv(name, value)
        assert await ask(server.base_url) == "hello"
    assert DIRECT in head_of(server)
    assert proxy.connections == 0


async def test_proxy_that_is_gone_is_a_connect_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a server would be."""
    async with serve() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
    with pytest.raises(limin.ConnectError, match="no connection: "):
        await ask(URL)


async def test_mock_of_httpx_answers(httpx_mock: HTTPXMock) -> None:
    """Whoever tests with pytest-httpx needs nothing of limin's."""
    httpx_mock.add_response(content=completion("mocked"))
    assert await ask(URL) == "mocked"
    sent = httpx_mock.get_request()
    assert sent is not None
    assert sent.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.httpx_mock(should_mock=lambda request: request.url.host == "model.test")
async def test_mock_of_httpx_lets_others_through(httpx_mock: HTTPXMock) -> None:
    """What the mock does not want goes to the network, by httpx."""
    httpx_mock.add_response(content=completion("mocked"))
    assert await ask(URL) == "mocked"
    async with serve() as server:
        assert await ask(server.base_url) == "hello"
    assert THROUGH_HTTPX in head_of(server)


async def test_way_is_direct_again_after_a_mock() -> None:
    """The same client finds its way back when the mock is gone."""

    async def mocked(_transport: object, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=completion("mocked"), request=request)

    async with serve() as server, Client(server.base_url) as client:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", mocked)
            assert (await client.generate_text_completion("a")).message == "mocked"
        assert (await client.generate_text_completion("b")).message == "b"
    assert DIRECT in head_of(server)


@PACKAGES
async def test_client_of_the_user_is_used_and_left_open(package: ModuleType) -> None:
    """Its headers are sent beside limin's, and it goes on after the client."""
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
    """Users wrap what they use."""

    class Counting(package.AsyncClient):  # type: ignore[misc,name-defined]
        """Theirs."""

    async with serve() as server, Counting() as mine:
        assert await ask(server.base_url, http_client=mine) == "hello"


class AsyncClient:
    """Named like one, and none."""


@pytest.mark.parametrize("wrong", [AsyncClient(), "client", 1, httpx, httpx2.MockTransport])
def test_other_object_is_no_client(wrong: Any) -> None:
    """Told at once, and by its type alone."""
    name = type(wrong).__name__
    words = f"expected an httpx.AsyncClient or an httpx2.AsyncClient, found a {name}$"
    with pytest.raises(ConfigurationError, match=words):
        Client(URL, http_client=wrong)


@PACKAGES
def test_client_without_async_is_no_client(package: ModuleType) -> None:
    """The one that blocks would stop all the others."""
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
    ("LocalProtocolError", "odd", limin.TransportError),
    ("UnsupportedProtocol", "gopher", limin.TransportError),
    ("ReadError", "reset", limin.TransportError),
    ("WriteError", "", limin.TransportError),
]


@PACKAGES
@pytest.mark.parametrize("late", [False, True], ids=["at once", "in the body"])
@pytest.mark.parametrize(("name", "words", "expected"), ERRORS)
async def test_exceptions_of_a_client_become_ours(
    package: ModuleType, name: str, words: str, expected: type, *, late: bool
) -> None:
    """No user of limin needs to know another tree; its words are kept."""
    raised = getattr(package, name)(words)

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
    assert str(caught.value).endswith(words or name)
    assert caught.value.__cause__ is raised


async def test_exceptions_of_httpx_itself_become_ours(httpx_mock: HTTPXMock) -> None:
    """The default client on its way through httpx is no other."""
    httpx_mock.add_exception(httpx.ReadTimeout("slow"))
    with pytest.raises(limin.RequestTimeoutError, match="own limit passed: slow"):
        await ask(URL, max_retries=0)


@PACKAGES
async def test_own_limit_of_a_client_is_told(package: ModuleType) -> None:
    """The user set it, and limin's deadline is not the one that passed."""

    async def silent(_request: Request) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError

    async with serve(silent) as server, package.AsyncClient(timeout=0.05) as mine:
        with pytest.raises(limin.RequestTimeoutError, match="client's own limit passed"):
            await ask(server.base_url, http_client=mine)


def clients() -> list[Any]:
    """No client, and one of each package that would follow a redirect."""
    follow = {"follow_redirects": True}
    return [
        pytest.param(dict, id="direct"),
        pytest.param(lambda: {"http_client": httpx.AsyncClient(**follow)}, id="httpx"),
        pytest.param(lambda: {"http_client": httpx2.AsyncClient(**follow)}, id="httpx2"),
    ]


@pytest.mark.parametrize("client", clients())
async def test_body_beyond_the_limit_is_refused(client: Any) -> None:
    """What a server may cost does not depend on the way to it."""
    size = len(completion("hello"))
    how = client()
    async with serve() as server:
        with pytest.raises(limin.ResponseTooLargeError) as caught:
            await ask(server.base_url, limits=Limits(body_bytes=size - 1), **how)
        assert await ask(server.base_url, limits=Limits(body_bytes=size), **how) == "hello"
        if how:
            await how["http_client"].aclose()
    assert caught.value.limit == size - 1
    assert str(caught.value).endswith(f"the body is larger than {size - 1} bytes")


@pytest.mark.parametrize("client", clients())
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed(client: Any, status: int) -> None:
    """Another place is not asked, least of all with the key."""
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


async def test_program_that_does_not_use_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    """The direct path neither needs nor loads it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "httpx"]:
        monkeypatch.delitem(sys.modules, name)
    async with serve() as server:
        await ask(server.base_url)
    assert len(server.requests) == 1
    assert "httpx" not in sys.modules
