"""The connections of one client to its origin, and one exchange over one of them.

Idle connections wait in a list, last in, first out: the busy ones stay warm and
the others age. There is no limit and no queue, since whoever asks decides how
much to ask at once; so a request costs the same however many are under way.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio.lowlevel

from limin.errors import TransportError
from limin.transport.connection import Connection, connect
from limin.transport.reader import ResponseReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from limin.transport.connection import Origin
    from limin.values.endpoint import Limits
    from limin.wire.http import HttpResponse, OpenResponse

_Got = TypeVar("_Got")

# Servers close idle connections after 5 s (llama.cpp, uvicorn) to some minutes;
# a closed one costs a file descriptor until it is found.
_SECONDS_IDLE = 60.0


class _PooledConnection:
    """A connection, its reader, and since when it rests (monotonic seconds)."""

    def __init__(self, connection: Connection, reader: ResponseReader) -> None:
        self.connection, self.reader = connection, reader
        self.idle_since = 0.0


class _IdleConnections:
    """The event loop and the process that idle connections belong to."""

    def __init__(self, process: int, loop: object) -> None:
        self.process, self.loop = process, loop
        self.idle: deque[_PooledConnection] = deque()

    def close(self) -> None:
        while self.idle:
            self.idle.pop().connection.close()


class Pool:
    """Exchanges with one origin, over connections that are kept."""

    def __init__(self, origin: Callable[[], Origin], limits: Limits) -> None:
        """A pool without connections; *origin* is asked when one is needed."""
        self._origin = origin
        self._limits = limits
        self._closed = False
        self._homes: dict[int, _IdleConnections] = {}

    def exchange(self, request: bytes) -> Awaitable[HttpResponse]:
        """Send *request*, and read the answer.

        A kept connection may have died since it was last used: if it breaks
        before the first byte of the answer, the request goes once more, on a new
        one.

        Raises:
            TransportError: If no complete answer came.
        """
        return self._over_a_connection(request, self._exchange)

    def open(self, request: bytes) -> Awaitable[OpenResponse]:
        """Send *request*, and read the head of the answer; see `exchange`.

        Raises:
            TransportError: If no head of an answer came.
        """
        return self._over_a_connection(request, self._begin)

    def close(self) -> None:
        """Close the idle connections, and each other one after its exchange."""
        self._closed = True
        for home in self._homes.values():
            home.close()

    def _home(self) -> _IdleConnections:
        """The home of this event loop.

        A thread runs one loop at a time, so the loop that ran before in this
        thread has ended, or was the parent process's before a fork. Its idle
        connections are closed, which a parent does not notice, and never used.
        """
        process, loop = os.getpid(), anyio.lowlevel.current_token().native_token
        home = self._homes.get(thread := threading.get_ident())
        if home is None or home.loop is not loop or home.process != process:
            if home is not None:
                home.close()
            home = self._homes[thread] = _IdleConnections(process, loop)
        return home

    def _take(self, home: _IdleConnections) -> _PooledConnection | None:
        """The last idle connection that is still open and silent."""
        while home.idle:
            line = home.idle.pop()
            if line.connection.is_quiet():
                return line
            line.connection.close()
        return None

    def _put_back(self, home: _IdleConnections, line: _PooledConnection) -> None:
        """Let *line* rest, and close the one that rested longest if it is too long."""
        line.idle_since = time.monotonic()
        home.idle.append(line)
        if line.idle_since - home.idle[0].idle_since > _SECONDS_IDLE:
            home.idle.popleft().connection.close()

    async def _over_a_connection(
        self,
        request: bytes,
        talk: Callable[[_PooledConnection, _IdleConnections, bytes], Awaitable[_Got]],
    ) -> _Got:
        """What *talk* gets for *request* over a kept connection, or else a new one."""
        home = self._home()
        line = self._take(home)
        if line is not None:
            try:
                return await talk(line, home, request)
            except TransportError:
                if line.reader.started:
                    raise
        connection = await connect(self._origin(), seconds=self._limits.connect_seconds)
        return await talk(
            _PooledConnection(connection, ResponseReader(self._limits)), home, request
        )

    async def _exchange(
        self, line: _PooledConnection, home: _IdleConnections, request: bytes
    ) -> HttpResponse:
        reader, kept = line.reader, False
        try:
            sent = await _ask(line, request, whole=True)
            answer = reader.answer()
            kept = sent and reader.reusable
        finally:
            self._release(home, line, kept=kept)
        return answer

    async def _begin(
        self, line: _PooledConnection, home: _IdleConnections, request: bytes
    ) -> OpenResponse:
        sent, failure = False, None
        try:
            sent = await _ask(line, request, whole=False)
        except BaseException as error:
            if not isinstance(error, TransportError) or not line.reader.answering:
                self._release(home, line, kept=False)
                raise
            failure = error
        release = partial(self._release, home, line)
        return _OpenResponse(line, release, sent=sent, failure=failure)

    def _release(
        self, home: _IdleConnections, line: _PooledConnection, *, kept: bool
    ) -> None:
        if kept and not self._closed:
            self._put_back(home, line)
        else:
            line.connection.close()


class _OpenResponse:
    """The body of an answer that comes over a line, until it is released.

    What came before a failure is handed over first, be it in the same packet.
    """

    def __init__(
        self,
        line: _PooledConnection,
        release: Callable[..., None],
        *,
        sent: bool = False,
        failure: TransportError | None = None,
    ) -> None:
        self._line, self._release = line, release
        self._sent, self._failure = sent, failure
        self._released = False
        self.head = line.reader.head()

    async def receive(self) -> bytes:
        if self._released:
            return b""
        reader = self._line.reader
        while not (piece := reader.take()) and not reader.complete:
            if self._failure is not None:
                raise self._failure
            await self._read_more()
        if not piece:
            self._leave(kept=self._sent and reader.reusable)
        return piece

    async def aclose(self) -> None:
        self._leave(kept=False)

    async def _read_more(self) -> None:
        try:
            _take(self._line.reader, await self._line.connection.receive())
        except TransportError as error:
            self._failure = error
        except OSError as error:
            self._failure = _broken(error)
            self._failure.__cause__ = error

    def _leave(self, *, kept: bool) -> None:
        if not self._released:
            self._released = True
            self._release(kept=kept)


async def _ask(line: _PooledConnection, request: bytes, *, whole: bool) -> bool:
    """Send *request* and read the answer's head, or all of it; whether all was sent.

    A server may refuse a request before it has read it, and close: what it said
    is read all the same.
    """
    reader, connection = line.reader, line.connection

    def heard(data: bytes) -> bool:
        if data:
            reader.feed(data)
        return not data or reader.answering

    sent, failure = False, None
    reader.begin()
    try:
        sent = await connection.send(request, heard)
    except OSError as error:
        failure = error
    try:
        while not (reader.complete if whole else reader.answering):
            _take(reader, await connection.receive())
    except OSError as error:
        raise _broken(failure or error) from (failure or error)
    return sent


def _take(reader: ResponseReader, data: bytes) -> None:
    """Let *reader* read *data*, or the end if there are none."""
    if data:
        reader.feed(data)
    else:
        reader.finish()


def _broken(error: OSError) -> TransportError:
    return TransportError(f"the connection broke: {error.strerror or error}")
