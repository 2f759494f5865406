"""One question, one answer: the deadline, and the attempts under it."""

from __future__ import annotations

import math
import random
import time
import warnings
from typing import TYPE_CHECKING

import anyio
import msgspec

from limin.completion import Attempt, Timing
from limin.diagnostics import LiminWarning
from limin.errors import (
    AnswerWarningError,
    ConfigurationError,
    LiminError,
    RequestTimeoutError,
)
from limin.wire.response import Question, read_completion

if TYPE_CHECKING:
    from limin.completion import TextCompletion
    from limin.conversation import Conversation
    from limin.endpoint import Endpoint
    from limin.parameters import OnWarning
    from limin.policy.retry import RetryPolicy
    from limin.transport.http import HttpTransport
    from limin.wire.request import RequestEncoder


class Asker(msgspec.Struct, frozen=True):
    """Asks with one configuration: what a batch makes once, and uses for each."""

    endpoint: Endpoint
    transport: HttpTransport
    encoder: RequestEncoder
    model: str
    timeout: float | None
    retry: RetryPolicy
    on_warning: OnWarning

    async def ask(self, conversation: Conversation) -> TextCompletion:
        """The completion of *conversation*, after as many attempts as it takes.

        Raises:
            LiminError: If there is none; its `attempts` tell of each request.
        """
        body = self.encoder.encode(conversation)
        prompts = [message.content for message in conversation.messages]
        question = Question(
            conversation=conversation,
            model=self.model,
            asks_log_probs=self.encoder.asks_log_probs,
            top_log_probs=self.encoder.top_log_probs,
            secrets=(*self.endpoint.secrets(), *prompts),
        )
        start_time, start = time.time(), time.perf_counter()
        attempts: list[Attempt] = []
        with anyio.move_on_after(self.timeout) as scope:
            while True:
                attempt = _Try()
                try:
                    answer = await self.transport.post(body)
                    timing = Timing(
                        start_time=start_time,
                        end_time=time.time(),
                        duration=time.perf_counter() - start,
                        attempts=(*attempts, attempt.ended()),
                    )
                    return self._checked(read_completion(question, timing, answer))
                except LiminError as error:
                    wait = self._wait(error, len(attempts) + 1, scope.deadline)
                    attempts.append(attempt.ended(error, wait or 0.0))
                    error.attempts = tuple(attempts)
                    if wait is None:
                        raise
                await anyio.sleep(wait)
        reason = f"no complete answer within {self.timeout:g} seconds"
        late = RequestTimeoutError(reason, self.timeout)
        late.attempts = tuple(attempts)
        raise late from (attempts[-1].error if attempts else None)

    def _wait(self, error: LiminError, attempt: int, deadline: float) -> float | None:
        """Seconds to wait before the next attempt; None if there is none.

        A wait that outlasts the deadline is not begun.
        """
        chance = random.random()  # noqa: S311 (no secret)
        wait = self.retry.delay(error, attempt=attempt, chance=chance)
        in_time = wait is not None and anyio.current_time() + wait < deadline
        return wait if in_time else None

    def _checked(self, completion: TextCompletion) -> TextCompletion:
        """*completion*, after what is odd about it was told as it should be."""
        found = () if self.on_warning == "ignore" else completion.warnings
        if found and self.on_warning == "raise":
            raise AnswerWarningError(found, completion)
        try:
            for one in found:
                warnings.warn(str(one), LiminWarning, stacklevel=2)
        except LiminWarning as error:  # Warnings are errors here: no answer is lost.
            raise AnswerWarningError(found, completion) from error
        return completion


class _Try:
    """The clocks of one attempt."""

    def __init__(self) -> None:
        self._start_time, self._start = time.time(), time.perf_counter()

    def ended(self, error: LiminError | None = None, waited: float = 0.0) -> Attempt:
        return Attempt(
            start_time=self._start_time,
            duration=time.perf_counter() - self._start,
            error=error,
            waited=waited,
        )


def checked_retries(max_retries: int) -> int:
    """*max_retries* itself.

    Raises:
        ConfigurationError: If it is no number of at least 0.
    """
    number = isinstance(max_retries, int) and not isinstance(max_retries, bool)
    if not number or max_retries < 0:
        problem = f"max_retries: expected an integer of at least 0, found {max_retries!r}"
        raise ConfigurationError(problem)
    return max_retries


def checked_timeout(timeout: float | None) -> float | None:
    """*timeout* itself.

    Raises:
        ConfigurationError: If it is neither None nor a number above 0.
    """
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is not None and not (number and 0 < timeout < math.inf):
        problem = f"timeout: expected seconds above 0 or None, found {timeout!r}"
        raise ConfigurationError(problem)
    return timeout
