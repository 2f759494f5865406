"""Exchanges over kept connections: the right answer, or the right error."""

from __future__ import annotations

import os
import random
import socket
import ssl
import struct
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from loopback import serve_streams

from limin import (
    ConnectError,
    Limits,
    ProtocolError,
    RequestTimeoutError,
    TransportError,
)
from limin.transport.connection import Origin, RequestBytes
from limin.transport.idle_connections import IdleConnections, PooledConnection
from limin.transport.pool import (
    NO_TIMEOUTS,
    ConnectionPool,
    PooledResponse,
    Timeouts,
)
from limin.transport.reader import ResponseReader
from limin.wire.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable


def request(body: bytes = b"hello") -> RequestBytes:
    """Return a request whose body is *body*."""
    head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)
    return RequestBytes(head + body)


class Pool:
    """A pool for one origin, and whole exchanges over it."""

    def __init__(self, port: int, limits: Limits | None = None) -> None:
        self.inner = ConnectionPool(limits or Limits(), ssl.create_default_context)
        self.origin = Origin("127.0.0.1", port)
        self.close = self.inner.close

    async def open(self, message: RequestBytes, **how: Any) -> PooledResponse:
        """Send *message*, and return the response once its head is complete."""
        return await self.inner.open(self.origin, message, **how)

    async def exchange(self, message: RequestBytes) -> HttpResponse:
        """Send *message*, and return the whole response."""
        return await whole(await self.open(message))


async def exchange_again(pool: Pool, words: RequestBytes) -> HttpResponse:
    """Return the whole response to *words*; retry it if a kept connection had died."""
    try:
        return await pool.exchange(words)
    except TransportError as error:
        if not error.died_idle:
            raise
        return await pool.exchange(words)


async def whole(response: PooledResponse) -> HttpResponse:
    """Read all of *response*."""
    body = b""
    try:
        while piece := await response.receive():
            body += piece
    finally:
        response.close()
    return HttpResponse(response.status, {}, body)


