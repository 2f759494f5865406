"""Fragments of tool calls, joined to the calls that a whole answer has."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.values.tools import ToolCallDelta
from limin.wire.fragments import read_fragments
from limin.wire.tool_call_parts import JoinedCalls


def raw_of(value: object) -> msgspec.Raw:
    """Return a value as the bytes of its JSON."""
    return msgspec.Raw(json.dumps(value).encode())


def part(arguments: object = None, name: object = None, **fields: object) -> dict[str, Any]:
    """Return one fragment."""
    function = {"name": name, "arguments": arguments}
    return {**fields, "function": {k: v for k, v in function.items() if v is not None}}


def call(arguments: str, name: str = "f", **fields: object) -> dict[str, Any]:
    """Return one whole call."""
    return {**fields, "function": {"name": name, "arguments": arguments}}


def joined(*events: object) -> tuple[Any, list[ToolCallDelta]]:
    """Return the calls of *events*, and the deltas."""
    calls, deltas = JoinedCalls(), list[ToolCallDelta]()
    for event in events:
        deltas += calls.add(read_fragments(raw_of(event)))
    deltas += calls.end()
    return json.loads(msgspec.json.encode(calls.as_sent())).get("tool_calls", []), deltas


WHOLE = [call("{}", "f"), call("{}", "g")]
SIGNATURE = {"google": {"thought_signature": "s"}}

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
    # https://github.com/sgl-project/sglang/pull/35542
    "sglang-sends-null": (
        [
            [part("", "f", index=0, id="a")],
            [{**part("{}", index=0), "id": None, "type": None}],
            [{"index": 0, "function": {"name": None, "arguments": None}}],
        ],
        [call("{}", id="a")],
    ),
    # https://github.com/anomalyco/opencode/pull/40969
    "dashscope-sends-empty-ids": (
        [
            [part("", "f", index=0, id="a", type="function")],
            [part("{}", index=0, id="", type="")],
        ],
        [call("{}", id="a", type="function")],
    ),
    "id-repeated": (
        [[part("{", "f", index=0, id="a")], [part("}", index=0, id="a")]],
        [call("{}", id="a")],
    ),
    "another-id-in-each-delta": (
        [[part("{", "f", index=0, id="a")], [part("}", index=0, id="b")]],
        [call("{}", id="a")],
    ),
    "ollama-whole-calls-without-index": ([[WHOLE[0]], [WHOLE[1]]], WHOLE),
    "whole-calls-without-index-in-one-event": ([WHOLE], WHOLE),
    # https://github.com/router-for-me/CLIProxyAPI/issues/5058
    "several-events-of-whole-calls-without-index": ([WHOLE, WHOLE], [*WHOLE, *WHOLE]),
    # https://github.com/ai-dynamo/dynamo/pull/4723
    "always-0": (
        [[part("{}", "f", index=0, id="a")], [part("{}", "g", index=0, id="b")]],
        [call("{}", "f", id="a"), call("{}", "g", id="b")],
    ),
    "always-0-without-ids": (
        [[part("{}", "f", index=0)], [part("{}", "g", index=0)]],
        [call("{}", "f"), call("{}", "g")],
    ),
    # https://github.com/open-webui/open-webui/pull/22235
    "always-0-and-nothing-but-arguments": (
        [
            [part("", "f", index=0, id="a")],
            [part('{"x": 1}', "", index=0)],
            [part('{"x": 2}', "", index=0)],
        ],
        [call('{"x": 1}', id="a"), {"function": {"arguments": '{"x": 2}'}}],
    ),
    "arguments-repeated-whole": (
        [[part("{}", "f", index=0, id="a")], [part("{}", "f", index=0)]],
        [call("{}", id="a")],
    ),
    "object-in-a-text": (
        [[part('{"x": "}', "f", index=0)], [part('{ }"}', index=0)]],
        [call('{"x": "}{ }"}')],
    ),
    "ids-without-index": (
        [[part("{", "f", id="a")], [part("{", "g", id="b")], [part("}", id="a")]],
        [call("{}", "f", id="a"), call("{", "g", id="b")],
    ),
    # https://github.com/open-webui/computer/issues/224
    "gemini-splits-without-index": (
        [[part('{"x"', "f", id="a")], [part(": 1}")], [{"extra_content": SIGNATURE}]],
        [call('{"x": 1}', id="a", extra_content=SIGNATURE)],
    ),
    # https://github.com/dirac-run/dirac/pull/215
    "cerebras-counts-the-index-up": (
        [[part("", "f", index=0, id="a")], [part("{", index=1)], [part("}", index=2)]],
        [call("{}", id="a")],
    ),
    # https://github.com/ggml-org/llama.cpp/issues/13774
    "name-repeated": (
        [[part("{", "f", index=0)], [part("}", "f", index=0)]],
        [call("{}", "f")],
    ),
    "name-repeated-without-index": (
        [[part('{"x": {}', "f")], [part("}", "f")]],
        [call('{"x": {}}', "f")],
    ),
    # https://github.com/continuedev/continue/pull/5849
    "name-split": (
        [[part(name="get_", index=0)], [part(name="it", index=0)], [part("{}", index=0)]],
        [call("{}", "get_it")],
    ),
    "arguments-are-an-object": ([[part({"x": 1}, "f", index=0)]], [call('{"x": 1}', "f")]),
    "arguments-are-no-json": ([[part("{x", "f", index=0)]], [call("{x", "f")]),
    "no-list": ([part("{}", "f", index=0)], [call("{}", "f")]),
    "index-of-many-digits": (
        [[part("{", "f", index=10**40)], [part("}", index=10**40)]],
        [call("{}")],
    ),
    "unknown-fields": (
        [
            [{"index": 0, "id": "a", "x": "b", "function": {"name": "f", "y": {"z": "c"}}}],
            [{"index": 0, "x": "d", "function": {"arguments": "{}", "y": {"z": "e"}}}],
        ],
        [{"id": "a", "x": "bd", "function": {**call("{}")["function"], "y": {"z": "ce"}}}],
    ),
    "custom": (
        [
            [{"index": 0, "type": "custom", "custom": {"name": "f", "input": "a"}}],
            [{"index": 0, "custom": {"input": "b", "x": 1, "y": None}}],
        ],
        [{"type": "custom", "custom": {"name": "f", "input": "ab", "x": 1}}],
    ),
    "custom-without-index": (
        [[{"custom": {"name": name, "input": name}}] for name in "fg"],
        [{"custom": {"name": name, "input": name}} for name in "fg"],
    ),
    "odd": (
        [[None, 5, "x"], None, [{"function": "f", "index": "0", "type": 5}]],
        [{"function": "f", "type": 5}],
    ),
    # https://github.com/BerriAI/litellm/issues/17425
    "nothing": ([[], None, {}, [{}], [{"index": 0, "function": {"name": ""}}]], []),
}


@pytest.mark.parametrize("name", CASES)
def test_fragments_become_calls(name: str) -> None:
    """Each fragment belongs to one call, whatever its server says of it."""
    events, calls = CASES[name]
    assert joined(*events)[0] == calls


def test_deltas_are_as_they_came() -> None:
    """A delta has the fields of its fragment, and the unknown ones beside them."""
    fields = {"extra_content": SIGNATURE, "z": None}
    custom = {"index": 1, "type": "custom", "custom": {"name": "g", "input": "a", "x": 1}}
    _, deltas = joined(
        [{**part("{", "f", index=0, id="a", type="function"), **fields}, custom],
        [{"index": 0, "function": {"arguments": {}, "y": 2}}],
    )
    assert deltas == [
        ToolCallDelta(0, "a", "f", "{", {"extra_content": SIGNATURE}),
        ToolCallDelta(1, None, "g", "a", {"type": "custom", "custom": {"x": 1}}),
        ToolCallDelta(0, None, None, "{}", {"function": {"y": 2}}),
    ]


def test_halves_of_a_surrogate_pair() -> None:
    """A character that a server cut in two is whole in the deltas and in the call."""
    halves = ('{"x": "\ud83e', "\udd8a", "\ud83e", '"}\ud83e')
    calls, deltas = joined(
        [part("", "\ud83e", index=0, id="\ud83e")], *([part(h, index=0)] for h in halves)
    )
    arguments = '{"x": "\U0001f98a\ufffd"}\ufffd'
    assert "".join(delta.arguments for delta in deltas) == arguments
    assert (deltas[0].id, deltas[0].name) == ("\ufffd", "\ufffd")
    text = calls[0]["function"]["arguments"]
    assert text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert text == '{"x": "\U0001f98a\ud83e"}\ud83e'


def test_checks_for_a_whole_object_are_few() -> None:
    """Arguments that look whole again and again are not parsed each time."""
    events = [[part('{"x": "', "f", index=0)], *([part("{ }", index=0)] for _ in range(64))]
    (whole,), _ = joined(*events)
    assert len(whole["function"]["arguments"]) == len('{"x": "') + 64 * 3


@given(st.lists(st.lists(st.text(), min_size=1), min_size=1, max_size=4), st.randoms())
def test_any_arguments_are_joined_in_their_order(
    calls: list[list[str]], random: Any
) -> None:
    """However the fragments of several calls mix, each call has its arguments."""
    order = [index for index, texts in enumerate(calls) for _ in texts]
    random.shuffle(order)
    left = [[f"[{index}", *texts] for index, texts in enumerate(calls)]
    heads = [
        [part(left[i].pop(0), f"f{i}", index=i, id=f"id{i}")] for i in range(len(left))
    ]
    events = [*heads, *([part(left[index].pop(0), index=index)] for index in order)]
    found, deltas = joined(*events)
    arguments = [call["function"]["arguments"] for call in found]
    assert arguments == [f"[{i}" + "".join(texts) for i, texts in enumerate(calls)]
    for index, text in enumerate(arguments):
        parts = [delta.arguments for delta in deltas if delta.index == index]
        assert "".join(parts) == text


def test_call_of_a_function() -> None:
    """The object of the older interface is joined, too."""
    calls = JoinedCalls()
    events = [{"name": "f"}, None, {"arguments": "{"}, "x", {}, {"arguments": "}\ud83e"}]
    deltas = [delta for event in events for delta in calls.add_function_call(raw_of(event))]
    assert deltas == [
        ToolCallDelta(name="f"),
        ToolCallDelta(arguments="{"),
        ToolCallDelta(arguments="}"),
    ]
    assert calls.end() == (ToolCallDelta(arguments="\ufffd"),)
    body = json.loads(msgspec.json.encode(calls.as_sent()))
    assert body == {"function_call": {"name": "f", "arguments": "{}\ud83e"}}
