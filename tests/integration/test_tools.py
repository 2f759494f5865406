"""Tools with a real model, behind the real llama.cpp server.

A model of 135 million parameters hardly calls a tool by itself. What is live here: the
requests with the schemas of the tools, the messages of tools in the conversation, as the
server's template takes them, and the answers to them. What is scripted: the call itself,
which stands at the end of the conversation as if the model had made it. Runs in which
each call comes over the wire are in tests/test_run_tools.py, with scripted servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import limin
from limin import Conversation, Message, ToolCall, run_tools

if TYPE_CHECKING:
    from pathlib import Path


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is sunny in {city}, 21 degrees."


async def get_population(city: str) -> dict[str, int]:
    """Tell how many people live in a city."""
    return {city: 2_100_000}


CALLS = [
    ToolCall("call00001", "get_weather", '{"city": "Paris"}'),
    ToolCall("call00002", "get_population", '{"city": "Paris"}'),
    ToolCall("call00003", "get_time", "{}"),
]


def called() -> Conversation:
    """A conversation in which the tools have been called, and not answered."""
    question = Message("user", "What is the weather in Paris?")
    return Conversation([question, Message("assistant", None, tool_calls=CALLS)])


@pytest.mark.parametrize("stream", [False, True])
async def test_results_reach_the_model(*, stream: bool) -> None:
    """Calls are run, their results sent, and the model answers with them before it."""
    ended = await run_tools(
        called(),
        [get_weather, get_population],
        temperature=0,
        max_tokens=24,
        stream=stream,
    )
    assert ended.ended_by in {"answer", "length"}
    texts = [result.message.text for result in ended.calls]
    assert texts[:2] == ["It is sunny in Paris, 21 degrees.", '{"Paris":2100000}']
    assert texts[2].endswith("found 'get_time'")
    roles = [message.role for message in ended.conversation.messages]
    assert roles == ["user", "assistant", "tool", "tool", "tool", "assistant"]
    assert "get_time" in str(ended)  # Which only the last result names.
    assert ended.usage is not None
    assert ended.usage.prompt_tokens is not None
    assert ended.usage.prompt_tokens > 60


async def test_conversation_goes_on_behind_a_run() -> None:
    """The messages of the run are a conversation like any other."""
    ended = await run_tools(called(), [get_weather], temperature=0, max_tokens=24)
    ended.conversation.add_message(Message("user", "Is that warm?"))
    again = await run_tools(ended.conversation, [get_weather], max_tokens=8)
    assert len(again.conversation.messages) == len(ended.conversation.messages) + 1
    assert again.calls == ()


async def test_run_out_of_the_checkpoint(tmp_path: Path) -> None:
    """The second run is answered by the file."""
    path = tmp_path / "run.jsonl"
    runs = [
        await run_tools(called(), [get_weather], max_tokens=8, checkpoint=path)
        for _ in range(2)
    ]
    assert runs[1].completion.raw_bytes == runs[0].completion.raw_bytes
    assert len(list(limin.read_checkpoint(path))) == 1


async def test_call_that_the_server_does_not_force() -> None:
    """llama.cpp without a template for tools answers with a text, and a 200."""
    ended = await run_tools(
        "What is the capital of Germany?",
        [get_weather],
        tool_choice="required",
        temperature=0,
        max_tokens=32,
    )
    assert (ended.ended_by, ended.calls) == ("answer", ())
    codes = [warning.code for warning in ended.completion.warnings]
    assert codes == [limin.WarningCode.TOOL_CHOICE_IGNORED]
