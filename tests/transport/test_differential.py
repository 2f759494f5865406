"""limin's transport beside httpx's own: the same answers, or both refuse them.

Where limin is stricter, the table says why; it is never more lenient where that
could hand over what the server did not mean.
"""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import anyio
import attrs
import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from limin import Limits, TransportError
from limin.transport.http import HttpTransport
from limin.values.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def body(data: bytes, headers: bytes = b"") -> bytes:
    """Return a response whose body is *data*."""
    return HEAD + headers + b"Content-Length: %d\r\n\r\n%b" % (len(data), data)


# What the server sends before it closes the connection.
SAME = {
    "plain": body(b'{"choices": []}', b"Content-Type: application/json\r\n"),
    "empty": body(b""),
    "no length": HEAD + b"\r\nuntil the end",
    "no length, no body": HEAD + b"\r\n",
    "connection close": body(b"hi", b"Connection: close\r\n"),
    "keep-alive": body(b"hi", b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"),
    "chunks": CHUNKED + b"2\r\nhi\r\n5\r\n there\r\n".replace(b"5", b"6") + b"0\r\n\r\n",
    "chunk in capitals": CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n",
    "chunk extension": CHUNKED + b'2;a=b;c="d"\r\nhi\r\n0;e\r\n\r\n',
    "trailers": CHUNKED + b"2\r\nhi\r\n0\r\nX-After: 1\r\n\r\n",
    "no chunk": CHUNKED + b"0\r\n\r\n",
    "leading zeros": CHUNKED + b"0002\r\nhi\r\n0\r\n\r\n",
    "length with zeros": HEAD + b"Content-Length: 0002\r\n\r\nhi",
    "status 404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    "status 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "status 304 with a length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "status 599": b"HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + body(b"hi"),
    "two interims": b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 102 P\r\n\r\n"
    + body(b"hi"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.0 until close": b"HTTP/1.0 200 OK\r\n\r\nhi",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
    "reason in Latin-1": b"HTTP/1.1 200 D\xe9j\xe0\r\nContent-Length: 2\r\n\r\nhi",
    "header in Latin-1": body(b"hi", b"X-Name: D\xe9j\xe0\r\n"),
    "header with spaces": body(b"hi", b"X-Name:   a b  \r\n"),
    "empty header": body(b"hi", b"X-Name:\r\n"),
    "header twice": body(b"hi", b"X-Name: a\r\nx-name: b\r\n"),
    "gzip": body(gzip.compress(b"hi" * 99), b"Content-Encoding: gzip\r\n"),
    "deflate": body(zlib.compress(b"hi" * 99), b"Content-Encoding: deflate\r\n"),
    "bare deflate": body(zlib.compress(b"hi" * 99)[2:-4], b"Content-Encoding: deflate\r\n"),
    "identity": body(b"hi", b"Content-Encoding: identity\r\n"),
    "gzip in chunks": HEAD
    + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%b\r\n0\r\n\r\n" % (len(gzip.compress(b"hi")), gzip.compress(b"hi")),
    "second answer": body(b"hi") + body(b"not asked for"),
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "half a head": HEAD + b"Content-Length: 2\r\n",
    "half a body": HEAD + b"Content-Length: 9\r\n\r\nhi",
    "half a chunk": CHUNKED + b"9\r\nhi",
    "chunks without an end": CHUNKED + b"2\r\nhi\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: x\r\nConnection: upgrade\r\n\r\n",
    "no HTTP": b"220 smtp.example.com ESMTP\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi",
    "negative length": HEAD + b"Content-Length: -2\r\n\r\nhi",
    "length of letters": HEAD + b"Content-Length: two\r\n\r\nhi",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
    "chunk size of letters": CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n",
    "chunk too long": CHUNKED + b"1\r\nhi\r\n0\r\n\r\n",
    "space before a colon": body(b"hi", b"X-Name : a\r\n"),
    "header without a colon": body(b"hi", b"X-Name a\r\n"),
    "header with a NUL": body(b"hi", b"X-Name: \x00\r\n"),
    "no gzip": body(b"hi", b"Content-Encoding: gzip\r\n"),
}

STRICTER = {
    "brotli": (
        body(b"hi", b"Content-Encoding: br\r\n"),
        "no request said it takes brotli: httpx hands over compressed bytes as the body",
    ),
    "half a gzip": (
        body(gzip.compress(b"hi" * 99)[:-9], b"Content-Encoding: gzip\r\n"),
        "the end is missing: httpx hands over half a body",
    ),
    "rubbish behind a gzip": (
        body(gzip.compress(b"hi") + b"rubbish", b"Content-Encoding: gzip\r\n"),
        "httpx drops what stands behind the first member",
    ),
}

# Heads that limin mends before it reads them; httpx reads the same bodies.
ODD = {
    "length and chunks": HEAD
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "equal lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\nhi",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    "folded header": body(b"hi", b"X-Name: a\r\n b\r\n"),
}

DIFFERENT = {
    "two gzips": (
        body(gzip.compress(b"h") + gzip.compress(b"i"), b"Content-Encoding: gzip\r\n"),
        b"hi",
        "RFC 1952, 2.2: a gzip may have several members; httpx drops all but the first",
    ),
}


class RawServer:
    """A server that sends fixed pieces, one connection after another."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                opened, _ = self._listener.accept()
            except OSError:
                return
            with opened:
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                request = b""
                while not request.endswith(b"\r\n\r\nhello"):
                    request += opened.recv(65536)
                try:
                    for piece in self.pieces:
                        opened.sendall(piece)
                    opened.shutdown(socket.SHUT_WR)
                    while opened.recv(65536):
                        pass
                except OSError:
                    continue


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    """Run one server for all tests of this file."""
    with RawServer() as running:
        yield running


@attrs.frozen
class Outcome:
    """The response as a client reads it, or a mark that the client refused it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def by_limin(port: int) -> Outcome | None:
    """Read it with limin's transport."""
    endpoint = Endpoint.resolve(f"http://127.0.0.1:{port}")
    transport = HttpTransport(endpoint, Limits())
    try:
        response = await (await transport.open(b"hello")).read()
    except TransportError:
        return None
    finally:
        await transport.aclose()
    return Outcome(response.status, response.headers, response.body)


async def by_httpx(port: int) -> Outcome | None:
    """Read it with httpx's own transport."""
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.post(f"http://127.0.0.1:{port}/", content=b"hello")
        except httpx.HTTPError:
            return None
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Outcome(answer.status_code, headers, answer.content)


def both(server: RawServer, pieces: list[bytes], backend: str) -> list[Outcome | None]:
    """Return how limin and httpx read *pieces*."""
    server.pieces = pieces
    # httpx itself leaves warnings behind on trio when it refuses an answer.
    ours = anyio.run(by_limin, server.port, backend=backend)
    return [ours, anyio.run(by_httpx, server.port)]


@pytest.mark.parametrize("name", SAME)
def test_same_answer_or_both_refuse(
    name: str, server: RawServer, anyio_backend: str
) -> None:
    """Both read the same status, headers and body, byte for byte."""
    ours, theirs = both(server, [SAME[name]], anyio_backend)
    assert ours == theirs


@pytest.mark.parametrize("name", STRICTER)
def test_stricter_for_a_reason(name: str, server: RawServer, anyio_backend: str) -> None:
    """Limin refuses it and httpx does not, for the reason in the table."""
    answer, reason = STRICTER[name]
    ours, theirs = both(server, [answer], anyio_backend)
    assert ours is None
    assert theirs is not None, reason


@pytest.mark.parametrize("name", ODD)
def test_odd_head_has_the_same_body(
    name: str, server: RawServer, anyio_backend: str
) -> None:
    """Both read it as RFC 9112 says."""
    ours, theirs = both(server, [ODD[name]], anyio_backend)
    assert ours is not None
    assert theirs is not None
    assert (ours.status, ours.body) == (theirs.status, theirs.body) == (200, b"hi")


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_for_a_reason(name: str, server: RawServer, anyio_backend: str) -> None:
    """Both accept it and limin reads more of it, for the reason in the table."""
    answer, expected, reason = DIFFERENT[name]
    ours, theirs = both(server, [answer], anyio_backend)
    assert ours is not None
    assert theirs is not None
    assert ours.body == expected != theirs.body, reason


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from(sorted(SAME)),
    cuts=st.lists(st.integers(1, 200), max_size=9),
    cut_off=st.integers(0, 200) | st.none(),
)
@example(name="interim", cuts=[24, 25, 26, 27], cut_off=None)
@example(name="chunks", cuts=list(range(1, 90)), cut_off=None)
def test_cut_into_pieces_and_cut_off(
    name: str,
    cuts: list[int],
    cut_off: int | None,
    server: RawServer,
    anyio_backend: str,
) -> None:
    """Both agree, however the network cuts a response and wherever it ends."""
    data = SAME[name][:cut_off]
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    ours, theirs = both(server, [data[a:b] for a, b in pairwise(ends)], anyio_backend)
    # Half a compressed body in a complete answer: httpx hands it over.
    assert ours == theirs or (ours is None and b"Content-Encoding" in data)
