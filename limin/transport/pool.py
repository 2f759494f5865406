"""Connections that are kept from request to request, and one exchange over one of them.

Idle connections wait in lists, one for each origin, last in, first out: the busy ones
stay warm and the others age. There is no limit and no queue, since whoever asks decides
how much to ask at once. So a request costs the same however many are under way.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.lowlevel
import msgspec

from limin.errors import RequestTimeoutError, TransportError
from limin.transport.connection import connect
from limin.transport.frames import forget_frames
from limin.transport.idle_connections import IdleConnections, PooledConnection
from limin.transport.reader import ResponseReader

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

    from limin.transport.connection import Origin, RequestBytes
    from limin.values.endpoint import Limits

_Result = TypeVar("_Result")


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds that one step of an exchange may take; None for no limit.

    Attributes:
        connect: For the name, the connection and the TLS handshake together.
        read: For the next bytes of the response.
        write: For the whole request.
    """

    connect: float | None = None
    read: float | None = None
    write: float | None = None


NO_TIMEOUTS = Timeouts()


class ConnectionPool:
    """Exchanges with any number of origins, over connections that are kept."""

    def __init__(self, limits: Limits, tls_context: Callable[[], ssl.SSLContext]) -> None:
        """Start without connections.

        Args:
            limits: What a server may cost at most.
            tls_context: Returns the context for TLS, when a connection needs it.
        """
        self._limits = limits
        self._tls_context = tls_context
        self._is_closed = False
        self._active = 0
        self._idle: dict[int, IdleConnections] = {}

    def __repr__(self) -> str:
        """Return how many connections are in use, and how many are idle."""
        state = "closed, " if self._is_closed else ""
        return f"<limin.ConnectionPool: {state}{self._active} active, {self.idle} idle>"

    @property
    def active(self) -> int:
        """How many connections carry an exchange."""
        return self._active

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        return sum(map(len, list(self._idle.values())))

    async def open(
        self,
        origin: Origin,
        request: RequestBytes,
        timeouts: Timeouts = NO_TIMEOUTS,
        *,
        has_body: bool = True,
    ) -> PooledResponse:
        """Send *request*, and read the head of the response.

        A kept connection may have died since it was last used. If it breaks before the
        first byte of the response, the error says so (`died_idle`), and the other idle
        connections to *origin* are closed.

        Args:
            origin: The server.
            request: Its bytes.
            timeouts: How long each step may take.
            has_body: Whether the response may have a body.

        Raises:
            TransportError: If no head of a response came.
        """
        idle = self._idle_here()
        kept = idle.take(origin)
        pooled = kept or await self._connect(origin, timeouts.connect)
        self._active += 1
        response = PooledResponse(self, pooled, idle, timeouts)
        try:
            await response.begin(request, has_body=has_body)
        except TransportError as error:
            is_late = isinstance(error, RequestTimeoutError)
            if kept is not None and not (kept.reader.has_started or is_late):
                error.died_idle = True
                idle.close(origin)
            raise
        return response

    def close(self) -> None:
        """Close the idle connections at once, and each other one after its exchange."""
        self._is_closed = True
        # A copy: another thread may begin to ask meanwhile.
        for idle in list(self._idle.values()):
            idle.close()

    def _idle_here(self) -> IdleConnections:
        """Return the idle connections of this event loop.

        A thread runs one loop at a time, so the loop that ran before in this
        thread has ended, or was the parent process's before a fork. Its idle
        connections are closed, which a parent does not notice, and never used. Those
        of other threads and loops that have ended are closed, too.
        """
        process, loop = os.getpid(), anyio.lowlevel.current_token().native_token
        idle = self._idle.get(thread := threading.get_ident())
        if idle is None or idle.loop is not loop or idle.process != process:
            if idle is not None:
                idle.close()
            idle = self._idle[thread] = IdleConnections(process, loop)
        if len(self._idle) > 1:
            self._close_ended()
        return idle

    def _close_ended(self) -> None:
        """Close the connections of threads and event loops that have ended."""
        running = {thread.ident for thread in threading.enumerate()}
        for thread, idle in list(self._idle.items()):
            if thread not in running or idle.is_ended:
                self._idle.pop(thread, None)
                idle.close()

    async def _connect(self, origin: Origin, seconds: float | None) -> PooledConnection:
        limit = self._limits.connect_seconds
        connection = await connect(
            origin,
            self._tls_context() if origin.is_secure else None,
            seconds=limit if seconds is None else min(seconds, limit),
        )
        return PooledConnection(connection, ResponseReader(self._limits), origin)

    def release(
        self, pooled: PooledConnection, idle: IdleConnections, *, keep: bool
    ) -> None:
        """Put *pooled* back among the *idle* connections, or close it if not *keep*.

        The event loop that runs in this thread may be another one by now: then nobody
        would find the connection any more.
        """
        self._active -= 1
        is_current = self._idle.get(threading.get_ident()) is idle
        if keep and is_current and not self._is_closed:
            idle.put_back(pooled)
        elif keep:
            pooled.connection.close()
        else:
            pooled.connection.abort()


