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
from typing import TYPE_CHECKING

import anyio.lowlevel

from limin.errors import TransportError
from limin.transport.connection import Connection, connect
from limin.transport.reader import AnswerReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.endpoint import Limits
    from limin.transport.connection import Origin
    from limin.wire import Answer

# Servers close idle connections after 5 s (llama.cpp, uvicorn) to some minutes;
# a closed one costs a file descriptor until it is found.
_SECONDS_IDLE = 60.0


class _Line:
    """A connection, its reader, and since when it rests (monotonic seconds)."""

    def __init__(self, connection: Connection, reader: AnswerReader) -> None:
        self.connection, self.reader = connection, reader
        self.idle_since = 0.0


class _Home:
    """The event loop and the process that idle connections belong to."""

    def __init__(self, process: int, loop: object) -> None:
        self.process, self.loop = process, loop
        self.idle: deque[_Line] = deque()

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
        self._homes: dict[int, _Home] = {}

    async def exchange(self, request: bytes) -> Answer:
        """Send *request*, and read the answer.

        A kept connection may have died since it was last used: if it breaks
        before the first byte of the answer, the request goes once more, on a new
        one.

        Raises:
            TransportError: If no complete answer came.
        """
        home = self._home()
        line = self._take(home)
        if line is not None:
            try:
                return await self._exchange(line, home, request)
            except TransportError:
                if line.reader.started:
                    raise
        connection = await connect(self._origin(), seconds=self._limits.connect_seconds)
        line = _Line(connection, AnswerReader(self._limits))
        return await self._exchange(line, home, request)

    def close(self) -> None:
        """Close the idle connections, and each other one after its exchange."""
        self._closed = True
        for home in self._homes.values():
            home.close()

    def _home(self) -> _Home:
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
            home = self._homes[thread] = _Home(process, loop)
        return home

    def _take(self, home: _Home) -> _Line | None:
        """The last idle connection that is still open and silent."""
        while home.idle:
            line = home.idle.pop()
            if line.connection.is_quiet():
                return line
            line.connection.close()
        return None

    def _keep(self, home: _Home, line: _Line) -> None:
        """Let *line* rest, and close the one that rested longest if it is too long."""
        line.idle_since = time.monotonic()
        home.idle.append(line)
        if line.idle_since - home.idle[0].idle_since > _SECONDS_IDLE:
            home.idle.popleft().connection.close()

    async def _exchange(self, line: _Line, home: _Home, request: bytes) -> Answer:
        reader, kept = line.reader, False
        try:
            reader.begin()
            whole = await _ask(line.connection, reader, request)
            answer = reader.answer()
            kept = whole and reader.reusable and not self._closed
        finally:
            if kept:
                self._keep(home, line)
            else:
                line.connection.close()
        return answer


async def _ask(connection: Connection, reader: AnswerReader, request: bytes) -> bool:
    """Send *request* and read until the answer is whole; whether all was sent.

    A server may refuse a request before it has read it, and close: what it said
    is read all the same.
    """

    def heard(data: bytes) -> bool:
        if data:
            reader.feed(data)
        return not data or reader.answering

    sent, broken = False, None
    try:
        sent = await connection.send(request, heard)
    except OSError as error:
        broken = error
    try:
        while not reader.complete:
            data = await connection.receive()
            if data:
                reader.feed(data)
            else:
                reader.finish()
    except OSError as error:
        first = broken or error
        reason = f"the connection broke: {first.strerror or first}"
        raise TransportError(reason) from first
    return sent
