"""Functions that ask about one conversation, and the recipes that are built on them."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, nullcontext
from typing import TYPE_CHECKING, cast, get_args

from limin.calls.served_model import ServedModelCheck
from limin.checkpoint.recorder import RecordedCall
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
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from limin.calls.call import Caller
    from limin.recipes.tool_loop import Ask
    from limin.values.conversation import Conversation
    from limin.values.options import BatchOptions, ToolRunOptions
    from limin.values.tool_runs import ToolRun
    from limin.values.tools import Tool


def open_ask(
    caller: Caller, options: BatchOptions | ToolRunOptions
) -> AbstractAsyncContextManager[Ask]:
    """Return a function that asks as *caller* does, with the checkpoint of *options*.

    Raises:
        ConfigurationError: If an option of the checkpoint makes no sense.
    """
    path = options.get("checkpoint")
    fsync = check_flag("fsync", options.get("fsync", False))
    is_path = path is None or isinstance(path, (str, os.PathLike))
    check_argument("checkpoint", path, "a path or None", fits=is_path)
    if path is None:
        return nullcontext(ServedModelCheck(caller).ask)
    return RecordedCall(caller, path, fsync=fsync)


async def run_with_tools(
    conversation: Conversation,
    tools: Sequence[Tool | Mapping[str, object]],
    first: Caller,
    later: Caller,
    options: ToolRunOptions,
) -> ToolRun:
    """Return a run in which the model calls *tools*; see `Client.run_tools`.

    Args:
        conversation: The conversation at the start.
        tools: The tools that the model may call.
        first: Asks the first time.
        later: Asks from then on.
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
        ask_first = await stack.enter_async_context(open_ask(first, options))
        ask_later = ask_first
        if later is not first:
            ask_later = await stack.enter_async_context(open_ask(later, options))
        return await ToolLoop(conversation, runner, limits).run(ask_first, ask_later)
