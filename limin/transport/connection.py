"""One socket to one server: opened, written to, read from, closed.

The sockets are limin's own and do not block; the event loop only says when they are
ready. So no loop holds bytes that limin has not seen: bytes that answer no request lie
in the kernel, where `is_open_and_silent` finds them. Closing takes no waiting, and an
idle socket belongs to no loop.
"""

from __future__ import annotations

import os
import socket
import ssl
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import anyio
import msgspec

from limin.errors import CertificateError, ConnectError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Address: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]

_CHUNK = 65_536

# RFC 8305, 5: how long one address may keep the next one waiting.
_SECONDS_BETWEEN_ATTEMPTS = 0.25

_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_Argument = TypeVar("_Argument")
_Result = TypeVar("_Result")


class Origin(msgspec.Struct, frozen=True):
    """The server that a connection is for.

    Attributes:
        host: Name or address.
        port: TCP port.
        is_secure: Whether TLS is spoken.
    """

    host: str
    port: int
    is_secure: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class RequestBytes(msgspec.Struct, frozen=True, gc=False):
    """The bytes of a request, which hold a key: the repr shows only how many they are.

    Tools that report errors show the repr of each local variable of a traceback.

    Attributes:
        data: The bytes.
    """

    data: bytes

    def __repr__(self) -> str:
        """Return the size."""
        return f"<{len(self.data)} bytes of a request>"


class Connection:
    """An open connection."""

    __slots__ = ("_socket",)

    def __init__(self, sock: socket.socket) -> None:
        """Use *sock*, a connected socket that does not block."""
        self._socket = sock

    async def send(
        self, request: RequestBytes, should_stop: Callable[[bytes], bool]
    ) -> bool:
        """Send *request*, and return whether it was sent completely.

        A server may respond before it has read everything, and then read no more. So
        bytes that come while the socket takes none go to *should_stop*, which returns
        whether to stop sending; it gets no bytes if the server closed.

        Raises:
            OSError: If the connection is broken.
        """
        sock, sent, size = self._socket, 0, len(request.data)
        while True:
            try:
                sent += sock.send(memoryview(request.data)[sent:])
            except (BlockingIOError, ssl.SSLWantWriteError):
                await _wait_for_either(sock)
                received = self._receive_now()
                if received is not None and should_stop(received):
                    return False
            except ssl.SSLWantReadError:
                await anyio.wait_readable(sock)
            if sent == size:
                return True

    async def receive(self) -> bytes:
        """Return the next bytes, as many as are there; empty if the server closed.

        Always gives way to other tasks, unless TLS holds decrypted bytes.

        Raises:
            OSError: If the connection is broken.
        """
        sock = self._socket
        if not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            await anyio.wait_readable(sock)
        return await _when_ready(sock.recv, _CHUNK, sock)

    def is_open_and_silent(self) -> bool:
        """Return whether the connection is open, and no byte came."""
        try:
            return self._receive_now() is None
        except OSError:
            return False

    def close(self) -> None:
        """Close at once; no task may wait for the connection."""
        self._socket.close()

    def abort(self) -> None:
        """Close at once, and end the waits of tasks for the connection.

        Otherwise the event loop would go on to watch the number of the socket, which
        the next socket gets.
        """
        anyio.notify_closing(self._socket)
        self._socket.close()

    def _receive_now(self) -> bytes | None:
        """Return the bytes that are there: empty if the server closed, None if none."""
        try:
            return self._socket.recv(_CHUNK)
        except _NOT_NOW:
            return None


async def connect(
    origin: Origin, context: ssl.SSLContext | None = None, *, seconds: float
) -> Connection:
    """Return a new connection.

    Args:
        origin: The server.
        context: How to speak TLS; None for plain HTTP.
        seconds: For name, connection and handshake together.

    Raises:
        ConnectError: If there is no connection within *seconds*; its cause is a
            `TimeoutError` if they are over.
    """
    with anyio.move_on_after(seconds):
        try:
            sock = await _open(await _resolve(origin))
            if context is None:
                return Connection(sock)
            return Connection(await _start_tls(sock, origin.host, context))
        except ssl.SSLCertVerificationError as error:
            reason = f"no connection to {origin}: {error.verify_message}"
            raise CertificateError(reason) from error
        except (OSError, UnicodeError) as error:
            message = getattr(error, "strerror", None) or str(error)
            reason = f"no connection to {origin}: {message}"
            raise ConnectError(reason) from error
    reason = f"no connection to {origin} within {seconds:g} seconds"
    raise ConnectError(reason) from TimeoutError()


