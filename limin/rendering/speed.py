"""The speed of an answer in tokens per second."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion

_SMALLEST_WITHOUT_DECIMALS = 10


def format_speed(completion: TextCompletion[object]) -> str | None:
    """Return the speed, such as `62 tokens/s`; None if it is unknown.

    A stream shows the speed of decoding. Otherwise the tokens are divided by the
    duration of the last attempt: waits between attempts are not the server's.
    """
    timing = completion.timing
    speed = timing.tokens_per_second
    if speed is None:
        tokens = None if completion.usage is None else completion.usage.completion_tokens
        seconds = timing.attempts[-1].duration if timing.attempts else timing.duration
        if not tokens or seconds <= 0:
            return None
        speed = tokens / seconds
    decimals = 0 if speed >= _SMALLEST_WITHOUT_DECIMALS else 1
    return f"{speed:.{decimals}f} tokens/s"
