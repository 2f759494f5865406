"""The requests of one completion, and their clocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from limin.values.timing import Attempt, Timing

if TYPE_CHECKING:
    from limin.errors import LiminError


class Attempts:
    """The requests of one completion so far.

    Attributes:
        failed: Those that failed.
        tokens: How many tokens the one under way may take, as was estimated.
    """

    def __init__(self) -> None:
        """None was sent."""
        self.failed: list[Attempt] = []
        self.tokens = 0.0
        self._first: tuple[float, float] | None = None

    @property
    def last_error(self) -> LiminError | None:
        """Why the last request failed; None if none did."""
        return self.failed[-1].error if self.failed else None

    def begin(self) -> None:
        """A request leaves."""
        self._start = time.time(), time.perf_counter()
        self._first = self._first or self._start

    def fail(self, error: LiminError, wait: float) -> None:
        """It failed, and the next one leaves after *wait* seconds."""
        self.failed.append(self._ended(time.perf_counter(), error, wait))

    def ended_by(self, error: LiminError) -> tuple[Attempt, ...]:
        """All of them, of which *error* has just ended the last."""
        return *self.failed, self._ended(time.perf_counter(), error)

    def waited(self, seconds: float) -> None:
        """So long it was in truth until the next one left."""
        self.failed[-1] = attrs.evolve(self.failed[-1], waited=seconds)

    def seconds(self) -> float:
        """How long the request is under way."""
        return time.perf_counter() - self._start[1]

    def timing(self) -> Timing:
        """That of all of them, of which the last has just succeeded."""
        start_time, start = self._first or self._start
        now = time.perf_counter()
        return Timing(
            start_time=start_time,
            end_time=time.time(),
            duration=now - start,
            attempts=(*self.failed, self._ended(now)),
        )

    def _ended(
        self, now: float, error: LiminError | None = None, waited: float = 0.0
    ) -> Attempt:
        start_time, start = self._start
        return Attempt(
            start_time=start_time, duration=now - start, error=error, waited=waited
        )
