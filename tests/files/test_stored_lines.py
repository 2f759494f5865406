"""The lines of a run in each shape: their fields, and what is made of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from stored import (
    ANSWER,
    ENTRY,
    USAGE,
    answered,
    batch,
    checkpoint,
    failed,
    marked,
    unanswered_batch,
)

from limin.files.stored_lines import ids_of
from limin.files.stored_run import StoredRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from limin.files.stored_lines import StoredLine

    Read = Callable[[bytes], StoredLine]

BODY = {
    "id": "c",
    "model": "served",
    "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": {**USAGE, "completion_tokens_details": {"reasoning_tokens": 2}},
}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that reads the only line of a run."""

    def read(line: bytes) -> StoredLine:
        (tmp_path / "out.jsonl").write_bytes(line)
        with StoredRun.open(str(tmp_path / "out.jsonl")) as run:
            (stored,) = run.lines()
        return stored

    return read


def loaded(data: bytes) -> dict[str, Any]:
    """Return the JSON object on a line."""
    assert b"\n" not in data
    return dict(json.loads(data))


def test_line_of_fields_is_as_it_was(read: Read) -> None:
    """Not a byte of the fields is changed, and what only limin needs is gone."""
    line = answered(3, part=1.50, big=2**70)
    fields = read(line).to_json()
    assert line.startswith(fields[:-1])
    assert loaded(fields) == {
        "prompt": "p3",
        **ANSWER,
        "part": 1.5,
        "big": 2**70,
    }


def test_prefix(read: Read) -> None:
    """The fields of an answer are those with the prefix; others are the input's."""
    fields = {"answer": "old", **{f"out_{name}": each for name, each in ANSWER.items()}}
    line = read(marked(1, fields, "fields", prefix="out_"))
    assert {name: bytes(value) for name, value in line.inputs().items()} == {
        "answer": b'"old"'
    }
    assert bytes(line.fields()["answer"]) == b'"hi"'
    assert line.prefix == "out_"
    assert loaded(line.to_json()) == fields


def test_record_of_fields(read: Read) -> None:
    """An answer is read again with all that its fields tell."""
    more: dict[str, Any] = {
        "reasoning": "so",
        "refusal": "no",
        "answers": ["hi", "ho"],
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
        "logprobs": {"content": [ENTRY]},
        "warnings": ["fewer-choices"],
    }
    record = read(answered(3, n=[1], **more)).record()
    completion = record.completion
    assert completion is not None
    assert record.inputs == {"prompt": "p3", "n": "[1]"}
    assert (record.number, record.seconds, record.end_time) == (3, 0.5, 1003.0)
    assert (record.error, record.failed, record.custom_id) == (None, False, None)
    assert record.warnings == ("fewer-choices",)
    assert [choice.message for choice in completion.choices] == ["hi", "ho"]
    assert completion.finish_reason == "stop"
    assert (completion.reasoning, completion.refusal) == ("so", "no")
    assert [call.name for call in completion.tool_calls] == ["f"]
    assert completion.served_model == "served"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 10
    assert completion.usage.reasoning_tokens == 2
    assert completion.log_probs is not None
    assert [token.log_prob for token in completion.log_probs.sampled] == [-0.5]


def test_little_is_known(read: Read) -> None:
    """What the server did not send is not known."""
    line = read(answered(1, usage=None, seconds=None, served_model=None))
    record = line.record()
    assert record.completion is not None
    assert (record.completion.usage, record.seconds) == (None, None)
    assert "usage" not in loaded(line.to_batch_output())["response"]["body"]


def test_record_of_a_failure(read: Read) -> None:
    """A failure has its kind, its message and its status, and no answer."""
    record = read(failed(3)).record()
    assert record.completion is None
    assert record.error is not None
    assert (record.error.kind, record.error.message, record.error.status) == (
        "BadRequestError",
        "no",
        400,
    )


def test_answer_that_is_no_json_of_its_schema(read: Read) -> None:
    """Such a failure has an answer all the same."""
    error = {"type": "StructuredOutputError", "message": "no JSON"}
    line = read(marked(1, {"prompt": "p", **ANSWER, "error": error}, "fields", failed=True))
    record = line.record()
    assert str(record.completion) == "hi"
    assert record.failed
    output = loaded(line.to_batch_output())
    assert output["response"] is None
    assert output["error"] == {"code": "StructuredOutputError", "message": "no JSON"}


