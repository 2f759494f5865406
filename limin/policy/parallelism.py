"""How many requests may be under way at once: the server's knee, found by trying.

Decisions only: the caller brings the time, and starts or retires the workers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    _Decide = Callable[[float, float], None]

_FIRST = 4

# A limit x times as large must bring at least this share of x - 1 more throughput:
# batching servers gain little for each further request, but something.
_WORTH = 0.2

# Throughput that counts as equal: the smaller limit wins.
_EQUAL = 0.95

# Throughput that is so much lower than before tells of another server.
_COLLAPSED = 0.6

# Windows between two trials, at first and at most: a trial may cost a quarter of
# the throughput of its own rounds, and hence about one percent of all.
_PATIENCE, _LONGEST_PATIENCE = 2, 16

# What is kept of a limit that was right, when the server begins to refuse.
_KEPT = 0.7


class _Window:
    """The throughput at one limit, by Little's law: requests under way / latency.

    Not answers per second, since answers of one length come in bursts. What began
    before the limit changed met another load, and does not count.

    Attributes:
        throughput: Work per second, once the window is closed.
    """

    def __init__(
        self, limit: int, changed: float, opened: float, *, skip: int, size: int
    ) -> None:
        """*size* requests that began after *changed*, the first *skip* left out."""
        self._limit, self._changed, self._opened = limit, changed, opened
        self._skip, self._left = skip, size
        self._work = self._seconds = self.throughput = 0.0

    def closed_by(self, now: float, started: float, work: float) -> bool:
        """Whether this request is the last one needed."""
        if started < self._changed:
            return False
        if self._skip > 0:
            self._skip, self._opened = self._skip - 1, now
            return False
        self._opened = self._opened if math.isfinite(self._opened) else started
        self._left -= 1
        self._work += work
        self._seconds += max(now - started, 0.0)
        # Were workers idle for want of prompts, the plain count would show it.
        idle = (now - self._opened) / 2.0
        self.throughput = self._work / max(self._seconds / self._limit, idle, 1e-9)
        return self._left <= 0


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
        self._refused = -math.inf  # when the limit was last cut
        self._settled, self._best = 0, 0.0  # a limit that is right, and its throughput
        self._lower: list[tuple[int, float]] = []  # limits that are too small
        self._patience = self._wait = _PATIENCE
        self._upwards = False
        self._try(-math.inf, min(_FIRST, self._most), self._grow, skip=0)

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
        if not overloaded:
            if self._window.closed_by(now, started, work):
                self._decide(now, self._window.throughput)
        elif started >= self._refused:
            # What was sent before the last cut tells nothing about the limit now.
            self._refused = now
            known = self._settled or (self._lower[-1][0] if self._lower else 0)
            if 0 < known < self.limit:  # a trial went too far
                self._give_up(now, known)
            else:
                self._settle(now, max(1, int(_KEPT * self.limit)), 0.0)

    def _try(self, now: float, limit: int, decide: _Decide, *, skip: int) -> None:
        """Measure at *limit*, and then *decide*."""
        self.limit, self._decide, self._changed = limit, decide, now
        size = max(8, 2 * limit if skip else limit)
        self._window = _Window(limit, now, now, skip=skip, size=size)

    def _grow(self, now: float, throughput: float) -> None:
        """Double while it is worth it; what seems not to be is measured again."""
        if self._lower and not self._is_worth(throughput, *self._lower[-1]):
            self._try(now, self.limit, self._end_growth, skip=self.limit)
        elif self.limit < self._most:
            self._lower.append((self.limit, throughput))
            self._try(now, min(2 * self.limit, self._most), self._grow, skip=0)
        else:
            self._narrow(now, self.limit, throughput)

    def _end_growth(self, now: float, throughput: float) -> None:
        if self._is_worth(throughput, *self._lower[-1]):
            self._grow(now, throughput)
            return
        limit, best = self.limit, throughput
        while self._lower and self._lower[-1][1] >= _EQUAL * throughput:
            limit, lower = self._lower.pop()
            best = max(best, lower)
        self._narrow(now, limit, best)

    def _is_worth(self, throughput: float, limit: int, lower: float) -> bool:
        return throughput > lower * (1.0 + _WORTH * (self.limit / limit - 1.0))

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
            self._try(now, guess, self._end_narrowing, skip=guess)

    def _end_narrowing(self, now: float, throughput: float) -> None:
        if throughput >= _EQUAL * self._best:
            self._narrow(now, self.limit, self._best)
        else:
            self._lower.append((self.limit, throughput))
            self._narrow(now, self._settled, self._best)

    def _settle(self, now: float, limit: int, best: float) -> None:
        self._lower.clear()
        self._settled, self._best, self._wait = limit, best, self._patience
        self._try(now, limit, self._stay, skip=limit)

    def _stay(self, now: float, throughput: float) -> None:
        """Watch the throughput; now and then try another limit."""
        if throughput < _COLLAPSED * self._best:
            self._patience = _PATIENCE
            self._narrow(now, self.limit, throughput)
            return
        self._best = (self._best + throughput) / 2.0 if self._best else throughput
        self._wait -= 1
        limit, quarter = self.limit, max(1, self.limit // 4)
        if self._wait > 0:
            size = max(8, 2 * limit)
            self._window = _Window(limit, self._changed, now, skip=0, size=size)
        elif self._upwards or limit == 1:
            step = quarter if math.isfinite(self._refused) else max(1, limit // 2)
            limit = min(limit + step, self._most)
            self._try(now, limit, self._end_trial_up, skip=limit)
        else:
            limit -= quarter
            self._try(now, limit, self._end_trial_down, skip=limit)

    def _end_trial_up(self, now: float, throughput: float) -> None:
        if not self._is_worth(throughput, self._settled, self._best):
            self._give_up(now, self._settled)
            return
        self._patience = _PATIENCE
        if math.isfinite(self._refused):
            self._settle(now, self.limit, throughput)
            self._wait = 1
        else:
            self._lower.append((self._settled, self._best))
            self._settled = 0
            self._grow(now, throughput)

    def _end_trial_down(self, now: float, throughput: float) -> None:
        if throughput >= _EQUAL * self._best:
            self._settle(now, self.limit, self._best)
            self._wait = 1
        else:
            self._give_up(now, self._settled)

    def _give_up(self, now: float, limit: int) -> None:
        """Return from a trial that failed, and wait longer before the next one."""
        self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
        self._upwards = not self._upwards
        self._settle(now, limit, self._best)
