"""Results as a table: plain lists by name, as polars, pandas and parquet take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from limin.errors import LiminError
from limin.values.checks import plain_json
from limin.values.decisions import Decision
from limin.values.result_parts import (
    check_result,
    completion_of,
    conversation_of,
    requests_of,
)
from limin.values.usage import Usage
from limin.values.warning_codes import warning_codes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.result_parts import Result

_COUNTS = tuple(attrs.fields_dict(Usage))
_COLUMNS = (
    "prompt",
    "answer",
    "value",
    "finish_reason",
    "refusal",
    "reasoning",
    "error",
    "error_message",
    "model",
    "served_model",
    "endpoint",
    *_COUNTS,
    "start_time",
    "end_time",
    "duration",
    "time_to_first_token",
    "attempts",
    "warnings",
    "id",
    "request_id",
)
_OF_DECISIONS = ("label", "mass", "is_certain", "expected")

# What a conversion of a value without a plain form raises.
_NOT_PLAIN = (TypeError, ValueError, NotImplementedError, RecursionError)


def to_columns(results: Iterable[Result]) -> dict[str, list[object]]:
    """Return a table with one row for each of *results*: a list for each column's name.

    polars and pandas take it: `polars.DataFrame(to_columns(results))`. Results are
    completions, decisions, runs with tools and errors in their places, as
    `on_error="return"`, `BatchError.results`, `read_checkpoint` and `run_parallel` have
    them. What is not known of a result is None.

    Columns are `prompt`, the last message of the user; `answer`; `value`, as plain JSON
    values; `finish_reason`, `refusal`, `reasoning`; `error`, the name of the exception's
    class, and `error_message`; `model`, `served_model`, `endpoint`; the counts of `Usage`;
    `start_time`, `end_time`, `duration` and `time_to_first_token`; `attempts`, their
    number; `warnings`, their codes, for which log probabilities are decoded; `id` and
    `request_id`; and `metadata.KEY` for each key of the conversations' metadata. If there
    are decisions, also `label`, `mass`, `is_certain` and `expected`, and `prob.LABEL` for
    each label.

    Args:
        results: The results, such as a list or a generator.

    Raises:
        ConfigurationError: If one of them is something else.
    """
    columns: dict[str, list[object]] = {name: [] for name in _COLUMNS}
    n_rows = 0
    for index, result in enumerate(results):
        check_result(index, result)
        for name, value in _read_row(result).items():
            column = columns.setdefault(name, [])
            column.extend([None] * (n_rows - len(column)))
            column.append(value)
        n_rows += 1
    for column in columns.values():
        column.extend([None] * (n_rows - len(column)))
    return columns


def _read_row(result: Result) -> dict[str, object]:
    """Return what is known of *result*, by the names of the columns."""
    row: dict[str, object] = {}
    requests = requests_of(result)
    if requests:
        row["attempts"] = sum(map(len, requests))
        row["start_time"] = next((a.start_time for each in requests for a in each), None)
    completion = completion_of(result)
    if completion is not None:
        row |= _of_completion(completion)
    if isinstance(result, Decision):
        row |= _of_decision(result)
    if isinstance(result, Exception):
        row["error"] = type(result).__name__
        # The message of any other exception may hold a key.
        row["error_message"] = str(result) if isinstance(result, LiminError) else None
    conversation = conversation_of(result)
    if conversation is not None:
        row |= _of_conversation(conversation)
    return row


def _of_completion(completion: TextCompletion[object]) -> dict[str, object]:
    usage, timing = completion.usage or Usage(), completion.timing
    return {
        "answer": completion.message,
        "value": _plain_value(completion.value),
        "finish_reason": completion.finish_reason,
        "refusal": completion.refusal,
        "reasoning": completion.reasoning,
        "model": completion.model,
        "served_model": completion.served_model,
        "endpoint": completion.endpoint,
        **attrs.asdict(usage),
        "start_time": timing.start_time,
        "end_time": timing.end_time,
        "duration": timing.duration,
        "time_to_first_token": timing.time_to_first_token,
        "warnings": list(map(str, warning_codes(completion))),
        "id": completion.id,
        "request_id": completion.request_id,
    }


def _of_decision(decision: Decision[Any]) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(decision, name) for name in _OF_DECISIONS}
    codes = [str(warning.code) for warning in decision.warnings]
    if decision.completion is not None:
        codes += map(str, warning_codes(decision.completion))
    row["warnings"] = list(dict.fromkeys(codes))
    return row | {f"prob.{label}": prob for label, prob in decision.probs.items()}


def _of_conversation(conversation: Conversation) -> dict[str, object]:
    asked = [message.text for message in conversation.messages if message.role == "user"]
    row: dict[str, object] = {"prompt": asked[-1] if asked else None}
    return row | {f"metadata.{key}": each for key, each in conversation.metadata.items()}


def _plain_value(value: object) -> object:
    """Return *value* as plain JSON values; a value without such a form as it is."""
    try:
        return plain_json(msgspec.to_builtins(value, str_keys=True, enc_hook=_dump))
    except _NOT_PLAIN:
        return value


def _dump(value: object) -> object:
    """Return the plain form of a model of pydantic."""
    dump = getattr(value, "model_dump", None)
    if not callable(dump):
        raise NotImplementedError
    return dump(mode="json")