async def _wait_for_either(sock: socket.socket) -> None:
    """Wait until *sock* can be written to or read from."""
    async with anyio.create_task_group() as tasks:

        async def wait_for(ready: Callable[[socket.socket], Awaitable[None]]) -> None:
            await ready(sock)
            tasks.cancel_scope.cancel()

        tasks.start_soon(wait_for, anyio.wait_readable)
        await wait_for(anyio.wait_writable)


async def _when_ready(
    call: Callable[[_Argument], _Result], argument: _Argument, sock: socket.socket
) -> _Result:
    """Return `call(argument)`, once *sock* has bytes for it.

    TLS may have to write in order to read.
    """
    while True:
        try:
            return call(argument)
        except (BlockingIOError, ssl.SSLWantReadError):
            await anyio.wait_readable(sock)
        except ssl.SSLWantWriteError:
            await anyio.wait_writable(sock)


async def _resolve(origin: Origin) -> Sequence[Address]:
    """Return the addresses of *origin*, the resolver's first choice first.

    The address families take turns.
    """
    target = (origin.host, origin.port)
    addresses: list[Address]
    try:
        # An address needs no name server, and so no thread.
        numeric = socket.AI_NUMERICHOST
        infos = socket.getaddrinfo(*target, type=socket.SOCK_STREAM, flags=numeric)
        addresses = [(info[0], info[4]) for info in infos]
    except socket.gaierror:
        looked_up = await anyio.getaddrinfo(*target, type=socket.SOCK_STREAM)
        addresses = [(info[0], info[4]) for info in looked_up]
    preferred = addresses[0][0]
    first = [address for address in addresses if address[0] == preferred]
    second = [address for address in addresses if address[0] != preferred]
    in_turn = chain.from_iterable(zip_longest(first, second))
    return [address for address in in_turn if address is not None]


async def _open(addresses: Sequence[Address]) -> socket.socket:
    """Return a socket that is connected to the first of *addresses* to answer.

    Each address gets a head start before the next one is tried beside it (RFC 8305).
    """
    if len(addresses) == 1:
        return await _attempt(addresses[0])
    race = _Race()
    try:
        async with anyio.create_task_group() as tasks:
            for address in addresses:
                ended = anyio.Event()
                tasks.start_soon(race.run, address, ended, tasks.cancel_scope.cancel)
                with anyio.move_on_after(_SECONDS_BETWEEN_ATTEMPTS):
                    await ended.wait()
    except BaseException:
        race.close()
        raise
    if race.winner is None:
        raise race.failures[0]
    return race.winner


class _Race:
    """Attempts to connect; the first connection wins."""

    def __init__(self) -> None:
        self.winner: socket.socket | None = None
        self.failures: list[OSError] = []

    async def run(
        self, address: Address, ended: anyio.Event, stop: Callable[[], None]
    ) -> None:
        try:
            sock = await _attempt(address)
        except OSError as error:
            self.failures.append(error)
        else:
            self.close()
            self.winner = sock
            stop()
        finally:
            ended.set()

    def close(self) -> None:
        if self.winner is not None:
            self.winner.close()


async def _attempt(address: Address) -> socket.socket:
    family, target = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 (a method of Python's own)
        # Requests are written whole, so waiting to fill a packet only delays;
        # and a peer that vanished while it thinks should not be waited for.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            sock.connect(target)
        except BlockingIOError:
            await anyio.wait_writable(sock)
        _raise_failure(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    except BaseException:
        sock.close()
        raise
    return sock


def _raise_failure(number: int) -> None:
    if number:
        # Windows numbers errors of sockets apart, and names them in this table.
        names: dict[int, str] = getattr(socket, "errorTab", {})
        raise OSError(number, names.get(number) or os.strerror(number))


async def _start_tls(
    sock: socket.socket, host: str, context: ssl.SSLContext
) -> socket.socket:
    try:
        # Before Python 3.12, wrap_socket forgets the socket of a peer that is gone.
        sock.getpeername()
        # Without the close_notify of TLS, the end of a body may be the work of another.
        secure = context.wrap_socket(
            sock,
            server_hostname=host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
    except BaseException:
        sock.close()
        raise
    try:
        await _when_ready(_handshake, secure, secure)
    except BaseException:
        secure.close()
        raise
    return secure


def _handshake(secure: ssl.SSLSocket) -> None:
    secure.do_handshake()
