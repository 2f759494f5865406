"""An answer as an instance of a type, or the reason why it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from limin.errors import MisfitReason, StructuredOutputError
from limin.json_text.answer import is_closed, strip_answer
from limin.schemas.json_schema import JsonSchema
from limin.schemas.misfits import MisfitError

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion

T = TypeVar("T")

_IGNORED = "the server may not apply response_format"


def read_value(
    completion: TextCompletion[object],
    schema: JsonSchema[T],
    *,
    offers_tools: bool = False,
    unwrap: bool = False,
) -> T | None:
    """Return the answer in *completion* as an instance of the type of *schema*.

    Outer white space and one code fence are tolerated; nothing else is guessed.

    Args:
        completion: Its first choice is read.
        schema: The type.
        offers_tools: Whether the model may call tools instead; then the value is None.
        unwrap: Whether a value that is no object may stand alone as well as in the object
            that is asked for.

    Raises:
        StructuredOutputError: If there is no such answer.
    """
    text = completion.message
    if completion.finish_reason == "length" and not is_closed(text):
        raise _error(completion, "truncated", "the answer was cut off at its length limit")
    if completion.refusal:
        raise _error(completion, "refused", "the model refused to answer")
    if completion.finish_reason == "content_filter":
        raise _error(completion, "filtered", "a filter of the server removed the answer")
    decode = schema.decode_or_unwrap if unwrap else schema.decode
    try:
        return decode(strip_answer(text).text)
    except MisfitError as misfit:
        if offers_tools and completion.tool_calls:  # Any text is a word beside the call.
            return None
        raise _misfit_error(completion, misfit) from misfit.__cause__


def as_schema(response_type: object) -> JsonSchema[object]:
    """Return the schema of *response_type*, which may be one already.

    Raises:
        ConfigurationError: If it has none.
    """
    if isinstance(response_type, JsonSchema):
        return cast("JsonSchema[object]", response_type)
    return JsonSchema(cast("type[object]", response_type))


def has_fence(completion: TextCompletion[object]) -> bool:
    """Return whether a code fence is around the answer."""
    return strip_answer(completion.message).had_fence


def _misfit_error(
    completion: TextCompletion[object], misfit: MisfitError
) -> StructuredOutputError:
    if misfit.reason == "invalid":
        return _error(completion, "invalid", misfit.problem, misfit.path)
    if completion.message.strip():
        problem = f"expected JSON, found other text ({misfit.problem}); {_IGNORED}"
    elif _looks_like_json(completion.reasoning):
        problem = "expected JSON in the message, found it in the reasoning"
    else:
        problem = f"expected JSON, found nothing; {_IGNORED}"
    return _error(completion, "not-json", problem)


def _looks_like_json(text: str | None) -> bool:
    return bool(text) and is_closed(f"{text} ")


def _error(
    completion: TextCompletion[object],
    reason: MisfitReason,
    problem: str,
    path: str = "$",
) -> StructuredOutputError:
    error = StructuredOutputError(completion, reason, path, problem)
    error.conversation = completion.conversation
    return error
