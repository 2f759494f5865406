"""Results as the fields of a line."""

from __future__ import annotations

import json
import math
from typing import Any

import attrs
import pytest
from builders import body_of, read

from limin import ModelConfiguration, StructuredOutputError, TextCompletion
from limin.errors import LiminError, RequestTimeoutError, ServerError, StatusError
from limin.files.input_lines import InputLine
from limin.files.questions import BatchReader, PromptReader
from limin.files.results import ADDED, encode_value, to_batch_output, to_fields

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
LOGPROBS = {
    "content": [{"token": "hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}]
}


BATCH_LINE = {
    "custom_id": "a",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
}


def fields_of(result: TextCompletion[object] | LiminError, prefix: str = "") -> Any:
    """Return the fields of the line of a *result*."""
    question = PromptReader(ModelConfiguration()).read(InputLine(1, {"prompt": "hi"}))
    return json.loads(to_fields(question, result, prefix))


def output_of(result: TextCompletion[object] | LiminError) -> Any:
    """Return the line of a *result* in OpenAI's output."""
    question = BatchReader(None, None).read(InputLine(1, BATCH_LINE))
    return json.loads(to_batch_output(question, result, bytes(32), bytes))


def test_answer() -> None:
    """The line has the input's fields, the answer, and what is known of it."""
    body = body_of("hello", finish_reason="stop") | {"usage": USAGE, "model": "served"}
    assert fields_of(read(body)) == {
        "prompt": "hi",
        "answer": "hello",
        "finish_reason": "stop",
        "served_model": "served",
        "usage": {**USAGE, "cached_tokens": None, "reasoning_tokens": None},
        "seconds": 2.25,
        "error": None,
    }


def test_what_is_not_known_is_null() -> None:
    """Nothing is made up."""
    fields = fields_of(read(body_of("hello")))
    assert (fields["usage"], fields["served_model"], fields["finish_reason"]) == (None,) * 3


def test_everything_that_an_answer_can_have() -> None:
    """Reasoning, calls, several choices, log probabilities and warnings are fields."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {
        "role": "assistant",
        "content": "a",
        "reasoning": "why",
        "refusal": "no",
        "tool_calls": [call],
    }
    first = {"index": 0, "message": message, "logprobs": LOGPROBS}
    second = {"index": 1, "message": {"role": "assistant", "content": "b"}}
    completion = read({"choices": [first, second]}, asks_log_probs=True, n_choices=3)
    fields = fields_of(attrs.evolve(completion, value={"x": 1}), "out_")
    assert fields["out_answers"] == ["a", "b"]
    assert fields["out_value"] == {"x": 1}
    assert fields["out_reasoning"] == "why"
    assert fields["out_refusal"] == "no"
    assert fields["out_tool_calls"] == [call]
    assert fields["out_logprobs"] == LOGPROBS
    assert "fewer-choices" in fields["out_warnings"]
    names = {"out_" + name for name in ADDED}
    assert set(fields) == {"prompt", *names} - {"out_limin"}


def test_log_probs_of_an_odd_body() -> None:
    """What only Python's parser takes becomes JSON."""
    text = json.dumps(body_of("hi", logprobs=LOGPROBS)).replace("-0.5", "NaN")
    completion = read(text, asks_log_probs=True)
    assert fields_of(completion)["logprobs"]["content"][0]["logprob"] is None


def test_failure() -> None:
    """The line of a failure says what happened, and has no answer."""
    error = ServerError(503, "too much to do")
    assert fields_of(error) == {
        "prompt": "hi",
        "answer": None,
        "error": {
            "type": "ServerError",
            "message": "the server answered 503: too much to do",
            "status": 503,
        },
    }
    assert fields_of(RequestTimeoutError("late"))["error"] == {
        "type": "RequestTimeoutError",
        "message": "late",
    }


def test_answer_that_does_not_fit() -> None:
    """An answer that is no JSON of the schema is kept beside the error."""
    error = StructuredOutputError(read(body_of("hello")), "not-json")
    fields = fields_of(error)
    assert fields["answer"] == "hello"
    assert fields["error"]["type"] == "StructuredOutputError"


def test_batch_answer() -> None:
    """The body of the answer is as the server sent it."""
    body = body_of("hello") | {"own": 1.50}
    completion = read(json.dumps(body, indent=2), headers={"x-request-id": "r"})
    assert output_of(completion) == {
        "id": "batch_req_" + "0" * 24,
        "custom_id": "a",
        "response": {"status_code": 200, "request_id": "r", "body": body},
        "error": None,
    }


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (StatusError(400, "no", body=b'{"error": {"x": 1}}'), 400, {"error": {"x": 1}}),
        (StatusError(200, "no", body=b"{}", body_status=429), 429, {}),
        (StatusError(502, "no", body=b"<html>"), 502, {"error": {"message": "<html>"}}),
        (StatusError(502, "no", body=b"\xff"), 502, {"error": {"message": "\ufffd"}}),
        (StatusError(400, "no", body=b'{"a": NaN}'), 400, {"a": None}),
        (StatusError(400, "no", body=b'{"a": NaN, "b": 1e999}'), 400, None),
    ],
)
def test_batch_refusal(error: StatusError, status: int, body: object) -> None:
    """A refusal by HTTP is a response with its status and its body."""
    output = output_of(error)
    assert output["error"] is None
    assert output["response"]["status_code"] == status
    if body is not None:
        assert output["response"]["body"] == body
    assert isinstance(output["response"]["body"], dict)


@pytest.mark.parametrize(
    "error", [RequestTimeoutError("late"), StatusError(200, "an error in a success")]
)
def test_batch_error(error: LiminError) -> None:
    """What never got an answer is an error, and no response."""
    output = output_of(error)
    assert output["response"] is None
    assert output["error"] == {"code": type(error).__name__, "message": str(error)}


def test_half_a_surrogate_pair() -> None:
    """What is no character becomes a question mark, and costs no answer."""
    question = BatchReader(None, None).read(InputLine(1, BATCH_LINE))
    question = attrs.evolve(question, custom_id="\ud800")
    output = json.loads(to_batch_output(question, read(body_of("hi")), bytes(32), bytes))
    assert output["custom_id"] == "?"
    assert output["response"]["status_code"] == 200


def test_half_a_surrogate_pair_beside_no_number() -> None:
    """A value that holds both is JSON all the same."""
    value = {"half": "\ud800", "number": math.nan, "pair": "\U0001f600"}
    assert encode_value(value) == '{"half":"?","number":null,"pair":"\U0001f600"}'.encode()
