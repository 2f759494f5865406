"""An answer as an instance of a type, or the reason why it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

from limin.errors import ConfigurationError, MisfitReason, StructuredOutputError
from limin.json_text.answer import is_closed, strip_answer
from limin.json_text.scanner import JSONScanner
from limin.schemas.json_schema import JsonSchema
from limin.schemas.misfits import MisfitError

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion

T = TypeVar("T")

_IGNORED = "; the server may not apply response_format"


class ReadAnswer(NamedTuple, Generic[T]):
    """What an answer holds.

    Attributes:
        value: The instance; None if the model called a tool instead.
        had_fence: Whether the JSON stood in a code fence.
    """

    value: T | None
    had_fence: bool


def read_answer(
    completion: TextCompletion[object], schema: JsonSchema[T], *, offers_tools: bool
) -> ReadAnswer[T]:
    """Return the answer to a request for JSON of *schema*.

    Outer white space and one code fence are tolerated; nothing else is guessed.

    Args:
        completion: Its first choice is read.
        schema: The type that was asked for.
        offers_tools: Whether the model may call tools instead.

    Raises:
        StructuredOutputError: If there is no such answer.
    """
    _check_ending(completion)
    text, _, had_fence = strip_answer(completion.message)
    try:
        return ReadAnswer(schema.decode(text), had_fence)
    except MisfitError as misfit:
        if offers_tools and _has_calls(completion):  # Text beside calls is no answer.
            return ReadAnswer(None, had_fence=False)
        raise _error_of(completion, misfit, _IGNORED) from misfit.__cause__


def parse_answer(completion: TextCompletion[object], schema: JsonSchema[T]) -> T:
    """Return an answer as an instance of the type of *schema*, whatever was asked for.

    A value that is no object may stand alone, or in the object that a request would have
    asked for.

    Raises:
        StructuredOutputError: If it does not fit.
    """
    _check_ending(completion)
    try:
        return schema.decode_or_unwrap(strip_answer(completion.message).text)
    except MisfitError as misfit:
        raise _error_of(completion, misfit) from misfit.__cause__


def as_schema(response_type: object) -> JsonSchema[object]:
    """Return the schema of *response_type*, which may be one already.

    Raises:
        ConfigurationError: If it has none.
    """
    if isinstance(response_type, JsonSchema):
        return cast("JsonSchema[object]", response_type)
    try:
        return JsonSchema(cast("type[object]", response_type))
    except ConfigurationError as error:
        if not error.problem.startswith("type:"):
            raise
        problem = f"response_{error.problem}"  # The name of the argument here.
    raise ConfigurationError(problem)


def _check_ending(completion: TextCompletion[object]) -> None:
    """Refuse an answer that did not come to its end, or is none.

    Raises:
        StructuredOutputError: If it was cut off, refused, or filtered.
    """
    if completion.finish_reason == "length" and not is_closed(completion.message):
        problem = "the answer was cut off at its length limit"
        raise _error(completion, "truncated", problem)
    if completion.refusal:
        raise _error(completion, "refused", "the model refused to answer")
    if completion.finish_reason == "content_filter":
        raise _error(completion, "filtered", "a filter of the server removed the answer")


def _has_calls(completion: TextCompletion[object]) -> bool:
    # Calls of other tools than functions are in the message alone.
    return bool(completion.tool_calls or completion.to_message().tool_calls)


def _error_of(
    completion: TextCompletion[object], misfit: MisfitError, guess: str = ""
) -> StructuredOutputError:
    """Return the error about *completion*; *guess* may say why it is no JSON."""
    if misfit.reason == "invalid":
        return _error(completion, "invalid", misfit.problem, misfit.path)
    if _begins_json(completion.message):
        found = "only its beginning"
    elif completion.message.strip():
        found = f"other text ({misfit.problem}){guess}"
    elif completion.reasoning and is_closed(f"{completion.reasoning} "):
        found = "it in the reasoning, and no other text"
    else:
        found = f"nothing{guess}"
    return _error(completion, "not-json", f"expected JSON, found {found}")


def _begins_json(text: str) -> bool:
    """Return whether *text* is JSON that breaks off."""
    scanner = JSONScanner()
    return bool(scanner.feed(text)) and scanner.error is None


def _error(
    completion: TextCompletion[object],
    reason: MisfitReason,
    problem: str,
    path: str = "$",
) -> StructuredOutputError:
    return StructuredOutputError(completion, reason, path, problem)
