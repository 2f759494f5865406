"""One conversation, one completion: the deadline, and the attempts under it."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec

from limin.calls.attempts import Attempts
from limin.calls.deadline import Deadline
from limin.calls.stream import StreamedAnswer
from limin.calls.warning_report import report_warnings
from limin.errors import (
    AnswerWarningError,
    LiminError,
    RequestTimeoutError,
    StatusError,
    StreamError,
)
from limin.values.request_note import note_request
from limin.wire.response import ReadingContext, read_completion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from limin.calls.observer import Observer
    from limin.calls.rate_limiter import RateLimiter
    from limin.calls.warning_report import SourceLine
    from limin.policy.retry import RetryPolicy
    from limin.transport.http import HttpTransport
    from limin.values.completion import Delta, TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.endpoint import Endpoint
    from limin.values.headers import PrivateHeaders
    from limin.values.options import OnWarning
    from limin.wire.http import OpenResponse
    from limin.wire.request import RequestEncoder

_Result = TypeVar("_Result")


class Caller(msgspec.Struct, frozen=True):
    """Makes calls with one configuration: a batch has one, and uses it for each item.

    Attributes:
        endpoint: The server.
        transport: The way to it.
        encoder: Encodes the requests.
        model: Name of the model.
        timeout: Seconds for a whole call; None for no limit.
        idle_timeout: Seconds that a stream may bring no event; None for no limit.
        retry: When to send a failed request again.
        on_warning: What to do about warnings.
        rate_limiter: Says when a request may be sent.
        observers: The listeners to the calls.
        asked_at: The line of the program that makes the calls; None if it is found
            when a warning is issued.
        headers: The headers of these calls, which win over the transport's; the endpoint
            has them, too. None if there are none.
    """

    endpoint: Endpoint
    transport: HttpTransport
    encoder: RequestEncoder
    model: str
    timeout: float | None
    idle_timeout: float | None
    retry: RetryPolicy
    on_warning: OnWarning
    rate_limiter: RateLimiter
    observers: tuple[Observer, ...] = ()
    asked_at: SourceLine | None = None
    headers: PrivateHeaders | None = None

    def observed_by(self, *observers: Observer) -> Caller:
        """Return a caller that *observers* listen to, beside those that do already."""
        return msgspec.structs.replace(self, observers=(*self.observers, *observers))

    def ask(
        self, conversation: Conversation, *, spent: float = 0.0
    ) -> Awaitable[TextCompletion]:
        """Return the completion of *conversation*, after as many attempts as needed.

        Args:
            conversation: The messages so far.
            spent: Seconds of the timeout that are over already.

        Raises:
            LiminError: If there is none; its `attempts` hold each request.
        """
        body, context = self.encoder.encode(conversation), self.context(conversation)
        return self.send(body, context, spent)

    def send(
        self, body: bytes, context: ReadingContext, spent: float = 0.0
    ) -> Awaitable[TextCompletion]:
        """Send *body*, and return the completion read in *context*; see `ask`.

        Raises:
            LiminError: If there is none; its `attempts` hold each request.
        """
        return Call(self, body, context, spent).run()

    def stream(
        self, conversation: Conversation
    ) -> Awaitable[tuple[StreamedAnswer, list[Delta]]]:
        """Return the answer to *conversation* while it comes, and its first deltas.

        Raises:
            LiminError: If none came; its `attempts` hold each request.
        """
        body, context = self.encoder.encode(conversation), self.context(conversation)
        return Call(self, body, context).stream()

    def context(self, conversation: Conversation) -> ReadingContext:
        """Return what is needed beside a response to *conversation* to read it."""
        prompts = [text for message in conversation.messages for text in message.texts()]
        return ReadingContext(
            conversation=conversation,
            model=self.model,
            asks_log_probs=self.encoder.asks_log_probs,
            top_log_probs=self.encoder.top_log_probs,
            n_choices=self.encoder.n_choices,
            sampling=self.encoder.sampling,
            secrets=(*self.endpoint.secrets(), *prompts),
        )


class Call:
    """One conversation on its way to a completion.

    Attributes:
        context: The conversation, and what else its response is read in.
        attempts: The requests that were sent.
        timeout: Seconds for the whole call; None for no limit.
        deadline: When they are over, by the clock of the event loop.
        idle_timeout: Seconds that a stream may bring no event; None for no limit.
    """

    __slots__ = (
        "_body",
        "_caller",
        "_is_finished",
        "_is_handed_over",
        "_spent",
        "_tokens",
        "attempts",
        "context",
        "deadline",
    )

    def __init__(
        self, caller: Caller, body: bytes, context: ReadingContext, spent: float = 0.0
    ) -> None:
        """Send *body* as *caller* does, and read the response in *context*.

        Of the timeout, *spent* seconds are over already.
        """
        self._caller, self.context, self._spent = caller, context, spent
        self._body = caller.encoder.as_sent(body)
        self.attempts = Attempts()
        self.deadline = math.inf
        self._tokens = 0.0  # Of the attempt under way, as estimated.
        self._is_handed_over = self._is_finished = False

    @property
    def timeout(self) -> float | None:
        """Seconds for the whole call; None for no limit."""
        return self._caller.timeout

    @property
    def idle_timeout(self) -> float | None:
        """Seconds that a stream may bring no event; None for no limit."""
        return self._caller.idle_timeout

    def run(self) -> Awaitable[TextCompletion]:
        """Return the completion."""
        streams = self._caller.encoder.streams
        return self._with_retries(Call._fetch_by_stream if streams else Call._fetch)

    async def stream(self) -> tuple[StreamedAnswer, list[Delta]]:
        """Return the answer while it comes, and its first deltas."""
        answer = await self._with_retries(Call._begin_stream)
        self._is_handed_over = True
        return answer

    def finish(self, completion: TextCompletion[object]) -> None:
        """Update the rate limiter, and report warnings as `on_warning` says.

        Raises:
            AnswerWarningError: If there are warnings, and these are to be raised.
        """
        self._caller.rate_limiter.note_usage(self._tokens, completion.usage)
        try:
            report_warnings(completion, self._caller.on_warning, self._caller.asked_at)
        except AnswerWarningError as error:
            error.conversation = self.context.conversation
            if self._is_handed_over:
                self._notify_finished(error)
            raise
        self._notify_finished(completion)

    def note_failure(self, error: LiminError) -> None:
        """Tell the rate limiter, and the observers if nothing more follows, of *error*."""
        self._note_question(error)
        self._caller.rate_limiter.note_failure(error, None)
        if self._is_handed_over:
            self._notify_finished(error)

    def note_first_token(self) -> None:
        """Tell the observers that the first token came."""
        for observer in self._caller.observers:
            observer.first_token(self)

    def abandon(self) -> None:
        """Tell the observers that nobody reads the stream any more."""
        if self._is_handed_over:
            self._notify_finished(None)

    def timeout_error(self) -> RequestTimeoutError:
        """Return the error that the deadline has passed; the last failure is its cause."""
        reason = f"no complete answer within {self.timeout:g} seconds"
        error = RequestTimeoutError(reason, self.timeout)
        error.attempts = self.attempts.failed
        error.__cause__ = self.attempts.last_error
        return error

    async def _with_retries(self, fetch: Callable[[Call], Awaitable[_Result]]) -> _Result:
        """Return the result of *fetch*, after as many attempts as needed."""
        caller, attempts, limiter = self._caller, self.attempts, self._caller.rate_limiter
        for observer in caller.observers:
            observer.begun(self)
        try:
            if limiter.has_rates:
                await self._wait_for_rates()
            self._start_clock()
            if limiter.has_paused:
                await self._wait_for_pause()
            while True:
                attempts.begin()
                try:
                    return await fetch(self)
                except LiminError as error:
                    error.conversation = self.context.conversation
                    wait = self._seconds_before_retry(error)
                    attempts.fail(error, wait or 0.0)
                    if wait is None:
                        error.attempts = attempts.failed
                        raise
                    for observer in caller.observers:
                        observer.waiting(self, wait, error)
                await self._wait_for_retry(wait)
        except BaseException as error:
            if isinstance(error, LiminError):
                self._note_question(error)
            self._notify_finished(error)
            raise

    def _note_question(self, error: LiminError) -> None:
        """Note in *error* what was asked, and where."""
        error.conversation = self.context.conversation
        note_request(error, self._caller.endpoint)
        if self._caller.encoder.filled_in and isinstance(error, (StatusError, StreamError)):
            from limin.wire.refused_defaults import note_refused_defaults  # noqa: PLC0415 (few are refused)

            note_refused_defaults(error, self._caller.encoder, self.context.secrets)

    def _start_clock(self) -> None:
        """Let the seconds for the whole call begin.

        Raises:
            RequestTimeoutError: If none are left.
        """
        if self.timeout is None:
            return
        if self._spent >= self.timeout:
            raise self.timeout_error()
        self.deadline = anyio.current_time() + self.timeout - self._spent

    async def _wait_for_rates(self) -> None:
        """Wait until the request keeps to the user's own rates."""
        self._tokens = await self._caller.rate_limiter.wait_for_rates(
            len(self._body), self._caller.encoder.max_tokens, self.timeout
        )

    async def _wait_for_pause(self) -> None:
        """Wait until the server's pause is over; a pause that is too long is not begun.

        Raises:
            RequestTimeoutError: If it outlasts the deadline.
        """
        limiter = self._caller.rate_limiter
        if limiter.resting_until >= self.deadline:
            seconds = math.ceil(limiter.resting_until - anyio.current_time())
            error = self.timeout_error()
            error.reason += f": the server wants a pause of {seconds} seconds"
            raise error from error.__cause__
        with Deadline(self.deadline, self):
            await limiter.wait_for_pause()

    async def _wait_for_retry(self, seconds: float) -> None:
        """Wait until the next attempt may be made, *seconds* at least."""
        before, limiter = anyio.current_time(), self._caller.rate_limiter
        with Deadline(self.deadline, self):
            await anyio.sleep(seconds)
            if limiter.has_rates:
                await self._wait_for_rates()
        if limiter.has_paused:
            await self._wait_for_pause()
        self.attempts.record_wait(anyio.current_time() - before)

    def _seconds_before_retry(self, error: LiminError) -> float | None:
        """Return the wait before the next attempt, in seconds; None if there is none.

        A wait that outlasts the deadline is not begun, whether it is this call's own
        backoff or the pause that the server wants of all calls.
        """
        caller, chance = self._caller, random.random()  # noqa: S311 (no secret)
        attempt = len(self.attempts.failed) + 1
        wait = caller.retry.delay(error, attempt=attempt, chance=chance)
        caller.rate_limiter.note_failure(error, wait)
        if wait is None:
            return None
        moment = max(anyio.current_time() + wait, caller.rate_limiter.resting_until)
        return wait if moment < self.deadline else None

    def _open(self) -> Awaitable[OpenResponse]:
        """Send the request, and return the response, whose body still comes."""
        observers, own = self._caller.observers, self._caller.headers
        if not observers and own is None:
            return self._caller.transport.open(self._body)
        headers: dict[str, str] = {}
        for observer in observers:
            observer.attempt(self, headers)
        if own is not None:
            headers = {name.lower(): value for name, value in headers.items()} | own
        return self._caller.transport.open(self._body, headers)

    async def _fetch(self) -> TextCompletion:
        with Deadline(self.deadline, self):
            response = await (await self._open()).read()
        completion = read_completion(self.context, self.attempts.timing(), response)
        self.finish(completion)
        return completion

    async def _fetch_by_stream(self) -> TextCompletion:
        answer = (await self._begin_stream())[0]
        try:
            while await answer.next_deltas():
                pass
        finally:
            await answer.aclose()
        return answer.completion

    async def _begin_stream(self) -> tuple[StreamedAnswer, list[Delta]]:
        with Deadline(self.deadline, self):
            response = await self._open()
        answer = StreamedAnswer(self, response)
        try:
            return answer, await answer.next_deltas()
        except BaseException:
            await answer.aclose()
            raise

    def _notify_finished(
        self, result: TextCompletion[object] | BaseException | None
    ) -> None:
        if not self._is_finished:
            self._is_finished = True
            for observer in self._caller.observers:
                observer.finished(self, result)
