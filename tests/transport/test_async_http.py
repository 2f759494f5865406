"""limin's transport under an `httpx.AsyncClient` of the user's own."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import httpcore
import httpx
import pytest
import trustme
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSStream
from loopback import Request, http, serve, serve_streams

import limin
from limin import Client, Limits
from limin.transport.async_http import _HTTPCORE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anyio.abc import SocketStream

BODY = json.dumps({"messages": [{"role": "user", "content": "hi"}]})


def test_what_limin_uses_of_httpx_is_there() -> None:
    """The one attribute of httpx that is not public still exists."""
    transport = httpx.AsyncHTTPTransport()
    assert isinstance(transport._pool, httpcore.AsyncConnectionPool)
    assert "handle_async_request" not in vars(limin.AsyncHTTPTransport)
    method = httpcore.AsyncConnectionPool.handle_async_request
    assert method.__code__.co_filename.startswith(_HTTPCORE)


async def test_client_over_the_transport() -> None:
    """Requests of any kind go over kept connections."""
    async with serve() as server:
        transport = limin.AsyncHTTPTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            for _ in range(2):
                response = await client.post(server.base_url, content=BODY)
                assert response.json()["choices"][0]["message"]["content"] == "hi"
            assert response.http_version == "HTTP/1.1"
            assert response.reason_phrase == "OK"
            assert response.elapsed.total_seconds() > 0
            assert repr(transport) == "<limin.AsyncHTTPTransport: 0 active, 1 idle>"
        assert transport.idle == 0
    assert server.connections == 1


async def test_client_of_limin_over_the_users_client_over_the_transport() -> None:
    """The client has the user's hooks and headers, and limin's connection pool."""
    seen: list[str] = []

    async def note(request: httpx.Request) -> None:
        seen.append(request.url.path)

    transport = limin.AsyncHTTPTransport()
    hooks = {"request": [note]}
    async with (
        serve() as server,
        httpx.AsyncClient(transport=transport, event_hooks=hooks) as mine,
        Client(server.base_url, http_client=mine) as client,
    ):
        for prompt in ("a", "b"):
            assert (await client.generate_text_completion(prompt)).message == prompt
    assert seen == ["/v1/chat/completions"] * 2
    assert server.connections == 1


async def test_wait_that_was_cancelled_goes_on_over_the_users_client() -> None:
    """The pool keeps the rest of the body, whatever interrupts reading it."""
    go_on = anyio.Event()
    delta = {"choices": [{"index": 0, "delta": {"content": "late"}}]}
    event = b"data: %b\n\n" % json.dumps(delta).encode()
    end = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'

    async def talk(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(http(event + end)[: -len(end)])
        await go_on.wait()
        await stream.send(end)

    async with (
        serve_streams(talk) as port,
        httpx.AsyncClient(transport=limin.AsyncHTTPTransport()) as mine,
        Client(f"http://127.0.0.1:{port}/v1", http_client=mine) as client,
        client.stream_text_completion("a") as stream,
    ):
        assert (await anext(stream)).text == "late"
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.until_done()
        assert scope.cancelled_caught
        go_on.set()
        assert (await stream.until_done()).message == "late"


async def streamed() -> AsyncGenerator[bytes]:
    """Yield a body of unknown length."""
    yield BODY[:10].encode()
    yield BODY[10:].encode()


async def nothing() -> AsyncGenerator[bytes]:
    """Yield an empty body of unknown length."""
    for piece in ():
        yield piece


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (streamed, b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY.encode())),
        (nothing, b"0\r\n\r\n"),
    ],
    ids=["some", "none"],
)
async def test_body_without_a_length(body: object, expected: bytes) -> None:
    """The body is sent in chunks, as its header says."""
    received: list[bytes] = []

    async def talk(stream: SocketStream) -> None:
        buffered = BufferedByteReceiveStream(stream)
        received.append(await buffered.receive_until(b"\r\n\r\n", 65536))
        received.append(await buffered.receive_exactly(len(expected)))
        await stream.send(http(b"ok"))

    async with serve_streams(talk) as port:
        transport = limin.AsyncHTTPTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            response = await client.post(f"http://127.0.0.1:{port}/", content=body())  # type: ignore[operator]
    assert response.text == "ok"
    assert b"Transfer-Encoding: chunked" in received[0]
    assert received[1] == expected


async def test_body_of_a_known_length_that_is_streamed() -> None:
    """The body is sent unchanged."""
    async with serve() as server:
        transport = limin.AsyncHTTPTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            length = {"content-length": str(len(BODY))}
            await client.post(server.base_url, content=streamed(), headers=length)
    assert server.requests[0].body == BODY.encode()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\r\nX-B: b"},
        {"X-A": "a\nX-B: b"},
        {"X-A": "a\rb"},
        {"X-A": "a\0b"},
        {"X-A\r\nX-B": "b"},
        {"X A": "b"},
        {"": "b"},
        {"X-A": "a\r\n\r\nGET / HTTP/1.1"},
    ],
    ids=repr,
)
async def test_head_that_is_not_legal_is_not_sent(headers: dict[str, str]) -> None:
    """It would be two headers, or two requests; the error quotes neither."""
    async with serve() as server:
        transport = limin.AsyncHTTPTransport()
        async with httpx.AsyncClient(transport=transport, headers=headers) as client:
            with pytest.raises(httpx.LocalProtocolError, match="illegal") as caught:
                await client.post(server.base_url, content=BODY)
    assert server.requests == []
    assert "X-B" not in str(caught.value)


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX-B:b", "/\n", ""])
async def test_target_that_is_not_legal_is_not_sent(target: str) -> None:
    """Whoever sets the target by an extension is not checked by httpx."""
    async with serve() as server:
        transport = limin.AsyncHTTPTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(httpx.LocalProtocolError, match="illegal"):
                await client.post(
                    server.base_url, content=BODY, extensions={"target": target.encode()}
                )
    assert server.requests == []


@pytest.mark.parametrize("url", ["ftp://x/", "/x", "ws://x/"])
async def test_url_of_another_scheme(url: str) -> None:
    """It is refused as httpx's own transport refuses it."""
    async with httpx.AsyncClient(transport=limin.AsyncHTTPTransport()) as client:
        with pytest.raises(httpx.UnsupportedProtocol, match="http or https"):
            await client.get(url)


