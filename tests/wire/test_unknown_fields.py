"""Fields that limin does not know, merged over the chunks of a stream."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.wire.raw_json import split_fields
from limin.wire.unknown_fields import MergedFields, select_unknown


def merged(*values: object, name: str = "x", joins: bool = True) -> Any:
    """Return the value of a field that had *values*, one in each chunk."""
    fields = MergedFields(joins=joins)
    for value in values:
        fields.add(split_fields(json.dumps({name: value}).encode()))
    return json.loads(msgspec.json.encode(fields.encoded()))[name]


# The name of a field, its values, and what they become as parts and as states.
CASES: dict[str, tuple[str, list[Any], Any, Any]] = {
    "texts": ("x", ["a", "b", "\ud83e", "\udd8a"], "ab\U0001f98a", "\udd8a"),
    "names": ("type", ["a", "b"], "b", "b"),
    "one": ("x", [[1]], [1], [1]),
    "lists": ("x", [[1], [2], []], [1, 2], []),
    "numbers": ("x", [1, 2, True], True, True),
    "null-is-no-value": ("x", [None, "a", None, "b", None], "ab", "b"),
    "nothing-but-null": ("x", [None, None], None, None),
    "objects": (
        "x",
        [{"a": "1", "id": "i"}, {"a": "2", "b": [1]}, {"b": [2], "id": "i"}],
        {"a": "12", "id": "i", "b": [1, 2]},
        {"a": "2", "id": "i", "b": [2]},
    ),
    "kinds-change": ("x", ["a", {"b": 1}, [1], "c", {"d": 1}], {"d": 1}, {"d": 1}),
    "joined-kinds-change": (
        "x",
        [["a"], ["b"], {"c": 1}, {"d": 1}, "e", "f", [1], [2], "g", "h", {"i": 1}],
        {"i": 1},
        {"i": 1},
    ),
    "list-behind-text-and-object": ("x", ["a", "b", [1]], [1], [1]),
    "list-behind-object": ("x", [{"a": 1}, {"b": 1}, [1], [2]], [1, 2], [2]),
    "text-behind-list": ("x", [[1], [2], "a", "b"], "ab", "b"),
    "by-index": (
        "x",
        [
            [{"index": 0, "text": "a"}, {"index": 1, "text": "b"}],
            [{"index": 1, "text": "c"}, {"index": 0, "text": "d"}, 5],
        ],
        [{"index": 0, "text": "ad"}, {"index": 1, "text": "bc"}, 5],
        [{"index": 1, "text": "c"}, {"index": 0, "text": "d"}, 5],
    ),
    # OpenRouter counts some elements of several types as 0.
    "same-index-and-another-type": (
        "x",
        [
            [{"index": 0, "type": "reasoning.text", "text": "a", "format": "f"}],
            [{"index": 0, "type": "reasoning.text", "text": "b", "format": "f"}],
            [{"index": 0, "type": "reasoning.encrypted", "data": "c"}],
        ],
        [
            {"index": 0, "type": "reasoning.text", "text": "ab", "format": "f"},
            {"index": 0, "type": "reasoning.encrypted", "data": "c"},
        ],
        [{"index": 0, "type": "reasoning.encrypted", "data": "c"}],
    ),
    # LiteLLM, of Anthropic: a signature ends a block.
    "thinking-blocks": (
        "thinking_blocks",
        [
            [{"type": "thinking", "thinking": "a", "signature": None}],
            [{"type": "thinking", "thinking": "b", "signature": None}],
            [{"type": "thinking", "thinking": "", "signature": "s"}],
            [{"type": "thinking", "thinking": "c", "signature": "t"}],
            [{"type": "redacted_thinking", "data": "d"}],
        ],
        [
            {"type": "thinking", "thinking": "ab", "signature": "s"},
            {"type": "thinking", "thinking": "c", "signature": "t"},
            {"type": "redacted_thinking", "data": "d"},
        ],
        [{"type": "redacted_thinking", "data": "d"}],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_merged(name: str) -> None:
    """Parts of a message are joined, and of states the last one counts."""
    field, values, parts, state = CASES[name]
    assert merged(*values, name=field) == parts
    assert merged(*values, name=field, joins=False) == state


def test_deep_values_are_not_merged() -> None:
    """So the time that merging takes does not grow with the depth."""
    values: list[Any] = ["a", "b"]
    for _ in range(20):
        values = [{"x": value} for value in values]
    found = merged(*values)
    for _ in range(20):
        found = found["x"]
    assert found == "b"


def test_known_fields_are_left_out() -> None:
    """Only the others are kept; a name that is no text is mended."""
    fields = split_fields(rb'{"a":1,"b":2,"\ud83e":3}')
    assert [*select_unknown(fields, frozenset({"a"}))] == ["b", "\ufffd"]


TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(st.lists(TREES, min_size=1), st.booleans())
def test_any_values_can_be_merged(values: list[Any], joins: bool) -> None:  # noqa: FBT001 (hypothesis passes it)
    """Whatever comes is JSON again; a value that came alone is as it was."""
    found = merged(*values, joins=joins)
    if len(values) == 1:
        assert found == values[0]
