"""Lines as requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from limin import ModelConfiguration
from limin.files.input_lines import InputLine
from limin.files.questions import BatchReader, PromptReader
from limin.files.templates import Template, WrongFieldsError

MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
PLAIN = ModelConfiguration(model="m", temperature=None)


def body_of(fields: dict[str, object], **options: Any) -> dict[str, Any]:
    """Return the body of the request that *fields* stand for."""
    reader = PromptReader(PLAIN, **options)
    return dict(json.loads(reader.read(InputLine(1, fields)).body))


def test_prompt() -> None:
    """A prompt is the user's message."""
    messages = [{"role": "user", "content": "hi"}]
    assert body_of({"prompt": "hi", "id": 1}) == {"model": "m", "messages": messages}


def test_system_prompt_comes_first() -> None:
    """The system's message stands before a prompt, and before messages."""
    for fields in ({"prompt": "hi"}, {"messages": MESSAGES}):
        body = body_of(dict(fields), system_prompt="Be short.")
        assert body["messages"][0] == {"role": "system", "content": "Be short."}
        assert len(body["messages"]) == 2


def test_messages_are_sent_as_they_are() -> None:
    """Messages of OpenAI's lose nothing."""
    assert body_of({"messages": MESSAGES})["messages"] == MESSAGES


def test_template_makes_the_prompt() -> None:
    """A template takes the place of `prompt`, and may use it."""
    body = body_of({"prompt": "hi"}, template=Template.parse("Say: {prompt}"))
    assert body["messages"] == [{"role": "user", "content": "Say: hi"}]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "expected prompt or messages, or a --template, found neither"),
        (
            {"prompt": "a", "messages": MESSAGES},
            "expected prompt or messages, or a --template, found both",
        ),
        ({"prompt": 3}, "expected a text in prompt, found another value"),
        ({"prompt": None}, "expected a text in prompt, found another value"),
        ({"messages": "hi"}, "expected a list in messages, not empty, found none"),
        ({"messages": []}, "expected a list in messages, not empty, found none"),
        ({"messages": [3]}, "messages: message 0: expected an object, found an int"),
        ({"prompt": "\ud800"}, "half of a surrogate pair"),
        ({"prompt": "a", "answer": 1, "error": 2}, "the output would overwrite"),
    ],
)
def test_line_that_is_no_prompt(fields: dict[str, object], problem: str) -> None:
    """Why a line is none is told, without its text."""
    with pytest.raises(WrongFieldsError) as caught:
        body_of(fields, added=frozenset({"answer", "error", "usage"}))
    assert problem in str(caught.value)


def test_overwritten_fields_are_named() -> None:
    """The message names the fields, and the way out."""
    with pytest.raises(WrongFieldsError) as caught:
        body_of({"prompt": "a", "answer": 1, "b": 2}, added=frozenset({"answer", "b"}))
    assert str(caught.value) == (
        "the output would overwrite answer, b; --prefix out_ renames its fields"
    )


def batch_line(number: int = 1, **changes: object) -> InputLine:
    """Return a line of OpenAI's Batch API."""
    body = {"model": "own", "messages": MESSAGES, "max_tokens": 3, "logprobs": True}
    fields = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body,
    }
    return InputLine(number, fields | changes)


def test_batch_line_has_its_own_parameters_and_no_others() -> None:
    """The body is sent as the line has it: no temperature is added."""
    question = BatchReader(None, "default").read(batch_line())
    assert question.custom_id == "a"
    assert json.loads(question.body) == batch_line().fields["body"]


@pytest.mark.parametrize(
    ("given", "own", "default", "sent"),
    [
        (None, "own", "default", "own"),
        ("given", "own", "default", "given"),
        (None, None, "default", "default"),
    ],
)
def test_model_of_a_batch_line(
    given: str | None, own: str | None, default: str, sent: str
) -> None:
    """The model that is given wins, and that of the environment fills in."""
    body = {"messages": MESSAGES} | ({} if own is None else {"model": own})
    question = BatchReader(given, default).read(batch_line(body=body))
    assert json.loads(question.body)["model"] == sent


def test_stream_that_is_off_is_left_out() -> None:
    """A line may say that it wants no stream."""
    body = {"model": "m", "messages": MESSAGES, "stream": False}
    assert "stream" not in json.loads(
        BatchReader(None, None).read(batch_line(body=body)).body
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"custom_id": ""}, "expected a text in custom_id, found none"),
        ({"custom_id": 3}, "expected a text in custom_id, found none"),
        ({"custom_id": "a\ud800"}, "expected Unicode text in custom_id, found half of"),
        ({"method": "GET"}, "expected method POST and a url that ends in"),
        ({"url": "/v1/embeddings"}, "expected method POST and a url that ends in"),
        ({"url": None}, "expected method POST and a url that ends in"),
        ({"body": []}, "expected an object in body, found none"),
        ({"body": {"messages": MESSAGES}}, "expected the name of a model in body, or -m"),
        ({"body": {"model": 3, "messages": MESSAGES}}, "expected the name of a model"),
        ({"body": {"model": "m"}}, "expected a list in messages, not empty, found none"),
        (
            {"body": {"model": "m", "messages": MESSAGES, "stream": True}},
            "expected no stream in body, found one",
        ),
        (
            {"body": {"model": "m", "messages": [{"role": "x", "content": ""}]}},
            "messages: message 0: role: expected one of",
        ),
    ],
)
def test_wrong_batch_line(changes: dict[str, object], problem: str) -> None:
    """Why a line of OpenAI's cannot be sent is told."""
    with pytest.raises(WrongFieldsError) as caught:
        BatchReader(None, None).read(batch_line(**changes))
    assert problem in str(caught.value)


def test_value_that_json_has_not() -> None:
    """A body that cannot be sent is a wrong line, and no crash."""
    body = {"model": "m", "messages": MESSAGES, "x": float("inf")}
    with pytest.raises(WrongFieldsError, match="expected values that JSON can hold"):
        BatchReader(None, None).read(batch_line(body=body))


def test_equal_ids_are_refused() -> None:
    """Two answers under one id could not be told apart; reading twice is no second line."""
    reader = BatchReader(None, None)
    reader.read(batch_line(3))
    reader.read(batch_line(3))
    with pytest.raises(WrongFieldsError) as caught:
        reader.read(batch_line(5))
    assert str(caught.value) == "expected a custom_id of its own, found that of line 3"


def test_hash_is_that_of_checkpoints() -> None:
    """Equal requests have equal hashes, whatever else stands on their lines."""
    reader = PromptReader(PLAIN)
    one, two, three = (
        reader.read(InputLine(n, fields)).hash()
        for n, fields in enumerate(
            [{"prompt": "a"}, {"prompt": "a", "id": 2}, {"prompt": "b"}], start=1
        )
    )
    assert one == two != three
    assert len(one) == 32
