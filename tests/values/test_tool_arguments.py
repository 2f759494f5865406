"""Arguments of calls, read by the parameters of functions."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import limin
from limin import Tool, ToolCall


@attrs.frozen
class Place:
    city: str
    country: str = "France"


def go(place: Place, days: int = 3) -> str:
    """Go somewhere.

    Args:
        place: Where to.
        days: For how long.
    """
    return f"{place.city}, {days}"


def untyped(city, days=3):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 (on purpose)
    """Go somewhere."""
    return city, days


def loose(mapping: dict[str, int]) -> int:
    """Count."""
    return len(mapping)


ARGUMENTS = '{"place": {"city": "Paris"}}'


@pytest.mark.parametrize("strict", [False, True])
def test_arguments_are_of_the_types_of_the_parameters(*, strict: bool) -> None:
    """What is left out has the default of the function."""
    tool = Tool.from_function(go, strict=strict)
    assert tool.read_arguments(ARGUMENTS) == {"place": Place("Paris")}
    assert tool.read_arguments('{"place": {"city": "Lyon"}, "days": 1}') == {
        "place": Place("Lyon"),
        "days": 1,
    }


def test_tool_with_a_schema_of_its_own() -> None:
    """The annotations of the function count all the same."""
    tool = Tool("go", "Go somewhere.", {"type": "object"}, go)
    assert tool.read_arguments(ARGUMENTS) == {"place": Place("Paris")}


@pytest.mark.parametrize("function", [None, untyped])
def test_arguments_without_types(function: Any) -> None:
    """They are plain values."""
    tool = Tool("go", "Go somewhere.", {"type": "object"}, function)
    assert tool.read_arguments('{"city": "Paris"}') == {"city": "Paris"}
    assert Tool("go", "", {"type": "object"}).read_arguments(" ") == {}


@pytest.mark.parametrize(
    ("arguments", "problem", "path"),
    [
        ('{"place": {"city": 5}}', "Expected `str`, got `int`", "$.place.city"),
        ("{}", "missing", "$.place"),
        ('{"place": {"city": "a"}, "way": 1}', "an unknown argument", "$"),
        ("[]", "Expected `object`, got `array`", "$"),
        ("{", "expected a JSON object, found no JSON", "$"),
    ],
)
def test_arguments_that_do_not_fit(arguments: str, problem: str, path: str) -> None:
    """The error says what is wrong, and where."""
    with pytest.raises(limin.ToolCallError) as raised:
        Tool.from_function(go).read_arguments(arguments)
    assert raised.value.problem.startswith(f"the arguments do not fit: {problem}")
    assert raised.value.path == path


def test_argument_that_is_no_parameter() -> None:
    """A function without annotations is not called in vain."""
    tool = Tool("go", "", {"type": "object"}, untyped)
    with pytest.raises(limin.ToolCallError) as raised:
        tool.read_arguments('{"city": "Paris", "way": "\\u001b"}')
    problem = "the arguments do not fit: got an unexpected keyword argument 'way' at `$`"
    assert str(raised.value) == problem


def test_strict_mode_that_cannot_say_the_types() -> None:
    """It is refused where the tool is made."""
    with pytest.raises(limin.ConfigurationError) as raised:
        Tool.from_function(loose, strict=True)
    problem = "loose: strict mode cannot say the types of its parameters"
    assert str(raised.value) == problem


def test_arguments_of_a_call() -> None:
    """They are a dictionary, or an instance of a type; blank ones are empty."""
    call = ToolCall("1", "go", '{"city": "Paris"}')
    assert call.parse() == {"city": "Paris"}
    assert call.parse(Place) == Place("Paris")
    assert ToolCall("1", "go", " ").parse() == {}
    with pytest.raises(limin.ToolCallError) as raised:
        ToolCall("1", "go", '{"city": [1]}').parse(Place)
    assert raised.value.path == "$.city"
