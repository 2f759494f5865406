"""A result of a run, as the fields of its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias, cast

import attrs
import msgspec

from limin.errors import LogProbsMissingError, StatusError, StructuredOutputError
from limin.files.run_lines import join_objects
from limin.values.completion import TextCompletion
from limin.values.decisions import Decision
from limin.wire.raw_json import UNDECODABLE, split_elements, split_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from limin.errors import LiminError
    from limin.files.questions import Question
    from limin.values.warnings import ResponseWarning

    Result: TypeAlias = TextCompletion[object] | Decision[str] | Decision[int] | LiminError

# Fields that an output may have beside those of its input.
ADDED = (
    "answer",
    "answers",
    "value",
    "reasoning",
    "refusal",
    "tool_calls",
    "finish_reason",
    "served_model",
    "usage",
    "seconds",
    "logprobs",
    "warnings",
    "error",
    "limin",
)

# Those that only an output of decisions has. Log probabilities are read, and not kept; but
# a field of the input with their name would be taken for them.
_OF_DECISIONS = (
    "label",
    "prob",
    "low",
    "high",
    "mass",
    "is_certain",
    "labels",
    "expected",
    "expected_low",
    "expected_high",
    "spread",
)
ADDED_BY_DECISIONS = (*_OF_DECISIONS, *ADDED)

_FIRST_ERROR = 400


def to_fields(question: Question, result: Result, prefix: str) -> bytes:
    """Return the fields of *question* and of its *result* as a JSON object.

    Args:
        question: What was asked.
        result: The answer, or the error in its place.
        prefix: What stands before the names of the fields that are not the input's.
    """
    named = {prefix + name: value for name, value in _fields_of(result)}
    return join_objects(question.line.to_json(), encode_object(named))


def to_batch_output(
    question: Question, result: Result, request: bytes, mask: Callable[[bytes], bytes]
) -> bytes:
    """Return *result* as a line of the output of OpenAI's Batch API, without its newline.

    A refusal by HTTP is a response; what never got an answer is an error.
    Source: https://platform.openai.com/docs/api-reference/batch/request-output

    Args:
        question: What was asked.
        result: The answer, or the error in its place.
        request: Hash of the request.
        mask: Masks the secrets in the body of a refusal.
    """
    response: object = None
    error: object = None
    if isinstance(result, TextCompletion):
        response = response_object(200, result.request_id, result.raw_bytes)
    elif isinstance(result, StatusError) and result.effective_status >= _FIRST_ERROR:
        body = mask(result.body)
        response = response_object(result.effective_status, result.request_id, body)
    else:
        error = {"code": type(result).__name__, "message": str(result)}
    return encode_object(
        {
            "id": f"batch_req_{request.hex()[:24]}",
            "custom_id": question.custom_id,
            "response": response,
            "error": error,
        }
    )


def _fields_of(result: Result) -> Iterator[tuple[str, object]]:
    if isinstance(result, TextCompletion):
        yield from fields_of_completion(result)
        yield "error", None
    elif isinstance(result, Decision):
        yield from _fields_of_decision(cast("Decision[object]", result))
        yield "error", None
    else:
        yield from _fields_of_failure(result)


def _fields_of_failure(error: LiminError) -> Iterator[tuple[str, object]]:
    if isinstance(error, StructuredOutputError | LogProbsMissingError):
        yield from fields_of_completion(error.completion)
    else:
        yield "answer", None
    yield "error", _describe(error)


def fields_of_completion(
    completion: TextCompletion[object],
) -> Iterator[tuple[str, object]]:
    """Yield the fields of an answer, its log probabilities, and its warnings."""
    yield from _fields_of_answer(completion)
    if completion.log_probs is not None:
        yield "logprobs", raw_log_probs(completion.raw_bytes)
    yield from _codes_of(completion.warnings)


def _fields_of_decision(decision: Decision[object]) -> Iterator[tuple[str, object]]:
    """Yield the label, what is known of it and of the others, and the answer."""
    label, probs = decision.label, decision.probs
    bounds = {
        str(each): {"prob": probs.get(each), "low": low, "high": decision.high[each]}
        for each, low in decision.low.items()
    }
    chosen = dict[str, float | None]() if label is None else bounds[str(label)]
    yield "label", label
    for name in ("prob", "low", "high"):
        yield name, chosen.get(name)
    yield "mass", decision.mass
    yield "is_certain", decision.is_certain
    yield "labels", bounds
    if decision.expected_low is not None:
        for name in ("expected", "expected_low", "expected_high"):
            yield name, getattr(decision, name)
    if decision.spread is not None:
        yield "spread", decision.spread
    completion = cast("TextCompletion[object]", decision.completion)
    yield from _fields_of_answer(completion)
    yield from _codes_of((*completion.warnings, *decision.warnings))


def _fields_of_answer(
    completion: TextCompletion[object],
) -> Iterator[tuple[str, object]]:
    """Yield the fields that every answer has, and those that this one has."""
    yield "answer", completion.message
    if len(completion.choices) > 1:
        yield "answers", [choice.message for choice in completion.choices]
    if completion.value is not None:
        yield "value", completion.value
    for name in ("reasoning", "refusal"):
        if (text := getattr(completion, name)) is not None:
            yield name, text
    if completion.tool_calls:
        yield "tool_calls", [call.to_openai() for call in completion.tool_calls]
    yield "finish_reason", completion.finish_reason
    yield "served_model", completion.served_model
    usage = completion.total_usage
    yield "usage", None if usage is None else attrs.asdict(usage)
    yield "seconds", round(completion.duration, 6)


def _codes_of(warnings: tuple[ResponseWarning, ...]) -> Iterator[tuple[str, object]]:
    codes = sorted({warning.code.value for warning in warnings})
    if codes:
        yield "warnings", codes


def _describe(error: LiminError) -> dict[str, object]:
    described: dict[str, object] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, StatusError):
        described["status"] = error.effective_status
    return described


def raw_log_probs(body: bytes) -> msgspec.Raw:
    """Return the log probabilities of the first choice in *body*, as they were sent."""
    choices = split_fields(body).get("choices", msgspec.Raw(b"[]"))
    first = next(iter(split_elements(choices)), msgspec.Raw(b"{}"))
    return _to_raw(bytes(split_fields(first).get("logprobs", b"null")))


def response_object(status: int, request_id: str | None, body: bytes) -> dict[str, object]:
    """Return the `response` of a line of OpenAI's output."""
    return {"status_code": status, "request_id": request_id, "body": _read_body(body)}


