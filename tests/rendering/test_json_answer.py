"""Which answers are shown as JSON, and in which parts."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import example, given
from json_values import Written, written
from samples import completion

from limin.rendering.json_answer import json_parts
from limin.schemas.json_schema import JsonSchema
from limin.values.choice import Choice
from limin.values.log_probs import LogProbs, Position


def choice_of(
    *tokens: str, message: str | None = None, log_prob: float | None = -0.5
) -> Choice:
    """Return an answer with *tokens*, which spell it unless there is a *message*."""
    positions = tuple(Position(token, log_prob) for token in tokens)
    log_probs = LogProbs(lambda: (positions, ()))
    text = log_probs.text() if message is None else message
    return Choice(message=text, log_probs=log_probs)


def scalars_of(
    choice: Choice, schema: JsonSchema[object] | None = None
) -> dict[str, str] | None:
    """Return the scalars of *choice* by path; None if it is not shown as JSON."""
    parts = json_parts(choice, schema)
    if parts is None:
        return None
    assert "".join(part.text for part in parts) == choice.message
    return {
        part.located.field.path: part.text for part in parts if part.located is not None
    }


@pytest.mark.parametrize(
    ("text", "scalars"),
    [
        ('{"a": "b", "c": 1}', {"$.a": "b", "$.c": "1"}),
        (" [true,\n null]\n", {"$[0]": "true", "$[1]": "null"}),
        ('```json\n{"a": ""}\n```', {"$.a": '""'}),
        ('```\n{"a": 1}', {"$.a": "1"}),
        ('{"a": "\\u00e9é"}', {"$.a": "\\u00e9é"}),
        ('{"a": 1, "a": 2}', {"$.a": "2"}),
    ],
)
def test_json_is_shown_in_parts(text: str, scalars: dict[str, str]) -> None:
    """The parts join to the answer, and each scalar is one; quotation marks are none."""
    assert scalars_of(choice_of(*text)) == scalars


@pytest.mark.parametrize(
    "text",
    [
        "four",
        "4",
        '"four"',
        "",
        "{}",
        "[[]]",
        '{"a": 1',
        '{"a": 1} and more',
        "[citation needed]",
        "{" * 600,
    ],
)
def test_other_answers_are_not(text: str) -> None:
    """A scalar alone, a part of JSON, and what has no scalar are shown as tokens."""
    assert scalars_of(choice_of(*text)) is None


def test_answer_without_its_tokens_is_not() -> None:
    """Where the tokens do not spell the answer, or were not sent, nothing is known."""
    assert scalars_of(choice_of("[2]", message="[1]")) is None
    assert scalars_of(Choice(message="[1]")) is None


def test_answer_whose_paths_are_too_long_is_not() -> None:
    """A key of many characters above many values would make quadratic paths."""
    text = f'{{"{"k" * 20_000}": [{"1," * 2_000}1]}}'
    assert scalars_of(choice_of(text)) is None


def test_wrapped_value_has_its_own_paths() -> None:
    """What a model writes beside the value is no part of it."""
    text = '{"x": 0, "value": [1, 2], "values": 3}'
    schema = JsonSchema(list[int])
    assert scalars_of(choice_of(*text), schema) == {"$[0]": "1", "$[1]": "2"}


@given(written())
@example(Written('{"a":\u2028""}', None, []))
def test_no_text_is_lost(value: Written) -> None:
    """The parts join to the answer, whatever JSON it is."""
    scalars_of(choice_of(*value.text))


def show(choice: Choice) -> str:
    """Return *choice* as a terminal with colours shows it."""
    answer = attrs.evolve(completion(), choices=(choice,), body_warnings=())
    return answer.to_pretty_string(width=80, color=True)


def test_scalars_have_colors_and_the_rest_has_none() -> None:
    """Keys, punctuation, and scalars whose probability is not known are plain."""
    color = "\x1b[38;2;"
    assert show(choice_of('{"a": "', "b", '"}')).startswith(f'{{"a": "{color}')
    for log_prob in (None, float("nan")):
        shown = show(choice_of('{"a": "', "b", '"}', log_prob=log_prob))
        assert shown.startswith('{"a": "b"}\n')
