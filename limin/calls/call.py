"""One conversation, one completion: the deadline, and the attempts under it."""

from __future__ import annotations

import math
import random
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec

from limin.calls.attempts import Attempts
from limin.calls.contexts import InContext
from limin.calls.deadline import Deadline
from limin.calls.observer import tell, tell_of_attempt, with_those_of_process
from limin.calls.server import Outlook
from limin.calls.streamed_answer import StreamedAnswer
from limin.calls.warning_report import report_warnings
from limin.errors import (
    AnswerWarningError,
    LiminError,
    RequestTimeoutError,
    StatusError,
    StreamError,
)
from limin.values.headers import PrivateHeaders
from limin.values.request_note import note_request
from limin.wire.response import read_completion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from limin.calls.caller import Caller
    from limin.values.choice import Delta
    from limin.values.completion import TextCompletion
    from limin.values.configuration import ModelConfiguration
    from limin.values.conversation import Conversation
    from limin.values.endpoint import Endpoint
    from limin.wire.http import OpenResponse
    from limin.wire.response import ReadingContext

_Result = TypeVar("_Result")


class Call:
    """One conversation on its way to a completion.

    Attributes:
        context: The conversation, and what else its response is read in.
        attempts: The requests that were sent.
        timeout: Seconds for the whole call; None for no limit.
        deadline: When they are over, by the clock of the event loop.
        idle_timeout: Seconds that a stream may bring no event; None for no limit.
        number: The number of the attempt under way, from 1; 0 before the first one.
    """

    __slots__ = (
        "_body",
        "_caller",
        "_is_finished",
        "_is_handed_over",
        "_observers",
        "_route",
        "_spent",
        "_tokens",
        "attempts",
        "context",
        "deadline",
        "number",
    )

    def __init__(
        self, caller: Caller, body: bytes, context: ReadingContext, spent: float = 0.0
    ) -> None:
        """Send *body* as *caller* does, and read the response in *context*.

        Of the timeout, *spent* seconds are over already.
        """
        self._caller, self.context, self._spent = caller, context, spent
        self._body = caller.encoder.as_sent(body)
        self._observers = with_those_of_process(caller.observers)
        if caller.log is not None and caller.log.is_read():
            self._observers = (*self._observers, caller.log)
        self._route = caller.servers.route(context.conversation)
        self.attempts = Attempts()
        self.number = 0
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

    @property
    def conversation(self) -> Conversation:
        """The conversation that is sent."""
        return self.context.conversation

    @property
    def configuration(self) -> ModelConfiguration:
        """The fields of the request."""
        return self._caller.encoder.configuration

    @property
    def response_type(self) -> object:
        """The type of the answer; None for any text."""
        return self._caller.encoder.response_type

    @property
    def endpoint(self) -> Endpoint:
        """The server of the attempt under way."""
        return self._route.server.endpoint

    def run(self) -> Awaitable[TextCompletion]:
        """Return the completion."""
        streams = self._caller.encoder.streams
        return self._with_retries(Call._fetch_by_stream if streams else Call._fetch)

    async def stream(self) -> tuple[StreamedAnswer, list[Delta]]:
        """Return the answer while it comes, and its first deltas."""
        answer, deltas = await self._with_retries(Call._begin_stream)
        self._is_handed_over = True
        if answer.error is not None:  # It came in the same packet as *deltas*.
            self.note_failure(answer.error)
        return answer, deltas

    def finish(self, completion: TextCompletion) -> TextCompletion:
        """Return *completion*, and report its warnings as `on_warning` says.

        The rate limiter and the replicas learn from it.

        Raises:
            AnswerWarningError: If there are warnings, and these are to be raised.
        """
        self._route.server.rate_limiter.note_usage(self._tokens, completion.usage)
        completion = self._route.finish(completion)
        try:
            report_warnings(completion, self._caller.on_warning, self._caller.asked_at)
        except AnswerWarningError as error:
            error.conversation = self.context.conversation
            if self._is_handed_over:
                self._notify_finished(error)
            raise
        self._notify_finished(completion)
        return completion

    def note_failure(self, error: LiminError) -> None:
        """Tell everybody of *error*, if it broke an answer that was handed over.

        Before that nothing is told, since the request may be retried.
        """
        if self._is_handed_over:
            self._note_question(error)
            self._route.server.rate_limiter.note_failure(error, None)
            self._route.leave(error, random.random())  # noqa: S311 (no secret)
            self._notify_finished(error)

    def note_first_token(self) -> None:
        """Tell the observers that the first token came."""
        if self._observers:
            tell(self._observers, "first_token", self)

    def abandon(self, interrupt: BaseException | None = None) -> None:
        """Tell the observers that nobody reads the stream any more.

        Args:
            interrupt: What cancelled its reader; None if it was left.
        """
        if self._is_handed_over:
            self._notify_finished(interrupt)

    def timeout_error(self) -> RequestTimeoutError:
        """Return the error that the deadline has passed; the last failure is its cause."""
        reason = f"no complete answer within {self.timeout:g} seconds"
        error = RequestTimeoutError(reason, self.timeout)
        error.attempts = self.attempts.failed
        error.__cause__ = self.attempts.last_error
        return error

    async def _with_retries(self, fetch: Callable[[Call], Awaitable[_Result]]) -> _Result:
        """Return the result of *fetch*, after as many attempts as needed."""
        attempts = self.attempts
        self._choose_server()
        try:
            if self._observers:
                tell(self._observers, "begun", self)
            if self._route.server.rate_limiter.has_rates:
                await self._wait_for_rates()
            self._start_clock()
            if self._route.server.rate_limiter.has_paused:
                await self._wait_for_pause()
            while True:
                attempts.begin(self._route.server.name)
                self.number += 1
                try:
                    return await fetch(self)
                except LiminError as error:
                    error.conversation = self.context.conversation
                    wait = self._seconds_before_retry(error)
                    attempts.fail(error, wait or 0.0)
                    if wait is None:
                        error.attempts = attempts.failed
                        raise
                    if self._observers:
                        tell(self._observers, "waiting", self, wait, error)
                await self._wait_for_retry(wait)
        except BaseException as error:
            if isinstance(error, LiminError):
                self._note_question(error)
            self._notify_finished(error)
            raise

    def _note_question(self, error: LiminError) -> None:
        """Note in *error* what was asked, and where."""
        error.conversation = self.context.conversation
        note_request(error, self._route.server.endpoint)
        if self._caller.encoder.filled_in and isinstance(error, (StatusError, StreamError)):
            from limin.wire.refused_defaults import note_refused_defaults  # noqa: PLC0415 (few are refused)

            note_refused_defaults(error, self._caller.encoder, self.context.secrets)

    def _choose_server(self) -> None:
        """Choose the server of the next attempt."""
        self._route.choose()
        name = self._route.server.name
        if self.context.endpoint != name:
            self.context = msgspec.structs.replace(self.context, endpoint=name)

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
        self._tokens = await self._route.server.rate_limiter.wait_for_rates(
            len(self._body), self._caller.encoder.max_tokens, self.timeout
        )

    async def _wait_for_pause(self) -> None:
        """Wait until the server's pause is over; a pause that is too long is not begun.

        Raises:
            RequestTimeoutError: If it outlasts the deadline.
        """
        limiter = self._route.server.rate_limiter
        if limiter.resting_until >= self.deadline:
            seconds = math.ceil(limiter.resting_until - anyio.current_time())
            error = self.timeout_error()
            error.reason += f": the server wants a pause of {seconds} seconds"
            raise error from error.__cause__
        with Deadline(self.deadline, self):
            await limiter.wait_for_pause()

    async def _wait_for_retry(self, seconds: float) -> None:
        """Wait until the next attempt may be made, *seconds* at least."""
        before = anyio.current_time()
        with Deadline(self.deadline, self):
            await anyio.sleep(seconds)
            self._choose_server()
            limiter = self._route.server.rate_limiter
            if limiter.has_rates:
                await self._wait_for_rates()
        if limiter.has_paused:
            await self._wait_for_pause()
        self.attempts.record_wait(anyio.current_time() - before)

    def _seconds_before_retry(self, error: LiminError) -> float | None:
        """Return the wait before the next attempt, in seconds; None if there is none.

        If a healthy replica is left, it takes the request at once, which is no retry. A
        wait that outlasts the deadline is not begun, whether it is this call's own
        backoff or the pause that the server wants of all calls.
        """
        route, chance = self._route, random.random()  # noqa: S311 (no secret)
        attempt = len(self.attempts.failed) + 1 - route.n_moves
        outlook = route.leave(error, chance)
        elsewhere = outlook is Outlook.LATER
        wait = self._caller.retry.delay(
            error, attempt=attempt, chance=chance, elsewhere=elsewhere
        )
        route.server.rate_limiter.note_failure(error, wait)
        if outlook is Outlook.NOW:
            wait = 0.0
        if wait is None:
            return None
        moment = max(anyio.current_time() + wait, route.resting_until)
        return wait if moment < self.deadline else None

    def _open(self) -> Awaitable[OpenResponse]:
        """Send the request, and return the response, whose body still comes."""
        headers, open_ = self._caller.headers, self._route.server.transport.open
        if not self._observers:
            return open_(self._body, headers)
        # What an observer sets in a context variable holds while the request is sent. A
        # stream goes on in the program's own context.
        context = copy_context()
        added = context.run(tell_of_attempt, self._observers, self)
        if added:
            secrets = (*self.context.secrets, *added.values())
            self.context = msgspec.structs.replace(self.context, secrets=secrets)
            headers = PrivateHeaders(added if headers is None else added | headers)
        return InContext(context, open_(self._body, headers))

    async def _fetch(self) -> TextCompletion:
        """Return the completion of one attempt, whose response is read as a whole."""
        with Deadline(self.deadline, self):
            response = await (await self._open()).read()
        completion = read_completion(self.context, self.attempts.timing(), response)
        return self.finish(completion)

    async def _fetch_by_stream(self) -> TextCompletion:
        """Return the completion of one attempt, whose response is a stream."""
        answer = (await self._begin_stream())[0]
        try:
            while await answer.next_deltas():
                pass
        finally:
            await answer.aclose()
        return answer.completion

    async def _begin_stream(self) -> tuple[StreamedAnswer, list[Delta]]:
        """Return the answer of one attempt while it comes, and its first deltas."""
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
        self._route.release()
        if not self._is_finished:
            self._is_finished = True
            if self._observers:
                tell(self._observers, "finished", self, result)
