"""One question, one answer: the deadline, and the attempts under it."""

from __future__ import annotations

import math
import random
import warnings
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec

from limin.calls.attempts import Attempts
from limin.calls.stream import Deadlines, StreamedAnswer, timeout_error
from limin.errors import (
    AnswerWarningError,
    LiminError,
)
from limin.values.warnings import LiminWarning
from limin.wire.response import ReadingContext, read_completion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from limin.calls.rate_limiter import RateLimiter
    from limin.policy.retry import RetryPolicy
    from limin.transport.http import HttpTransport
    from limin.values.completion import Delta, TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.endpoint import Endpoint
    from limin.values.options import OnWarning
    from limin.wire.http import OpenResponse
    from limin.wire.request import RequestEncoder


_Got = TypeVar("_Got")


class InFlight(msgspec.Struct):
    """How many requests were sent and are not answered."""

    now: int = 0


class Call(msgspec.Struct, frozen=True):
    """Asks with one configuration: what a batch makes once, and uses for each."""

    endpoint: Endpoint
    transport: HttpTransport
    encoder: RequestEncoder
    model: str
    timeout: float | None
    idle_timeout: float | None
    retry: RetryPolicy
    on_warning: OnWarning
    rate_limiter: RateLimiter
    flights: InFlight = msgspec.field(default_factory=InFlight)

    def ask(self, conversation: Conversation) -> Awaitable[TextCompletion]:
        """The completion of *conversation*, after as many attempts as it takes.

        Raises:
            LiminError: If there is none; its `attempts` tell of each request.
        """
        return self.send(self.encoder.encode(conversation), self.question(conversation))

    def send(self, body: bytes, question: ReadingContext) -> Awaitable[TextCompletion]:
        """The completion that *question* gets by sending *body*; see `ask`.

        Raises:
            LiminError: If there is none; its `attempts` tell of each request.
        """
        fetch = self._fetch_by_stream if self.encoder.streams else self._fetch
        return self._with_retries(body, question, fetch)

    def begin(
        self, conversation: Conversation
    ) -> Awaitable[tuple[StreamedAnswer, list[Delta]]]:
        """The answer to *conversation* as it comes, and its first deltas.

        Raises:
            LiminError: If none came; its `attempts` tell of each request.
        """
        body, question = self.encoder.encode(conversation), self.question(conversation)
        return self._with_retries(body, question, self._open)

    async def _with_retries(
        self,
        body: bytes,
        question: ReadingContext,
        fetch: Callable[[bytes, ReadingContext, Attempts, float], Awaitable[_Got]],
    ) -> _Got:
        """What *fetch* gets, after as many attempts as it takes."""
        tried = Attempts()
        tried.tokens = await self._wait_turn(body)
        deadline = math.inf
        if self.timeout is not None:
            deadline = anyio.current_time() + self.timeout
        while True:
            tried.begin()
            self.flights.now += 1
            try:
                return await fetch(body, question, tried, deadline)
            except LiminError as error:
                wait = self._wait(error, len(tried.failed) + 1, deadline)
                tried.fail(error, wait or 0.0)
                if wait is None:
                    error.attempts = tuple(tried.failed)
                    raise
            finally:
                self.flights.now -= 1
            await self._wait_for_retry(wait, body, tried, deadline)

    async def _wait_for_retry(
        self, wait: float, body: bytes, tried: Attempts, deadline: float
    ) -> None:
        """Wait until the next attempt may leave."""
        before = anyio.current_time()
        with anyio.CancelScope(deadline=deadline):
            await anyio.sleep(wait)
            tried.tokens = await self._wait_turn(body)
            tried.waited(anyio.current_time() - before)
            return
        late = timeout_error(self.timeout)
        late.attempts = tuple(tried.failed)
        raise late from tried.last_error

    async def _fetch(
        self, body: bytes, question: ReadingContext, tried: Attempts, deadline: float
    ) -> TextCompletion:
        with anyio.CancelScope(deadline=deadline):
            response = await self.transport.open(body)
            answer = await response.read()
            completion = read_completion(question, tried.timing(), answer)
            self._finish(tried, completion)
            return completion
        raise timeout_error(self.timeout) from tried.last_error

    async def _fetch_by_stream(
        self, body: bytes, question: ReadingContext, tried: Attempts, deadline: float
    ) -> TextCompletion:
        answer, _ = await self._open(body, question, tried, deadline)
        try:
            while await answer.more():
                pass
        finally:
            await answer.aclose()
        return answer.completion

    async def _open(
        self, body: bytes, question: ReadingContext, tried: Attempts, deadline: float
    ) -> tuple[StreamedAnswer, list[Delta]]:
        incoming: OpenResponse | None = None
        with anyio.CancelScope(deadline=deadline):
            incoming = await self.transport.open(body)
        if incoming is None:
            raise timeout_error(self.timeout) from tried.last_error
        answer = StreamedAnswer(
            incoming,
            question,
            tried,
            Deadlines(self.timeout, deadline, self.idle_timeout),
            on_finish=partial(self._finish, tried),
            on_failure=partial(self.rate_limiter.note_failure, wait=None),
        )
        try:
            return answer, await answer.more()
        except BaseException:
            await answer.aclose()
            raise

    def question(self, conversation: Conversation) -> ReadingContext:
        """What the answer to *conversation* is read against."""
        prompts = [message.content for message in conversation.messages]
        return ReadingContext(
            conversation=conversation,
            model=self.model,
            asks_log_probs=self.encoder.asks_log_probs,
            top_log_probs=self.encoder.top_log_probs,
            n_choices=self.encoder.n_choices,
            secrets=(*self.endpoint.secrets(), *prompts),
        )

    async def _wait_turn(self, body: bytes) -> float:
        """Wait until *body* may leave; the tokens that it may take."""
        return await self.rate_limiter.wait_turn(len(body), self.encoder.max_tokens)

    def _wait(self, error: LiminError, attempt: int, deadline: float) -> float | None:
        """Seconds to wait before the next attempt; None if there is none.

        A wait that outlasts the deadline is not begun, be it this request's own
        or the rest that the server wants from all.
        """
        chance = random.random()  # noqa: S311 (no secret)
        wait = self.retry.delay(error, attempt=attempt, chance=chance)
        self.rate_limiter.note_failure(error, wait)
        if wait is None:
            return None
        moment = max(anyio.current_time() + wait, self.rate_limiter.resting_until)
        return wait if moment < deadline else None

    def _finish(self, tried: Attempts, completion: TextCompletion) -> None:
        """Note what *completion* took, and tell what is odd about it as one should."""
        self.rate_limiter.used(tried.tokens, completion.usage)
        found = () if self.on_warning == "ignore" else completion.warnings
        if found and self.on_warning == "raise":
            raise AnswerWarningError(found, completion)
        try:
            for one in found:
                warnings.warn(str(one), LiminWarning, stacklevel=2)
        except LiminWarning as error:  # Warnings are errors here: no answer is lost.
            raise AnswerWarningError(found, completion) from error
