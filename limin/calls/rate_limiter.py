"""The way out of a client: one request at a time asks when it may leave, and waits.

What decides is `policy.pacing`; here are the clock, the waiting, and the event
loop that both belong to.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from limin.errors import QuotaError
from limin.policy.failures import OVERLOADED, server_error_in
from limin.policy.rate_limits import CoolDown, Pacer
from limin.values.checks import check_rate

if TYPE_CHECKING:
    from limin.errors import LiminError
    from limin.values.completion import Usage

# Of what an overloaded server answers, this alone asks for rest without a word of it.
_TOO_MANY = 429


class RateLimiter:
    """Lets the requests of one client through, each when its turn comes."""

    def __init__(
        self, requests_per_minute: float | None, tokens_per_minute: float | None
    ) -> None:
        """A rate_limiter that turns at a pace, and rests when the server wants rest.

        Raises:
            ConfigurationError: If a number is not above 0; None is no limit.
        """
        check_rate("requests_per_minute", requests_per_minute)
        check_rate("tokens_per_minute", tokens_per_minute)
        self._pace = requests_per_minute, tokens_per_minute
        self._counts_tokens = tokens_per_minute is not None
        self._always = self._pace == (None, None)
        self._rest_ends = -math.inf  # By a clock that any thread can read.
        # A clock means nothing to another event loop, trio's least of all.
        self._turns = anyio.lowlevel.RunVar[_Turns](f"turns of {id(self)}")

    @property
    def resting_until(self) -> float:
        """When the server's rest ends, by the clock of the event loop."""
        return -math.inf if self._always else self._here().cool_down.until

    @property
    def seconds_of_rest(self) -> float:
        """Seconds for which the server still wants rest; any thread may ask."""
        return max(self._rest_ends - time.monotonic(), 0.0)

    async def wait_turn(self, size: int, max_tokens: int | None) -> float:
        """Wait for the turn of a request of *size* bytes; the tokens it may take."""
        if self._always:
            return 0.0
        return await self._here().wait(size, max_tokens)

    def note_failure(self, error: LiminError, wait: float | None) -> None:
        """A request failed with *error*, and waits *wait* seconds; so may all others."""
        told = server_error_in(error)
        if told is None or isinstance(told, QuotaError):
            return
        asked = told.retry_after
        if told.effective_status == _TOO_MANY and asked is None:
            asked = wait
        if told.effective_status in OVERLOADED and asked is not None:
            self._always = False
            self._here().cool_down.rest(anyio.current_time(), asked)
            self._rest_ends = max(self._rest_ends, time.monotonic() + asked)

    def note_usage(self, estimated: float, usage: Usage | None) -> None:
        """A request of *estimated* tokens took what *usage* tells."""
        if self._counts_tokens and usage is not None:
            total = usage.total_tokens
            if total is None:
                total = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
            self._here().pacer.correct(estimated, total)

    def _here(self) -> _Turns:
        """What is kept for the event loop that runs."""
        try:
            return self._turns.get()
        except LookupError:
            turns = _Turns(Pacer(*self._pace))
            self._turns.set(turns)
            return turns


class _Turns:
    """The turns of one event loop."""

    def __init__(self, pacer: Pacer) -> None:
        self.pacer = pacer
        self.cool_down = CoolDown()

    async def wait(self, size: int, max_tokens: int | None) -> float:
        tokens = self.pacer.estimate(size, max_tokens)
        moment = self.pacer.reserve(anyio.current_time(), tokens)
        while True:
            until = self.cool_down.until
            moment = self.cool_down.reserve(moment)
            await anyio.sleep_until(moment)
            # The server may have asked for more rest meanwhile.
            if self.cool_down.until <= max(until, moment):
                return tokens