class PooledResponse:
    """A response that comes over a pooled connection, until that is released.

    The connection is put back as soon as the response is complete, and closed if it is
    left before. Bytes that came before a failure are handed over before the failure,
    even if one packet brought both.

    Attributes:
        status: Status code.
        reason: Reason phrase; empty if there is none.
        headers: Names and values as they came.
    """

    __slots__ = (
        "_data",
        "_failure",
        "_idle",
        "_is_released",
        "_is_sent",
        "_pool",
        "_pooled",
        "_send_failure",
        "_timeouts",
        "headers",
        "reason",
        "status",
    )

    def __init__(
        self,
        pool: ConnectionPool,
        pooled: PooledConnection,
        idle: IdleConnections,
        timeouts: Timeouts,
    ) -> None:
        """Read from *pooled*, which goes back to *pool*, among the *idle* ones."""
        self._pool, self._pooled, self._idle = pool, pooled, idle
        self._timeouts = timeouts
        self._is_sent = self._is_released = False
        self._failure: TransportError | None = None
        self._send_failure: OSError | None = None
        self._data = b""  # Of the body, not handed over yet.
        self.status, self.reason = 0, b""
        self.headers: Sequence[tuple[bytes, bytes]] = ()

    async def begin(self, request: RequestBytes, *, has_body: bool) -> None:
        """Send *request*, and read the head of the response.

        A server may refuse a request before it has read it, and close the connection:
        its response is read all the same.

        Raises:
            TransportError: If no head of a response came; the connection is closed then.
        """
        reader = self._pooled.reader
        reader.begin(has_body=has_body)
        try:
            await self._send(request)
            while not (reader.has_head or self._failure):
                await self._read_more()
        except BaseException:
            self.close()
            raise
        if self._failure is not None and not reader.has_head:
            self.close()
            raise self._failure
        self.status, self.reason = reader.status, reader.reason
        self.headers = reader.headers

    async def receive(self) -> bytes:
        """Return the next bytes of the body; empty at its end.

        Raises:
            TransportError: If the body breaks off.
        """
        while not self._data:
            if self._failure is not None:
                raise self._failure
            if self._is_released:
                break
            await self._read_more()
        data, self._data = self._data, b""
        return data

    def close(self) -> None:
        """Close the connection, unless the response is complete."""
        self._data = b""
        self._leave(keep=False)

    async def _send(self, request: RequestBytes) -> None:
        """Send *request*, or as much of it as the server reads before it responds.

        What breaks it is kept for later: there may be a response all the same.
        """
        reader, connection = self._pooled.reader, self._pooled.connection

        def should_stop(data: bytes) -> bool:
            if data:
                reader.feed(data)
            return not data or reader.has_head

        step, seconds = connection.send(request, should_stop), self._timeouts.write
        if seconds is not None:
            step = _within(seconds, step, "the request was not sent")
        try:
            self._is_sent = await step
        except TransportError as error:
            self._keep_failure(error)
        except OSError as error:
            self._send_failure = error
        if reader.has_started:
            self._take_data()

    async def _read_more(self) -> None:
        """Read the next bytes of the connection, and keep what breaks it for later."""
        reader, seconds = self._pooled.reader, self._timeouts.read
        try:
            step = self._pooled.connection.receive()
            data = await (step if seconds is None else _within(seconds, step, "no data"))
            if data:
                reader.feed(data)
            else:
                reader.finish()
        except anyio.ClosedResourceError:
            self._failure = TransportError("the connection was closed by another task")
        except TransportError as error:
            self._keep_failure(error)
        except OSError as error:
            cause = self._send_failure or error
            self._failure = TransportError(
                f"the connection broke: {cause.strerror or cause}"
            )
            self._failure.__cause__ = cause
        self._take_data()

    def _keep_failure(self, error: TransportError) -> None:
        forget_frames(error)  # It is raised where no bytes are local variables.
        self._failure = error

    def _take_data(self) -> None:
        """Take what the reader has of the body, and leave the connection at its end."""
        reader = self._pooled.reader
        self._data = reader.take() if reader.has_head else b""
        if reader.is_complete:
            self._leave(keep=self._is_sent and reader.is_reusable)

    def _leave(self, *, keep: bool) -> None:
        if not self._is_released:
            self._is_released = True
            self._pool.release(self._pooled, self._idle, keep=keep)


async def _within(seconds: float, step: Awaitable[_Result], subject: str) -> _Result:
    """Return the result of *step*, which may take *seconds*.

    Raises:
        RequestTimeoutError: If it takes longer.
    """
    with anyio.move_on_after(seconds):
        return await step
    reason = f"{subject} within {seconds:g} seconds"
    raise RequestTimeoutError(reason)
