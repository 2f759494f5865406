"""When the requests of one client may be sent: its rate limits, and its pauses.

`policy.rate_limits` decides; here are the clock, the waiting, and the event loop that
both belong to.
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

# The only status of an overloaded server that asks for a pause without a Retry-After.
_TOO_MANY = 429


class RateLimiter:
    """Lets the requests of one client go, each when its turn comes.

    If the server is overloaded, all requests of the client pause together and resume
    gradually.
    """

    def __init__(
        self, requests_per_minute: float | None, tokens_per_minute: float | None
    ) -> None:
        """Allow so many requests, and so many tokens, in any minute; None for no limit.

        Raises:
            ConfigurationError: If a number is not above 0.
        """
        check_rate("requests_per_minute", requests_per_minute)
        check_rate("tokens_per_minute", tokens_per_minute)
        self._rates = requests_per_minute, tokens_per_minute
        self._counts_tokens = tokens_per_minute is not None
        self._never_waits = self._rates == (None, None)
        self._rest_ends = -math.inf  # By a clock that any thread can read.
        # A clock means nothing to another event loop, trio's least of all.
        self._turns = anyio.lowlevel.RunVar[_Turns](f"turns of {id(self)}")

    @property
    def resting_until(self) -> float:
        """End of the server's pause, by the clock of the event loop."""
        return -math.inf if self._never_waits else self._turns_here().cool_down.until

    @property
    def seconds_of_rest(self) -> float:
        """Seconds for which the server still wants a pause; any thread may ask."""
        return max(self._rest_ends - time.monotonic(), 0.0)

    async def wait_turn(self, size: int, max_tokens: int | None) -> float:
        """Wait until a request of *size* bytes may be sent.

        Return how many tokens it may take, as estimated.
        """
        if self._never_waits:
            return 0.0
        return await self._turns_here().wait(size, max_tokens)

    def note_failure(self, error: LiminError, wait: float | None) -> None:
        """Note a failed request. If the server is overloaded, all requests pause.

        Args:
            error: Why it failed.
            wait: Seconds until it is retried; None if it is not.
        """
        server_error = server_error_in(error)
        if server_error is None or isinstance(server_error, QuotaError):
            return
        status, seconds = server_error.effective_status, server_error.retry_after
        if status == _TOO_MANY and seconds is None:
            seconds = wait
        if status in OVERLOADED and seconds is not None:
            self._never_waits = False
            self._turns_here().cool_down.rest(anyio.current_time(), seconds)
            self._rest_ends = max(self._rest_ends, time.monotonic() + seconds)

    def note_usage(self, estimated: float, usage: Usage | None) -> None:
        """Correct the limit of tokens: a request of *estimated* tokens took *usage*."""
        if self._counts_tokens and usage is not None:
            total = usage.total_tokens
            if total is None:
                total = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
            self._turns_here().pacer.correct(estimated, total)

    def _turns_here(self) -> _Turns:
        """Return the turns of the event loop that runs."""
        try:
            return self._turns.get()
        except LookupError:
            turns = _Turns(Pacer(*self._rates))
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
            # The server may have asked for a longer pause meanwhile.
            if self.cool_down.until <= max(until, moment):
                return tokens
