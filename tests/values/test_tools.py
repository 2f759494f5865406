from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import ConfigurationError, ConversationError
from limin.values.tools import (
    Tool,
    ToolCall,
    ToolCallDelta,
    check_tool_choice,
    to_tools,
    tool_choice_to_openai,
    tool_name,
)

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("weather", "Tell the weather of a city.", SCHEMA)
WEATHER_AS_SENT = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather of a city.",
        "parameters": SCHEMA,
    },
}
SEARCH: dict[str, Any] = {"type": "function", "function": {"name": "search"}}
OWN: dict[str, Any] = {"type": "web_search"}
OTHERS = "expected fields other than id, name and arguments, found one of them"
TOO_DEEP = "expected values that JSON can hold, found too deep a nesting"


def circle() -> dict[str, Any]:
    """A mapping that holds itself."""
    mapping: dict[str, Any] = {}
    mapping["secret"] = mapping
    return mapping


def test_call() -> None:
    """A call has OpenAI's shape, and its arguments stay the text that came."""
    call = ToolCall("call-1", "weather", '{"city":  "Paris"}')
    assert call.to_openai() == {
        "id": "call-1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":  "Paris"}'},
    }
    assert repr(call) == "ToolCall(id='call-1', name='weather', arguments=<18 characters>)"
    assert len({call, ToolCall("call-1", "weather", '{"city":  "Paris"}')}) == 1


def test_unknown_fields_of_a_call() -> None:
    """Fields that only one server knows go back to it where they were."""
    extra = {
        "extra_content": {"google": {"thought_signature": "abc"}},
        "function": {"index": 0},
    }
    call = ToolCall("a", "b", "{}", extra=extra)
    sent = call.to_openai()
    assert sent == {
        "id": "a",
        "type": "function",
        "function": {"name": "b", "arguments": "{}", "index": 0},
        "extra_content": {"google": {"thought_signature": "abc"}},
    }
    sent["function"]["index"] = 1  # type: ignore[index]  # it is a dict
    assert call.extra == extra
    assert ToolCall.from_openai(call.to_openai()) == call


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": "a", "type": "function"},
        {"id": "a", "type": "function", "function": "b"},
        {"id": "a", "type": "function", "function": {"name": "b", "arguments": None}},
        {"id": None, "type": "function", "function": {"name": "b", "arguments": ""}},
        {"id": "a", "type": "custom", "function": {"name": "b", "arguments": ""}},
        {"id": "a", "function": {"name": "b", "arguments": ""}},
        {"id": "a", "type": "custom", "custom": {"name": "b", "input": "c"}},
    ],
)
def test_call_that_no_class_holds(fields: dict[str, Any]) -> None:
    """Other calls stay mappings, since nothing of them may get lost."""
    kept = ToolCall.from_openai(fields)
    assert kept == fields
    assert kept is not fields


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"id": None}, "id of a tool call: expected a str, found a NoneType"),
        ({"name": 3}, "name of a tool call: expected a str, found an int"),
        ({"arguments": {}}, "arguments of a tool call: expected a str, found a dict"),
        (
            {"extra": ["secret"]},
            "extra of a tool call: expected a mapping or None, found a list",
        ),
        (
            {"extra": {"function": "secret"}},
            "extra of a tool call: expected a mapping as `function`, found a str",
        ),
        (
            {"extra": {"id": "secret"}},
            f"extra of a tool call: {OTHERS}",
        ),
        (
            {"extra": {"function": {"arguments": "secret"}}},
            f"extra of a tool call: {OTHERS}",
        ),
        ({"extra": circle()}, f"extra of a tool call: {TOO_DEEP}"),
    ],
)
def test_call_of_other_types(fields: dict[str, Any], problem: str) -> None:
    """Each field says what it takes, and shows nothing of what it was given."""
    with pytest.raises(ConversationError) as caught:
        attrs.evolve(ToolCall("a", "b", "{}"), **fields)
    assert str(caught.value) == problem


def test_call_of_other_libraries() -> None:
    """Texts of numpy become Python's own, and no fields are None."""
    call = ToolCall(np.str_("a"), np.str_("b"), np.str_("{}"), extra={})
    assert call == ToolCall("a", "b", "{}")
    assert {type(call.id), type(call.name), type(call.arguments)} == {str}


def test_delta_shows_no_arguments() -> None:
    """What a model writes stays out of reprs, piece by piece, too."""
    delta = ToolCallDelta(0, "a", "weather", "secret", {"more": "secret"})
    assert repr(delta) == (
        "ToolCallDelta(index=0, id='a', name='weather', arguments=<6 characters>)"
    )


def test_tool() -> None:
    """A tool has OpenAI's shape; `strict` is sent if it is wanted."""
    assert WEATHER.to_openai() == WEATHER_AS_SENT
    strict = attrs.evolve(WEATHER, strict=np.bool_(True)).to_openai()  # noqa: FBT003 (numpy's flag)
    assert strict["function"] == {**WEATHER_AS_SENT["function"], "strict": True}  # type: ignore[dict-item]  # it is a dict
    assert repr(WEATHER) == "Tool(name='weather', function=None, strict=False)"