def reply(body: bytes, headers: bytes = b"") -> bytes:
    """Return a response whose body is *body*."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n" % (len(body), headers)
    return head + body


async def next_body(stream: BufferedByteReceiveStream) -> bytes:
    """Return the body of the next request."""
    head = await stream.receive_until(b"\r\n\r\n", 65536)
    return await stream.receive_exactly(int(head.rsplit(b" ", 1)[1]))


@asynccontextmanager
async def pool_at(
    talk: Callable[[anyio.abc.SocketStream, int], Awaitable[None]],
    limits: Limits | None = None,
) -> AsyncGenerator[Pool]:
    """Yield a pool; its server calls *talk* with each connection and its number from 1."""
    number = 0

    async def numbered(stream: anyio.abc.SocketStream) -> None:
        nonlocal number
        number += 1
        await talk(stream, number)

    async with serve_streams(numbered) as port:
        pool = Pool(port, limits)
        yield pool
        pool.close()


async def echo(stream: anyio.abc.SocketStream, number: int) -> None:
    """Answer each request with its body and the number of the connection."""
    buffered = BufferedByteReceiveStream(stream)
    while True:
        await stream.send(reply(await next_body(buffered) + b" %d" % number))


def idle(pool: Pool) -> int:
    """Return how many idle connections *pool* holds."""
    return pool.inner.idle


def open_sockets() -> int:
    """Return how many sockets this process has open."""
    opened = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(str(link.readlink()).startswith("socket") for link in opened)


async def test_connection_is_used_again() -> None:
    """Requests that follow each other use the same connection."""
    async with pool_at(echo) as pool:
        bodies = [(await pool.exchange(request(b"%d" % n))).body for n in range(5)]
    assert bodies == [b"0 1", b"1 1", b"2 1", b"3 1", b"4 1"]


async def test_last_used_connection_is_used_first() -> None:
    """Few warm connections are better than many cold ones."""
    async with pool_at(echo) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(pool.exchange, request())
        last = [(await pool.exchange(request())).body for _ in range(4)]
    assert len(set(last)) == 1


@pytest.mark.parametrize("served", [1, 2, 3])
async def test_server_that_closes_after_some_requests(served: int) -> None:
    """No request is lost, whether the server announces the close or not."""

    async def talk(stream: anyio.abc.SocketStream, number: int) -> None:
        buffered = BufferedByteReceiveStream(stream)
        for _ in range(served):
            await stream.send(reply(await next_body(buffered) + b" %d" % number))

    async with pool_at(talk) as pool:
        bodies = [(await exchange_again(pool, request(b"%d" % n))).body for n in range(12)]
    assert bodies == [b"%d %d" % (n, n // served + 1) for n in range(12)]


async def test_kept_connection_that_dies_before_the_answer() -> None:
    """The error says so, and no other connection that was kept as long is tried."""

    async def talk(stream: anyio.abc.SocketStream, number: int) -> None:
        buffered = BufferedByteReceiveStream(stream)
        await stream.send(reply(await next_body(buffered) + b" %d" % number))
        if number <= 2:
            await next_body(buffered)
        else:
            await stream.send(reply(await next_body(buffered) + b" %d" % number))

    async with pool_at(talk) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(pool.exchange, request())
        assert idle(pool) == 2
        with pytest.raises(ProtocolError, match="without an answer") as caught:
            await pool.exchange(request(b"a"))
        assert caught.value.died_idle
        assert idle(pool) == 0
        bodies = [(await pool.exchange(request(words))).body for words in (b"b", b"c")]
    assert bodies == [b"b 3", b"c 3"]


async def test_new_connection_that_dies_before_the_answer() -> None:
    """The server is not well, and no kept connection is to blame."""

    async def talk(stream: anyio.abc.SocketStream, _number: int) -> None:
        await next_body(BufferedByteReceiveStream(stream))

    async with pool_at(talk) as pool:
        with pytest.raises(ProtocolError, match="without an answer") as caught:
            await pool.exchange(request())
    assert not caught.value.died_idle


async def test_connection_that_was_idle_for_too_long_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine on the way may have forgotten it without a word."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    async with pool_at(echo) as pool:
        assert (await pool.exchange(request())).body == b"hello 1"
        now += 59
        assert (await pool.exchange(request())).body == b"hello 1"
        now += 61
        assert (await pool.exchange(request())).body == b"hello 2"


async def test_response_that_is_closed_while_it_is_read() -> None:
    """The reader gets an error, and the next socket is nobody else's."""

    async def talk(stream: anyio.abc.SocketStream, number: int) -> None:
        buffered = BufferedByteReceiveStream(stream)
        body = await next_body(buffered)
        if number == 1:
            await stream.send(reply(body)[:-1])
            await stream.receive()
        await stream.send(reply(body))

    failures: list[TransportError] = []

    async def read(response: PooledResponse) -> None:
        with pytest.raises(TransportError, match="closed by another task") as caught:
            await whole(response)
        failures.append(caught.value)

    async with pool_at(talk) as pool:
        response = await pool.open(request())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, response)
            await anyio.wait_all_tasks_blocked()
            response.close()
            assert (await pool.exchange(request(b"next"))).body == b"next"
        assert len(failures) == 1
        assert pool.inner.active == 0


async def test_connection_that_is_idle_for_too_long_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As soon as another one becomes idle: there is no task that watches over them."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    async with pool_at(echo) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(pool.exchange, request())
        assert pool.inner.idle == 2
        now += 50
        await pool.exchange(request())
        now += 50
        await pool.exchange(request())
        assert pool.inner.idle == 1


