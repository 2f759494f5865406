"""One socket to one server: opened, written to, read from, closed.

The sockets are non-blocking ones of our own, and the event loop only tells when
they are ready. So no loop holds bytes that we have not seen: what a server says
unasked lies in the kernel, where `is_quiet` finds it. Closing takes no waiting,
and a socket that rests belongs to no loop.
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

_Given = TypeVar("_Given")
_Got = TypeVar("_Got")


class Origin(msgspec.Struct, frozen=True):
    """A server: the only one that a connection, and what is sent on it, is for.

    Attributes:
        host: Name or address.
        port: TCP port.
        context: How to speak TLS; None for plain HTTP.
    """

    host: str
    port: int
    context: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Connection:
    """An open connection."""

    __slots__ = ("_socket",)

    def __init__(self, opened: socket.socket) -> None:
        """A connection over *opened*, which is connected and does not block."""
        self._socket = opened

    async def send(self, data: bytes, heard: Callable[[bytes], bool]) -> bool:
        """Send *data*; whether all of it was sent.

        A server may answer before it has read everything, and then read no
        more. So what comes while the socket takes nothing goes to *heard*,
        which says whether to stop sending; it hears nothing if the server closed.

        Raises:
            OSError: If the connection is broken.
        """
        opened, sent = self._socket, 0
        while True:
            try:
                sent += opened.send(memoryview(data)[sent:] if sent else data)
            except (BlockingIOError, ssl.SSLWantWriteError):
                await _wait_for_either(opened)
                said = self._said()
                if said is not None and heard(said):
                    return False
            except ssl.SSLWantReadError:
                await anyio.wait_readable(opened)
            if sent == len(data):
                return True

    async def receive(self) -> bytes:
        """The next bytes, as many as are there; none if the server closed.

        Always gives way to other tasks, unless TLS holds a decrypted rest.

        Raises:
            OSError: If the connection is broken.
        """
        opened = self._socket
        if not (isinstance(opened, ssl.SSLSocket) and opened.pending()):
            await anyio.wait_readable(opened)
        return await _when_ready(opened.recv, _CHUNK, opened)

    def is_quiet(self) -> bool:
        """Whether the connection is open, and nothing came that was not asked for."""
        try:
            return self._said() is None
        except OSError:
            return False

    def close(self) -> None:
        """Close at once."""
        self._socket.close()

    def _said(self) -> bytes | None:
        """What came, without waiting: nothing if the server closed; None if silent."""
        try:
            return self._socket.recv(_CHUNK)
        except _NOT_NOW:
            return None


async def connect(origin: Origin, *, seconds: float) -> Connection:
    """A new connection, over TLS if *origin* wants it.

    Args:
        origin: The server.
        seconds: For name, connection and handshake together.

    Raises:
        ConnectError: If there is none within *seconds*.
    """
    with anyio.move_on_after(seconds):
        try:
            opened = await _open(await _resolve(origin))
            if origin.context is None:
                return Connection(opened)
            return Connection(await _shake_hands(opened, origin.host, origin.context))
        except ssl.SSLCertVerificationError as error:
            reason = f"no connection to {origin}: {error.verify_message}"
            raise CertificateError(reason) from error
        except (OSError, UnicodeError) as error:
            words = getattr(error, "strerror", None) or str(error)
            reason = f"no connection to {origin}: {words}"
            raise ConnectError(reason) from error
    reason = f"no connection to {origin} within {seconds:g} seconds"
    raise ConnectError(reason)


async def _wait_for_either(opened: socket.socket) -> None:
    """Wait until *opened* takes bytes, or has some."""
    async with anyio.create_task_group() as tasks:

        async def wait_for(ready: Callable[[socket.socket], Awaitable[None]]) -> None:
            await ready(opened)
            tasks.cancel_scope.cancel()

        tasks.start_soon(wait_for, anyio.wait_readable)
        await wait_for(anyio.wait_writable)


async def _when_ready(
    call: Callable[[_Given], _Got], given: _Given, opened: socket.socket
) -> _Got:
    """What *call* of *given* returns, once *opened* has bytes for it.

    TLS may have to write in order to read.
    """
    while True:
        try:
            return call(given)
        except (BlockingIOError, ssl.SSLWantReadError):
            await anyio.wait_readable(opened)
        except ssl.SSLWantWriteError:
            await anyio.wait_writable(opened)


async def _resolve(origin: Origin) -> Sequence[Address]:
    """The addresses of *origin*, families in turn, the resolver's first choice first."""
    asked = (origin.host, origin.port)
    addresses: list[Address]
    try:
        # No thread for what needs no name server.
        numeric = socket.AI_NUMERICHOST
        found = socket.getaddrinfo(*asked, type=socket.SOCK_STREAM, flags=numeric)
        addresses = [(one[0], one[4]) for one in found]
    except socket.gaierror:
        named = await anyio.getaddrinfo(*asked, type=socket.SOCK_STREAM)
        addresses = [(one[0], one[4]) for one in named]
    first = [one for one in addresses if one[0] == addresses[0][0]]
    other = [one for one in addresses if one[0] != addresses[0][0]]
    in_turn = chain.from_iterable(zip_longest(first, other))
    return [one for one in in_turn if one is not None]


async def _open(addresses: Sequence[Address]) -> socket.socket:
    """A socket that is connected to the first of *addresses* that answers.

    Each address gets a start before the next one is tried beside it (RFC 8305).
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
    """Attempts to connect, of which one wins."""

    def __init__(self) -> None:
        self.winner: socket.socket | None = None
        self.failures: list[OSError] = []

    async def run(
        self, address: Address, ended: anyio.Event, stop: Callable[[], None]
    ) -> None:
        try:
            opened = await _attempt(address)
        except OSError as error:
            self.failures.append(error)
        else:
            self.close()
            self.winner = opened
            stop()
        finally:
            ended.set()

    def close(self) -> None:
        if self.winner is not None:
            self.winner.close()


async def _attempt(address: Address) -> socket.socket:
    family, where = address
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)  # noqa: FBT003 (a method of Python's own)
        # Requests are written whole, so waiting to fill a packet only delays;
        # and a peer that vanished while it thinks should not be waited for.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            opened.connect(where)
        except BlockingIOError:
            await anyio.wait_writable(opened)
        _raise_failure(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    except BaseException:
        opened.close()
        raise
    return opened


def _raise_failure(number: int) -> None:
    if number:
        raise OSError(number, os.strerror(number))


async def _shake_hands(
    opened: socket.socket, host: str, context: ssl.SSLContext
) -> socket.socket:
    try:
        # Before Python 3.12, wrap_socket forgets the socket of a peer that is gone.
        opened.getpeername()
        # Without a farewell of TLS, the end of a body may be the work of another.
        secure = context.wrap_socket(
            opened,
            server_hostname=host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
    except BaseException:
        opened.close()
        raise
    try:
        await _when_ready(_handshake, secure, secure)
    except BaseException:
        secure.close()
        raise
    return secure


def _handshake(secure: ssl.SSLSocket) -> None:
    secure.do_handshake()
