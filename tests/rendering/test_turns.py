"""What a reader sees of each message."""

from collections.abc import Sequence
from typing import Any

import pytest

from limin.rendering.calls import ShownCall
from limin.rendering.turns import Refusal, ShownPart, Turn, find_turns
from limin.values.content import Image
from limin.values.messages import Message, Role
from limin.values.tool_runs import ToolResult
from limin.values.tools import ToolCall

CALL = ToolCall("1", "get_weather", "{}")


def find_one(*arguments: Any, **fields: Any) -> Turn:
    """Return the turn of a single message."""
    (turn,) = find_turns([Message(*arguments, **fields)])
    return turn


def find_names(messages: Sequence[Message]) -> list[str]:
    """Return role and names of each message."""
    return [" ".join((turn.role, *turn.names)) for turn in find_turns(messages)]


def test_tools_have_the_names_of_their_calls() -> None:
    """The id of a call finds its name; the last call of an id counts."""
    messages = [
        Message("tool", "too early", tool_call_id="1"),
        Message("assistant", tool_calls=[CALL, {"id": "2", "function": {"name": "user"}}]),
        Message("tool", tool_call_id="2"),
        Message("tool", tool_call_id="1"),
        Message("tool", tool_call_id="3"),
        Message("tool"),
        Message("assistant", tool_calls=[ToolCall("1", "now", "{}"), {"id": "2"}, {}]),
        Message("tool", tool_call_id="1"),
        Message("tool", tool_call_id="2"),
        Message("user", tool_call_id="1"),
    ]
    assert find_names(messages) == [
        "tool",
        "assistant",
        "tool user",
        "tool get_weather",
        "tool",
        "tool",
        "assistant",
        "tool now",
        "tool",
        "user",
    ]


@pytest.mark.parametrize(
    ("role", "name", "shown"),
    [
        ("user", "alice", 'user "alice"'),
        ("user", "system", 'user "system"'),
        ("system", "", 'system ""'),
        ("tool", "camera", 'tool "camera"'),
        ("function", "camera", "function camera"),
        ("function", "user ──", 'function "user␣──"'),
        ("function", None, "function"),
    ],
)
def test_names_beside_roles(role: Role, name: str | None, shown: str) -> None:
    """A speaker is quoted; the function of OpenAI's older interface is not."""
    assert find_names([Message(role, name=name)]) == [shown]


@pytest.mark.parametrize(("name", "shown"), [("get_weather", ""), ("user", ' "user"')])
def test_name_of_a_tool_that_is_called(name: str, shown: str) -> None:
    """A tool's own name is shown only if it is not the name of the call."""
    messages = [
        Message("assistant", tool_calls=[CALL]),
        Message("tool", name=name, tool_call_id="1"),
    ]
    assert find_names(messages)[1] == f"tool get_weather{shown}"


def test_blocks_are_in_their_order() -> None:
    """Texts, parts and refusals keep their order; empty texts are left out."""
    image = Image("https://example.com")
    turn = find_one(
        "user",
        [
            "a",
            image,
            {"type": "text", "text": "b", "cache_control": {}},
            "",
            {"type": "refusal", "refusal": "no"},
            {"type": "refusal"},
            {"type": "video_url"},
        ],
        extra={"refusal": "never"},
    )
    assert turn.blocks == (
        "a",
        ShownPart("<image by URL>", image),
        "b",
        Refusal("no"),
        ShownPart("<refusal>"),
        ShownPart("<video_url>"),
        Refusal("never"),
    )


@pytest.mark.parametrize("content", ["", None, [], [""]])
def test_message_without_content(content: Any) -> None:
    """A message of nothing is one empty text, unless it has calls."""
    assert find_one("assistant", content).blocks == ("",)
    assert find_one("assistant", content, tool_calls=[CALL]).blocks == ()


def test_fields_of_servers() -> None:
    """Of the fields that limin does not know, only what is said to the user is seen."""
    extra: dict[str, object] = {"reasoning_content": "hm", "refusal": None, "content": 5}
    turn = find_one("assistant", None, omit_content=True, extra=extra)
    assert turn.blocks == (ShownPart("<content>"),)
    assert find_one("assistant", extra={"refusal": ""}).blocks == ("",)


def test_older_call() -> None:
    """The call of OpenAI's older interface is one."""
    extra = {"function_call": {"name": "f", "arguments": '{"a": 1}'}}
    assert find_one("assistant", None, extra=extra).calls == (ShownCall("f", ("a=1",)),)
    assert find_one("assistant", extra={"function_call": "auto"}).calls == ()


def test_failures() -> None:
    """The message of a result is known by being the same, whatever it holds."""
    messages = [Message("tool", "x"), Message("tool", "x"), Message("tool", "x")]
    hostile = type("User ──", (Exception,), {})
    results = [
        ToolResult(call=CALL, message=messages[0]),
        ToolResult(call=CALL, message=messages[1], error=ValueError("secret")),
        ToolResult(call=CALL, message=messages[2], error=hostile()),
    ]
    turns = list(find_turns(messages, results))
    assert [turn.failure for turn in turns] == [None, "ValueError", '"User␣──"']
    assert all(turn.is_result for turn in turns)
    assert find_one("function").is_result
    assert not find_one("user").is_result
