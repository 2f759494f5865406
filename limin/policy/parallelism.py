"""How many requests may be under way at once: the server's knee, found by trying.

Decisions only: the caller brings the time, and starts or retires the workers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST = 4

# A limit x times as large must bring at least this share of x - 1 more throughput:
# batching servers gain little for each further request, but something.
_WORTH = 0.2

# A glance, before the queue has filled, sees a third too much at twice the limit.
_CLEAR = 1.5

_EQUAL = 0.95  # throughput that counts as the same: the smaller limit wins
_COLLAPSED = 0.6  # throughput that tells of another server than before
_KEPT = 0.7  # what stays of a limit that was right until the server refused

# A standard error that is good enough, and how many times its usual length a window
# may take to reach it.
_CERTAIN, _LONGEST_WINDOW = 0.1, 4

# Windows between two trials, at first and at most: trials cost about a percent.
_PATIENCE, _LONGEST_PATIENCE = 2, 8


class _Window:
    """The throughput at one limit, by Little's law: requests under way / latency.

    Not answers per second, since answers of one length come in bursts. What began
    before the limit *changed* met another load, and does not count; nor do the
    first *skip* after it, for which the queue was still filling.

    Attributes:
        throughput: Work per second, once the window is closed.
        doubt: Standard error of the throughput, as a share of it.
    """

    def __init__(
        self, limit: int, changed: float, now: float, skip: int, size: int
    ) -> None:
        self._limit, self._changed, self._opened = limit, changed, now
        self._skip, self._least, self._most = skip, size, size * _LONGEST_WINDOW
        self._count, self._work, self._seconds = 0, 0.0, 0.0
        self._work2 = self._seconds2 = self._product = 0.0  # sums of squares
        self.throughput = self.doubt = 0.0

    def closed_by(self, now: float, started: float, work: float, certain: float) -> bool:
        """Whether this request is the last one needed to be *certain*."""
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
        if self._count < self._least:
            return False
        self._conclude(now)
        return self.doubt <= certain or self._count >= self._most

    def _conclude(self, now: float) -> None:
        # Were workers idle for want of prompts, the plain count would show it.
        idle = (now - self._opened) / 2.0
        self.throughput = self._work / max(self._seconds / self._limit, idle, 1e-9)
        # The standard error of a ratio of two sums.
        ratio = self._work / max(self._seconds, 1e-9)
        rest = self._work2 - 2.0 * ratio * self._product + ratio * ratio * self._seconds2
        self.doubt = math.sqrt(max(rest, 0.0)) / max(self._work, 1e-9)


class AdaptiveParallelism:
    """Grows while throughput grows, and shrinks while throughput stays.

    Doubles at first, as TCP does in its slow start; then narrows the interval
    between a limit that is too small and one that is enough; then stays, and tries
    a little more or a little less, more and more rarely. Throughput is compared,
    not latency as in TCP Vegas and https://github.com/Netflix/concurrency-limits:
    on a busy processor latency grows with every request, and batching is still
    worth it. A server that refuses is asked less at once.

    Attributes:
        limit: Requests that may be under way now; from 1 to *most*.
    """

    def __init__(self, *, most: int = 512) -> None:
        """At most *most* requests, and at least one."""
        self._most = max(most, 1)
        # What was sent before the last cut tells nothing about the limit since.
        self._refused, self._under_way = -math.inf, 0
        self._ceiling = 0  # the limit that the server last refused; 0: none
        self._settled, self._best = 0, 0.0  # a limit that is right, and its throughput
        self._lower: list[tuple[int, float]] = []  # limits that are too small
        self._patience = self._wait = _PATIENCE
        self._upwards = True
        self._try(-math.inf, min(_FIRST, self._most), self._grow, 0)

    def finished(
        self, now: float, *, started: float, work: float, overloaded: bool
    ) -> None:
        """Learn from one request, and set `limit`.

        Args:
            now: When it ended, in seconds; never before that of the last call.
            started: When it started, by the same clock.
            work: What it brought: tokens, or 1 if they are not told; 0 for an error.
            overloaded: Whether the server refused for now, or was too slow.
        """
        self._under_way -= 1
        if not overloaded:
            if self._window.closed_by(now, started, work, self._certain):
                self._decide(now, self._window.throughput)
        elif started >= self._refused and self._under_way <= 0:
            self._back_off(now)

    def _back_off(self, now: float) -> None:
        known = self._settled or (self._lower[-1][0] if self._lower else 0)
        self._refused, self._under_way, self._ceiling = now, self.limit, self.limit
        self._upwards = True
        if not 0 < known < self.limit:
            self._settle(now, max(1, int(_KEPT * self.limit)), 0.0)
            return
        # Only the trial went too far.
        if self._settled:
            self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
        self._settle(now, known, self._best if self._settled else 0.0)

    def _try(
        self, now: float, limit: int, decide: Callable[[float, float], None], rounds: int
    ) -> None:
        """Measure at *limit* for so many *rounds*, 0 for a glance; then *decide*."""
        self.limit, self._decide, self._changed = limit, decide, now
        self._certain = _CERTAIN if rounds else math.inf
        skip, size = (limit, max(6, rounds * limit)) if rounds else (0, limit)
        self._window = _Window(limit, now, now, skip, size)

    def _grow(self, now: float, throughput: float) -> None:
        """Double while throughput clearly grows; else measure again."""
        hoped = throughput * (1.0 + self._window.doubt)
        if self._lower and hoped < _CLEAR * self._lower[-1][1]:
            self._try(now, self.limit, self._end_growth, 2)
        else:
            self._grow_further(now, throughput)

    def _grow_further(self, now: float, throughput: float) -> None:
        if self.limit < self._most:
            self._lower.append((self.limit, throughput))
            self._try(now, min(2 * self.limit, self._most), self._grow, 0)
        else:
            self._narrow(now, self.limit, throughput)

    def _end_growth(self, now: float, throughput: float) -> None:
        if self._is_worth(throughput, *self._lower[-1]):
            self._grow_further(now, throughput)
            return
        while self._lower and self._lower[-1][1] >= _EQUAL * throughput:
            self._lower.pop()
        self._narrow(now, self.limit, throughput)

    def _is_worth(self, throughput: float, limit: int, lower: float) -> bool:
        return throughput > lower * (1.0 + _WORTH * (self.limit / limit - 1.0))

    def _is_enough(self, throughput: float) -> bool:
        # In doubt the larger limit: requests that wait cost less than idle slots.
        certain = self._window.doubt <= _CERTAIN
        return certain and throughput >= _EQUAL * self._best

    def _narrow(self, now: float, enough: int, best: float) -> None:
        """Find the least limit that is *enough* for a throughput of *best*."""
        low, lower = self._lower[-1] if self._lower else (0, 0.0)
        # With a slot for each request, throughput grows in proportion up to the knee.
        guess = math.ceil(min(enough, low * best / lower)) if lower > 0 else enough // 2
        self._settled, self._best = enough, best
        if enough - low <= max(1, enough // 8) or guess >= enough:
            self._settle(now, enough, best)
        else:
            guess = max(guess, low + 1)
            self._try(now, guess, self._end_narrowing, 2)

    def _end_narrowing(self, now: float, throughput: float) -> None:
        if self._is_enough(throughput):
            self._narrow(now, self.limit, self._best)
        else:
            self._lower.append((self.limit, throughput))
            self._narrow(now, self._settled, self._best)

    def _settle(self, now: float, limit: int, best: float) -> None:
        self._lower.clear()
        self._settled, self._best, self._wait = limit, best, self._patience
        self._try(now, limit, self._stay, 2)

    def _stay(self, now: float, throughput: float) -> None:
        """Watch the throughput; now and then try another limit."""
        if throughput * (1.0 + 2.0 * self._window.doubt) < _COLLAPSED * self._best:
            self._patience = _PATIENCE
            self._narrow(now, self.limit, throughput)
            return
        self._best = (self._best + throughput) / 2.0 if self._best else throughput
        self._wait -= 1
        limit = self.limit
        if self._wait > 0:
            self._window = _Window(limit, self._changed, now, 0, max(8, 2 * limit))
        elif self._upwards or limit == 1:
            limit = self._next_higher()
            self._try(now, limit, self._end_trial_up, 2)
        else:
            limit -= max(1, limit // 8)
            self._try(now, limit, self._end_trial_down, 1)

    def _next_higher(self) -> int:
        """What to try: up to the refused limit, if there is room below it."""
        step = self.limit // 4 if self._ceiling else self.limit // 2
        if self._ceiling > self.limit + 1:
            step = (self._ceiling - self.limit) // 2
        return min(self.limit + max(1, step), self._most)

    def _end_trial_up(self, now: float, throughput: float) -> None:
        if not self._is_worth(throughput, self._settled, self._best):
            self._give_up(now)
            return
        self._patience = _PATIENCE
        if self._ceiling:
            self._settle(now, self.limit, throughput)
            self._wait = 1
        else:
            self._lower.append((self._settled, self._best))
            self._settled = 0
            self._grow_further(now, throughput)

    def _end_trial_down(self, now: float, throughput: float) -> None:
        if self._is_enough(throughput):
            self._settle(now, self.limit, self._best)
            self._wait = 1
        else:
            self._give_up(now)

    def _give_up(self, now: float) -> None:
        """Return from a trial that failed, and wait longer before the next one."""
        self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
        self._upwards = not self._upwards
        self._settle(now, self._settled, self._best)


class FixedParallelism:
    """Stays at the number that the user gave.

    Attributes:
        limit: Requests that may be under way.
    """

    def __init__(self, limit: int) -> None:
        """Allow *limit* requests."""
        self.limit = limit
