"""Fragments of tool calls, joined to the calls that a whole answer has."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.wire.tool_call_parts import join_function_call, join_tool_calls


def raws(*lists: object) -> list[msgspec.Raw]:
    """Return values as the bytes of their JSON."""
    return [msgspec.Raw(json.dumps(value).encode()) for value in lists]


def part(arguments: object = None, name: object = None, **fields: object) -> dict[str, Any]:
    """Return one fragment."""
    function = {"name": name, "arguments": arguments}
    return {**fields, "function": {k: v for k, v in function.items() if v is not None}}


def call(arguments: str, name: str = "f", **fields: object) -> dict[str, Any]:
    """Return one whole call."""
    return {**fields, "function": {"name": name, "arguments": arguments}}


WHOLE = [call("{}", "f"), call("{}", "g")]

# The fragments of each event, and the calls.
CASES: dict[str, tuple[list[object], list[object]]] = {
    "openai": (
        [
            [part("", "f", index=0, id="a", type="function")],
            [part('{"x"', index=0)],
            [part("", "g", index=1, id="b", type="function")],
            [part(": 1}", index=0), part("{}", index=1)],
        ],
        [
            call('{"x": 1}', id="a", type="function"),
            call("{}", "g", id="b", type="function"),
        ],
    ),
    "litellm-repeats-the-type": (
        [
            [part("", "f", index=0, id="a", type="function")],
            [part("{}", index=0, type="function")],
        ],
        [call("{}", id="a", type="function")],
    ),
    "ollama-whole-calls-without-index": ([[WHOLE[0]], [WHOLE[1]]], WHOLE),
    "whole-calls-without-index-in-one-event": ([WHOLE], WHOLE),
    "always-0": (
        [[part("{}", "f", index=0, id="a")], [part("{}", "g", index=0, id="b")]],
        [call("{}", "f", id="a"), call("{}", "g", id="b")],
    ),
    "ids-without-index": (
        [[part("{", "f", id="a")], [part("{", "g", id="b")], [part("}", id="a")]],
        [call("{}", "f", id="a"), call("{", "g", id="b")],
    ),
    "name-repeated": (
        [[part("{", "f", index=0)], [part("}", "f", index=0)]],
        [call("{}", "f")],
    ),
    "name-split": (
        [[part(name="get_", index=0)], [part(name="it", index=0)], [part("{}", index=0)]],
        [call("{}", "get_it")],
    ),
    "arguments-are-an-object": ([[part({"x": 1}, "f", index=0)]], [call('{"x": 1}', "f")]),
    "no-list": ([part("{}", "f", index=0)], [call("{}", "f")]),
    # Source: Gemini, which wants it back.
    "signature-on-a-trailing-delta": (
        [
            [part("{", "f", index=0, id="a")],
            [part("}", extra_content={"google": {"thought_signature": "s"}})],
        ],
        [call("{}", "f", id="a", extra_content={"google": {"thought_signature": "s"}})],
    ),
    "custom": (
        [
            [{"index": 0, "type": "custom", "custom": {"name": "f", "input": "a"}}],
            [{"index": 0, "custom": {"input": "b", "x": 1, "y": None}}],
        ],
        [{"type": "custom", "custom": {"name": "f", "input": "ab", "x": 1}}],
    ),
    "odd": ([[None, 5, "x"], None, [{"function": "f", "index": "0"}]], [{"function": "f"}]),
    "nothing": ([[], None, {}], []),
}


@pytest.mark.parametrize("name", CASES)
def test_fragments_become_calls(name: str) -> None:
    """Each fragment belongs to one call, whatever its server says of it."""
    events, calls = CASES[name]
    joined = join_tool_calls(raws(*events))
    assert json.loads(bytes(joined or b"[]")) == calls


@given(st.lists(st.lists(st.text(), min_size=1), min_size=1, max_size=4), st.randoms())
def test_any_arguments_are_joined_in_their_order(
    calls: list[list[str]], random: Any
) -> None:
    """However the fragments of several calls mix, each call has its arguments."""
    order = [index for index, texts in enumerate(calls) for _ in texts]
    random.shuffle(order)
    left = [list(texts) for texts in calls]
    events = [[part(left[index].pop(0), index=index)] for index in order]
    joined = json.loads(bytes(join_tool_calls(raws(*events)) or b""))
    arguments = sorted(call["function"]["arguments"] for call in joined)
    assert arguments == sorted("".join(texts) for texts in calls)


def test_call_of_a_function() -> None:
    """The object of the older interface is joined, too."""
    events = raws({"name": "f"}, None, {"arguments": "{"}, {"arguments": "}"})
    joined = json.loads(bytes(join_function_call(events) or b""))
    assert joined == {"name": "f", "arguments": "{}"}
    assert join_function_call(raws(None)) is None
    assert bytes(join_function_call(raws("x")) or b"") == b"{}"
