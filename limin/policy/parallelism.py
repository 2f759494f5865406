"""How many requests may be under way at once: the knee of the server's throughput.

Decisions only: the caller brings the time, and starts or retires the workers.

The limit is found by trying: a window measures the throughput at one limit, and its
end decides about the next limit. There are six states, each named after the method that
decides when the window ends:

- `_grow`, the first state: a short window shows whether to double the limit again. In
  doubt, `_end_growth` decides after a longer one: grow further, or narrow.
- `_end_narrowing`: look for the smallest limit that is enough, between one that is too
  small and one that is enough. Then stay.
- `_stay`: keep the limit and watch its throughput. After some windows, try another
  limit. If throughput collapses, narrow again.
- `_end_trial_up`, `_end_trial_down`: keep the limit that was tried if it is better, and
  grow further if it was larger. Else return to the one before, and try less often.

In any state, a refusal lowers the limit at once, and the policy stays there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FIRST = 4

# A limit x times as large must bring at least this share of x - 1 more throughput:
# batching servers gain little for each further request, but something.
_WORTH = 0.2

# A short measurement overestimates throughput by about a third at twice the limit,
# because the server's queue is still filling.
_CLEAR = 1.5

_EQUAL = 0.95  # share of a throughput that counts as the same: the smaller limit wins
_COLLAPSED = 0.6  # share of a throughput below which the server has changed
_KEPT = 0.7  # share of a limit that stays after a refusal, if the limit was right before

# A standard error that is good enough, and how many times its usual length a window
# may take to reach it.
_CERTAIN, _LONGEST_WINDOW = 0.1, 4

# Windows between two trials, at first and at most: trials cost about a percent.
_FIRST_PAUSE, _LONGEST_PAUSE = 2, 8


class _Window:
    """The throughput at one limit, by Little's law: requests under way / latency.

    It does not count answers per second, since answers of one length come in bursts.
    Requests that began before the limit *changed* met another load, and do not count;
    nor do the first *skip* requests after it, for which the queue was still filling.

    Attributes:
        throughput: Work per second, once the window is closed.
        doubt: Standard error of the throughput, as a share of it.
    """

    def __init__(
        self, limit: int, changed: float, now: float, skip: int, size: int
    ) -> None:
        self._limit, self._changed, self._opened = limit, changed, now
        self._skip, self._size, self._longest = skip, size, size * _LONGEST_WINDOW
        self._count, self._work, self._seconds = 0, 0.0, 0.0
        self._work2 = self._seconds2 = self._product = 0.0  # sums of squares
        self.throughput = self.doubt = 0.0

    def add(self, now: float, started: float, work: float, max_doubt: float) -> bool:
        """Add a request. Return whether the window is complete, with *max_doubt*."""
        if started < self._changed:
            return False
        if self._opened == -math.inf:
            self._opened = started
        if self._skip > 0:
            self._skip, self._opened = self._skip - 1, now
            return False
        seconds = max(now - started, 0.0)
        self._count, self._work = self._count + 1, self._work + work
        self._seconds += seconds
        self._work2 += work * work
        self._seconds2 += seconds * seconds
        self._product += work * seconds
        if self._count < self._size:
            return False
        self._conclude(now)
        return self.doubt <= max_doubt or self._count >= self._longest

    def _conclude(self, now: float) -> None:
        # If workers are idle for want of prompts, the time since the opening shows it.
        idle = (now - self._opened) / 2.0
        self.throughput = self._work / max(self._seconds / self._limit, idle, 1e-9)
        # The standard error of a ratio of two sums.
        ratio = self._work / max(self._seconds, 1e-9)
        rest = self._work2 - 2.0 * ratio * self._product + ratio * ratio * self._seconds2
        self.doubt = math.sqrt(max(rest, 0.0)) / max(self._work, 1e-9)


class AdaptiveParallelism:
    """Raises the limit while throughput grows, and lowers it while throughput stays.

    The limit doubles at first, as in the slow start of TCP. Then the interval is
    narrowed between a limit that is too small and one that is enough. Then the limit
    stays, and a somewhat larger or smaller one is tried, more and more rarely.

    The policy compares throughput, not latency as TCP Vegas and
    https://github.com/Netflix/concurrency-limits do: on a busy processor latency grows
    with every request, and batching is still worth it. If the server refuses a
    request, the limit falls at once.

    Attributes:
        limit: Requests that may be under way now; from 1 to *most*.
    """

    def __init__(self, *, most: int = 512) -> None:
        """Start small; allow at most *most* requests, and at least one."""
        self._most = max(most, 1)
        # Requests that were sent before the last cut say nothing about the limit since.
        self._refused, self._under_way = -math.inf, 0
        self._ceiling = 0  # the limit at which the server last refused; 0 for none
        self._enough, self._best = 0, 0.0  # a limit that is right, and its throughput
        self._too_small: list[tuple[int, float]] = []  # limits, and their throughput
        self._pause = self._windows_left = _FIRST_PAUSE
        self._tries_up = True
        self._try(-math.inf, min(_FIRST, self._most), self._grow, 0)

    def finished(
        self, now: float, *, started: float, work: float, overloaded: bool
    ) -> None:
        """Learn from one request, and set `limit`.

        Args:
            now: When the request ended, in seconds; never before that of the last call.
            started: When it started, by the same clock.
            work: Its tokens, or 1 if the server did not count them; 0 for an error.
            overloaded: Whether the server refused it for now, or was too slow.
        """
        self._under_way -= 1
        if not overloaded:
            if self._window.add(now, started, work, self._certain):
                self._decide(now, self._window.throughput)
        elif started >= self._refused and self._under_way <= 0:
            self._back_off(now)

    def _back_off(self, now: float) -> None:
        right = self._enough or (self._too_small[-1][0] if self._too_small else 0)
        self._refused, self._under_way, self._ceiling = now, self.limit, self.limit
        self._tries_up = True
        if not 0 < right < self.limit:
            self._settle(now, max(1, int(_KEPT * self.limit)), 0.0)
            return
        # Only the trial went too far.
        if self._enough:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._settle(now, right, self._best if self._enough else 0.0)

    def _try(
        self, now: float, limit: int, decide: Callable[[float, float], None], rounds: int
    ) -> None:
        """Measure at *limit* for so many *rounds*, 0 for a short time; then *decide*."""
        self.limit, self._decide, self._changed = limit, decide, now
        self._certain = _CERTAIN if rounds else math.inf
        skip, size = (limit, max(6, rounds * limit)) if rounds else (0, limit)
        self._window = _Window(limit, now, now, skip, size)

    def _grow(self, now: float, throughput: float) -> None:
        """Double the limit if throughput clearly grew; else measure again."""
        highest = throughput * (1.0 + self._window.doubt)
        if self._too_small and highest < _CLEAR * self._too_small[-1][1]:
            self._try(now, self.limit, self._end_growth, 2)
        else:
            self._grow_further(now, throughput)

    def _grow_further(self, now: float, throughput: float) -> None:
        if self.limit < self._most:
            self._too_small.append((self.limit, throughput))
            self._try(now, min(2 * self.limit, self._most), self._grow, 0)
        else:
            self._narrow(now, self.limit, throughput)

    def _end_growth(self, now: float, throughput: float) -> None:
        if self._pays_off(throughput, *self._too_small[-1]):
            self._grow_further(now, throughput)
            return
        while self._too_small and self._too_small[-1][1] >= _EQUAL * throughput:
            self._too_small.pop()
        self._narrow(now, self.limit, throughput)

    def _pays_off(self, throughput: float, limit: int, lower: float) -> bool:
        return throughput > lower * (1.0 + _WORTH * (self.limit / limit - 1.0))

    def _is_enough(self, throughput: float) -> bool:
        # In doubt the larger limit: requests that wait cost less than idle slots.
        certain = self._window.doubt <= _CERTAIN
        return certain and throughput >= _EQUAL * self._best

    def _narrow(self, now: float, enough: int, best: float) -> None:
        """Find the smallest limit that is *enough* for a throughput of *best*."""
        low, lower = self._too_small[-1] if self._too_small else (0, 0.0)
        # With a slot for each request, throughput grows in proportion up to the knee.
        guess = math.ceil(min(enough, low * best / lower)) if lower > 0 else enough // 2
        self._enough, self._best = enough, best
        if enough - low <= max(1, enough // 8) or guess >= enough:
            self._settle(now, enough, best)
        else:
            guess = max(guess, low + 1)
            self._try(now, guess, self._end_narrowing, 2)

    def _end_narrowing(self, now: float, throughput: float) -> None:
        if self._is_enough(throughput):
            self._narrow(now, self.limit, self._best)
        else:
            self._too_small.append((self.limit, throughput))
            self._narrow(now, self._enough, self._best)

    def _settle(self, now: float, limit: int, best: float) -> None:
        self._too_small.clear()
        self._enough, self._best, self._windows_left = limit, best, self._pause
        self._try(now, limit, self._stay, 2)

    def _stay(self, now: float, throughput: float) -> None:
        """Watch the throughput; try another limit now and then."""
        if throughput * (1.0 + 2.0 * self._window.doubt) < _COLLAPSED * self._best:
            self._pause = _FIRST_PAUSE
            self._narrow(now, self.limit, throughput)
            return
        self._best = (self._best + throughput) / 2.0 if self._best else throughput
        self._windows_left -= 1
        limit = self.limit
        if self._windows_left > 0:
            self._window = _Window(limit, self._changed, now, 0, max(8, 2 * limit))
        elif self._tries_up or limit == 1:
            limit = self._next_higher()
            self._try(now, limit, self._end_trial_up, 2)
        else:
            limit -= max(1, limit // 8)
            self._try(now, limit, self._end_trial_down, 1)

    def _next_higher(self) -> int:
        """Return a limit to try: below the refused one, if there is room below it."""
        step = self.limit // 4 if self._ceiling else self.limit // 2
        if self._ceiling > self.limit + 1:
            step = (self._ceiling - self.limit) // 2
        return min(self.limit + max(1, step), self._most)

    def _end_trial_up(self, now: float, throughput: float) -> None:
        if not self._pays_off(throughput, self._enough, self._best):
            self._give_up(now)
            return
        self._pause = _FIRST_PAUSE
        if self._ceiling:
            self._settle(now, self.limit, throughput)
            self._windows_left = 1
        else:
            self._too_small.append((self._enough, self._best))
            self._enough = 0
            self._grow_further(now, throughput)

    def _end_trial_down(self, now: float, throughput: float) -> None:
        if self._is_enough(throughput):
            self._settle(now, self.limit, self._best)
            self._windows_left = 1
        else:
            self._give_up(now)

    def _give_up(self, now: float) -> None:
        """Return from a failed trial, and wait longer before the next one."""
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._tries_up = not self._tries_up
        self._settle(now, self._enough, self._best)


class Parallelism(Protocol):
    """Finds how many requests may be under way, as `AdaptiveParallelism` does."""

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        ...

    def finished(
        self, now: float, *, started: float, work: float, overloaded: bool
    ) -> None:
        """Learn from one request; see `AdaptiveParallelism.finished`."""


class FixedParallelism:
    """Stays at the number that the user gave.

    Attributes:
        limit: Requests that may be under way.
    """

    def __init__(self, limit: int) -> None:
        """Allow *limit* requests."""
        self.limit = limit


class ReplicaParallelism:
    """Finds the number of each of several replicas by itself; `limit` is their sum.

    So whatever one of them refuses lowers its own number alone.
    """

    def __init__(self, size: int, is_available: Callable[[int], bool]) -> None:
        """Start small at each of *size* replicas.

        Args:
            size: How many replicas there are.
            is_available: Returns whether the replica at an index is healthy. Any other
                counts for one request, which tries it again.
        """
        self._replicas = [AdaptiveParallelism() for _ in range(size)]
        self._is_available = is_available

    @property
    def limits(self) -> Sequence[int]:
        """Requests that may be under way at each replica."""
        return [replica.limit for replica in self._replicas]

    @property
    def limit(self) -> int:
        """Requests that may be under way at all replicas together."""
        return sum(
            replica.limit if self._is_available(index) else 1
            for index, replica in enumerate(self._replicas)
        )

    def learn(
        self, index: int, now: float, *, started: float, work: float, overloaded: bool
    ) -> None:
        """Learn from one attempt at the replica at *index*; see `AdaptiveParallelism`."""
        self._replicas[index].finished(
            now, started=started, work=work, overloaded=overloaded
        )

    def finished(
        self, now: float, *, started: float, work: float, overloaded: bool
    ) -> None:
        """Learn nothing: `learn` has heard of each attempt of the request already."""
