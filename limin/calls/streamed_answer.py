"""An answer while it comes, for one request: waiting for its body, and its deltas."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import anyio
import attrs

from limin.calls.deadline import Deadline
from limin.errors import (
    LiminError,
    RequestTimeoutError,
    ResponseError,
    StreamError,
    TransportError,
)
from limin.values.timing import StreamTimes
from limin.wire.stream import AnswerReader

if TYPE_CHECKING:
    from limin.calls.call import Call
    from limin.values.choice import Delta
    from limin.values.completion import TextCompletion
    from limin.wire.http import OpenResponse

# The end of the body comes in a packet of its own after the last event. Where it is
# read, the connection may be used again.
_SECONDS_TO_END = 0.1

OUTSIDE = "the stream is read inside its `async with` block"


class StreamedAnswer:
    """Waits for the body of one response, and hands over the deltas in it.

    It is in one of four states. It begins as *open*: `next_deltas` waits for bytes, and
    an `AnswerReader` reads them. The end of the answer makes it *finished*: the
    completion is there, and `next_deltas` returns nothing. An error makes it *broken*:
    the deltas before the error are handed over first, then each call of `next_deltas`
    raises it. `aclose` makes an open answer *closed*: `next_deltas` raises a RuntimeError
    from then on. A finished or broken answer stays what it is.

    Attributes:
        error: What broke it; None if nothing has.
    """

    def __init__(self, call: Call, response: OpenResponse) -> None:
        """Start where the head of *response* to *call* has just come."""
        self._call, self._response = call, response
        self._attempts = attempts = call.attempts
        self._reader = AnswerReader(call.context, response.head, time.time())
        self._times = StreamTimes(attempts.seconds())
        self._deltas: list[Delta] = []  # Those that are not handed over yet.
        self._is_ended = self._is_closed = False
        self.error: LiminError | None = None
        self._completion: TextCompletion | None = None

    @property
    def state(self) -> Literal["open", "finished", "broken", "closed"]:
        """The state, as the class describes it."""
        if self._completion is not None:
            return "finished"
        if self.error is not None:
            return "broken"
        return "closed" if self._is_closed else "open"

    async def next_deltas(self) -> list[Delta]:
        """Wait for the next deltas, and return them; none at the end of the answer.

        Raises:
            StreamError: If the stream breaks off, after all deltas that came before.
            LiminError: If the response is an error, and no stream.
            RuntimeError: If the connection was closed before the end.
        """
        since = anyio.current_time()
        while not (self._deltas or self.error or self._is_ended):
            if self._is_closed:
                raise RuntimeError(OUTSIDE)
            if await self._read_more(since) and not self._deltas:
                since = anyio.current_time()
        if self._deltas:
            deltas, self._deltas = self._deltas, []
            return deltas
        if self.error is not None:
            raise self.error
        if self._completion is None:
            self._completion = self._read_completion()
            self._completion = self._call.finish(self._completion)
        return []

    @property
    def completion(self) -> TextCompletion:
        """The finished completion.

        Raises:
            RuntimeError: If the answer was not read to its end.
        """
        if self._completion is None:
            problem = "the stream was not read to its end; see until_done"
            raise RuntimeError(problem)
        return self._completion

    async def aclose(self, error: BaseException | None = None) -> None:
        """Close the connection at once, unless the answer was read to its end.

        *error* is what ended the block in which the answer was read; None for nothing.
        """
        self._is_closed = True
        is_interrupt = not isinstance(error, (Exception, GeneratorExit))
        self._call.abandon(error if is_interrupt else None)
        await self._response.aclose()

    async def _read_more(self, since: float) -> bool:
        """Wait for the next bytes, and read them. Return whether events came in them.

        What goes wrong is raised elsewhere, where no bytes are local variables.
        """
        try:
            data = await self._receive(since)
        except LiminError as error:
            self._fail(error)
            return False
        return self._read(data)

    async def _receive(self, since: float) -> bytes:
        """Wait for the next bytes, none at the end; the last data came at *since*."""
        if self._reader.is_done:
            with anyio.move_on_after(_SECONDS_TO_END), suppress(TransportError):
                while await self._response.receive():
                    pass
            return b""
        seconds = self._call.idle_timeout if self._times.has_token else None
        if seconds is not None and since + seconds <= self._call.deadline:
            with Deadline(since + seconds, self):
                return await self._response.receive()
        with Deadline(self._call.deadline, self._call):
            return await self._response.receive()

    def timeout_error(self) -> RequestTimeoutError:
        """Return the error that no data came for too long."""
        seconds = self._call.idle_timeout
        return RequestTimeoutError(f"no data within {seconds:g} seconds", seconds)

    def _read(self, data: bytes) -> bool:
        """Read the next bytes, none at the end. Return whether events came in them."""
        reader, seconds = self._reader, self._attempts.seconds()
        update = reader.feed(data) if data else reader.finish(self._attempts.timing())
        self._deltas = update.deltas
        had_token = self._times.has_token
        for delta in update.deltas:
            self._times.note(seconds, delta)
        if reader.is_stream and self._times.has_token and not had_token:
            self._call.note_first_token()
        if update.error is not None:
            self._fail(update.error)
        elif not data and reader.is_finished:
            self._is_ended = True
        elif not data:
            self._break_off("it ended without a finish reason")
        return update.has_data

    def _read_completion(self) -> TextCompletion:
        """Return the completion, whose end has come.

        Raises:
            ResponseError: If it cannot be read; the answer is broken then.
        """
        try:
            completion = self._reader.completion(self._attempts.timing())
        except ResponseError as error:
            self._break(error)
            raise
        return self._with_times(completion)

    def _fail(self, error: LiminError) -> None:
        if isinstance(error, TransportError) and self._reader.is_whole:
            self._is_ended = True
        elif self._reader.is_stream:
            self._break_off(str(error), error)
        else:
            self._break(error)

    def _break_off(self, reason: str, cause: LiminError | None = None) -> None:
        part = self._with_times(self._reader.readable_part(self._attempts.timing()))
        error = StreamError(reason, part, cause)
        error.__cause__ = cause
        self._break(error)

    def _break(self, error: LiminError) -> None:
        error.attempts = self._attempts.ended_by(error)
        self.error = error
        self._call.note_failure(error)

    def _with_times(self, completion: TextCompletion) -> TextCompletion:
        """Return *completion* with the times of its deltas; a whole answer has none."""
        if not self._reader.is_stream:
            return completion
        timing = self._times.added_to(completion.timing, completion.usage)
        return attrs.evolve(completion, timing=timing)
