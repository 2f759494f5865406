"""One socket: opened, written to, read from, and always closed in the end."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import pytest
import trustme
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSAttribute, TLSStream
from loopback import completion, http, serve_streams

from limin import Client, ConnectError
from limin.transport import connection
from limin.transport.connection import Connection, Origin, RequestBytes, connect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from anyio.abc import SocketStream

LARGE = bytes(range(256)) * 32_768  # 8 MiB: more than the kernel takes at once


def open_sockets() -> int:
    """Return how many sockets this process has open."""
    count = 0
    for name in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            count += name.readlink().name.startswith("socket:")
    return count


@pytest.fixture(autouse=True)
async def _no_socket_is_left() -> AsyncGenerator[None]:
    """Check that every socket that a test opens is closed."""
    before = open_sockets()
    yield
    assert open_sockets() == before


@pytest.fixture
def listener(_no_socket_is_left: None) -> Generator[socket.socket]:
    """Listen at a port; the kernel takes connections even if nobody accepts them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def other(_no_socket_is_left: None) -> Generator[socket.socket]:
    """Listen at a second port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def refusing(_no_socket_is_left: None) -> Generator[socket.socket]:
    """Reserve a port without listening there, so that it refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture
def silent(_no_socket_is_left: None) -> Generator[socket.socket]:
    """Listen at a port with a full queue, which neither refuses nor answers."""
    with socket.socket() as listening, socket.socket() as first:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        first.connect(listening.getsockname())
        yield listening


def origin_of(listening: socket.socket, *, is_secure: bool = False) -> Origin:
    """Return the origin of the socket *listening*."""
    return Origin("127.0.0.1", listening.getsockname()[1], is_secure)


async def opened(listening: socket.socket) -> tuple[Connection, socket.socket]:
    """Open a connection, and return it with the server's end."""
    ours = await connect(origin_of(listening), seconds=5)
    theirs, _ = listening.accept()
    theirs.setblocking(False)  # noqa: FBT003 (a method of Python's own)
    return ours, theirs


async def read(peer: socket.socket, size: int) -> bytes:
    """Return the next *size* bytes that *peer* receives."""
    pieces: list[bytes] = []
    while size:
        await anyio.wait_readable(peer)
        pieces.append(peer.recv(size))
        size -= len(pieces[-1])
    return b"".join(pieces)


def deaf(_data: bytes) -> bool:
    """Ignore early data, and go on."""
    return False


