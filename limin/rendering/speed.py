"""How fast an answer came."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion

_FAST = 10  # From which a fraction of one says nothing.


def tokens_per_second(answered: TextCompletion) -> str | None:
    """Tokens a second, while decoding if a stream has shown that; None if not known.

    Else over the last attempt alone: waits between attempts are none of the server's
    speed.
    """
    timing = answered.timing
    speed = timing.tokens_per_second
    if speed is None:
        tokens = None if answered.usage is None else answered.usage.completion_tokens
        seconds = timing.attempts[-1].duration if timing.attempts else timing.duration
        if not tokens or seconds <= 0:
            return None
        speed = tokens / seconds
    return f"{speed:.{0 if speed >= _FAST else 1}f}"
