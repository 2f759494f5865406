"""Odd bodies on which the fast path and the mended path say the same."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from builders import body_of, look_at_everything, read

from limin.values.usage import Usage
from limin.wire.log_probs import read_prompt_positions

DIGITS = "1" * 5000


def test_token_id_of_5000_digits() -> None:
    """Python refuses to read such a number; looking raises nothing."""
    content = [{"token": f"token_id:{DIGITS}", "logprob": -1}]
    body = json.dumps(body_of("x", logprobs={"content": content})).encode()
    look_at_everything(body)
    (token,) = read(body).token_log_probs or []
    assert token.token_id is None


def test_prompt_token_id_of_5000_digits() -> None:
    """A prompt's position with such an id has no id, and raises nothing."""
    raw = msgspec.Raw(b'[{"%b":{"logprob":-1}}]' % DIGITS.encode())
    (position,) = read_prompt_positions(raw)
    assert position is not None
    assert position.id is None


@pytest.mark.parametrize("empty", ["{ }", "[ ]", "[\n]", "{\n}", "0"])
def test_error_of_nothing(empty: str) -> None:
    """Pretty printers put white space into nothing."""
    body = f'{{"choices":[{{"message":{{"content":"4"}}}}],"error":{empty}}}'
    assert read(body).message == "4"


def test_thinking_is_on_no_wire() -> None:
    """Only content parts hold it."""
    body = body_of("4")
    body["choices"][0]["message"]["thinking"] = "hm"
    assert read(body).reasoning is None
    assert read({**body, "id": 5}).reasoning is None


@pytest.mark.parametrize("odd", [{}, {"id": 5}])
def test_choices_without_an_index_are_counted(odd: dict[str, Any]) -> None:
    """Their position counts, on both paths."""
    choices = [{"message": {"content": text}} for text in "ab"]
    choices_read = read({"choices": choices, **odd}).choices
    assert [choice.index for choice in choices_read] == [0, 1]


@pytest.mark.parametrize("odd", [{}, {"id": 5}])
def test_large_count_keeps_its_digits(odd: dict[str, Any]) -> None:
    """A whole number is no float; one that a float cannot hold is no count."""
    counts = {"prompt_tokens": 2**53 - 1, "completion_tokens": 2**53 + 1}
    usage = read({**body_of("4"), "usage": counts, **odd}).usage
    assert usage == Usage(prompt_tokens=2**53 - 1)


@pytest.mark.parametrize("odd", [{}, {"id": 5}])
def test_reasoning_tokens_beside_the_other_counts(odd: dict[str, Any]) -> None:
    """As SGLang sends them (A5)."""
    counts = {"completion_tokens": 7, "reasoning_tokens": 5}
    usage = read({**body_of("4"), "usage": counts, **odd}).usage
    assert usage is not None
    assert usage.reasoning_tokens == 5


def test_every_choice_without_log_probs_has_a_warning() -> None:
    """Every error counts, not only the first."""
    log_probs = {"content": [{"token": "a", "logprob": -1}]}
    first = {"message": {"content": "a"}, "logprobs": log_probs}
    body = {"choices": [first, {"index": 1, "message": {"content": "b"}}]}
    warnings = read(body, asks_log_probs=True).warnings
    codes = [(warning.code, warning.path) for warning in warnings]
    assert codes == [("log-probs-missing", "$.choices[1].logprobs")]


def test_equal_positions_are_equal_however_they_came() -> None:
    """A number as text makes the difference of a path, and of nothing else."""
    ways = [
        read(body_of("a", logprobs={"content": [{"token": "a", "logprob": number}]}))
        for number in (-1, "-1")
    ]
    assert ways[0].log_probs == ways[1].log_probs


def test_probabilities_among_log_probabilities() -> None:
    """No position of any kind is lost."""
    content = [{"token": "a", "logprob": -1}, {"token": "b", "prob": 1.0}]
    tokens = read(body_of("ab", logprobs={"content": content})).token_log_probs or []
    assert [token.log_prob for token in tokens] == [-1.0, 0.0]
