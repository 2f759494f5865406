"""Functions that ask about one conversation, and the recipes that are built on them."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, nullcontext
from typing import TYPE_CHECKING, cast, get_args

import attrs

from limin.calls.served_model import ServedModelCheck
from limin.calls.warning_report import report_warnings
from limin.checkpoint.recorder import RecordedCall
from limin.errors import ConfigurationError
from limin.recipes.tool_calls import ToolRunner
from limin.recipes.tool_loop import ToolLimits, ToolLoop
from limin.values.checks import (
    check_argument,
    check_choice,
    check_flag,
    check_integer,
    check_length,
    check_seconds,
)
from limin.values.options import OnToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from limin.calls.call import Caller
    from limin.recipes.ask import Ask
    from limin.recipes.structured import TypedAsk, TypedStream
    from limin.schemas.json_schema import JsonSchema
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.options import BatchOptions, ToolRunOptions
    from limin.values.tool_runs import ToolRun
    from limin.values.tools import Tool
    from limin.values.warnings import ResponseWarning


def open_checkpoint(
    caller: Caller, options: BatchOptions | ToolRunOptions
) -> RecordedCall | None:
    """Return a function that asks as *caller* does, behind the checkpoint of *options*.

    None if there is no checkpoint.

    Raises:
        ConfigurationError: If an option of the checkpoint makes no sense.
    """
    path = options.get("checkpoint")
    fsync = check_flag("fsync", options.get("fsync", False))
    is_path = path is None or isinstance(path, (str, os.PathLike))
    check_argument("checkpoint", path, "a path or None", fits=is_path)
    return None if path is None else RecordedCall(caller, path, fsync=fsync)


def _open_ask(caller: Caller, options: ToolRunOptions) -> AbstractAsyncContextManager[Ask]:
    recorded = open_checkpoint(caller, options)
    return recorded or nullcontext(ServedModelCheck(caller).ask)


@attrs.frozen
class AnswerType:
    """The type of the answers, and how often to ask again about one that does not fit.

    Attributes:
        schema: The type.
        reask: How often at most to ask again.
    """

    schema: JsonSchema[object]
    reask: int = 0

    @classmethod
    def of(cls, response_type: object, reask: int = 0) -> AnswerType | None:
        """Return the type that *response_type* stands for; None for None.

        Raises:
            ConfigurationError: If it has no JSON schema, or *reask* makes no sense.
        """
        reask = check_integer("reask", reask, at_least=0)
        if response_type is None:
            if reask:
                problem = f"reask: expected response_type beside it, found reask={reask}"
                raise ConfigurationError(problem)
            return None
        from limin.values.typed_answers import as_schema  # noqa: PLC0415 (loads schemas)

        return cls(as_schema(response_type), reask)

    def typed_ask(self, ask: Ask, caller: Caller) -> TypedAsk[object]:
        """Return a function that asks as *ask* does, and reads the answers.

        Args:
            ask: Asks with requests of *caller*.
            caller: Says whether tools are offered, and how warnings are reported.
        """
        from limin.recipes.structured import TypedAsk, TypedReader  # noqa: PLC0415 (loads schemas)

        offers_tools, report = caller.encoder.offers_tools, _reporter(caller)
        return TypedAsk(ask, TypedReader(self.schema, offers_tools, report), self.reask)

    def typed_stream(self, caller: Caller) -> TypedStream[object]:
        """Return what reads one answer while it comes, for a stream of *caller*."""
        from limin.recipes.structured import TypedReader, TypedStream  # noqa: PLC0415 (loads schemas)

        offers_tools, report = caller.encoder.offers_tools, _reporter(caller)
        return TypedStream(TypedReader(self.schema, offers_tools, report))


def _reporter(caller: Caller) -> Callable[[TextCompletion[object], ResponseWarning], None]:
    """Return a function that reports a warning as *caller* does."""

    def report(completion: TextCompletion[object], warning: ResponseWarning) -> None:
        report_warnings(completion, caller.on_warning, caller.asked_at, (warning,))

    return report


async def run_with_tools(
    conversation: Conversation,
    tools: Sequence[Tool | Mapping[str, object]],
    callers: tuple[Caller, Caller],
    answer_type: AnswerType | None,
    options: ToolRunOptions,
) -> ToolRun[object]:
    """Return a run in which the model calls *tools*; see `Client.run_tools`.

    Args:
        conversation: The conversation at the start.
        tools: The tools that the model may call.
        callers: The first asks the first time, the second from then on.
        answer_type: The type of the last answer; None for any text.
        options: The limits of the run and the checkpoint.

    Raises:
        LiminError: If an option makes no sense, or a request failed.
    """
    limits = ToolLimits(
        max_rounds=check_integer("max_rounds", options.get("max_rounds", 8), at_least=1),
        max_calls=check_length("max_calls", options.get("max_calls")),
        max_seconds=check_seconds("max_seconds", options.get("max_seconds")),
    )
    on_error = options.get("on_tool_error", "tell")
    runner = ToolRunner(
        tools,
        n_parallel=check_integer("n_parallel", options.get("n_parallel", 8), at_least=1),
        timeout=check_seconds("tool_timeout", options.get("tool_timeout")),
        on_error=cast(
            "OnToolError", check_choice("on_tool_error", on_error, get_args(OnToolError))
        ),
    )
    async with AsyncExitStack() as stack:
        asks: list[Ask] = []
        for caller in callers:
            ask = await stack.enter_async_context(_open_ask(caller, options))
            asks.append(ask if answer_type is None else answer_type.typed_ask(ask, caller))
        return await ToolLoop(conversation, runner, limits).run(*asks)
