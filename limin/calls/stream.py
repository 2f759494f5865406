"""An answer while it comes: its deltas, and the completion in the end."""

from __future__ import annotations

import math
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Self, TypeAlias

import anyio
import attrs
import msgspec

from limin.errors import (
    LiminError,
    RequestTimeoutError,
    ResponseError,
    StreamError,
    TransportError,
)
from limin.values.completion import Delta
from limin.values.timing import StreamTimes
from limin.wire.assembly import Assembly
from limin.wire.response import read_completion
from limin.wire.sse import EventDecoder, are_events

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType

    from limin.calls.attempts import Attempts
    from limin.values.completion import TextCompletion
    from limin.wire.http import OpenResponse
    from limin.wire.response import ReadingContext

# The end of the body comes in a packet of its own after the last event. Where it is
# read, the connection may be used again.
_SECONDS_TO_END = 0.1

_OUTSIDE = "the stream is read inside its `async with` block"


class Deadlines(msgspec.Struct, frozen=True):
    """How long an answer may take.

    Attributes:
        timeout: Seconds for the whole of it; None for no limit.
        deadline: When they are over, by the clock of the event loop.
        idle_timeout: Seconds without data, once the first token came; None for no
            limit.
    """

    timeout: float | None
    deadline: float
    idle_timeout: float | None


def timeout_error(timeout: float | None) -> RequestTimeoutError:
    """The error that a deadline of *timeout* seconds passed."""
    reason = f"no complete answer within {timeout:g} seconds"
    return RequestTimeoutError(reason, timeout)


class StreamedAnswer:
    """The answer to one request while it comes: in events or, by some servers, whole."""

    def __init__(
        self,
        incoming: OpenResponse,
        question: ReadingContext,
        attempts: Attempts,
        patience: Deadlines,
        *,
        on_finish: Callable[[TextCompletion], object],
        on_failure: Callable[[LiminError], object],
    ) -> None:
        """The answer that comes in *incoming*.

        Args:
            incoming: Its body, whose head has just come.
            question: What it is read against.
            attempts: Whose last request it answers.
            patience: How long it may take.
            on_finish: Told of the finished answer; may raise a `LiminError`.
            on_failure: Told of what breaks the stream.
        """
        self._incoming, self._question = incoming, question
        self._attempts, self._patience = attempts, patience
        self._on_finish, self._on_failure = on_finish, on_failure
        self._assembly = Assembly(question, incoming.head, time.time())
        self._times = StreamTimes(attempts.seconds())
        self._events = EventDecoder()
        # None until the body's start tells; an error is no stream in any case.
        self._are_events = None if incoming.head.is_success else False
        self._body = bytearray()  # Of an answer that comes whole.
        self._whole: TextCompletion | None = None
        self._ready: list[Delta] = []
        self._failure: LiminError | None = None
        self._is_ended = self._is_left = False
        self._completion: TextCompletion | None = None

    async def more(self) -> list[Delta]:
        """The next deltas that come; none at the end of the answer.

        Raises:
            StreamError: If the stream breaks off, after all that came before.
            LiminError: If it is no stream, but an error.
            RuntimeError: If the connection was closed before the end.
        """
        since = anyio.current_time()
        while not (self._ready or self._failure or self._is_ended):
            if self._is_left:
                raise RuntimeError(_OUTSIDE)
            try:
                if self._take(await self._receive(since)) and not self._ready:
                    since = anyio.current_time()
            except LiminError as error:
                self._fail(error)
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        if self._failure is not None:
            raise self._failure
        if self._completion is None:
            self._completion = self._whole or self._so_far()
            self._on_finish(self._completion)
        return []

    @property
    def completion(self) -> TextCompletion:
        """The finished answer.

        Raises:
            RuntimeError: If it was not read to its end.
        """
        if self._completion is None:
            problem = "the stream was not read to its end; see until_done"
            raise RuntimeError(problem)
        return self._completion

    async def aclose(self) -> None:
        """Close the connection at once, unless the answer was read to its end."""
        self._is_left = True
        await self._incoming.aclose()

    async def _receive(self, since: float) -> bytes:
        """The next bytes, none at the end; idle since *since*."""
        if self._assembly.is_done:
            with anyio.move_on_after(_SECONDS_TO_END), suppress(TransportError):
                while await self._incoming.receive():
                    pass
            return b""
        seconds = self._patience.idle_timeout if self._times.has_token else None
        idle = math.inf if seconds is None else since + seconds
        deadline = self._patience.deadline
        with anyio.CancelScope(deadline=min(idle, deadline)):
            return await self._incoming.receive()
        if seconds is None or deadline < idle:
            raise timeout_error(self._patience.timeout)
        reason = f"no data within {seconds:g} seconds"
        raise RequestTimeoutError(reason, seconds)

    def _take(self, data: bytes) -> bool:
        """Read the next bytes, none at the end; whether there were data in them."""
        is_last = not data
        if not self._are_events:
            self._body += data
        if self._are_events is None:
            self._body = self._body.lstrip()
            kind = self._incoming.head.headers.get("content-type", "")
            data = bytes(self._body)
            self._are_events = are_events(kind, data, is_all=is_last)
        if self._are_events:
            return self._take_events(data, is_last=is_last)
        if is_last:
            self._take_whole()
        return False

    def _take_events(self, data: bytes, *, is_last: bool) -> bool:
        assembly, events = self._assembly, self._events.feed(data)
        if is_last and not (assembly.is_done or assembly.is_whole):
            events += self._events.finish()
        seconds = self._attempts.seconds()
        try:
            for event in events:
                if assembly.is_done:
                    break
                update = assembly.feed(event)
                self._ready += update.deltas
                if update.error is not None:
                    raise update.error
        finally:
            for delta in self._ready:
                self._times.note(seconds, delta)
        if is_last:
            self._is_ended = assembly.is_finished
            if not self._is_ended:
                self._failure = self._broken("it ended without a finish reason")
        return any(map(bytes.strip, events))

    def _take_whole(self) -> None:
        """Read the answer of a server that does not stream: a delta for each choice.

        There are no times of its parts.
        """
        answer = attrs.evolve(self._incoming.head, body=bytes(self._body))
        self._whole = read_completion(self._question, self._attempts.timing(), answer)
        self._ready += [
            Delta(
                choice.message,
                choice.reasoning or "",
                choice.refusal or "",
                choice.index,
                choice.finish_reason,
                choice.log_probs,
            )
            for choice in self._whole.choices
        ]
        self._is_ended = True

    def _fail(self, error: LiminError) -> None:
        if isinstance(error, TransportError) and self._assembly.is_whole:
            self._is_ended = True
        elif self._are_events is False:
            self._failure = error
        else:
            self._failure = self._broken(str(error), error)

    def _broken(self, reason: str, cause: LiminError | None = None) -> StreamError:
        try:
            partial = self._so_far()
        except ResponseError:  # Of calls of tools that are nested too deeply to read.
            nothing = Assembly(self._question, self._incoming.head)
            partial = nothing.completion(self._attempts.timing())
        error = StreamError(reason, partial, cause)
        error.__cause__ = cause
        error.attempts = self._attempts.ended_by(error)
        self._on_failure(error)
        return error

    def _so_far(self) -> TextCompletion:
        timing = self._attempts.timing()
        found = self._assembly.completion(timing)
        return attrs.evolve(found, timing=self._times.told(timing, found.usage))