async def test_connections_of_ended_threads_are_closed() -> None:
    """Each thread with a loop of its own has its own; nobody else would close them."""

    async def exchange(pool: Pool) -> None:
        bodies.append((await pool.exchange(request())).body)

    def run(pool: Pool) -> None:
        anyio.run(exchange, pool)
        all_run.wait()  # Else the next thread might get the same identifier.

    bodies: list[bytes] = []
    all_run = threading.Barrier(4)
    async with pool_at(echo) as pool:
        threads = [threading.Thread(target=run, args=(pool,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await anyio.to_thread.run_sync(thread.join)
        await exchange(pool)
        assert pool.inner.idle == 1
    assert sorted(bodies) == [b"hello %d" % number for number in range(1, 6)]


async def test_connections_of_ended_loops_are_closed() -> None:
    """Even if the thread goes on; asyncio's loops can be asked."""

    async def exchange(pool: Pool) -> None:
        await pool.exchange(request())

    def run(pool: Pool) -> None:
        anyio.run(exchange, pool, backend="asyncio")
        has_run.set()
        may_end.wait()

    has_run, may_end = threading.Event(), threading.Event()
    async with pool_at(echo) as pool:
        thread = threading.Thread(target=run, args=(pool,))
        thread.start()
        await anyio.to_thread.run_sync(has_run.wait)
        assert pool.inner.idle == 1
        await exchange(pool)
        assert pool.inner.idle == 1
        may_end.set()
        thread.join()


async def test_thread_that_begins_to_ask_does_not_disturb_the_closing(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All idle connections are closed, although another thread has its turn meanwhile."""

    async def ask_nobody() -> None:
        with pytest.raises(ConnectError):
            await pool.inner.open(Origin("127.0.0.1", unused_port), request())
        has_asked.set()

    def close_slowly(idle: IdleConnections) -> None:
        thread = threading.Thread(
            target=anyio.run, args=(ask_nobody,), kwargs={"backend": anyio_backend}
        )
        thread.start()
        thread.join()
        close(idle)

    close, has_asked = IdleConnections.close, threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unused_port = listener.getsockname()[1]
    async with pool_at(echo) as pool:
        assert (await pool.exchange(request())).body == b"hello 1"
        with monkeypatch.context() as patch:
            patch.setattr(IdleConnections, "close", close_slowly)
            pool.close()
        assert has_asked.is_set()
        assert pool.inner.idle == 0


async def test_response_that_ends_under_another_loop_is_not_kept() -> None:
    """In the list of a loop that has ended, nobody would find its connection."""
    rest = anyio.Event()

    async def talk(stream: anyio.abc.SocketStream, _number: int) -> None:
        words = reply(await next_body(BufferedByteReceiveStream(stream)))
        await stream.send(words[:-1])
        await rest.wait()
        await stream.send(words[-1:])
        await stream.receive()

    async with pool_at(talk) as pool:
        response = await pool.open(request())
        idle_elsewhere = pool.inner._idle.pop(threading.get_ident())
        rest.set()
        assert (await whole(response)).body == b"hello"
        assert (len(idle_elsewhere), pool.inner.active) == (0, 0)


async def test_request_is_not_repeated_once_the_answer_has_begun() -> None:
    """A server that answers has done the work: a second request would be paid twice."""
    count = 0

    async def talk(stream: anyio.abc.SocketStream, _number: int) -> None:
        nonlocal count
        buffered = BufferedByteReceiveStream(stream)
        await next_body(buffered)
        await stream.send(reply(b"ok"))
        await next_body(buffered)
        count += 1
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    async with pool_at(talk) as pool:
        await pool.exchange(request())
        with pytest.raises(ProtocolError, match="in the middle of its answer"):
            await pool.exchange(request())
        assert idle(pool) == 0
    assert count == 1


async def test_request_is_not_repeated_once_the_head_has_begun() -> None:
    """The server has read the request, so it may have done the work."""
    count = 0

    async def talk(stream: anyio.abc.SocketStream, _number: int) -> None:
        nonlocal count
        buffered = BufferedByteReceiveStream(stream)
        await next_body(buffered)
        await stream.send(reply(b"ok"))
        await next_body(buffered)
        count += 1
        await stream.send(b"HTTP/1.1 20")

    async with pool_at(talk) as pool:
        await pool.exchange(request())
        with pytest.raises(ProtocolError, match="in the middle of its answer"):
            await pool.open(request())
        assert (idle(pool), pool.inner.active) == (0, 0)
    assert count == 1


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\nContent-", reply(b"body")[:-2]]
)
async def test_reset_is_an_error(start: bytes) -> None:
    """A reset before the head, in it, or in the body never gives half an answer."""

    async def talk(stream: anyio.abc.SocketStream, _number: int) -> None:
        await next_body(BufferedByteReceiveStream(stream))
        await stream.send(start)
        raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 (no Django)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with pool_at(talk) as pool:
        with pytest.raises(TransportError):
            await pool.exchange(request())
        assert idle(pool) == 0


async def test_drip_is_read() -> None:
    """An answer may arrive a byte at a time."""

    async def talk(stream: anyio.abc.SocketStream, _number: int) -> None:
        await next_body(BufferedByteReceiveStream(stream))
        for byte in reply(b"slow"):
            await stream.send(bytes([byte]))
            await anyio.lowlevel.checkpoint()

    async with pool_at(talk) as pool:
        assert (await pool.exchange(request())).body == b"slow"


async def test_second_answer_is_nobodys_answer() -> None:
    """A second answer never reaches the next request, whenever it arrives."""
    both_sent = anyio.Event()

    async def talk(stream: anyio.abc.SocketStream, number: int) -> None:
        buffered = BufferedByteReceiveStream(stream)
        while True:
            body = await next_body(buffered)
            answer = reply(body + b" %d" % number)
            if number == 1:
                await stream.send(answer + reply(b"not yours"))
            elif number == 2:
                await stream.send(answer)
                await stream.send(reply(b"not yours"))
                both_sent.set()
            else:
                await stream.send(answer)

    async with pool_at(talk) as pool:
        assert (await pool.exchange(request(b"a"))).body == b"a 1"
        assert (await pool.exchange(request(b"b"))).body == b"b 2"
        await both_sent.wait()
        assert (await pool.exchange(request(b"c"))).body == b"c 3"
        assert (await pool.exchange(request(b"d"))).body == b"d 3"


async def test_answer_before_the_request_is_no_answer_of_a_kept_connection() -> None:
    """Bytes that arrive on an idle connection are no answer."""
    spoken = anyio.Event()
    rested = anyio.Event()

    async def talk(stream: anyio.abc.SocketStream, number: int) -> None:
        buffered = BufferedByteReceiveStream(stream)
        await stream.send(reply(await next_body(buffered) + b" %d" % number))
        if number == 1:
            await rested.wait()
            await stream.send(reply(b"unasked"))
            spoken.set()
        await stream.send(reply(await next_body(buffered) + b" %d" % number))

    async with pool_at(talk) as pool:
        await pool.exchange(request())
        rested.set()
        await spoken.wait()
        assert (await pool.exchange(request(b"mine"))).body == b"mine 2"


async def test_refusal_before_the_request_is_read_is_read() -> None:
    """The answer of a server that closes before reading everything is still read."""

    async def talk(stream: anyio.abc.SocketStream, _number: int) -> None:
        await stream.receive(1)
        body = b"too large"
        head = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: %d\r\n\r\n" % len(body)
        await stream.send(b"HTTP/1.1 100 Continue\r\n\r\n" + head + body)
        await done.wait()

    done = anyio.Event()
    async with pool_at(talk) as pool:
        try:
            answer = await pool.exchange(request(b"x" * 20_000_000))
            assert (answer.status, answer.body) == (413, b"too large")
        finally:
            done.set()
        assert idle(pool) == 0


async def test_connection_that_rested_too_long_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connections that are idle for too long are closed, even below newer ones."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    async with pool_at(echo) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(pool.exchange, request())
        assert idle(pool) == 3
        monkeypatch.setattr(time, "monotonic", lambda: now + 61)
        await pool.exchange(request())
        await pool.exchange(request())
        assert idle(pool) == 1


async def test_closed_pool_keeps_nothing() -> None:
    """Requests under way finish, and their connections are not kept."""
    started, go_on = anyio.Event(), anyio.Event()

    async def talk(stream: anyio.abc.SocketStream, _number: int) -> None:
        await next_body(BufferedByteReceiveStream(stream))
        started.set()
        await go_on.wait()
        await stream.send(reply(b"late"))
        await stream.receive()

    answers: list[HttpResponse] = []
    async with pool_at(talk) as pool:

        async def ask() -> None:
            answers.append(await pool.exchange(request()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await started.wait()
            pool.close()
            go_on.set()
        assert [answer.body for answer in answers] == [b"late"]
        assert idle(pool) == 0


@pytest.mark.parametrize("seed", range(4))
async def test_cancelled_requests_leave_nothing_behind(seed: int) -> None:
    """A thousand requests, 50 at a time, cancelled at random moments."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    served = 0
    hung_up = 0

    async def talk(stream: anyio.abc.SocketStream, number: int) -> None:
        nonlocal served, hung_up
        served += 1
        try:
            buffered = BufferedByteReceiveStream(stream)
            while True:
                answer = reply(await next_body(buffered) + b" %d" % number)
                half = chance.randrange(len(answer))
                await stream.send(answer[:half])
                await anyio.lowlevel.checkpoint()
                await stream.send(answer[half:])
        finally:
            hung_up += 1

    async def ask(body: bytes) -> None:
        with anyio.CancelScope() as scope:
            tasks.start_soon(cancel, scope, chance.randrange(60))
            answer = await pool.exchange(request(body))
            assert answer.body.startswith(body + b" ")

    async def cancel(scope: anyio.CancelScope, moments: int) -> None:
        for _ in range(moments):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    before = open_sockets()
    async with pool_at(talk) as pool:
        for turn in range(20):
            async with anyio.create_task_group() as tasks:
                for n in range(50):
                    tasks.start_soon(ask, b"%d-%d" % (turn, n))
        answer = await pool.exchange(request(b"last"))
        assert answer.body.startswith(b"last ")
        resting = idle(pool)
        assert 0 < resting <= 50
        while served - hung_up > resting:
            await anyio.lowlevel.checkpoint()
        assert served - hung_up == resting
    assert open_sockets() == before


def test_event_loops_do_not_share_connections(anyio_backend: str) -> None:
    """A client may be used in several event loops, one after another."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    pool = Pool(port)
    accepted: list[socket.socket] = []

    async def serve_one() -> None:
        opened, _ = await anyio.to_thread.run_sync(listener.accept)
        accepted.append(opened)
        await anyio.to_thread.run_sync(opened.recv, 65536)
        opened.sendall(reply(b"ok"))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_one)
            assert (await pool.exchange(request())).body == b"ok"

    for _ in range(3):
        anyio.run(main, backend=anyio_backend)
    assert idle(pool) == 1
    assert len(accepted) == 3
    pool.close()
    assert [opened.recv(1) for opened in accepted] == [b"", b"", b""]
    for opened in [listener, *accepted]:
        opened.close()


async def test_forked_process_does_not_use_its_parents_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two processes that write to one socket would mix their requests."""
    async with pool_at(echo) as pool:
        assert (await pool.exchange(request())).body == b"hello 1"
        monkeypatch.setattr(os, "getpid", lambda: -1)
        assert (await pool.exchange(request())).body == b"hello 2"


class BrokenPipe:
    """A connection to a server that answered, and closed before it had read everything."""

    def __init__(self, *pieces: bytes, early: bytes | None = None) -> None:
        self.pieces, self.early = [*pieces], early
        self.is_kept: bool | None = None

    def response(self) -> PooledResponse:
        """Return a response over this connection, before anything is sent."""
        reader = ResponseReader(Limits())
        pooled = PooledConnection(self, reader, Origin("a", 80))  # type: ignore[arg-type]
        return PooledResponse(self, pooled, None, NO_TIMEOUTS)  # type: ignore[arg-type]

    def release(self, _pooled: object, _idle: object, *, keep: bool) -> None:
        self.is_kept = keep

    async def send(self, _data: RequestBytes, should_stop: Callable[[bytes], bool]) -> bool:
        if self.early is not None:
            return not should_stop(self.early)
        raise BrokenPipeError(32, "Broken pipe")

    async def receive(self) -> bytes:
        if not self.pieces:
            raise ConnectionResetError(104, "Connection reset by peer")
        return self.pieces.pop(0)


async def test_answer_is_read_although_sending_broke() -> None:
    """The answer of a server that closed early is worth more than the error of sending."""
    connection = BrokenPipe(reply(b"too large"))
    response = connection.response()
    await response.begin(request(), has_body=True)
    assert (await whole(response)).body == b"too large"
    assert connection.is_kept is False


async def test_error_of_sending_is_raised_if_there_is_no_answer() -> None:
    """The first of two errors is the cause."""
    connection = BrokenPipe()
    with pytest.raises(TransportError, match="the connection broke: Broken pipe"):
        await connection.response().begin(request(), has_body=True)
    assert connection.is_kept is False


async def test_server_that_closes_while_it_is_sent_to() -> None:
    """Nothing more is sent to a server that reads no more."""
    connection = BrokenPipe(b"", early=b"")
    with pytest.raises(ProtocolError, match="closed the connection without an answer"):
        await connection.response().begin(request(), has_body=True)


async def test_answer_that_is_no_http_while_it_is_sent_to() -> None:
    """The response is refused without waiting for more of it."""
    connection = BrokenPipe(early=b"SSH-2.0-OpenSSH_9\r\n")
    with pytest.raises(ProtocolError, match="no HTTP"):
        await connection.response().begin(request(), has_body=True)
    assert connection.is_kept is False


async def test_stream_that_begins_before_all_was_sent_is_not_kept() -> None:
    """The connection is closed: the server would read the rest as another request."""
    connection = BrokenPipe(early=reply(b"hello"))
    response = connection.response()
    await response.begin(request(), has_body=True)
    assert await response.receive() == b"hello"
    assert await response.receive() == b""
    assert connection.is_kept is False


async def test_body_that_is_read_piece_by_piece() -> None:
    """At its end the connection may carry the next request, and this response is over."""

    async def talk(stream: anyio.abc.SocketStream, _number: int) -> None:
        buffered = BufferedByteReceiveStream(stream)
        while True:
            await next_body(buffered)
            await stream.send(reply(b"hello")[:-3])
            await half_read.wait()
            await stream.send(b"llo")

    async with pool_at(talk) as pool:
        for _ in range(2):
            half_read = anyio.Event()
            response = await pool.open(request())
            assert response.status == 200
            assert await response.receive() == b"he"
            assert idle(pool) == 0
            half_read.set()
            assert await response.receive() == b"llo"
            assert idle(pool) == 1
            assert await response.receive() == b""
            response.close()
            assert idle(pool) == 1


async def test_body_that_is_left_closes_its_connection() -> None:
    """The connection is closed: the next request would read the rest of the body."""

    async def talk(stream: anyio.abc.SocketStream, number: int) -> None:
        buffered = BufferedByteReceiveStream(stream)
        body = await next_body(buffered) + b" %d" % number
        await stream.send(reply(body)[: None if number > 1 else -1])
        await stream.receive()

    async with pool_at(talk) as pool:
        response = await pool.open(request())
        response.close()
        assert idle(pool) == 0
        assert await response.receive() == b""
        assert (await pool.exchange(request())).body == b"hello 2"


async def test_head_request_has_no_body() -> None:
    """Its headers describe a body that does not come."""

    async def talk(stream: anyio.abc.SocketStream, number: int) -> None:
        await next_body(BufferedByteReceiveStream(stream))
        await stream.send(reply(b"hello" * number)[: -5 * number])
        await stream.receive()

    async with pool_at(talk) as pool:
        response = await pool.open(request(), has_body=False)
        assert (response.status, await response.receive()) == (200, b"")
        assert idle(pool) == 0


async def silent(stream: anyio.abc.SocketStream, _number: int) -> None:
    """Answer only the first request of a connection."""
    buffered = BufferedByteReceiveStream(stream)
    await stream.send(reply(await next_body(buffered)))
    await anyio.sleep_forever()


@pytest.mark.parametrize("used", [False, True])
async def test_timeout_of_a_step_ends_the_exchange(*, used: bool) -> None:
    """The request is not sent again, whatever connection it used."""
    async with pool_at(silent) as pool:
        if used:
            await pool.exchange(request())
        steps = {"read": 0.01, "write": 0.01}
        with pytest.raises(RequestTimeoutError, match=r"within 0\.01 seconds"):
            await pool.open(request(b"x" * 20_000_000), timeouts=Timeouts(**steps))
        assert idle(pool) == 0


async def test_timeout_of_connecting() -> None:
    """Of limin's timeout and the client's own, the shorter one counts."""
    async with pool_at(echo) as pool:
        with pytest.raises(ConnectError, match="within 0 seconds"):
            await pool.open(request(), timeouts=Timeouts(connect=0.0))


async def test_response_in_time() -> None:
    """Limits that do not pass change nothing."""
    async with pool_at(echo) as pool:
        steps = Timeouts(connect=60.0, read=60.0, write=60.0)
        assert (await whole(await pool.open(request(), timeouts=steps))).body == b"hello 1"


async def test_repr_shows_the_state() -> None:
    """The repr holds the numbers of active and idle connections, and no request."""
    async with pool_at(silent) as pool:
        await pool.exchange(request())
        assert repr(pool.inner) == "<limin.ConnectionPool: 0 active, 1 idle>"
        pool.close()
        assert repr(pool.inner) == "<limin.ConnectionPool: closed, 0 active, 0 idle>"
        assert (pool.inner.active, pool.inner.idle) == (0, 0)
    assert repr(request(b"secret")) == "<44 bytes of a request>"
