"""One question, one answer: the deadline, and the attempts under it."""

from __future__ import annotations

import random
import time
import warnings
from typing import TYPE_CHECKING, Self

import anyio
import attrs
import msgspec

from limin.checkpoint import Checkpoint
from limin.completion import Attempt, Timing
from limin.diagnostics import LiminWarning
from limin.errors import (
    AnswerWarningError,
    CheckpointError,
    ConfigurationError,
    LiminError,
    RequestTimeoutError,
)
from limin.parameters import is_above_zero, is_count
from limin.wire.response import Question, read_completion
from limin.workers import NotRecorded

if TYPE_CHECKING:
    import os

    from limin.completion import TextCompletion
    from limin.conversation import Conversation
    from limin.endpoint import Endpoint
    from limin.parameters import OnWarning
    from limin.policy.retry import RetryPolicy
    from limin.transport.http import HttpTransport
    from limin.turnstile import Turnstile
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
    turnstile: Turnstile

    async def ask(self, conversation: Conversation) -> TextCompletion:
        """The completion of *conversation*, after as many attempts as it takes.

        Raises:
            LiminError: If there is none; its `attempts` tell of each request.
        """
        return await self.send(
            self.encoder.encode(conversation), self.question(conversation)
        )

    async def send(self, body: bytes, question: Question) -> TextCompletion:
        """The completion that *question* gets by sending *body*; see `ask`.

        Raises:
            LiminError: If there is none; its `attempts` tell of each request.
        """
        tried = _Attempts()
        tokens = await self._turn(body)
        with anyio.move_on_after(self.timeout) as scope:
            while True:
                tried.begin()
                try:
                    answer = await self.transport.post(body)
                    completion = read_completion(question, tried.timing(), answer)
                    self.turnstile.used(tokens, completion.usage)
                    return self._checked(completion)
                except LiminError as error:
                    wait = self._wait(error, len(tried.attempts) + 1, scope.deadline)
                    tried.failed(error, wait or 0.0)
                    if wait is None:
                        error.attempts = tuple(tried.attempts)
                        raise
                before = anyio.current_time()
                await anyio.sleep(wait)
                tokens = await self._turn(body)
                tried.waited(anyio.current_time() - before)
        reason = f"no complete answer within {self.timeout:g} seconds"
        late = RequestTimeoutError(reason, self.timeout)
        late.attempts = tuple(tried.attempts)
        raise late from (late.attempts[-1].error if late.attempts else None)

    def question(self, conversation: Conversation) -> Question:
        """What the answer to *conversation* is read against."""
        prompts = [message.content for message in conversation.messages]
        return Question(
            conversation=conversation,
            model=self.model,
            asks_log_probs=self.encoder.asks_log_probs,
            top_log_probs=self.encoder.top_log_probs,
            secrets=(*self.endpoint.secrets(), *prompts),
        )

    async def _turn(self, body: bytes) -> float:
        """Wait until *body* may leave; the tokens that it may take."""
        return await self.turnstile.pass_through(len(body), self.encoder.max_tokens)

    def _wait(self, error: LiminError, attempt: int, deadline: float) -> float | None:
        """Seconds to wait before the next attempt; None if there is none.

        A wait that outlasts the deadline is not begun, be it this request's own
        or the rest that the server wants from all.
        """
        chance = random.random()  # noqa: S311 (no secret)
        wait = self.retry.delay(error, attempt=attempt, chance=chance)
        self.turnstile.heard(error, wait)
        if wait is None:
            return None
        moment = max(anyio.current_time() + wait, self.turnstile.opens)
        return wait if moment < deadline else None

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


class Recorder:
    """Asks what a checkpoint does not hold yet, and writes down what comes."""

    def __init__(
        self, asker: Asker, path: str | os.PathLike[str] | None, *, fsync: bool
    ) -> None:
        """Ask through *asker*, with the checkpoint at *path*; None for none."""
        self._asker = asker
        self._path = path
        self._fsync = fsync
        self._checkpoint: Checkpoint | None = None

    def __enter__(self) -> Self:
        """Open the checkpoint.

        Raises:
            CheckpointError: If it cannot be read or written, or is another run's.
        """
        if self._path is not None:
            self._checkpoint = Checkpoint.open(self._path, fsync=self._fsync)
        return self

    def __exit__(self, *_reason: object) -> None:
        """Close it."""
        if self._checkpoint is not None:
            self._checkpoint.close()

    async def ask(self, conversation: Conversation) -> TextCompletion:
        """The completion of *conversation*, from the checkpoint or the server.

        Raises:
            LiminError: If there is none.
            NotRecorded: If it came, and could not be written down.
        """
        checkpoint, asker = self._checkpoint, self._asker
        if checkpoint is None:
            return await asker.ask(conversation)
        body, question = asker.encoder.encode(conversation), asker.question(conversation)
        known = checkpoint.take(body)
        if known is not None:
            return read_completion(question, known.timing, known.answer)
        completion = await asker.send(body, question)
        try:
            checkpoint.add(body, completion)
        except CheckpointError as error:
            raise NotRecorded(completion, error) from error
        return completion


class _Attempts:
    """The requests of one completion so far, and their clocks.

    Attributes:
        attempts: Those that failed.
    """

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self._first: tuple[float, float] | None = None

    def begin(self) -> None:
        """A request leaves."""
        self._start = time.time(), time.perf_counter()
        self._first = self._first or self._start

    def failed(self, error: LiminError, wait: float) -> None:
        """It failed, and the next one leaves after *wait* seconds."""
        self.attempts.append(self._ended(time.perf_counter(), error, wait))

    def waited(self, seconds: float) -> None:
        """So long it was in truth until the next one left."""
        self.attempts[-1] = attrs.evolve(self.attempts[-1], waited=seconds)

    def timing(self) -> Timing:
        """That of all of them, of which the last has just succeeded."""
        start_time, start = self._first or self._start
        now = time.perf_counter()
        return Timing(
            start_time=start_time,
            end_time=time.time(),
            duration=now - start,
            attempts=(*self.attempts, self._ended(now)),
        )

    def _ended(
        self, now: float, error: LiminError | None = None, waited: float = 0.0
    ) -> Attempt:
        start_time, start = self._start
        return Attempt(
            start_time=start_time, duration=now - start, error=error, waited=waited
        )


def checked_retries(max_retries: int) -> int:
    """*max_retries* itself.

    Raises:
        ConfigurationError: If it is no number of at least 0.
    """
    if not is_count(max_retries, 0):
        problem = f"max_retries: expected an integer of at least 0, found {max_retries!r}"
        raise ConfigurationError(problem)
    return max_retries


def checked_timeout(timeout: float | None) -> float | None:
    """*timeout* itself.

    Raises:
        ConfigurationError: If it is neither None nor a number above 0.
    """
    if timeout is not None and not is_above_zero(timeout):
        problem = f"timeout: expected seconds above 0 or None, found {timeout!r}"
        raise ConfigurationError(problem)
    return timeout