async def test_redirect_to_another_scheme() -> None:
    """A server that leads there raises what programs of httpx expect."""

    async def lead_away(_request: Request) -> bytes:
        return http(b"", "302 Found", "Location: foo://x/\r\n")

    transport = limin.AsyncHTTPTransport()
    async with (
        serve(lead_away) as server,
        httpx.AsyncClient(transport=transport, follow_redirects=True) as client,
    ):
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get(server.base_url)


async def test_head_request() -> None:
    """The body that its headers describe is not waited for."""

    async def talk(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(http(b"body")[:-4])
        await stream.receive()

    async with serve_streams(talk) as port:
        transport = limin.AsyncHTTPTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            response = await client.head(f"http://127.0.0.1:{port}/")
    assert (response.status_code, response.content) == (200, b"")


async def silent(_request: Request) -> bytes:
    """Never answer."""
    await anyio.sleep_forever()
    raise AssertionError


async def test_timeouts_of_the_client_hold() -> None:
    """Each limit raises the exception of httpx's own transport."""
    async with serve(silent) as server:
        transport = limin.AsyncHTTPTransport()
        async with httpx.AsyncClient(transport=transport, timeout=0.02) as client:
            with pytest.raises(httpx.ReadTimeout, match=r"no data within 0\.02 seconds"):
                await client.post(server.base_url, content=BODY)
            with pytest.raises(httpx.ConnectTimeout):
                await client.post(server.base_url, content=BODY, timeout=0)


BROKEN_RESPONSES = {
    "nothing": (b"", httpx.RemoteProtocolError),
    "no HTTP": (b"SSH-2.0-OpenSSH_9\r\n", httpx.RemoteProtocolError),
    "half a body": (http(b"body")[:-2], httpx.RemoteProtocolError),
    "too much": (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 99_999, httpx.RemoteProtocolError),
}


@pytest.mark.parametrize("name", BROKEN_RESPONSES)
async def test_broken_response_raises_an_exception_of_httpx(name: str) -> None:
    """Users of httpx know these exceptions; the cause is limin's own."""
    response, expected = BROKEN_RESPONSES[name]

    async def talk(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(response)

    async with serve_streams(talk) as port:
        transport = limin.AsyncHTTPTransport(Limits(header_bytes=9999))
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(expected) as caught:
                await client.post(f"http://127.0.0.1:{port}/", content=BODY)
    assert isinstance(caught.value.__cause__, httpcore.RemoteProtocolError)
    assert isinstance(caught.value.__cause__.__cause__, limin.TransportError)


async def test_server_that_is_gone() -> None:
    """The exception is that of httpx's own transport."""
    async with serve() as server:
        pass
    async with httpx.AsyncClient(transport=limin.AsyncHTTPTransport()) as client:
        with pytest.raises(httpx.ConnectError, match="no connection to 127"):
            await client.get(server.base_url)


async def test_connection_that_breaks() -> None:
    """A reset is an error of reading."""

    def reset(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(1)
        linger = struct.pack("ii", 1, 0)  # For no time: a reset in the place of an end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with (
            anyio.create_task_group() as tasks,
            httpx.AsyncClient(transport=limin.AsyncHTTPTransport()) as client,
        ):
            tasks.start_soon(anyio.to_thread.run_sync, reset, listener)
            with pytest.raises(httpx.ReadError):
                await client.post(
                    f"http://127.0.0.1:{listener.getsockname()[1]}/", content=BODY
                )


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return the authority that signs the certificates."""
    return trustme.CA()


@asynccontextmanager
async def serve_tls(
    authority: trustme.CA, *, wants_certificate: bool = False
) -> AsyncGenerator[str]:
    """Yield the URL of a TLS server, which may demand a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if wants_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)

    async def talk(stream: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError):
            secure = await TLSStream.wrap(
                stream, server_side=True, ssl_context=context, standard_compatible=False
            )
            await BufferedByteReceiveStream(secure).receive_until(b"\r\n\r\n", 65536)
            await secure.send(http(b"secret"))

    async with serve_streams(talk) as port:
        yield f"https://127.0.0.1:{port}/"


async def get(url: str, transport: limin.AsyncHTTPTransport) -> str:
    """Return the response of the server at *url* over *transport*."""
    async with httpx.AsyncClient(transport=transport) as client:
        return (await client.get(url)).text


async def test_context_of_the_user(authority: trustme.CA) -> None:
    """The context decides which certificates are trusted."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with serve_tls(authority) as url:
        assert await get(url, limin.AsyncHTTPTransport(verify=context)) == "secret"


async def test_certificate_that_is_not_verified(authority: trustme.CA) -> None:
    """`verify=False` accepts any certificate."""
    async with serve_tls(authority) as url:
        assert await get(url, limin.AsyncHTTPTransport(verify=False)) == "secret"


async def test_certificate_of_a_stranger(authority: trustme.CA) -> None:
    """By default the certificate is refused."""
    async with serve_tls(authority) as url:
        with pytest.raises(httpx.ConnectError, match="unable to get local issuer"):
            await get(url, limin.AsyncHTTPTransport())


@pytest.mark.parametrize("in_one_file", [False, True])
async def test_client_certificate(
    authority: trustme.CA, tmp_path: Path, *, in_one_file: bool
) -> None:
    """The server gets the certificate that it demands."""
    mine = authority.issue_cert("me.test")
    both, chain, key = (tmp_path / name for name in ("both.pem", "chain.pem", "key.pem"))
    mine.private_key_and_cert_chain_pem.write_to_path(both)
    mine.cert_chain_pems[0].write_to_path(chain)
    mine.private_key_pem.write_to_path(key)
    transport = limin.AsyncHTTPTransport(
        verify=False, cert=str(both) if in_one_file else (str(chain), str(key))
    )
    async with serve_tls(authority, wants_certificate=True) as url:
        assert await get(url, transport) == "secret"
