"""The loop of tools: ask, run the calls, answer them, ask again.

It is built on a function that asks, and does not know what else that function does,
such as keeping each answer in a checkpoint.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio
import attrs

from limin.errors import LiminError, RequestTimeoutError, ToolRunError
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.tool_runs import ToolRun
from limin.values.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from limin.recipes.ask import Ask
    from limin.recipes.tool_calls import ToolRunner
    from limin.values.completion import TextCompletion
    from limin.values.tool_runs import EndedBy, ToolResult

# A model that has repeated a call twice, in spite of its result, goes on so.
_MOST_EQUAL = 3


@attrs.frozen(kw_only=True)
class ToolLimits:
    """The limits of a run.

    Attributes:
        max_rounds: Requests at most.
        max_calls: Calls of tools at most; None for no limit.
        max_seconds: Seconds for the whole run; None for no limit.
    """

    max_rounds: int
    max_calls: int | None
    max_seconds: float | None


class ToolLoop:
    """One run: the conversation grows until there is a reason to end."""

    def __init__(
        self, conversation: Conversation, runner: ToolRunner, limits: ToolLimits
    ) -> None:
        """Start with a copy of *conversation*."""
        self._conversation = _copy(conversation)
        self._runner, self._limits = runner, limits
        self._completions: list[TextCompletion[object]] = []
        self._results: list[ToolResult] = []

    async def run(self, first: Ask, later: Ask) -> ToolRun[object]:
        """Ask until the run ends.

        Args:
            first: Asks the first time.
            later: Asks from then on.

        Raises:
            LiminError: If a request failed. Its `tool_run` is the run before it.
            RequestTimeoutError: If the time was over before the first answer.
            Exception: An exception of a tool, if these are to be raised. Its cause is a
                `ToolRunError`, whose `tool_run` is the run before it.
        """
        seconds = self._limits.max_seconds
        ended_by: EndedBy = "deadline"
        try:
            with anyio.move_on_after(seconds):
                ended_by = await self._run(first, later)
        except LiminError as error:
            error.tool_run = self._so_far("error") if self._completions else None
            raise
        except Exception as error:
            cause = ToolRunError(type(error).__name__)
            cause.tool_run = self._so_far("error")
            raise error from cause
        if not self._completions:
            reason = f"no complete answer within {seconds or math.inf:g} seconds"
            raise RequestTimeoutError(reason, seconds)
        return self._so_far(ended_by)

    async def _run(self, ask: Ask, later: Ask) -> EndedBy:
        for _ in range(self._limits.max_rounds):
            completion = await ask(_copy(self._conversation))
            message = completion.to_message()
            self._completions.append(completion)
            self._conversation.messages.append(message)
            calls = _find_calls(message, completion)
            if completion.finish_reason == "length":
                return "length"
            if not calls:
                return "answer"
            most = self._limits.max_calls
            n_left = len(calls) if most is None else max(most - len(self._results), 0)
            await self._answer(calls[:n_left], message)
            if n_left < len(calls):
                return "max-calls"
            if self._is_repeating:
                return "repeats"
            ask = later
        return "max-rounds"

    async def _answer(self, calls: Sequence[ToolCall], message: Message) -> None:
        """Run *calls* of *message*, and append the results in the order of the calls.

        Results that are there are kept, whatever ends the rest.
        """
        results: dict[int, ToolResult] = {}
        try:
            await self._runner.run(calls, results)
        finally:
            ordered = [results[index] for index in sorted(results)]
            if not message.tool_calls:  # Called by the older interface.
                ordered = list(map(_as_function_result, ordered))
            self._results += ordered
            self._conversation.messages += [result.message for result in ordered]

    @property
    def _is_repeating(self) -> bool:
        """Whether the last calls are equal, and so are their results."""
        last = [
            (result.call.name, result.call.arguments, result.message.content)
            for result in self._results[-_MOST_EQUAL:]
        ]
        return len(last) == _MOST_EQUAL and all(entry == last[0] for entry in last)

    def _so_far(self, ended_by: EndedBy) -> ToolRun[object]:
        return ToolRun(
            conversation=_copy(self._conversation),
            completions=tuple(self._completions),
            calls=tuple(self._results),
            ended_by=ended_by,
        )


def _copy(conversation: Conversation) -> Conversation:
    return Conversation(conversation.messages, metadata=conversation.metadata)


def _find_calls(message: Message, completion: TextCompletion[object]) -> Sequence[ToolCall]:
    """Return every call of an answer, those of an unknown kind too.

    They are refused, but each has to be answered before the model can go on.
    """
    if not message.tool_calls:
        return completion.tool_calls
    return [_as_call(call) for call in message.tool_calls]


def _as_call(call: ToolCall | Mapping[str, object]) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    call_id, kind = call.get("id"), call.get("type")
    return ToolCall(
        call_id if isinstance(call_id, str) else "",
        kind if isinstance(kind, str) else "",
        "",
    )


def _as_function_result(result: ToolResult) -> ToolResult:
    """Return *result* with a message for OpenAI's older interface, which names no call."""
    message = Message("function", result.message.content, name=result.call.name)
    return attrs.evolve(result, message=message)
