"""The idle connections of one event loop, by origin, and when one is too old."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limin.transport.connection import Connection, Origin
    from limin.transport.reader import ResponseReader

# Servers close idle connections after 5 s (llama.cpp, uvicorn) to some minutes;
# a closed one costs a file descriptor until it is found.
_SECONDS_IDLE = 60.0


class PooledConnection:
    """A connection with its reader, and since when it is idle (monotonic seconds)."""

    __slots__ = ("connection", "idle_since", "origin", "reader")

    def __init__(
        self, connection: Connection, reader: ResponseReader, origin: Origin
    ) -> None:
        self.connection, self.reader, self.origin = connection, reader, origin
        self.idle_since = 0.0


class IdleConnections:
    """The idle connections of one event loop in one process."""

    def __init__(self, process: int, loop: object) -> None:
        self.process, self.loop = process, loop
        self._by_origin: dict[Origin, deque[PooledConnection]] = {}

    def __len__(self) -> int:
        return sum(map(len, list(self._by_origin.values())))

    @property
    def is_ended(self) -> bool:
        """Whether the loop is known to have ended; trio's cannot be asked."""
        is_closed = getattr(self.loop, "is_closed", None)
        return is_closed is not None and bool(is_closed())

    def take(self, origin: Origin) -> PooledConnection | None:
        """Return the last idle connection to *origin* that is still good.

        It is open and silent, and not idle for long: a machine on the way may have
        forgotten it without a word.
        """
        idle = self._by_origin.get(origin)
        while idle:
            pooled = idle.pop()
            is_fresh = time.monotonic() - pooled.idle_since <= _SECONDS_IDLE
            if is_fresh and pooled.connection.is_open_and_silent():
                return pooled
            pooled.connection.close()
        return None

    def put_back(self, pooled: PooledConnection) -> None:
        """Keep *pooled*, and close the longest idle one if it is idle for too long."""
        idle = self._by_origin.get(pooled.origin)
        if idle is None:
            idle = self._by_origin[pooled.origin] = deque()
        pooled.idle_since = time.monotonic()
        idle.append(pooled)
        if pooled.idle_since - idle[0].idle_since > _SECONDS_IDLE:
            idle.popleft().connection.close()

    def close(self, origin: Origin | None = None) -> None:
        """Close those to *origin*, or all."""
        for idle in [
            connections
            for target, connections in list(self._by_origin.items())
            if origin in {None, target}
        ]:
            while idle:
                idle.pop().connection.close()
