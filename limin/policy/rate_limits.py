"""When the next request may leave: the user's own limits, and the server's.

Decisions only: the caller waits, and brings the time, in seconds of one clock.
"""

from __future__ import annotations

import math

_MINUTE = 60.0

# Requests that leave at once after a pause; their number doubles with each further
# step. If all left together, most would be refused again.
_FIRST = 4
_SECONDS_TO_DOUBLE = 0.5

# English takes four bytes a token, other languages fewer. Each answer corrects the ratio
# by a tenth, within bounds, since one answer may be absurd.
_BYTES_PER_TOKEN = 4.0
_WEIGHT = 0.1
_LEAST_RATIO, _LARGEST_RATIO = 0.01, 100.0

# A server that asks for a longer pause has its clock wrong, or means harm.
_LONGEST_PAUSE = 86_400.0


class Pacer:
    """Spaces requests so that no minute has more of them than the user allows.

    Requests leave evenly, not in bursts, since servers measure parts of a minute. After
    a request of many tokens the next one waits longer. Its tokens are estimated, and
    corrected when the server has counted them.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        """Allow so many requests and so many tokens; None for no limit."""
        self._seconds_per_request = _seconds_each(requests_per_minute)
        self._seconds_per_token = _seconds_each(tokens_per_minute)
        self._tokens_per_minute = tokens_per_minute or math.inf
        self._next_request = self._next_tokens = -math.inf
        self._next_by_size = -math.inf  # If no server had ever counted anything.
        self._ratio = 1.0

    def estimate(self, size: int, max_tokens: int | None) -> float:
        """Estimate the tokens of a request of *size* bytes and its answer; above 0.

        The estimate follows the counts of earlier answers, but these alone never make
        it more than the tokens of a minute.
        """
        tokens = _tokens_by_size(size, max_tokens)
        return min(self._ratio * tokens, max(tokens, self._tokens_per_minute))

    def enqueue(self, now: float, size: int, max_tokens: int | None) -> float:
        """Return when a request that comes *now* may leave by the sizes of all requests.

        What a server counts makes that neither earlier nor later.
        """
        moment = max(now, self._next_by_size)
        tokens = _tokens_by_size(size, max_tokens)
        seconds = max(self._seconds_per_request, self._seconds_per_token * tokens)
        self._next_by_size = moment + seconds
        return moment

    def next_moment(self, now: float) -> float:
        """Return the moment at which the next request may leave; never before *now*."""
        return max(now, self._next_request, self._next_tokens)

    def reserve(self, now: float, tokens: float) -> float:
        """Reserve the next moment for a request of about *tokens* tokens.

        The next request gets a later one.
        """
        moment = self.next_moment(now)
        self._next_request = moment + self._seconds_per_request
        self._next_tokens = moment + self._seconds_per_token * tokens
        return moment

    def leave_early(self, now: float, tokens: float) -> None:
        """Note that a request of about *tokens* tokens leaves before its moment."""
        self._next_request = max(self._next_request, now + self._seconds_per_request)
        moment = now + self._seconds_per_token * tokens
        self._next_tokens = max(self._next_tokens, moment)

    def correct(self, now: float, estimated: float, actual: float) -> None:
        """Learn that a request of *estimated* tokens had *actual* ones.

        Whatever a server counts, nobody waits for more than a minute because of it: no
        request is in the last minute then.
        """
        moment = self._next_tokens + self._seconds_per_token * (actual - estimated)
        self._next_tokens = min(moment, max(self._next_tokens, now + _MINUTE))
        ratio = self._ratio * (1.0 + _WEIGHT * (actual / estimated - 1.0))
        self._ratio = min(max(ratio, _LEAST_RATIO), _LARGEST_RATIO)


class CoolDown:
    """Holds all requests back while the server is overloaded; resumes gradually.

    Attributes:
        until: When the pause ends; minus infinity before the first one.
    """

    def __init__(self) -> None:
        """Start without a pause."""
        self.until = -math.inf
        self._n_reserved = 0  # Requests since the last pause began.

    def rest(self, now: float, wait: float) -> None:
        """Pause for *wait* seconds from *now*, unless a longer pause is under way."""
        until = now + min(wait, _LONGEST_PAUSE)
        if until > self.until:
            self.until = until
            self._n_reserved = 0

    def reserve(self, now: float) -> float:
        """Reserve the moment at which a request may leave; never before *now*.

        No request leaves before the end of the pause. Then the number of requests that
        have left doubles every half second, so that thousands are under way again
        within some seconds.
        """
        self._n_reserved += 1
        doublings = math.log2(max(self._n_reserved / _FIRST, 1.0))
        return max(self.until + doublings * _SECONDS_TO_DOUBLE, now)

    def give_back(self) -> None:
        """Give a moment back that was reserved, and is not needed."""
        self._n_reserved -= 1


def _tokens_by_size(size: int, max_tokens: int | None) -> float:
    return 1.0 + size / _BYTES_PER_TOKEN + (max_tokens or 0)


def _seconds_each(per_minute: float | None) -> float:
    return 0.0 if per_minute is None else _MINUTE / per_minute
