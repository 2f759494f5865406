"""A result of a run, as the fields of its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import msgspec

from limin.errors import StatusError, StructuredOutputError
from limin.files.run_lines import join_objects
from limin.values.completion import TextCompletion
from limin.wire.raw_json import UNDECODABLE, split_elements, split_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from limin.errors import LiminError
    from limin.files.questions import Question

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

_FIRST_ERROR = 400


def to_fields(
    question: Question, result: TextCompletion[object] | LiminError, prefix: str
) -> bytes:
    """Return the fields of *question* and of its *result* as a JSON object.

    Args:
        question: What was asked.
        result: The answer, or the error in its place.
        prefix: What stands before the names of the fields that are not the input's.
    """
    named = {prefix + name: value for name, value in _fields_of(result)}
    return join_objects(question.line.to_json(), encode_object(named))


def to_batch_output(
    question: Question, result: TextCompletion[object] | LiminError, request: bytes
) -> bytes:
    """Return *result* as a line of the output of OpenAI's Batch API, without its newline.

    A refusal by HTTP is a response; what never got an answer is an error.
    Source: https://platform.openai.com/docs/api-reference/batch/request-output
    """
    response: object = None
    error: object = None
    if isinstance(result, TextCompletion):
        response = response_object(200, result.request_id, result.raw_bytes)
    elif isinstance(result, StatusError) and result.effective_status >= _FIRST_ERROR:
        response = response_object(result.effective_status, result.request_id, result.body)
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


def _fields_of(
    result: TextCompletion[object] | LiminError,
) -> Iterator[tuple[str, object]]:
    if isinstance(result, TextCompletion):
        yield from fields_of_answer(result)
        yield "error", None
        return
    answer = result.completion if isinstance(result, StructuredOutputError) else None
    if answer is None:
        yield "answer", None
    else:
        yield from fields_of_answer(answer)
    yield "error", _describe(result)


def fields_of_answer(
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
    if completion.log_probs is not None:
        yield "logprobs", raw_log_probs(completion.raw_bytes)
    codes = sorted({warning.code.value for warning in completion.warnings})
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
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace")
