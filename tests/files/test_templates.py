"""Templates of prompts."""

from __future__ import annotations

import pytest

from limin import ConfigurationError
from limin.files.templates import Template, WrongFieldsError


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Say {word}.", "Say hi."),
        ("{word}{n}", "hi3"),
        ("{{word}} {word}", "{word} hi"),
        ("no column", "no column"),
        ("{a b.c}", "odd"),
        ("{list} {flag}", '["ü"] true'),
        ("{braces}", "{word}"),
        ("", ""),
    ],
)
def test_fields_are_filled_in(text: str, prompt: str) -> None:
    """Texts stand as they are, other values as JSON; nothing is filled in twice."""
    fields = {
        "word": "hi",
        "n": 3,
        "a b.c": "odd",
        "list": ["ü"],
        "flag": True,
        "braces": "{word}",
    }
    assert Template.parse(text).fill(fields) == prompt


@pytest.mark.parametrize(
    "text", ["{", "}", "{word", "{}", "{word!r}", "{word:>9}", "{a:{b}}"]
)
def test_wrong_template(text: str) -> None:
    """Braces hold the name of a column and nothing else."""
    with pytest.raises(ConfigurationError, match=r"^template: expected"):
        Template.parse(text)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "expected a column 'word', as the template has it, found none"),
        ({"word": None}, "expected a value in the column 'word', found null"),
        (
            {"word": [1, float("inf")]},
            "expected numbers below 1e308 in the column 'word', found a larger one",
        ),
    ],
)
def test_column_without_a_value(fields: dict[str, object], problem: str) -> None:
    """A line without the column, or with a value that has no text, makes no prompt."""
    with pytest.raises(WrongFieldsError) as caught:
        Template.parse("{word}").fill(fields)
    assert str(caught.value) == problem


def test_names() -> None:
    """The names tell whether a table has the columns."""
    assert Template.parse("{a} {b} {a} c").names == {"a", "b"}