def _read_body(body: bytes) -> msgspec.Raw:
    """Return *body* as an object; one that is no JSON is the message of an error."""
    raw = _to_raw(body)
    if bytes(raw).startswith(b"{"):
        return raw
    message = {"message": body.decode(errors="replace")}
    return msgspec.Raw(encode_object({"error": message}))


def _to_raw(data: bytes) -> msgspec.Raw:
    """Return *data* as JSON on one line: as it is, if JSON has it so; null if it has not.

    Python's own parser takes more: NaN is null then.
    """
    try:
        return msgspec.Raw(msgspec.json.format(data.decode(), indent=-1).encode())
    except UNDECODABLE:
        pass
    try:
        text = data.decode("utf-8-sig", errors="replace")
        value: object = json.loads(text, parse_constant=lambda _: None)
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        return msgspec.Raw(text.encode())
    except (ValueError, RecursionError):
        return msgspec.Raw(b"null")


def encode_object(fields: Mapping[str, object]) -> bytes:
    """Return *fields* as a JSON object; values may be, or hold, JSON already.

    Half a surrogate pair, which is no character, becomes a question mark.
    """
    try:
        return msgspec.json.encode(fields)
    except UnicodeEncodeError:
        return b"{%b}" % b",".join(
            b"%b:%b" % (encode_value(name), encode_value(value))
            for name, value in fields.items()
        )


def encode_value(value: object) -> bytes:
    """Return *value* as JSON; see `encode_object`."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # NaN and infinities are null, as msgspec writes them.
        plain = json.loads(json.dumps(value), parse_constant=lambda _: None)
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace")
