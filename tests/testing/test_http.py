"""The HTTP of a scripted endpoint: what curl and other clients may send."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import httpx
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from limin import AsyncHTTPTransport
from limin.testing import (
    Answer,
    Refusal,
    Request,
    ScriptedEndpoint,
    Stream,
    connection,
    scripted_endpoint,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import SocketStream

BODY = b'{"messages": [{"role": "user", "content": "?"}]}'
STREAMED = b'{"messages": [], "stream": true}'


def post(body: bytes = BODY, *headers: str, version: str = "1.1") -> bytes:
    """Return the bytes of a request."""
    lines = (f"POST /v1/chat/completions HTTP/{version}", "Host: x", *headers)
    lines = (*lines, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def failing_endpoint(problem: str) -> AsyncGenerator[ScriptedEndpoint]:
    """Run an endpoint without answers, whose test fails because of *problem*."""
    with pytest.raises(AssertionError, match=problem):
        async with scripted_endpoint([]) as endpoint:
            yield endpoint


async def connect(base_url: str) -> SocketStream:
    """Return a connection to the endpoint."""
    return await anyio.connect_tcp("127.0.0.1", httpx.URL(base_url).port or 0)


async def exchange(base_url: str, data: bytes) -> bytes:
    """Send *data*, and return all that comes until the endpoint closes the connection."""
    received = b""
    async with await connect(base_url) as stream:
        await stream.send(data)
        with anyio.fail_after(5):
            while True:
                try:
                    received += await stream.receive()
                except anyio.EndOfStream:
                    return received


async def test_connection_is_kept() -> None:
    """One connection carries many requests, sent one behind the other or at once."""
    async with (
        scripted_endpoint([Answer(str(i)) for i in range(4)]) as endpoint,
        await connect(endpoint.base_url) as stream,
    ):
        reader = BufferedByteReceiveStream(stream)

        async def receive() -> str:
            head = (await reader.receive_until(b"\r\n\r\n", 65536)).decode().lower()
            assert "connection: keep-alive" in head
            size = int(head.partition("content-length: ")[2].split("\r\n")[0])
            body = json.loads(await reader.receive_exactly(size))
            return str(body["choices"][0]["message"]["content"])

        for expected in ("0", "1"):
            await stream.send(post())
            assert await receive() == expected
        await stream.send(post() + post())
        assert [await receive(), await receive()] == ["2", "3"]


async def test_client_may_close_the_connection() -> None:
    """`Connection: close` is obeyed, and said in the response."""
    async with scripted_endpoint([Answer("a")]) as endpoint:
        data = await exchange(endpoint.base_url, post(BODY, "Connection: close"))
    assert b"\r\nconnection: close\r\n" in data


async def test_http_1_0_has_no_chunks() -> None:
    """An old client reads a stream until the connection is closed."""
    async with scripted_endpoint([Answer("a b"), Answer("c")]) as endpoint:
        data = await exchange(endpoint.base_url, post(STREAMED, version="1.0"))
        whole = await exchange(endpoint.base_url, post(version="1.0"))
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"content-length" not in head
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")
    assert b"content-length" in whole


async def test_body_in_chunks() -> None:
    """A request without a length is read, too."""
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    )
    chunks = b"10\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (BODY[:16], len(BODY) - 16, BODY[16:])
    data = head + b"Connection: close\r\n\r\n" + chunks
    async with scripted_endpoint([Answer("a")]) as endpoint:
        assert b"200 OK" in await exchange(endpoint.base_url, data)
    assert endpoint.requests[0].body == BODY


async def test_client_that_waits_for_continue_gets_it() -> None:
    """Curl waits a second for it before it sends a large body."""
    async with (
        scripted_endpoint([Answer("a")]) as endpoint,
        await connect(endpoint.base_url) as stream,
    ):
        request = post(BODY, "Expect: 100-continue")
        head, _, body = request.partition(b"\r\n\r\n")
        await stream.send(head + b"\r\n\r\n")
        assert await stream.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send(body)
        assert (await stream.receive()).startswith(b"HTTP/1.1 200 OK")
        await stream.aclose()


async def test_request_to_upgrade_fails_the_test() -> None:
    """`curl --http2` asks for another protocol, which there is not."""
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA")
    async with failing_endpoint("without an upgrade") as endpoint:
        data = await exchange(endpoint.base_url, post(BODY, *upgrade))
    assert data.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"connection: close" in data


async def test_target_that_is_no_url_fails_the_test() -> None:
    """The test ends with what was wrong, and not with an error of the endpoint's own."""
    async with failing_endpoint("expected a request to") as endpoint:
        data = await exchange(
            endpoint.base_url, b"GET //[x/v1 HTTP/1.1\r\nConnection: close\r\n\r\n"
        )
    assert data.startswith(b"HTTP/1.1 404 Not Found")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_models_can_be_asked_for(method: str) -> None:
    """The answer to HEAD has the headers alone."""
    async with (
        scripted_endpoint([]) as endpoint,
        httpx.AsyncClient(transport=AsyncHTTPTransport()) as client,
    ):
        response = await client.request(method, f"{endpoint.base_url}/models")
        again = await client.request(method, f"{endpoint.base_url}/models")
    assert response.status_code == again.status_code == 200
    assert int(response.headers["content-length"]) > 0
    assert bool(response.content) == (method == "GET")


