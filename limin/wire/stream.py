"""The body of a response, read while it comes: bytes in, deltas out.

Nothing here waits or reads a clock: whoever does feeds the bytes, and says when they end.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import TYPE_CHECKING

import attrs

from limin.errors import LiminError, ResponseError, ResponseTooLargeError
from limin.values.choice import Delta
from limin.values.tools import ToolCallDelta
from limin.wire.assembly import Assembly, Update
from limin.wire.response import read_completion
from limin.wire.sse import EventDecoder, are_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.values.choice import Choice
    from limin.values.completion import TextCompletion
    from limin.values.timing import Timing
    from limin.wire.http import HttpResponse
    from limin.wire.response import ReadingContext


class AnswerReader:
    """Reads one answer from the bytes of its response.

    The first bytes of the body decide how it is read. Server-sent events add their
    deltas as they come. Some servers do not stream, and send one whole answer: its
    deltas come when the body ends. The body of an error is whole in any case.

    Feed the bytes in their order, then call `finish` once. Feed nothing after an error.
    Once `is_done` is true, the rest of the body adds nothing.
    """

    def __init__(
        self, context: ReadingContext, head: HttpResponse, now: float = 0.0
    ) -> None:
        """Start before the first byte of the body.

        Args:
            context: The request that the answer belongs to.
            head: Status and headers of the response.
            now: When they came, in Unix seconds.
        """
        self._context, self._head = context, head
        self._assembly = Assembly(context, head, now)
        self._decoder = EventDecoder()
        # None until the start of the body decides.
        self._are_events = None if head.is_success else False
        self._start = b""
        self._body = bytearray()  # Empty once events are read.
        self._completion: TextCompletion | None = None  # Of a whole body.
        self._has_ended = False

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream of events, as far as is known."""
        return self._are_events is not False

    @property
    def is_done(self) -> bool:
        """Whether the server said that nothing more comes."""
        return self._assembly.is_done

    @property
    def is_finished(self) -> bool:
        """Whether the answer came to its end."""
        if self._completion is not None or self._assembly.is_finished:
            return True
        return self._has_ended and self._assembly.may_end

    @property
    def is_whole(self) -> bool:
        """Whether nothing of a stream can be missing, however it ends."""
        return self._assembly.is_whole

    def feed(self, data: bytes) -> Update:
        """Read the next bytes.

        Returns:
            Their deltas, and their error: one of `Assembly.feed`, or a
            `ResponseTooLargeError`.
        """
        if not self._are_events:
            self._body += data
            if self._are_events is None:
                data = self._read_start(data, is_all=False)
            if not self._are_events:
                return Update([], has_data=False)
        try:
            return self._assemble(self._decoder.feed(data))
        except ResponseTooLargeError as error:
            return Update([], error=error)

    def finish(self, timing: Timing) -> Update:
        """Read the rest, at the end of the body.

        Args:
            timing: The timing of a whole answer.

        Returns:
            Its deltas, and its error: one of `feed`, or one of `read_completion` if the
            answer is whole.
        """
        self._has_ended = True
        if self._are_events is None:
            self._read_start(b"", is_all=True)
        if not self._are_events:
            return self._read_whole(timing)
        if self.is_done or self.is_whole:
            return Update([], has_data=False)
        try:
            return self._assemble(self._decoder.finish())
        except ResponseTooLargeError as error:
            return Update([], error=error)

    def completion(self, timing: Timing) -> TextCompletion:
        """Return the completion so far.

        Args:
            timing: Its timing; that of a whole answer is known already.

        Raises:
            ResponseError: If the arguments of tool calls are nested too deeply.
        """
        return self._completion or self._assembly.completion(timing)

    def readable_part(self, timing: Timing) -> TextCompletion:
        """Return the completion so far, or an empty one if it cannot be read."""
        try:
            return self.completion(timing)
        except ResponseError:
            return Assembly(self._context, self._head).completion(timing)

    def _read_start(self, data: bytes, *, is_all: bool) -> bytes:
        """Decide whether the body is events; return its start, without white space."""
        start = (self._start + data).lstrip()
        if start.startswith(BOM_UTF8):
            start = BOM_UTF8 + start.removeprefix(BOM_UTF8).lstrip()
        kind = self._head.headers.get("content-type", "")
        self._start, self._are_events = start, are_events(kind, start, is_all=is_all)
        if self._are_events:
            self._body.clear()
        return start

    def _assemble(self, events: Sequence[bytes]) -> Update:
        if len(events) == 1 and not self._assembly.is_done:
            return self._assembly.feed(events[0])  # As most servers write them.
        total = Update([], has_data=False)
        for event in events:
            if self._assembly.is_done:
                break
            update = self._assembly.feed(event)
            total.deltas += update.deltas
            total.has_data |= update.has_data
            if update.error is not None:
                total.error = update.error
                break
        return total

    def _read_whole(self, timing: Timing) -> Update:
        response = attrs.evolve(self._head, body=bytes(self._body))
        try:
            self._completion = read_completion(self._context, timing, response)
        except LiminError as error:
            return Update([], error=error)
        return Update([_whole_delta(choice) for choice in self._completion.choices])


def _whole_delta(choice: Choice) -> Delta:
    return Delta(
        choice.message,
        choice.reasoning or "",
        choice.refusal or "",
        choice.index,
        choice.finish_reason,
        choice.log_probs,
        tuple(
            ToolCallDelta(index, call.id, call.name, call.arguments, call.extra)
            for index, call in enumerate(choice.tool_calls)
        ),
    )
