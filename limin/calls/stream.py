"""What a user reads an answer from while it comes."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import (
    TYPE_CHECKING,
    Generic,
    Literal,
    NoReturn,
    Protocol,
    Self,
    TypeAlias,
    cast,
)

from limin.calls.streamed_answer import OUTSIDE
from limin.errors import StructuredOutputError
from limin.values.completion import V_co

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType

    from limin.calls.streamed_answer import StreamedAnswer
    from limin.values.choice import Delta
    from limin.values.completion import TextCompletion


class AnswerTypeReader(Protocol[V_co]):
    """Reads the value of a typed answer while it comes, and at its end."""

    @property
    def partial(self) -> object:
        """The value so far, as plain JSON values; None at first."""
        ...

    def feed(self, text: str, choice: int) -> None:
        """Add the next piece of a choice; the one with the lowest index is read."""
        ...

    def read(self, completion: TextCompletion[object]) -> TextCompletion[V_co]:
        """Return the finished *completion* with its value.

        Raises:
            StructuredOutputError: If it does not fit.
        """
        ...

    def report(self, completion: TextCompletion[object]) -> None:
        """Report the warning of reading *completion*, if there is one.

        Raises:
            AnswerWarningError: If warnings are to be raised.
        """
        ...


# Sends the request, and retries it until the first deltas are there.
Begin: TypeAlias = "Callable[[], Awaitable[tuple[StreamedAnswer, list[Delta]]]]"


class CompletionStream(Generic[V_co]):
    """An answer that is read while it comes: `async with`, then `async for`.

    Entering the block sends the request, retries it if need be, and waits for the
    first delta. If the server refuses the request, entering raises the error. Leaving
    the block early closes the connection, so that the server stops. One task reads at
    a time.

    Its `repr` shows the number of deltas that were handed over and one of these states:
    not entered, waiting for the first delta, open, finished, broken by an error, or
    closed before the end.
    """

    def __init__(
        self, begin: Begin, answer_reader: AnswerTypeReader[V_co] | None = None
    ) -> None:
        """Make a stream that sends its request by *begin*, and sends nothing yet.

        Args:
            begin: Sends the request, and retries it.
            answer_reader: Reads the value of the completion and of its beginning; None
                for any text.
        """
        self._begin, self._answer_reader = begin, answer_reader
        self._typed: TextCompletion[V_co] | StructuredOutputError | None = None
        self._state: Literal["not entered", "waiting", "entered", "broken"] = "not entered"
        self._answer: StreamedAnswer | None = None
        self._deltas: Iterator[Delta] = iter(())  # Those that are not handed over yet.
        self._texts: dict[int, list[str]] = {}
        self._n_deltas = 0
        self._stack = AsyncExitStack()

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        """Refuse to be pickled or copied: a connection belongs to one process.

        Raises:
            TypeError: Always.
        """
        problem = "a limin.CompletionStream cannot be pickled or copied; its completion can"
        raise TypeError(problem)

    def __repr__(self) -> str:
        if self._state == "not entered":
            return "<limin.CompletionStream: not entered>"
        deltas = "1 delta" if self._n_deltas == 1 else f"{self._n_deltas} deltas"
        state = self._state if self._answer is None else self._answer.state
        return f"<limin.CompletionStream: {deltas}, {state}>"

    async def __aenter__(self) -> Self:
        """Send the request, and wait for the first delta.

        Raises:
            LiminError: If none comes; its `attempts` hold each request.
        """
        if self._state != "not entered":
            problem = "a stream is entered once"
            raise RuntimeError(problem)
        self._state = "waiting"
        try:
            self._answer, deltas = await self._begin()
        except BaseException:
            self._state = "broken"
            await self._stack.aclose()
            raise
        self._state = "entered"
        self._stack.push_async_exit(self._close)
        self._deltas = iter(deltas)
        return self

    async def _close(
        self, _kind: object, error: BaseException | None, _traceback: object
    ) -> None:
        """Close the connection; *error* is what ended the block, if it is not None."""
        await self._entered().aclose(error)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection, unless the answer was read to its end."""
        await self._stack.__aexit__(kind, error, traceback)

    def closing(self, close: Callable[[], Awaitable[None]]) -> Self:
        """Call *close* when the block is left, and return the stream itself."""
        self._stack.push_async_callback(close)
        return self

    def __aiter__(self) -> Self:
        """Return the stream itself: its deltas can be read once."""
        return self

    async def __anext__(self) -> Delta:
        """Wait for the next delta, of any choice.

        Raises:
            StreamError: If the stream breaks off before the answer is whole; it has
                the answer so far. Each further call raises it again.
            StructuredOutputError: At the end, if the answer does not fit
                `response_type`.
            AnswerWarningError: At the end, if the answer has warnings and
                `on_warning="raise"` was asked for.
        """
        while (delta := next(self._deltas, None)) is None:
            deltas = await self._entered().next_deltas()
            if not deltas:
                self._read_value_once()
                raise StopAsyncIteration
            self._deltas = iter(deltas)
        self._texts.setdefault(delta.choice, []).append(delta.text)
        if self._answer_reader is not None:
            self._answer_reader.feed(delta.text, delta.choice)
        self._n_deltas += 1
        return delta

    @property
    def text(self) -> str:
        """The text of the first choice, up to the last delta that was handed over."""
        if not self._texts:
            return ""
        texts = self._texts[min(self._texts)]
        texts[:] = ["".join(texts)]  # If it is read at every delta, it joins two texts.
        return texts[0]

    @property
    def partial(self) -> object:
        """The value of a typed answer so far, as plain JSON values; None at first.

        It holds whole words and numbers only. It is the same object each time, which
        grows: copy it to keep it. None without `response_type`.
        """
        return None if self._answer_reader is None else self._answer_reader.partial

    @property
    def completion(self) -> TextCompletion[V_co]:
        """The finished completion.

        Raises:
            RuntimeError: If the stream was not read to its end.
            StructuredOutputError: If the answer does not fit `response_type`.
        """
        return self._read_value()

    async def until_done(self) -> TextCompletion[V_co]:
        """Read the rest, and return the finished completion.

        Raises:
            StructuredOutputError: If the answer does not fit `response_type`.
            StreamError: If the stream breaks off before the answer is whole.
            AnswerWarningError: See `__anext__`.
        """
        while await anext(self, None) is not None:
            pass
        return self.completion

    def _read_value_once(self) -> None:
        """Read the value, if that was not done, and report the warning of doing so.

        Raises:
            StructuredOutputError: If the answer does not fit; each time.
            AnswerWarningError: If there is a warning, and it is to be raised.
        """
        is_first = self._typed is None
        completion = self._read_value()
        if is_first and self._answer_reader is not None:
            self._answer_reader.report(completion)

    def _read_value(self) -> TextCompletion[V_co]:
        """Return the finished completion with its value, which is read once.

        Raises:
            StructuredOutputError: If the answer does not fit; each time.
        """
        completion = self._entered().completion
        if self._answer_reader is None:
            return cast("TextCompletion[V_co]", completion)
        if self._typed is None:
            try:
                self._typed = self._answer_reader.read(completion)
            except StructuredOutputError as error:
                self._typed = error
        if isinstance(self._typed, StructuredOutputError):
            raise self._typed
        return self._typed

    def _entered(self) -> StreamedAnswer:
        if self._answer is None:
            raise RuntimeError(OUTSIDE)
        return self._answer