def test_tool_is_a_copy() -> None:
    """Nobody else changes the schema that is sent."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    tool = Tool("a", "b", schema)
    schema["properties"]["c"] = {}
    tool.to_openai()["function"]["parameters"]["properties"]["d"] = {}  # type: ignore[index]  # dicts
    assert tool.parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize("name", ["a", "A-b_9", "a" * 64])
def test_name_that_fits(name: str) -> None:
    """A name has 1 to 64 letters, digits, `_` and `-`."""
    assert Tool(name, "", {}).name == name


NAME = "name of a tool: expected 1 to 64 letters, digits, `_` and `-`, found"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": ""}, f"{NAME} another str"),
        ({"name": "a" * 65}, f"{NAME} another str"),
        ({"name": "my secret"}, f"{NAME} another str"),
        ({"name": "secret\n"}, f"{NAME} another str"),
        ({"name": "\N{LATIN SMALL LETTER U WITH DIAERESIS}"}, f"{NAME} another str"),
        ({"name": 3}, f"{NAME} an int"),
        ({"description": None}, "description of a tool: expected a str, found a NoneType"),
        (
            {"parameters": "secret"},
            "parameters of a tool: expected a JSON schema, found a str",
        ),
        ({"parameters": circle()}, f"parameters of a tool: {TOO_DEEP}"),
        (
            {"function": "secret"},
            "function of a tool: expected a function or None, found a str",
        ),
        ({"strict": "yes"}, "strict of a tool: expected True or False, found a str"),
    ],
)
def test_tool_of_other_types(fields: dict[str, Any], problem: str) -> None:
    """Each field says what it takes, and shows nothing of what it was given."""
    with pytest.raises(ConfigurationError) as caught:
        attrs.evolve(WEATHER, **fields)
    assert str(caught.value) == problem


def test_tools() -> None:
    """Tools and mappings are taken as they are; tools of a server need no name."""
    assert to_tools([WEATHER, SEARCH, OWN, OWN]) == (WEATHER, SEARCH, OWN, OWN)
    assert to_tools(()) == ()
    mapping: dict[str, Any] = {"type": "function", "function": {"name": "a"}}
    (kept,) = to_tools([mapping])
    mapping["function"]["name"] = "b"
    assert kept == {"type": "function", "function": {"name": "a"}}


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        (WEATHER, "tools: expected a sequence of tools, found a Tool"),
        ("secret", "tools: expected a sequence of tools, found a str"),
        (None, "tools: expected a sequence of tools, found a NoneType"),
        (
            [WEATHER, "secret"],
            "tools[1]: expected a function, a Tool or a mapping, found a str",
        ),
        ([WEATHER, circle()], f"tools[1]: {TOO_DEEP}"),
        (
            [OWN, WEATHER, SEARCH, {"function": {"name": "weather"}}],
            "tools: expected another name for each, found one for tools[1] and tools[3]",
        ),
    ],
)
def test_tools_that_are_none(tools: Any, problem: str) -> None:
    """What is no tool, or the second of a name, is refused by its place."""
    with pytest.raises(ConfigurationError) as caught:
        to_tools(tools)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        (WEATHER, "weather"),
        (SEARCH, "search"),
        (OWN, None),
        ({"function": {"name": 3}}, None),
        ({"function": {}}, None),
    ],
)
def test_tool_name(tool: Tool | dict[str, Any], name: str | None) -> None:
    """The name is that of the function, and a server's own tool has none."""
    assert tool_name(tool) == name


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("search", {"type": "function", "function": {"name": "search"}}),
        ({"type": "web_search"}, {"type": "web_search"}),
    ],
)
def test_tool_choice(choice: Any, sent: object) -> None:
    """A name goes out in OpenAI's shape, and a mapping as it is."""
    check_tool_choice(choice, [WEATHER, SEARCH])
    assert tool_choice_to_openai(choice) == sent


def test_tool_choice_that_none_can_follow() -> None:
    """A choice without tools, or of another tool, is refused before it is sent."""
    with pytest.raises(ConfigurationError) as caught:
        check_tool_choice("auto", [])
    assert str(caught.value) == "tool_choice: expected tools= beside it, found it alone"
    with pytest.raises(ConfigurationError) as caught:
        check_tool_choice("secret", [WEATHER, OWN])
    assert str(caught.value) == (
        "tool_choice: expected auto, none, required or the name of a tool, "
        "found another str"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text() | JSON,
        "type": st.just("function") | JSON,
        "function": st.fixed_dictionaries(
            {},
            optional={
                "name": st.text() | JSON,
                "arguments": st.text() | JSON,
                "more": JSON,
            },
        )
        | JSON,
        "extra_content": JSON,
    },
)


@given(fields=CALLS)
def test_nothing_of_a_call_is_lost(fields: dict[str, Any]) -> None:
    """A call comes back as it was, whatever is in it."""
    call = ToolCall.from_openai(fields)
    assert (call.to_openai() if isinstance(call, ToolCall) else call) == fields
