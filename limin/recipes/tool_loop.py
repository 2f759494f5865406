"""The loop of tools: ask, run the calls, answer them, ask again.

It is built on a function that asks, and does not know what else that function does,
such as keeping each answer in a checkpoint.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NoReturn, cast

import anyio
import anyio.lowlevel
import attrs

from limin.errors import (
    ConfigurationError,
    LiminError,
    RequestTimeoutError,
    StructuredOutputError,
    ToolRunError,
)
from limin.policy.failures import StopBatch
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

# A model that has repeated its calls twice, in spite of their results, goes on so.
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
        self._rounds: list[list[object]] = []

    async def run(self, first: Ask, later: Ask) -> ToolRun[object]:
        """Ask until the run ends.

        If the conversation ends with calls that have no result, they are run first.

        Args:
            first: Asks the first time. It may raise `StopBatch`, to end the run with an
                error after the answer in it.
            later: Asks from then on, and may do the same.

        Raises:
            LiminError: If a request failed. Its `tool_run` is the run before it.
            RequestTimeoutError: If the time was over before the first answer.
            ConfigurationError: If more calls are open at the start than may be run.
            Exception: An exception of a tool, if these are to be raised. Its cause is a
                `ToolRunError`, whose `tool_run` is the run before it.
        """
        seconds = self._limits.max_seconds
        ended_by: EndedBy = "deadline"
        try:
            with anyio.move_on_after(seconds):
                ended_by = await self._run(first, later)
        except StopBatch as stop:
            self._append(_completion_in(stop.result))
            stop.error.tool_run = self._so_far("error")
            raise stop.error from stop.error.__cause__
        except Exception as error:  # noqa: BLE001 (raised again with the run)
            self._raise_with_run(error)
        if not self._completions:
            reason = f"no complete answer within {seconds or math.inf:g} seconds"
            self._raise_with_run(RequestTimeoutError(reason, seconds))
        return self._so_far(ended_by)

    async def _run(self, ask: Ask, later: Ask) -> EndedBy:
        await self._answer_open_calls()
        for _ in range(self._limits.max_rounds):
            await anyio.lowlevel.checkpoint_if_cancelled()
            completion = await ask(_copy(self._conversation))
            message = self._append(completion)
            calls = _find_calls(message, completion)
            if completion.finish_reason == "length":
                return "length"
            if not calls:
                return "answer"
            n_left = self._count_calls_left()
            await self._answer(calls[:n_left], message)
            if n_left is not None and n_left < len(calls):
                return "max-calls"
            if self._is_repeating:
                return "repeats"
            ask = later
        return "max-rounds"

    def _append(self, completion: TextCompletion[object]) -> Message:
        """Append the answer, and return it as a message."""
        message = completion.to_message()
        self._completions.append(completion)
        self._conversation.messages.append(message)
        return message

    def _count_calls_left(self) -> int | None:
        """Return how many calls may be run; None for any number."""
        most = self._limits.max_calls
        return None if most is None else max(most - len(self._results), 0)

    async def _answer_open_calls(self) -> None:
        """Run the calls at the end of the conversation that have no result."""
        message, calls = _find_open_calls(self._conversation)
        n_left = self._count_calls_left()
        if n_left is not None and n_left < len(calls):
            expected = f"at least {len(calls)}, the open calls of the conversation"
            problem = f"max_calls: expected {expected}, found {n_left}"
            raise ConfigurationError(problem)
        if calls:
            await self._answer(calls, message)

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
            self._rounds.append([_key_of(result) for result in ordered])

    @property
    def _is_repeating(self) -> bool:
        """Whether the last rounds had equal calls with equal results.

        Equal calls of one answer are no repetition: the model has seen no result yet.
        """
        last = self._rounds[-_MOST_EQUAL:]
        return len(last) == _MOST_EQUAL and all(calls == last[0] for calls in last)

    def _raise_with_run(self, error: Exception) -> NoReturn:
        """Raise *error* with the run so far.

        The run is its `tool_run`. An exception that cannot have one, or has one of its
        own from a run inside a tool, has it in its cause; the cause that it had already
        becomes the cause of that.
        """
        has_run = bool(self._completions or self._results)
        run = self._so_far("error") if has_run else None
        if isinstance(error, LiminError) and error.tool_run is None:
            error.tool_run = run
            raise error
        cause = ToolRunError(type(error).__name__)
        cause.tool_run = run
        context = None if error.__suppress_context__ else error.__context__
        cause.__cause__ = error.__cause__ or context
        raise error from cause

    def _so_far(self, ended_by: EndedBy) -> ToolRun[object]:
        return ToolRun(
            conversation=_copy(self._conversation),
            completions=tuple(self._completions),
            calls=tuple(self._results),
            ended_by=ended_by,
        )


def _completion_in(result: object) -> TextCompletion[object]:
    """Return the answer that a stopped request brought, typed or not."""
    if isinstance(result, StructuredOutputError):
        return result.completion
    return cast("TextCompletion[object]", result)


def _copy(conversation: Conversation) -> Conversation:
    return Conversation(conversation.messages, metadata=conversation.metadata)


def _key_of(result: ToolResult) -> object:
    return result.call.name, result.call.arguments, result.message.content


def _find_calls(message: Message, completion: TextCompletion[object]) -> Sequence[ToolCall]:
    """Return every call of an answer, those of an unknown kind too.

    They are refused, but each has to be answered before the model can go on.
    """
    if not message.tool_calls:
        return completion.tool_calls
    return list(map(_as_call, message.tool_calls))


def _find_open_calls(conversation: Conversation) -> tuple[Message, list[ToolCall]]:
    """Return the last message that is no result, and its calls that have no result."""
    answered: Counter[str | None] = Counter()
    message, *earlier = reversed(conversation.messages)
    for previous in earlier:
        if message.role != "tool":
            break
        answered[message.tool_call_id] += 1
        message = previous
    calls: list[ToolCall] = []
    for call in map(_as_call, message.tool_calls):
        if answered[call.id]:
            answered[call.id] -= 1
        else:
            calls.append(call)
    return message, calls


def _as_call(call: ToolCall | Mapping[str, object]) -> ToolCall:
    """Return *call*; if its type is no function, what a `ToolCall` can hold of it."""
    if isinstance(call, ToolCall):
        return call
    call_id, kind = call.get("id"), call.get("type")
    body = call.get(kind) if isinstance(kind, str) else None
    name = cast("Mapping[str, object]", body).get("name") if isinstance(body, dict) else ""
    return ToolCall(
        call_id if isinstance(call_id, str) else "",
        name if isinstance(name, str) else "",
        "",
        extra={"type": kind} if isinstance(kind, str) else None,
    )


def _as_function_result(result: ToolResult) -> ToolResult:
    """Return *result* with a message for OpenAI's older interface, which names no call."""
    message = Message("function", result.message.content, name=result.call.name)
    return attrs.evolve(result, message=message)