def test_fields_as_openai_has_them(read: Read) -> None:
    """An answer is a chat completion; its ids are made of the line."""
    output = loaded(read(answered(3)).to_batch_output())
    assert output["custom_id"] == "line-3"
    assert output["error"] is None
    assert output["response"]["status_code"] == 200
    body = output["response"]["body"]
    assert body["id"].startswith("chatcmpl-")
    assert output["id"].removeprefix("batch_req_") == body["id"].removeprefix("chatcmpl-")
    assert (body["object"], body["created"], body["model"]) == (
        "chat.completion",
        1003,
        "served",
    )
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hi", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["usage"] == {**USAGE, "completion_tokens_details": {"reasoning_tokens": 2}}


def test_failures_as_openai_has_them(read: Read) -> None:
    """A refusal by HTTP is a response; what never got an answer is an error."""
    refused = loaded(read(failed(1)).to_batch_output())
    assert refused["response"]["status_code"] == 400
    error = {"message": "no", "type": "BadRequestError"}
    assert refused["response"]["body"] == {"error": error}
    lost = {"answer": None, "error": {"type": "ConnectError", "message": "gone"}}
    line = read(marked(1, lost, "fields", failed=True))
    output = loaded(line.to_batch_output())
    assert output["response"] is None
    assert output["error"] == {"code": "ConnectError", "message": "gone"}


def test_line_of_openai(read: Read) -> None:
    """It is as it was, and has the fields that every run has."""
    written = batch(3, "a", BODY)
    line = read(written)
    assert written.startswith(line.to_batch_output()[:-1])
    assert loaded(line.to_json()) == {"custom_id": "a", **ANSWER, "seconds": None}
    record = line.record()
    assert (record.number, record.custom_id, record.inputs) == (3, "a", {})
    assert str(record.completion) == "hi"
    assert (record.error, record.seconds, record.end_time) == (None, None, 1003.0)


@pytest.mark.parametrize(
    ("line", "kind", "status"),
    [
        (batch(1, "a", {"error": {"message": "no"}}, 400), "BadRequestError", 400),
        (batch(1, "a", {"choices": []}), "ResponseError", None),
        (unanswered_batch(1, "a"), "ConnectError", None),
    ],
)
def test_failure_of_a_line_of_openai(
    read: Read, line: bytes, kind: str, status: int | None
) -> None:
    """The response, or the error in its place, tells what failed."""
    stored = read(line)
    record = stored.record()
    assert record.completion is None
    assert record.error is not None
    assert (record.error.kind, record.error.status) == (kind, status)
    error = loaded(stored.to_json())["error"]
    assert (error["type"], error.get("status")) == (kind, status)


def test_line_of_a_checkpoint(read: Read) -> None:
    """It has the messages, the metadata and the answer."""
    line = read(checkpoint("hi", {"id": 7, "error": "mine"}, "served"))
    fields = loaded(line.to_json())
    assert fields["messages"][1] == {"role": "user", "content": "ask"}
    assert (fields["metadata.id"], fields["metadata.error"]) == (7, "mine")
    assert (fields["answer"], fields["seconds"], fields["error"]) == ("hi", 2.25, None)
    assert line.record().inputs == {
        "prompt": "ask",
        "metadata.id": "7",
        "metadata.error": "mine",
    }
    output = loaded(line.to_batch_output())
    assert (output["custom_id"], output["error"]) == ("line-1", None)
    assert output["response"]["body"]["choices"][0]["message"]["content"] == "hi"


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        (answered(1, id=7, custom_id="c", other="o"), {"7", "c"}),
        (batch(1, "a", BODY), {"a"}),
        (checkpoint("hi", {"id": "x"}, "s"), {"x"}),
        (answered(1), set()),
    ],
)
def test_ids(read: Read, line: bytes, ids: set[str]) -> None:
    """A line is found by the ids of its input."""
    assert ids_of(read(line)) == ids


def test_half_a_surrogate_pair(read: Read) -> None:
    """A text that is no character stays as the input has it, and fails nothing."""
    line = read(answered(1, x="\ud800", served_model="\ud800"))
    record = line.record()
    assert record.inputs["x"] == "\ud800"
    assert record.completion is not None
    assert record.completion.served_model == "?"
    assert loaded(line.to_json())["x"] == "\ud800"
