"""The attempts of one call, and their clocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from limin.values.timing import Attempt, Timing

if TYPE_CHECKING:
    from limin.errors import LiminError


class Attempts:
    """The requests of one call so far.

    Attributes:
        failed: The attempts that failed.
    """

    def __init__(self) -> None:
        """Start before the first attempt."""
        self.failed: tuple[Attempt, ...] = ()
        self._first: tuple[float, float] | None = None

    @property
    def last_error(self) -> LiminError | None:
        """Why the last attempt failed; None if none did."""
        return self.failed[-1].error if self.failed else None

    def begin(self, endpoint: str | None = None) -> None:
        """Start the clock of the next attempt, at the server with this name."""
        self._endpoint = endpoint
        self._start = time.time(), time.perf_counter()
        self._first = self._first or self._start

    def fail(self, error: LiminError, wait: float) -> None:
        """Record that the attempt failed; the next one follows in *wait* seconds."""
        self.failed = *self.failed, self._end(time.perf_counter(), error, wait)

    def ended_by(self, error: LiminError) -> tuple[Attempt, ...]:
        """Return all attempts; *error* has just ended the last one."""
        return *self.failed, self._end(time.perf_counter(), error)

    def record_wait(self, seconds: float) -> None:
        """Record how long the wait before the next attempt really was."""
        *before, last = self.failed
        self.failed = *before, attrs.evolve(last, waited=seconds)

    def seconds(self) -> float:
        """Return how long the attempt under way has taken so far."""
        return time.perf_counter() - self._start[1]

    def timing(self) -> Timing:
        """Return the timing of all attempts; the last one has just succeeded."""
        start_time, start = self._first or self._start
        now = time.perf_counter()
        return Timing(
            start_time=start_time,
            end_time=time.time(),
            duration=now - start,
            attempts=(*self.failed, self._end(now)),
        )

    def _end(
        self, now: float, error: LiminError | None = None, waited: float = 0.0
    ) -> Attempt:
        start_time, start = self._start
        return Attempt(
            start_time=start_time,
            duration=now - start,
            error=error,
            waited=waited,
            endpoint=self._endpoint,
        )