def reset(peer: socket.socket) -> None:
    """Close *peer* with a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *listening: socket.socket) -> Origin:
    """Return an origin whose name has the addresses of *listening*, in that order."""
    ports = [server.getsockname()[1] for server in listening]
    return resolve_to_ports(monkeypatch, *ports)


def resolve_to_ports(monkeypatch: pytest.MonkeyPatch, *ports: int) -> Origin:
    """Return an origin whose name has one address for each of *ports*, in that order."""
    addresses = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)) for port in ports]

    async def getaddrinfo(*_arguments: object, **_options: object) -> list[object]:
        return [*addresses]

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    return Origin("model.test", 80)


async def test_bytes_go_both_ways(listener: socket.socket) -> None:
    """Bytes that one side sends arrive at the other."""
    ours, theirs = await opened(listener)
    with theirs:
        await ours.send(RequestBytes(b"question"), deaf)
        assert await read(theirs, 8) == b"question"
        theirs.send(b"answer")
        assert await ours.receive() == b"answer"
    ours.close()


async def test_server_sees_a_close(listener: socket.socket) -> None:
    """The server need not wait for a client that is gone."""
    ours, theirs = await opened(listener)
    with theirs:
        ours.close()
        await anyio.wait_readable(theirs)
        assert theirs.recv(1) == b""


async def test_closed_server_is_the_end(listener: socket.socket) -> None:
    """Bytes on the way arrive first, then the end."""
    ours, theirs = await opened(listener)
    theirs.send(b"last words")
    theirs.close()
    assert await ours.receive() == b"last words"
    assert await ours.receive() == b""
    ours.close()


async def test_broken_connection_is_an_os_error(listener: socket.socket) -> None:
    """A reset is an error of reading and of writing."""
    ours, theirs = await opened(listener)
    reset(theirs)
    with pytest.raises(ConnectionResetError):
        await ours.receive()
    with pytest.raises(BrokenPipeError):
        await ours.send(RequestBytes(b"question"), deaf)
    ours.close()


async def test_large_request_waits_for_a_slow_server(listener: socket.socket) -> None:
    """Bytes that the kernel does not take at once are sent when the server has read."""
    ours, theirs = await opened(listener)
    all_sent = anyio.Event()

    async def send() -> None:
        assert await ours.send(RequestBytes(LARGE), deaf)
        all_sent.set()

    with theirs, anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            assert not all_sent.is_set()
            assert await read(theirs, len(LARGE)) == LARGE
        assert all_sent.is_set()
    ours.close()


@pytest.mark.parametrize("early", [b"no", b""])
async def test_server_that_answers_before_it_has_read(
    listener: socket.socket, early: bytes
) -> None:
    """Early data, or a close, may stop the request."""
    ours, theirs = await opened(listener)
    received: list[bytes] = []

    async def send() -> None:
        complete = await ours.send(
            RequestBytes(LARGE), lambda data: not received.append(data)
        )
        assert not complete

    with theirs, anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            theirs.send(early)
            theirs.shutdown(socket.SHUT_WR)
    assert received == [early]
    ours.close()


async def test_interim_answer_does_not_stop_the_request(listener: socket.socket) -> None:
    """The callback decides to go on, and the rest is sent."""
    ours, theirs = await opened(listener)
    received: list[bytes] = []

    async def send() -> None:
        request = RequestBytes(LARGE)
        assert await ours.send(request, lambda data: bool(received.append(data)))

    with theirs, anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            theirs.send(b"go on")
            assert await read(theirs, len(LARGE)) == LARGE
    assert received == [b"go on"]
    ours.close()


class Renegotiating(socket.socket):
    """A socket that must read before it writes, and write before it reads, as TLS may."""

    def __init__(self, plain: socket.socket) -> None:
        super().__init__(fileno=plain.detach())
        self.setblocking(False)  # noqa: FBT003 (a method of Python's own)
        self.hurdles: list[OSError] = [ssl.SSLWantReadError(), ssl.SSLWantWriteError()]

    def send(self, *arguments: Any) -> int:
        if len(self.hurdles) == 2:
            raise self.hurdles.pop(0)
        return super().send(*arguments)

    def recv(self, *arguments: Any) -> bytes:
        if self.hurdles:
            raise self.hurdles.pop()
        return super().recv(*arguments)


async def test_renegotiation_is_waited_for(listener: socket.socket) -> None:
    """Each direction waits for the event that it needs, reading or writing."""
    plain, theirs = await opened(listener)
    ours = Connection(Renegotiating(plain._socket))
    with theirs, anyio.fail_after(10):
        theirs.send(b"answer")
        assert await ours.send(RequestBytes(b"question"), deaf)
        assert await read(theirs, 8) == b"question"
        assert await ours.receive() == b"answer"
    ours.close()


async def test_silent_open_connection_is_quiet(listener: socket.socket) -> None:
    """An idle connection stays usable, however often that is checked."""
    ours, theirs = await opened(listener)
    with theirs:
        assert ours.is_open_and_silent()
        assert ours.is_open_and_silent()
    ours.close()


@pytest.mark.parametrize("end", [socket.socket.close, reset, lambda peer: peer.send(b"?")])
async def test_connection_that_may_not_be_used_again(
    listener: socket.socket, end: Callable[[socket.socket], object]
) -> None:
    """A connection that is closed, broken or has unexpected data is not used again."""
    ours, theirs = await opened(listener)
    with theirs:
        end(theirs)
        await anyio.wait_readable(ours._socket)
        assert not ours.is_open_and_silent()
    ours.close()


async def test_refused_port_is_named(refusing: socket.socket) -> None:
    """The error names the address and the reason."""
    origin = origin_of(refusing)
    with pytest.raises(ConnectError) as caught:
        await connect(origin, seconds=5)
    assert str(caught.value) == f"no connection to {origin}: Connection refused"


async def test_unknown_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a misspelt host holds the resolver's message."""

    async def getaddrinfo(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    message = "no connection to nowhere.invalid:80: Name or service not known"
    with pytest.raises(ConnectError, match=f"^{message}$"):
        await connect(Origin("nowhere.invalid", 80), seconds=5)


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
async def test_name_that_no_resolver_takes(host: str) -> None:
    """Python refuses to resolve it, which is the same error."""
    with pytest.raises(ConnectError, match=f"no connection to {host}:80: .*label"):
        await connect(Origin(host, 80), seconds=5)


async def test_slow_resolver_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit covers name resolution, too."""

    async def getaddrinfo(*_arguments: object, **_options: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    with pytest.raises(ConnectError, match=r"no connection to m.test:80 within 0.01 sec"):
        await connect(Origin("m.test", 80), seconds=0.01)


async def test_silent_server_is_not_waited_for(silent: socket.socket) -> None:
    """The limit covers the connection attempt."""
    with pytest.raises(ConnectError, match=r"within 0.01 seconds"):
        await connect(origin_of(silent), seconds=0.01)


async def test_silent_handshake_is_not_waited_for(listener: socket.socket) -> None:
    """The limit covers the TLS handshake, too."""
    origin, context = origin_of(listener), ssl.create_default_context()
    with pytest.raises(ConnectError, match=r"within 0.01 seconds"):
        await connect(origin, context, seconds=0.01)


async def reached(listening: socket.socket, origin: Origin) -> None:
    """Check that *origin* leads to *listening*."""
    with anyio.fail_after(10):
        ours = await connect(origin, seconds=10)
    theirs, _ = listening.accept()
    with theirs:
        theirs.send(b"here")
        assert await ours.receive() == b"here"
    ours.close()


async def test_name_of_one_address(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name leads to its address."""
    await reached(listener, resolve_to(monkeypatch, listener))


async def test_address_that_refuses_is_passed_over_at_once(
    refusing: socket.socket, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`localhost` has two addresses, and many servers listen at only one of them."""
    monkeypatch.setattr(connection, "_SECONDS_BETWEEN_ATTEMPTS", 1000)
    await reached(listener, resolve_to(monkeypatch, refusing, refusing, listener))


async def test_address_that_does_not_answer_is_passed_over_soon(
    silent: socket.socket,
    refusing: socket.socket,
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A route that swallows packets does not hold up the next one."""
    monkeypatch.setattr(connection, "_SECONDS_BETWEEN_ATTEMPTS", 0.01)
    await reached(listener, resolve_to(monkeypatch, silent, refusing, listener))


async def test_first_answer_ends_the_race(
    listener: socket.socket, other: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an address has answered, no other address is tried."""
    monkeypatch.setattr(connection, "_SECONDS_BETWEEN_ATTEMPTS", 1000)
    await reached(listener, resolve_to(monkeypatch, listener, other))
    other.setblocking(False)  # noqa: FBT003 (a method of Python's own)
    with pytest.raises(BlockingIOError):
        other.accept()


async def test_all_addresses_refuse(
    refusing: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If every address fails, the error is that of the first."""
    origin = resolve_to(monkeypatch, refusing, refusing)
    with pytest.raises(ConnectError, match=r"to model\.test:80: Connection refused"):
        await connect(origin, seconds=5)


async def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family without a route costs one attempt before the other family is tried."""
    four, six = socket.AF_INET, socket.AF_INET6
    tried: list[str] = []

    async def getaddrinfo(*_arguments: object, **_options: object) -> list[object]:
        return [(f, 1, 6, "", (a,)) for f, a in [(six, "a"), (six, "b"), (four, "c")]]

    async def refuse(address: connection.Address) -> None:
        tried.append(*address[1])
        raise ConnectionRefusedError

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(connection, "_attempt", refuse)
    with pytest.raises(ConnectError):
        await connect(Origin("model.test", 80), seconds=5)
    assert tried == ["a", "c", "b"]


async def test_two_winners_leave_one_connection(
    listener: socket.socket, other: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If two connections succeed at the same time, the second is closed."""
    attempt, both, go = connection._attempt, anyio.Event(), anyio.Event()
    won: list[socket.socket] = []

    async def together(address: connection.Address) -> socket.socket:
        mine = await attempt(address)
        won.append(mine)
        if len(won) == 2:
            both.set()
        await go.wait()
        return mine

    async def start() -> None:
        await both.wait()
        await anyio.wait_all_tasks_blocked()
        go.set()

    monkeypatch.setattr(connection, "_attempt", together)
    monkeypatch.setattr(connection, "_SECONDS_BETWEEN_ATTEMPTS", 0.01)
    origin = resolve_to(monkeypatch, listener, other)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        ours = await connect(origin, seconds=10)
    assert sorted(winner.fileno() == -1 for winner in won) == [False, True]
    assert ours._socket.fileno() != -1
    ours.close()


async def test_race_that_is_cancelled_after_it_was_won(
    listener: socket.socket, other: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winner is closed if its caller was cancelled."""
    attempt, start, go = connection._attempt, anyio.Event(), anyio.Event()

    async def slow(address: connection.Address) -> socket.socket:
        if address[1] == listener.getsockname():
            await start.wait()
            return await attempt(address)
        start.set()
        with anyio.CancelScope(shield=True):
            await go.wait()
        raise ConnectionRefusedError

    async def give_up() -> None:
        with anyio.CancelScope() as scope:
            tasks.start_soon(cancel, scope)
            await connect(origin, seconds=5)

    async def cancel(scope: anyio.CancelScope) -> None:
        await start.wait()
        await anyio.wait_readable(listener)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        go.set()

    monkeypatch.setattr(connection, "_attempt", slow)
    monkeypatch.setattr(connection, "_SECONDS_BETWEEN_ATTEMPTS", 0.01)
    origin = resolve_to(monkeypatch, listener, other)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(give_up)


STEPS = ["name", "connection", "race", "handshake", "send", "receive"]


@pytest.mark.parametrize("step", STEPS)
async def test_cancellation_leaves_nothing_open(
    step: str,
    silent: socket.socket,
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cancelled connection is closed, whatever it was waiting for."""
    monkeypatch.setattr(connection, "_SECONDS_BETWEEN_ATTEMPTS", 0)
    origins = {
        "connection": lambda: origin_of(silent),
        "race": lambda: resolve_to(monkeypatch, silent, silent),
        "handshake": lambda: origin_of(listener, is_secure=True),
    }
    origin = origins.get(step, lambda: origin_of(listener))()
    if step == "name":
        monkeypatch.setattr(connection, "_resolve", lambda _: anyio.sleep_forever())

    async def use() -> None:
        context = ssl.create_default_context() if origin.is_secure else None
        ours = await connect(origin, context, seconds=1000)
        try:
            await (
                ours.send(RequestBytes(LARGE), deaf) if step == "send" else ours.receive()
            )
        finally:
            ours.close()
        pytest.fail("nothing was waited for")

    async with anyio.create_task_group() as tasks:
        before = open_sockets()
        tasks.start_soon(use)
        await anyio.wait_all_tasks_blocked()
        assert open_sockets() - before == {"name": 0, "race": 2}.get(step, 1)
        tasks.cancel_scope.cancel()
    assert open_sockets() == before


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return the authority that signs certificates here."""
    return trustme.CA()


@pytest.fixture
def certificate(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> trustme.LeafCert:
    """Issue a certificate that clients trust through the environment."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return authority.issue_cert("127.0.0.1", "model.test")


@attrs.define
class Secure:
    """A TLS server, and the requests that reached it so far."""

    port: int = 0
    connections: int = 0
    requests: int = 0
    protocols: list[str | None] = attrs.field(factory=list)

    async def answer(self, stream: TLSStream, text: str = "hi") -> None:
        """Answer the next request."""
        buffered = BufferedByteReceiveStream(stream)
        head = await buffered.receive_until(b"\r\n\r\n", 65536)
        await buffered.receive_exactly(int(head.rsplit(b" ", 1)[1]))
        self.requests += 1
        await stream.send(http(completion(text)))


async def converse(server: Secure, stream: TLSStream) -> None:
    """Answer requests in turn."""
    while True:
        await server.answer(stream)


@asynccontextmanager
async def serve_tls(
    certificate: trustme.LeafCert,
    talk: Callable[[Secure, TLSStream], Awaitable[None]] = converse,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> AsyncGenerator[Secure]:
    """Run a server that calls *talk* for each TLS connection, then closes it."""
    server = Secure()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    certificate.configure_cert(context)

    async def shake(stream: SocketStream) -> None:
        server.connections += 1
        with suppress(ssl.SSLError):
            secure = await TLSStream.wrap(
                stream, server_side=True, ssl_context=context, standard_compatible=False
            )
            protocol = secure.extra(TLSAttribute.alpn_protocol)  # noqa: S610 (no Django here)
            server.protocols.append(protocol)
            await talk(server, secure)

    async with serve_streams(shake) as server.port:
        yield server


async def ask(port: int, host: str = "127.0.0.1", prompt: str = "hello") -> str:
    """Return the response of the server at *port* to a new client."""
    async with Client(f"https://{host}:{port}/v1", timeout=30) as client:
        return (await client.generate_text_completion(prompt)).message


async def test_trusted_server_answers(certificate: trustme.LeafCert) -> None:
    """HTTP/1.1 is the only protocol that limin offers, because it speaks no other."""
    async with serve_tls(certificate) as server:
        assert await ask(server.port) == "hi"
    assert server.protocols == ["http/1.1"]


async def test_certificate_may_be_of_a_name(
    certificate: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate must be for the name of the URL, not for its address."""
    async with serve_tls(certificate) as server:
        resolve_to_ports(monkeypatch, server.port)
        assert await ask(server.port, "model.test") == "hi"


@pytest.mark.parametrize("chunk", [1000, 65_536])
async def test_large_answer_over_tls_is_whole(
    certificate: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Records that are decrypted but not yet read are kept."""
    monkeypatch.setattr(connection, "_CHUNK", chunk)
    text = "0123456789abcdef" * 300_000

    async def talk(server: Secure, stream: TLSStream) -> None:
        await server.answer(stream, text)

    async with serve_tls(certificate, talk) as server:
        assert await ask(server.port) == text


async def test_large_request_over_tls_waits_for_a_slow_server(
    certificate: trustme.LeafCert,
) -> None:
    """Bytes that the kernel does not take at once are sent when the server has read."""
    go = anyio.Event()

    async def talk(server: Secure, stream: TLSStream) -> None:
        await go.wait()
        await server.answer(stream)

    async with serve_tls(certificate, talk) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, server.port, "127.0.0.1", "a" * 8_000_000)
        await anyio.wait_all_tasks_blocked()
        assert server.requests == 0
        go.set()
    assert server.requests == 1


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
async def test_connection_over_tls_is_kept(
    certificate: trustme.LeafCert, version: ssl.TLSVersion
) -> None:
    """Requests share a connection, since a handshake can cost more than a completion."""
    async with serve_tls(certificate, version=version) as server:
        client = Client(f"https://127.0.0.1:{server.port}/v1")
        for _ in range(3):
            await client.generate_text_completion("hello")
        await client.aclose()
    assert (server.connections, server.requests) == (1, 3)


async def test_session_tickets_are_no_noise(certificate: trustme.LeafCert) -> None:
    """A message of TLS itself does not make a connection unusable."""
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    async with serve_tls(certificate) as server:
        ours = await connect(Origin("127.0.0.1", server.port), context, seconds=10)
        await anyio.wait_readable(ours._socket)
        assert ours.is_open_and_silent()
        ours.close()


async def hang_up(stream: TLSStream) -> None:
    """Close without a TLS alert."""
    await stream.transport_stream.aclose()


async def say_goodbye(stream: TLSStream) -> None:
    """Close with a TLS alert, and wait for the alert of the other side."""
    stream.standard_compatible = True
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        await stream.unwrap()


@pytest.mark.parametrize("end", [hang_up, say_goodbye])
async def test_idle_connection_over_tls_that_ends_is_replaced(
    certificate: trustme.LeafCert, end: Callable[[TLSStream], Awaitable[None]]
) -> None:
    """The next request uses another connection."""

    async def talk(server: Secure, stream: TLSStream) -> None:
        await server.answer(stream)
        await end(stream)

    async with serve_tls(certificate, talk) as server:
        client = Client(f"https://127.0.0.1:{server.port}/v1")
        await client.generate_text_completion("hello")
        await anyio.wait_all_tasks_blocked()
        (idle,) = client._servers.server.transport._pool._pool.pool._idle.values()
        ((pooled,),) = idle._by_origin.values()
        assert not pooled.connection.is_open_and_silent()
        await client.generate_text_completion("hello")
        await client.aclose()
    assert (server.connections, server.requests) == (2, 2)


NOW = datetime.now(UTC)
DAY = timedelta(days=1)

WRONG_CERTIFICATES = {
    "of a stranger": (
        lambda _: trustme.CA().issue_cert("127.0.0.1"),
        "unable to get local",
    ),
    "of another address": (lambda ca: ca.issue_cert("127.0.0.2"), "not valid for '127"),
    "of the past": (
        lambda ca: ca.issue_cert(
            "127.0.0.1", not_before=NOW - DAY, not_after=NOW - DAY / 2
        ),
        "has expired",
    ),
    "of the future": (
        lambda ca: ca.issue_cert(
            "127.0.0.1", not_before=NOW + DAY, not_after=NOW + 2 * DAY
        ),
        "not yet valid",
    ),
}


@pytest.mark.parametrize("name", WRONG_CERTIFICATES)
@pytest.mark.usefixtures("certificate")
async def test_wrong_certificate_is_refused(authority: trustme.CA, name: str) -> None:
    """The request is not sent, and the error says what is wrong with the certificate."""
    issue, message = WRONG_CERTIFICATES[name]
    async with serve_tls(issue(authority)) as server:
        with pytest.raises(ConnectError, match=message) as caught:
            await ask(server.port)
        assert f"no connection to 127.0.0.1:{server.port}: " in str(caught.value)
    assert server.requests == 0


IMPOSTORS = {
    "nothing": (b"", "EOF occurred|reset by peer"),
    "plain HTTP": (http(b"", "400 Bad Request"), "wrong version|record layer|packet len"),
    "half a handshake": (b"\x16\x03\x03\x00\x7a\x02\x00", "EOF occurred|reset by peer"),
}


@pytest.mark.parametrize("name", IMPOSTORS)
async def test_server_that_speaks_no_tls_is_refused(name: str) -> None:
    """A server without TLS gets no request, and the error names the reason."""
    greeting, message = IMPOSTORS[name]
    received = b""

    async def talk(stream: SocketStream) -> None:
        nonlocal received
        received = await stream.receive()
        if greeting:
            await stream.send(greeting)

    async with serve_streams(talk) as port:
        with pytest.raises(ConnectError, match=f"to 127.0.0.1:{port}: .*({message})"):
            await ask(port)
    assert b"POST" not in received


async def test_reset_before_the_handshake(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may reset a connection that it has just accepted."""
    attempt = connection._attempt

    async def short(address: connection.Address) -> socket.socket:
        ours = await attempt(address)
        theirs, _ = listener.accept()
        theirs.send(b"no")
        reset(theirs)
        return ours

    monkeypatch.setattr(connection, "_attempt", short)
    with pytest.raises(ConnectError):
        await connect(origin_of(listener), ssl.create_default_context(), seconds=10)
