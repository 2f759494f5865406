import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from json_values import PLACES, Written, cut, written

from limin.json_text.partial import PartialReader
from limin.json_text.scanner import JSONScanner
from limin.json_text.tree import TreeBuilder, walk_scalars

UNSET = msgspec.UNSET


def values_of(*pieces: str) -> list[object]:
    """The value after each piece, as it was then."""
    reader = PartialReader()
    values = []
    for piece in pieces:
        reader.feed(piece)
        values.append(copy.deepcopy(reader.value))
    return values


def is_part(part: Any, whole: Any) -> bool:
    """Whether *part* is what is there already of *whole*."""
    if part is UNSET:
        return True
    if type(part) is not type(whole):
        return False
    if isinstance(part, dict):
        return all(key in whole and is_part(part[key], whole[key]) for key in part)
    if isinstance(part, list):
        return len(part) <= len(whole) and all(map(is_part, part, whole))
    return bool(part == whole)


@pytest.mark.parametrize(
    ("pieces", "values"),
    [
        (['"Pa', 'ris"'], [UNSET, "Paris"]),
        (["nul", "l"], [UNSET, None]),
        (["[tr", "ue", "]"], [[], [True], [True]]),
        (["[1", "2", ", 3"], [[], [], [12]]),
        (['{"na', "me", '": ', '"Pa', 'ris"'], [{}, {}, {}, {}, {"name": "Paris"}]),
        (['{"a": [', "{", "}", "]}"], [{"a": []}, {"a": [{}]}, {"a": [{}]}, {"a": [{}]}]),
        (["``", "`json\n[", "1 ", "]\n```"], [UNSET, [], [1], [1]]),
        (["12", "3", "\n"], [UNSET, UNSET, 123]),
        (['["\\ud83d', "\\ude00", '"'], [[], [], ["😀"]]),
    ],
)
def test_value_so_far(pieces: list[str], values: list[object]) -> None:
    """Only whole scalars and keys are there, and containers as soon as they begin."""
    assert values_of(*pieces) == values


def test_number_alone_is_closed_by_the_end() -> None:
    """A number that is the whole text is complete when the text is."""
    reader = PartialReader()
    reader.feed("12")
    assert (reader.value, reader.is_closed) == (UNSET, False)
    reader.finish()
    assert (reader.value, reader.is_closed) == (12, True)


def test_text_that_is_no_json() -> None:
    """What is no JSON raises nothing: the value stays, and the error says why."""
    reader = PartialReader()
    reader.feed("[1, 2")
    assert reader.error is None
    reader.feed(", oops, 3]")
    reader.finish()
    assert (reader.value, reader.is_closed) == ([1, 2], False)
    assert str(reader.error) == "expected a value, found 'o' at character 7"


def test_value_is_one_object() -> None:
    """Reading the value after each piece copies nothing."""
    reader = PartialReader()
    reader.feed("[")
    first = reader.value
    reader.feed("1, 2]")
    assert reader.value is first == [1, 2]


def test_repeated_key() -> None:
    """Of repeated keys the last counts, as in parsers, also if it is not closed yet."""
    assert values_of('{"a": {"b": 1}, "c": 2, ', '"a": [') == [
        {"a": {"b": 1}, "c": 2},
        {"c": 2, "a": []},
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0", 0),
        ("1E2", 100.0),
        ("1e999", float("inf")),
        ("9" * 30, int("9" * 30)),
        ("1" * 4300, int("1" * 4300)),
        ("1" * 5000, float("inf")),
        ('"\\ud83d"', "\ud83d"),
    ],
)
def test_scalar_at_the_ends(text: str, value: object) -> None:
    """Scalars are those of `json.loads`; what it refuses to read is a float."""
    (found,) = values_of(f"{text}\n")
    assert (found, type(found)) == (value, type(value))


@given(written(), PLACES)
def test_values_are_parts(json_text: Written, places: list[int]) -> None:
    """The value of every prefix is a part of the final one, which is the parser's."""
    pieces = cut(json_text.text, places)
    final = json.loads(json_text.text)
    values = values_of(*pieces, " ")
    assert values[-1] == final == json_text.value
    for before, after in zip([UNSET, *values], [*values, final], strict=True):
        assert is_part(before, after)
        assert is_part(before, final)


@given(written())
def test_scalars_in_order(json_text: Written) -> None:
    """Each scalar has its path once, in the order of the text."""
    builder = TreeBuilder(lambda event: event.start)
    scanner = JSONScanner()
    builder.add([*scanner.feed(json_text.text), *scanner.finish()])
    assert list(walk_scalars(builder.value)) == [
        (scalar.path, scalar.start) for scalar in json_text.scalars
    ]