async def test_what_is_no_http_fails_the_test() -> None:
    """A client that speaks TLS, or nonsense, is told apart from one that is silent."""
    async with failing_endpoint(r"expected HTTP/1\.1") as endpoint:
        data = await exchange(endpoint.base_url, b"\x16\x03\x01\x02\x00\x01")
    assert data.startswith(b"HTTP/1.1 400 Bad Request")
    async with (
        scripted_endpoint([]) as endpoint,
        await connect(endpoint.base_url) as stream,
    ):
        await stream.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()


async def test_head_and_body_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never ends does not fill the memory."""
    monkeypatch.setattr(connection, "MOST_BYTES_OF_HEAD", 1000)
    monkeypatch.setattr(connection, "MOST_BYTES_OF_BODY", 1000)
    for data, status in (
        (post(b" " * 2000), b"413"),
        (post(b"", "X: " + "y" * 2000)[:-2], b"431"),
        (b"GET /" + b"a" * 2000, b"431"),
    ):
        async with failing_endpoint(r"of at most \d+ bytes") as endpoint:
            answer = await exchange(endpoint.base_url, data)
        assert answer.split(b" ")[1] == status


async def test_client_that_leaves_costs_nothing() -> None:
    """A connection that is reset in the middle of an answer is no error of the test."""

    def answer(_request: Request) -> Stream:
        return Stream(["a" * 100_000] * 50, pause=0.0001)

    async with scripted_endpoint(answer) as endpoint:
        async with await connect(endpoint.base_url) as stream:
            await stream.send(post(STREAMED))
            await stream.receive()
        async with httpx.AsyncClient(transport=AsyncHTTPTransport()) as client:
            url = f"{endpoint.base_url}/chat/completions"
            response = await client.post(url, content=BODY)
    assert response.status_code == 200


async def test_refusal_keeps_the_connection() -> None:
    """An error has a length as any response."""
    async with scripted_endpoint([Refusal(500), Answer("a")]) as endpoint:
        url = f"{endpoint.base_url}/chat/completions"
        async with httpx.AsyncClient(transport=AsyncHTTPTransport()) as client:
            responses = [await client.post(url, content=BODY) for _ in range(2)]
    assert [response.status_code for response in responses] == [500, 200]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_curl_is_answered() -> None:
    """curl, with a large body and with a stream."""
    image = {"type": "image_url", "image_url": {"url": "data:," + "a" * 2_000_000}}
    large = {"messages": [{"role": "user", "content": [image]}], "stream": True}
    async with scripted_endpoint([Answer("Paris is it.")]) as endpoint:
        url = f"{endpoint.base_url}/chat/completions"
        command = ["curl", "-sS", "--max-time", "20", "--data-binary", "@-", url]
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(  # noqa: S603 (our own server)
                command, input=json.dumps(large).encode(), capture_output=True, check=True
            )
        )
    assert done.stdout.endswith(b"data: [DONE]\n\n")
    assert endpoint.requests[0].messages[0]["content"] == [image]
