"""What a result of a batch is made of: completions, attempts, and the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from limin.errors import ConfigurationError, LiminError, StructuredOutputError
from limin.values.checks import describe_type
from limin.values.completion import TextCompletion
from limin.values.decisions import Decision
from limin.values.tool_runs import ToolRun

if TYPE_CHECKING:
    from limin.values.conversation import Conversation
    from limin.values.timing import Attempt

    Result: TypeAlias = TextCompletion[object] | Decision[Any] | ToolRun[object] | Exception

# Fields in which an error may hold the answer that came all the same, or a part of it.
_ANSWER_FIELDS = ("completion", "partial")


def check_result(index: int, result: object) -> None:
    """Refuse a *result*, the one at *index*, that is none of a batch.

    Raises:
        ConfigurationError: If it is none.
    """
    if not isinstance(result, (TextCompletion, Decision, ToolRun, Exception)):
        expected = "a completion, a decision, a run with tools or an exception"
        problem = f"result {index}: expected {expected}, found {describe_type(result)}"
        raise ConfigurationError(problem)


def completion_of(result: Result) -> TextCompletion[object] | None:
    """Return the completion that *result* is or has; of an error None."""
    if isinstance(result, (Decision, ToolRun)):
        return result.completion
    return result if isinstance(result, TextCompletion) else None


def answers_of(result: Result) -> tuple[TextCompletion[object], ...]:
    """Return every answer of a server that *result* tells of, those of errors as well."""
    if isinstance(result, ToolRun):
        held = result.completions
    elif isinstance(result, Exception):
        held = (*_answers_before(result), *answers_in(result))
    else:
        completion = completion_of(result)
        held = () if completion is None else (completion,)
    return tuple(answer for each in held for answer in (*each.earlier, each))


def answers_in(error: Exception) -> tuple[TextCompletion[object], ...]:
    """Return the answer that came all the same, or in part, if *error* has one."""
    if not isinstance(error, LiminError):
        return ()
    fields = [getattr(error, field, None) for field in _ANSWER_FIELDS]
    return tuple(answer for answer in fields if answer is not None)


def _answers_before(error: Exception) -> tuple[TextCompletion[object], ...]:
    """Return the answers before the request that ended with *error*.

    They are those of a run with tools, and the last one that did not fit and was asked
    for again, unless an answer in *error* has it as an earlier one.
    """
    cause = error.__cause__
    errors = [each for each in (cause, error) if isinstance(each, LiminError)]
    runs = [each.tool_run for each in errors if each.tool_run is not None]
    answers = tuple(answer for run in runs for answer in run.completions)
    if not isinstance(cause, StructuredOutputError):
        return answers
    is_known = any(answer.earlier for answer in answers_in(error))
    return answers if is_known else (*answers, cause.completion)


def requests_of(result: Result) -> list[tuple[Attempt, ...]]:
    """Return the attempts of each request that *result* tells of."""
    requests = [answer.timing.attempts for answer in answers_of(result)]
    if not isinstance(result, LiminError) or hasattr(result, "completion"):
        return requests
    # A part of an answer does not know that the last attempt failed.
    before = requests[: len(requests) - len(answers_in(result))]
    return [*before, result.attempts] if result.attempts else requests


def conversation_of(result: Result) -> Conversation | None:
    """Return the conversation that *result* belongs to; None if it is not known."""
    if isinstance(result, LiminError):
        return result.conversation
    completion = completion_of(result)
    return None if completion is None else completion.conversation