# Sends the request, as often as it takes until the first deltas are there.
Begin: TypeAlias = "Callable[[], Awaitable[tuple[StreamedAnswer, list[Delta]]]]"


class CompletionStream:
    """An answer as it comes: `async with`, then `async for`.

    Entering the block sends the request, again if need be, and waits for the first
    delta: a server that refuses does so there. Leaving it early closes the
    connection, so that the server stops. One task reads at a time.
    """

    def __init__(self, begin: Begin) -> None:
        """The stream that *begin* begins."""
        self._begin = begin
        self._is_entered = False
        self._answer: StreamedAnswer | None = None
        self._ready: Iterator[Delta] = iter(())
        self._texts: dict[int, list[str]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Ask, and wait for the first delta.

        Raises:
            LiminError: If none comes; its `attempts` tell of each request.
        """
        if self._is_entered:
            problem = "a stream is entered once"
            raise RuntimeError(problem)
        self._is_entered = True
        try:
            self._answer, deltas = await self._begin()
        except BaseException:
            await self._stack.aclose()
            raise
        self._stack.push_async_callback(self._answer.aclose)
        self._ready = iter(deltas)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection, unless the answer was read to its end."""
        await self._stack.aclose()

    def closing(self, close: Callable[[], Awaitable[None]]) -> Self:
        """The stream itself, which calls *close* when the block is left."""
        self._stack.push_async_callback(close)
        return self

    def __aiter__(self) -> Self:
        """The deltas, once."""
        return self

    async def __anext__(self) -> Delta:
        """The next delta, of any choice.

        Raises:
            StreamError: If the stream breaks off before the answer is whole; it has
                the answer so far. It is raised again by each further call.
            AnswerWarningError: At the end, if the answer is odd and
                `on_warning="raise"` was asked for.
        """
        while True:
            for delta in self._ready:
                self._texts.setdefault(delta.choice, []).append(delta.text)
                return delta
            deltas = await self._entered().more()
            if not deltas:
                raise StopAsyncIteration
            self._ready = iter(deltas)

    @property
    def text(self) -> str:
        """The text of the first choice, as far as its deltas were handed over."""
        if not self._texts:
            return ""
        texts = self._texts[min(self._texts)]
        texts[:] = ["".join(texts)]  # Asked for at every delta, it joins two.
        return texts[0]

    @property
    def completion(self) -> TextCompletion:
        """The finished completion.

        Raises:
            RuntimeError: If it was not read to its end.
        """
        return self._entered().completion

    async def until_done(self) -> TextCompletion:
        """Read what is left, and return the finished completion.

        Raises:
            StreamError: If the stream breaks off before the answer is whole.
            AnswerWarningError: See `__anext__`.
        """
        async for _ in self:
            pass
        return self.completion

    def _entered(self) -> StreamedAnswer:
        if self._answer is None:
            raise RuntimeError(_OUTSIDE)
        return self._answer
