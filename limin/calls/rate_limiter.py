"""When the requests of one client may be sent: its rate limits, and its pauses.

`policy.rate_limits` decides; here are the clock, the waiting, and the event loop that
both belong to.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import anyio
import anyio.lowlevel

from limin.errors import QuotaError, RateLimitError
from limin.policy.failures import OVERLOADED, server_error_in
from limin.policy.rate_limits import CoolDown, Pacer
from limin.values.checks import check_rate

if TYPE_CHECKING:
    from limin.errors import LiminError
    from limin.values.usage import Usage


class RateLimiter:
    """Lets the requests of one client go, each when its turn comes.

    If the server is overloaded, all requests of the client pause together and resume
    gradually.

    Attributes:
        rates: Requests and tokens in any minute at most, as the user has set them.
        has_rates: Whether there are any; without, nobody waits for them.
        queued: How many requests wait until they keep to the rates.
        has_paused: Whether the server has wanted a pause; without, nobody waits for one.
    """

    def __init__(
        self, requests_per_minute: float | None, tokens_per_minute: float | None
    ) -> None:
        """Allow so many requests, and so many tokens, in any minute; None for no limit.

        Raises:
            ConfigurationError: If a number is not above 0.
        """
        # Plain numbers: a clock's time loses its digits in a sum with numpy's float32.
        self.rates = (
            check_rate("requests_per_minute", requests_per_minute),
            check_rate("tokens_per_minute", tokens_per_minute),
        )
        self._counts_tokens = tokens_per_minute is not None
        self.has_rates = self.rates != (None, None)
        self.queued = 0
        self.has_paused = False
        self._rest_ends = -math.inf  # By a clock that any thread can read.
        # A clock means nothing to another event loop, trio's least of all.
        self._by_loop: WeakKeyDictionary[object, _LoopLimits] = WeakKeyDictionary()

    @property
    def resting_until(self) -> float:
        """End of the server's pause, by the clock of the event loop."""
        return self._here().cool_down.until if self.has_paused else -math.inf

    @property
    def seconds_of_rest(self) -> float:
        """Seconds for which the server still wants a pause; any thread may ask."""
        return max(self._rest_ends - time.monotonic(), 0.0)

    async def wait_for_rates(
        self, size: int, max_tokens: int | None, most_by_counts: float | None
    ) -> float:
        """Wait until a request of *size* bytes keeps to the user's own rates.

        Return how many tokens it may take, as estimated.

        Args:
            size: Bytes of the request.
            max_tokens: Tokens of its answer at most; None if it does not say.
            most_by_counts: Seconds that the server's counts of tokens may hold it back,
                beyond what the sizes of all requests demand; None for no limit.
        """
        if most_by_counts is None or not self._counts_tokens:
            most_by_counts = math.inf
        self.queued += 1
        try:
            return await self._here().wait_for_rates(size, max_tokens, most_by_counts)
        finally:
            self.queued -= 1

    async def wait_for_pause(self) -> None:
        """Wait until the server's pause is over, and this request's turn has come."""
        await self._here().wait_for_pause()

    def note_failure(self, error: LiminError, wait: float | None) -> None:
        """Note a failed request. If the server is overloaded, all requests pause.

        Args:
            error: Why it failed.
            wait: Seconds until it is retried; None if it is not.
        """
        server_error = server_error_in(error)
        if server_error is None or isinstance(server_error, QuotaError):
            return
        seconds = server_error.retry_after
        is_rate_limit = isinstance(server_error, RateLimitError)  # Whatever the status.
        if is_rate_limit and seconds is None:
            seconds = wait
        is_overload = is_rate_limit or server_error.effective_status in OVERLOADED
        if is_overload and seconds is not None:
            self.has_paused = True
            self._here().cool_down.rest(anyio.current_time(), seconds)
            self._rest_ends = max(self._rest_ends, time.monotonic() + seconds)

    def note_usage(self, estimated: float, usage: Usage | None) -> None:
        """Correct the limit of tokens: a request of *estimated* tokens took *usage*."""
        if self._counts_tokens and usage is not None:
            total = usage.total_tokens
            if total is None:
                total = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
            self._here().pacer.correct(anyio.current_time(), estimated, total)

    def _here(self) -> _LoopLimits:
        """Return the limits in the event loop that runs."""
        loop = anyio.lowlevel.current_token().native_token
        limits = self._by_loop.get(loop)
        if limits is None:
            limits = self._by_loop[loop] = _LoopLimits(Pacer(*self.rates))
        return limits


class _LoopLimits:
    """The rates, and the server's pause, by the clock of one event loop."""

    def __init__(self, pacer: Pacer) -> None:
        self.pacer = pacer
        self.cool_down = CoolDown()
        self._queue = anyio.Lock()

    async def wait_for_rates(
        self, size: int, max_tokens: int | None, most_by_counts: float
    ) -> float:
        pacer = self.pacer
        by_size = pacer.enqueue(anyio.current_time(), size, max_tokens)
        with anyio.CancelScope(deadline=by_size + most_by_counts):
            # Only the first in the queue watches the clock, and nobody reserves a moment
            # before it has come: so whoever is cancelled leaves no gap.
            async with self._queue:
                now = anyio.current_time()
                while (moment := pacer.next_moment(now)) > now:
                    await anyio.sleep_until(moment)
                    now = moment  # Not the time itself, or late wakes would add up.
                tokens = pacer.estimate(size, max_tokens)
                pacer.reserve(now, tokens)
                return tokens
        tokens = pacer.estimate(size, max_tokens)
        pacer.leave_early(anyio.current_time(), tokens)
        return tokens

    async def wait_for_pause(self) -> None:
        cool_down, moment = self.cool_down, anyio.current_time()
        while True:
            until = cool_down.until
            moment = cool_down.reserve(moment)
            try:
                await anyio.sleep_until(moment)
            except BaseException:
                cool_down.give_back()
                raise
            # The server may have asked for a longer pause meanwhile.
            if cool_down.until <= max(until, moment):
                return
