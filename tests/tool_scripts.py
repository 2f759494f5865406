"""Answers of a model that calls tools, and a function that gives them in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from builders import read

from limin.recipes.tool_calls import ToolRunner
from limin.recipes.tool_loop import ToolLimits, ToolLoop
from limin.values.conversation import Conversation
from limin.values.tools import to_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from limin.recipes.tool_loop import Ask
    from limin.values.completion import TextCompletion
    from limin.values.options import OnToolError
    from limin.values.tool_runs import ToolRun
    from limin.values.tools import ToolSource

TOKENS = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}


def call(name: str, arguments: str = "{}", call_id: str = "c1", **fields: Any) -> Any:
    """Return the call of a function, as a server sends it."""
    body = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": body, **fields}


def calling(*calls: Any, finish_reason: str = "tool_calls", **message: Any) -> Any:
    """Return the body of an answer with *calls*."""
    message = {"role": "assistant", "content": None, "tool_calls": list(calls), **message}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": TOKENS}


def saying(text: str = "done", finish_reason: str = "stop") -> Any:
    """Return the body of an answer without calls."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": TOKENS}


@attrs.define
class Script:
    """A function that asks: it gives the next answer, or raises it.

    Attributes:
        answers: Bodies, exceptions, and functions that wait for a body.
        asked: The conversations that it was asked about.
    """

    answers: Iterable[Any]
    asked: list[Conversation] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.answers = iter(self.answers)

    async def __call__(self, conversation: Conversation) -> TextCompletion:
        self.asked.append(conversation)
        answer = next(self.answers)  # type: ignore[call-overload]  # an iterator by now
        if callable(answer):
            answer = await answer()
        if isinstance(answer, Exception):
            raise answer
        return read(answer, conversation=conversation)


async def run(
    script: Script,
    tools: Iterable[ToolSource] = (),
    conversation: Conversation | None = None,
    *,
    later: Ask | None = None,
    max_rounds: int = 8,
    max_calls: int | None = None,
    max_seconds: float | None = None,
    n_parallel: int = 8,
    tool_timeout: float | None = None,
    on_error: OnToolError = "tell",
) -> ToolRun:
    """Run the loop over *script*."""
    runner = ToolRunner(
        to_tools(list(tools)),
        n_parallel=n_parallel,
        timeout=tool_timeout,
        on_error=on_error,
    )
    limits = ToolLimits(max_rounds=max_rounds, max_calls=max_calls, max_seconds=max_seconds)
    start = conversation or Conversation.from_prompts("hello")
    return await ToolLoop(start, runner, limits).run(script, later or script)


def sent(conversation: Conversation, start: int = 1) -> list[Mapping[str, object]]:
    """Return the messages as the server gets them, from the index *start* on."""
    return conversation.to_openai()[start:]


async def told(
    function: Callable[..., object], arguments: str = "{}", **options: Any
) -> Any:
    """Return what the model is told after its only call, of *function*."""
    name = getattr(function, "__name__", "tool")
    script = Script([calling(call(name, arguments)), saying()])
    ended = await run(script, [function], **options)
    assert ended.ended_by == "answer"
    return sent(script.asked[-1])[-1]["content"]
