"""Failures around an exchange: certificates, proxies, closed clients."""

from __future__ import annotations

import gc
import socket
import ssl
import struct
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSStream
from loopback import Request, completion, http, serve, serve_streams

import limin
from limin import Client
from limin.transport import connection

if TYPE_CHECKING:
    from pathlib import Path

    import anyio.abc


async def test_reset_between_connect_and_handshake_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before Python 3.12, `wrap_socket` forgets its socket there."""
    attempt = connection._attempt
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def short(address: connection.Address) -> socket.socket:
            ours = await attempt(address)
            theirs, _ = listener.accept()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            return ours

        monkeypatch.setattr(connection, "_attempt", short)
        host, port = listener.getsockname()
        origin = connection.Origin(host, port, is_secure=True)
        with pytest.raises(limin.ConnectError):
            await connection.connect(origin, ssl.create_default_context(), seconds=5)
        gc.collect()  # A forgotten socket would warn here.


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("way", ["direct", "proxy", "http_client"])
async def test_closed_client_is_closed_whatever_its_way(
    monkeypatch: pytest.MonkeyPatch, way: str, *, used: bool
) -> None:
    """A closed client raises RuntimeError as in httpx, and sends nothing."""
    async with serve() as server, httpx.AsyncClient() as mine:
        if way == "proxy":
            monkeypatch.setenv("HTTP_PROXY", server.base_url.removesuffix("/v1"))
            client = Client("http://model.test/v1")
        else:
            http_client = mine if way == "http_client" else None
            client = Client(server.base_url, http_client=http_client)
        if used:
            await client.generate_text_completion("hello")
        await client.aclose()
        with pytest.raises(RuntimeError, match="the client is closed"):
            await client.generate_text_completion("hello")
        assert len(server.requests) == used


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("text", [None, "no certificate"])
async def test_certificates_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, *, proxied: bool
) -> None:
    """The error names the variable, not a function of Python's."""
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    if proxied:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    async with Client("https://127.0.0.1:1/v1") as client:
        with pytest.raises(limin.LiminError, match=r"SSL_CERT_FILE|no connection"):
            await client.generate_text_completion("hello")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("foo://me:hunter22@a:1", "ValueError"),
        ("socks5://me:hunter22@a:1", "socksio"),
        ("http://a:x", "InvalidURL"),
        ("http://me:hunter22/x@127.0.0.1:9", "InvalidURL"),
        ("http://me:hunter22#x@127.0.0.1:9", "InvalidURL"),
        ("http://me:hunter22?x@127.0.0.1:9", "InvalidURL"),
    ],
)
async def test_proxy_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    """Neither the error nor its traceback shows the password, also one not escaped."""
    monkeypatch.setenv("ALL_PROXY", url)
    async with Client("http://model.test/v1") as client:
        with pytest.raises(limin.ConfigurationError, match="names a proxy") as caught:
            await client.generate_text_completion("hello")
    assert reason in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    frames = [entry.frame for entry in caught.traceback if str(entry.path) != __file__]
    assert "hunter22" not in str(caught.value) + repr([each.f_locals for each in frames])


async def test_cut_tls_is_no_end_of_a_body(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a TLS alert, someone else may have cut a body without a length."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def talk(stream: anyio.abc.SocketStream) -> None:
        secure = await TLSStream.wrap(
            stream, server_side=True, ssl_context=context, standard_compatible=False
        )
        await BufferedByteReceiveStream(secure).receive_until(b"\r\n\r\n", 65536)
        await secure.send(b"HTTP/1.1 200 OK\r\n\r\n" + completion("hi"))

    async with (
        serve_streams(talk) as port,
        Client(f"https://127.0.0.1:{port}/v1") as client,
    ):
        with pytest.raises(limin.TransportError):
            await client.generate_text_completion("hello")


HI = completion("hi")
LENGTH = b"Content-Length: %d" % len(HI)
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HI), HI)

# Framings that RFC 9112 tells or allows a client to read (sections 2.2, 5.2 and 6.3).
READ = {
    "line feeds alone": b"HTTP/1.1 200 OK\n%b\n\n%b" % (LENGTH, HI),
    "some line feeds alone": b"HTTP/1.1 200 OK\r\nServer: x\n%b\r\n\r\n%b" % (LENGTH, HI),
    "equal lengths": b"HTTP/1.1 200 OK\r\n%b\r\n%b\r\n\r\n%b" % (LENGTH, LENGTH, HI),
    "length and chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%b\r\n\r\n%b"
    % (LENGTH, CHUNK),
    "folded header": b"HTTP/1.1 200 OK\r\nServer: x\r\n y\r\n%b\r\n\r\n%b" % (LENGTH, HI),
}

# What is refused, and what the message says.
REFUSED = {
    "two lengths": (
        b"HTTP/1.1 200 OK\r\n%b\r\n%b0\r\n\r\n%b" % (LENGTH, LENGTH, HI),
        "Content-Length",
    ),
    "transfer coding": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n%b" % CHUNK,
        "(?i)transfer.(en)?coding",
    ),
    "bad chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "(?i)chunk (size|header)",
    ),
    "alert of TLS": (
        b"\x15\x03\x03\x00\x02\x02\x46",
        "where the server speaks https, not http",
    ),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
    "SMTP": (b"220 mail.example.com ESMTP\r\n", "SMTP"),
}


@pytest.mark.parametrize("name", READ)
async def test_odd_framing_is_read(name: str) -> None:
    """Each answer is read after one request, and its connection is not used again."""

    async def odd(_request: Request) -> bytes:
        return READ[name]

    async with serve(odd) as server, Client(server.base_url) as client:
        for _ in range(2):
            answer = await client.generate_text_completion("hello")
            assert answer.message == "hi"
            assert len(answer.timing.attempts) == 1
        assert server.connections == 2


@pytest.mark.parametrize("way", ["direct", "http_client"])
@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_http_is_told_and_not_asked_again(name: str, way: str) -> None:
    """The same bytes would come again."""
    data, message = REFUSED[name]

    async def wrong(_request: Request) -> bytes:
        return data + b"\r\n\r\n"  # h11 waits for an empty line.

    async with serve(wrong) as server, httpx.AsyncClient() as mine:
        http_client = mine if way == "http_client" else None
        async with Client(server.base_url, http_client=http_client) as client:
            with pytest.raises(limin.ProtocolError, match=message) as caught:
                await client.generate_text_completion("hello")
        assert len(caught.value.attempts) == len(server.requests) == 1


async def test_redirect_with_an_odd_location() -> None:
    """The error is that of its status through httpx, too."""

    async def odd(_request: Request) -> bytes:
        return http(b"", "302 Found", "Location: http://[\r\n")

    async with (
        serve(odd) as server,
        httpx.AsyncClient() as mine,
        Client(server.base_url, http_client=mine) as client,
    ):
        with pytest.raises(limin.StatusError):
            await client.generate_text_completion("hello")
