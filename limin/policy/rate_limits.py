"""When the next request may leave: the user's own pace, and the server's wish.

Decisions only: the caller waits, and brings the time, in seconds of one clock.
"""

from __future__ import annotations

import math

_MINUTE = 60.0

# After a wait so many requests leave at once, and twice as many in all with each
# further step: a herd would only be sent away again.
_FIRST = 4
_SECONDS_TO_DOUBLE = 0.5

# English takes four bytes a token, other languages fewer; what is learnt from the
# answers is worth a tenth each, and bounded, since one answer may be absurd.
_BYTES_PER_TOKEN = 4.0
_WEIGHT = 0.1
_LEAST, _MOST = 0.01, 100.0

# A server that asks for more has its clock wrong, or means harm.
_LONGEST = 86_400.0


class Pacer:
    """Spaces requests so that no minute holds more of them than the user said.

    Requests leave evenly, not in bursts, since servers measure their minutes in
    parts. A request of many tokens keeps the next one waiting for longer; what
    was estimated is corrected when the server has told.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        """A pace of so many requests and so many tokens; None for no limit."""
        self._seconds_per_request = _share(requests_per_minute)
        self._seconds_per_token = _share(tokens_per_minute)
        self._next_request = self._next_tokens = -math.inf
        self._ratio = 1.0

    def estimate(self, size: int, max_tokens: int | None) -> float:
        """Tokens that a question of *size* bytes and its answer will be, above 0.

        As the answers before have taught, once there are some.
        """
        return self._ratio * (1.0 + size / _BYTES_PER_TOKEN + (max_tokens or 0))

    def reserve(self, now: float, tokens: float) -> float:
        """The moment at which a request of about *tokens* tokens may leave.

        Its place is taken: the next one's moment is later. Never before *now*.
        """
        moment = max(now, self._next_request, self._next_tokens)
        self._next_request = moment + self._seconds_per_request
        self._next_tokens = moment + self._seconds_per_token * tokens
        return moment

    def correct(self, estimated: float, actual: float) -> None:
        """A request of *estimated* tokens turned out to be of *actual* ones."""
        self._next_tokens += self._seconds_per_token * (actual - estimated)
        learnt = self._ratio * (1.0 + _WEIGHT * (actual / estimated - 1.0))
        self._ratio = min(max(learnt, _LEAST), _MOST)


class CoolDown:
    """Keeps all requests back while the server wants rest, then lets in a few at a time.

    Attributes:
        until: When the rest ends; minus infinity before the first one.
    """

    def __init__(self) -> None:
        """No rest yet."""
        self.until = -math.inf
        self._let_in = 0

    def rest(self, now: float, wait: float) -> None:
        """The server asks to wait *wait* seconds from *now*; a longer rest stays."""
        until = now + min(wait, _LONGEST)
        if until > self.until:
            self.until = until
            self._let_in = 0

    def reserve(self, now: float) -> float:
        """The moment at which a request may leave; its place is taken. Never before *now*.

        Until the end of the rest nobody leaves; then the number that has left
        doubles with each half a second, so that thousands are on their way again
        within some seconds.
        """
        self._let_in += 1
        doublings = math.log2(max(self._let_in / _FIRST, 1.0))
        return max(self.until + doublings * _SECONDS_TO_DOUBLE, now)


def _share(per_minute: float | None) -> float:
    return 0.0 if per_minute is None else _MINUTE / per_minute
