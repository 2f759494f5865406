"""Answers of a type: a function that asks, around a function that asks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import anyio
import attrs
import msgspec

from limin.errors import AnswerWarningError, LiminError, StructuredOutputError
from limin.json_text.partial import PartialReader
from limin.policy.failures import StopBatch
from limin.recipes.ask import Ask
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.typed_answers import read_answer
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.schemas.json_schema import JsonSchema
    from limin.values.completion import TextCompletion

T = TypeVar("T")

# A model that wrote something else may do better when it is told; one that was cut off,
# or refused, does the same again.
_MENDABLE = frozenset({"not-json", "invalid"})

_FENCE = ResponseWarning(
    WarningCode.FENCED_JSON,
    "$.choices[0].message.content",
    "expected JSON alone, found it in a code fence",
)


@attrs.frozen
class TypedReader(Generic[T]):
    """Reads answers of one type.

    Attributes:
        schema: The type.
        offers_tools: Whether the model may call tools instead.
        report_warning: Reports a warning about an answer, as its `on_warning` says.
    """

    schema: JsonSchema[T]
    offers_tools: bool
    report_warning: Callable[[TextCompletion[object], ResponseWarning], None]

    def read(
        self,
        completion: TextCompletion[object],
        earlier: tuple[TextCompletion[object], ...] = (),
    ) -> TextCompletion[T]:
        """Return *completion* with its value, and with the answers before it.

        Raises:
            StructuredOutputError: If it does not fit.
        """
        try:
            answer = read_answer(completion, self.schema, offers_tools=self.offers_tools)
        except StructuredOutputError as error:
            error.completion = attrs.evolve(completion, earlier=earlier, schema=self.schema)
            answers = (*earlier, completion)
            error.attempts = tuple(a for each in answers for a in each.timing.attempts)
            raise
        warnings = completion.body_warnings
        typed = attrs.evolve(
            completion,
            value=answer.value,
            earlier=earlier,
            schema=self.schema,
            body_warnings=(*warnings, _FENCE) if answer.had_fence else warnings,
        )
        return cast("TextCompletion[T]", typed)

    def report(self, completion: TextCompletion[object]) -> None:
        """Report the warning of reading *completion*, if there is one.

        Raises:
            AnswerWarningError: If warnings are to be raised.
        """
        if _FENCE in completion.body_warnings:
            self.report_warning(completion, _FENCE)


class TypedAsk(Ask, Generic[T]):
    """Asks for answers of one type."""

    def __init__(self, ask: Ask, reader: TypedReader[T], reask: int) -> None:
        """Ask as *ask* does, and read the answers by *reader*.

        An answer that does not fit is asked for again, *reask* times at most.
        """
        self._ask, self._reader, self._reask = ask, reader, reask

    async def __call__(
        self, conversation: Conversation, *, spent: float = 0.0
    ) -> TextCompletion[T]:
        """Return the completion of *conversation* with its value.

        An answer that does not fit is sent back with the reason. All requests share one
        deadline.

        Raises:
            StructuredOutputError: If no answer fits.
            LiminError: If a request failed. If it was one to ask again, its cause is the
                `StructuredOutputError` before it, unless it has another.
            StopBatch: If an answer came and could not be kept.
        """
        earlier: tuple[TextCompletion[object], ...] = ()
        misfit: StructuredOutputError | None = None
        while True:
            began = anyio.current_time() if self._reask else 0.0
            try:
                answer = await self._ask(conversation, spent=spent)
            except StopBatch as stop:
                raise StopBatch(self._result_of(stop, earlier), stop.error) from stop
            except LiminError as error:
                self._complete(error, earlier, misfit)
                raise
            try:
                typed = self._reader.read(answer, earlier)
            except StructuredOutputError as error:
                if error.reason not in _MENDABLE or len(earlier) >= self._reask:
                    raise
                misfit = error
            else:
                self._reader.report(typed)
                return typed
            # An answer out of a checkpoint took its time in an earlier run.
            spent += min(answer.duration, anyio.current_time() - began)
            conversation = _with_reason(conversation, answer, misfit)
            earlier = (*earlier, answer)

    def _result_of(
        self, stop: StopBatch, earlier: tuple[TextCompletion[object], ...]
    ) -> TextCompletion[T] | StructuredOutputError:
        try:
            answer = cast("TextCompletion[object]", stop.result)
            return self._reader.read(answer, earlier)
        except StructuredOutputError as error:
            return error

    def _complete(
        self,
        error: LiminError,
        earlier: tuple[TextCompletion[object], ...],
        misfit: StructuredOutputError | None,
    ) -> None:
        """Add to *error* what is known here: the value, and the *misfit* before it."""
        if isinstance(error, AnswerWarningError):
            with suppress(StructuredOutputError):
                error.completion = self._reader.read(error.completion, earlier)
        if misfit is not None and error.__cause__ is None:
            error.__cause__ = misfit


class TypedStream(Generic[T]):
    """Reads one typed answer while it comes."""

    def __init__(self, reader: TypedReader[T]) -> None:
        """Read the finished answer by *reader*."""
        self._reader, self._partial = reader, PartialReader()
        self._choice: int | None = None

    @property
    def partial(self) -> object:
        """The value so far, as plain JSON values; None at first."""
        value = self._partial.value
        if self._reader.schema.is_wrapped and isinstance(value, dict):
            value = cast("dict[str, object]", value).get("value", msgspec.UNSET)
        return None if value is msgspec.UNSET else value

    def feed(self, text: str, choice: int) -> None:
        """Add the next piece of a choice; the one with the lowest index is read."""
        if self._choice is None or choice < self._choice:
            self._choice, self._partial = choice, PartialReader()
        if choice == self._choice:
            self._partial.feed(text)

    def read(self, completion: TextCompletion[object]) -> TextCompletion[T]:
        """Return the finished *completion* with its value.

        Raises:
            StructuredOutputError: If it does not fit.
        """
        self._partial.finish()
        return self._reader.read(completion)

    def report(self, completion: TextCompletion[object]) -> None:
        """Report the warning of reading *completion*, if there is one.

        Raises:
            AnswerWarningError: If warnings are to be raised.
        """
        self._reader.report(completion)


def _with_reason(
    asked: Conversation, answer: TextCompletion[object], error: StructuredOutputError
) -> Conversation:
    """Return *asked* with the answer behind it, and the reason why it does not fit."""
    reason = "This is not the JSON that was asked for."
    if error.reason == "invalid":
        reason = f"This JSON does not fit its schema: {error.problem} at `{error.path}`."
    advice = "Answer again, with nothing but JSON that fits."
    messages = [
        *asked.messages,
        answer.to_message(),
        Message("user", f"{reason} {advice}"),
    ]
    return Conversation(messages, metadata=asked.metadata)
