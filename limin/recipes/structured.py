"""Answers of a type: a function that asks, around a function that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

import attrs
import msgspec

from limin.errors import StructuredOutputError
from limin.json_text.partial import PartialReader
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.typed_answers import has_fence, read_value
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.recipes.ask import Ask
    from limin.schemas.json_schema import JsonSchema
    from limin.values.completion import TextCompletion

T = TypeVar("T")

# A model that wrote something else may do better when it is told; one that was cut off,
# or refused, does the same again.
_MENDABLE = frozenset({"not-json", "invalid"})

_FENCE = ResponseWarning(
    WarningCode.FENCED_JSON, "$.choices[0].message.content", "JSON in a code fence"
)


class TypedAsk(Generic[T]):
    """Asks for answers of one type."""

    def __init__(
        self,
        ask: Ask,
        schema: JsonSchema[T],
        *,
        reask: int,
        offers_tools: bool,
        report: Callable[[TextCompletion[object], ResponseWarning], None],
    ) -> None:
        """Ask as *ask* does.

        Args:
            ask: Asks for JSON of *schema*.
            schema: The type.
            reask: How often at most to ask again about an answer that does not fit.
            offers_tools: Whether the model may call tools instead.
            report: Reports a warning about an answer, as its `on_warning` says.
        """
        self._ask, self._schema, self._reask = ask, schema, reask
        self._offers_tools, self._report = offers_tools, report

    @property
    def is_wrapped(self) -> bool:
        """Whether the value stands in an object, because it is none itself."""
        return self._schema.is_wrapped

    async def __call__(
        self, conversation: Conversation, *, spent: float = 0.0
    ) -> TextCompletion[T]:
        """Return the completion of *conversation* with its value.

        An answer that does not fit is sent back with the reason, up to `reask` times.
        All requests share one deadline.

        Raises:
            StructuredOutputError: If no answer fits.
            LiminError: If a request failed.
        """
        asked = conversation
        earlier: tuple[TextCompletion[object], ...] = ()
        while True:
            answer = await self._ask(asked, spent=spent)
            spent += answer.duration
            completion = attrs.evolve(answer, earlier=earlier)
            try:
                return self.read(completion)
            except StructuredOutputError as error:
                if error.reason not in _MENDABLE or len(earlier) >= self._reask:
                    raise
                asked = _with_reason(asked, completion, error)
                earlier = (*earlier, answer)

    def read(self, completion: TextCompletion[object]) -> TextCompletion[T]:
        """Return *completion* with its value.

        Raises:
            StructuredOutputError: If it does not fit.
        """
        value = read_value(completion, self._schema, offers_tools=self._offers_tools)
        warnings = completion.body_warnings
        if value is not None and has_fence(completion):
            warnings = (*warnings, _FENCE)
        typed = attrs.evolve(
            completion, value=value, body_warnings=warnings, schema=self._schema
        )
        if warnings is not completion.body_warnings:
            self._report(typed, _FENCE)
        return cast("TextCompletion[T]", typed)


class TypedStream(Generic[T]):
    """Reads one typed answer while it comes."""

    def __init__(self, asking: TypedAsk[T]) -> None:
        """Read the answer as *asking* does."""
        self._asking, self._partial = asking, PartialReader()

    @property
    def partial(self) -> object:
        """The value so far, as plain JSON values; None at first."""
        value = self._partial.value
        if self._asking.is_wrapped and isinstance(value, dict):
            value = cast("dict[str, object]", value).get("value", msgspec.UNSET)
        return None if value is msgspec.UNSET else value

    def feed(self, text: str) -> None:
        """Add the next piece of the answer."""
        self._partial.feed(text)

    def read(self, completion: TextCompletion[object]) -> TextCompletion[T]:
        """Return the finished *completion* with its value.

        Raises:
            StructuredOutputError: If it does not fit.
        """
        self._partial.finish()
        return self._asking.read(completion)


def _with_reason(
    asked: Conversation, completion: TextCompletion[object], error: StructuredOutputError
) -> Conversation:
    """Return *asked* with the answer behind it, and the reason why it does not fit."""
    reason = f"This does not fit the schema: {error.problem} at `{error.path}`."
    advice = "Answer again, with nothing but the JSON."
    messages = [
        *asked.messages,
        completion.to_message(),
        Message("user", f"{reason} {advice}"),
    ]
    return Conversation(messages, metadata=asked.metadata)
