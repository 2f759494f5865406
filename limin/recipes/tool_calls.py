"""The calls of one round: each tool is run, and its result becomes a message."""

from __future__ import annotations

import inspect
import math
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio
import anyio.lowlevel
import anyio.to_thread

from limin.errors import ConfigurationError, ToolCallError
from limin.policy.failures import unwrap_single
from limin.recipes.tool_contents import content_of, text_of_error
from limin.values.messages import Message
from limin.values.safe_text import excerpt
from limin.values.tool_runs import ToolResult
from limin.values.tools import Tool, ToolCall, tool_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from limin.values.options import OnToolError

# The type of the calls that a `Tool` can answer.
_FUNCTION = "function"


class ToolRunner:
    """Runs the calls of a model, several at once."""

    def __init__(
        self,
        tools: Sequence[Tool | Mapping[str, object]],
        *,
        n_parallel: int,
        timeout: float | None,
        on_error: OnToolError,
    ) -> None:
        """Run functions of *tools*.

        Args:
            tools: The tools that the model is offered. A mapping is one that the server
                runs itself.
            n_parallel: Functions under way at most.
            timeout: Seconds for one function; None for no limit.
            on_error: Whether the model is told the type of an exception or its message
                as well, or it is raised.

        Raises:
            ConfigurationError: If a function may be called that is not there.
        """
        self._tools = {tool.name: tool for tool in tools if isinstance(tool, Tool)}
        for tool in tools:
            if _lacks_function(tool):
                found = f"none for {tool_name(tool)!r}"
                problem = f"tools: expected a function for each, found {found}"
                raise ConfigurationError(problem)
        self._n_parallel, self._timeout, self._on_error = n_parallel, timeout, on_error

    async def run(self, calls: Sequence[ToolCall], results: dict[int, ToolResult]) -> None:
        """Run *calls*, and put the result of each into *results* as soon as it is there.

        Args:
            calls: The calls of one answer.
            results: The results by the index of their call. It holds those that are
                finished, even if the rest is cancelled.

        Raises:
            Exception: The first exception of a function, if these are to be raised. The
                results hold it, too.
        """
        waiting = iter(enumerate(calls))
        failures: list[BaseException] = []

        async def work() -> None:
            for index, call in waiting:
                try:
                    await anyio.lowlevel.checkpoint_if_cancelled()
                    result = results[index] = await self._run_one(call)
                except (anyio.get_cancelled_exc_class(), GeneratorExit):
                    raise
                except BaseException as error:  # noqa: BLE001 (raised below, in no group)
                    failures.append(error)
                else:
                    failures.extend(self._find_failure(result))
                if failures:
                    group.cancel_scope.cancel()
                    return

        try:
            async with anyio.create_task_group() as group:
                for _ in range(min(self._n_parallel, len(calls))):
                    group.start_soon(work)
        except BaseExceptionGroup as exceptions:
            raise unwrap_single(exceptions) from None
        if failures:
            raise failures[0]

    def _find_failure(self, result: ToolResult) -> list[Exception]:
        """Return the exception of a function, if it is to be raised."""
        error = result.error
        is_told = self._on_error != "raise" or isinstance(error, ToolCallError)
        return [] if error is None or is_told else [error]

    async def _run_one(self, call: ToolCall) -> ToolResult:
        result: object = None
        error: Exception | None = None
        started = math.nan
        try:
            tool = self._find(call)
            arguments = tool.read_arguments(call.arguments)
            started = anyio.current_time()
            result = await self._call(tool, arguments)
            message = Message("tool", content_of(result), tool_call_id=call.id)
        except Exception as exception:  # noqa: BLE001 (the model is told, or it is raised)
            error = exception
            message = Message("tool", self._describe(error), tool_call_id=call.id)
        duration = 0.0 if math.isnan(started) else anyio.current_time() - started
        return ToolResult(
            call=call, message=message, result=result, error=error, duration=duration
        )

    def _find(self, call: ToolCall) -> Tool:
        """Return the tool that is called.

        Raises:
            ToolCallError: If there is none.
        """
        kind = (call.extra or {}).get("type", _FUNCTION)
        if kind == _FUNCTION and call.name in self._tools:
            return self._tools[call.name]
        expected, found = ", ".join(self._tools) or "none", repr(excerpt(call.name))
        if kind != _FUNCTION:
            found = f"one of the type {excerpt(str(kind))!r}"
        problem = f"expected a call of one of the functions {expected}, found {found}"
        raise ToolCallError(problem)

    async def _call(self, tool: Tool, arguments: Mapping[str, object]) -> object:
        """Return the result of a function.

        Raises:
            TimeoutError: If it takes too long.
            RuntimeError: If it ended by a cancellation that nobody but itself asked for.
        """
        try:
            with anyio.move_on_after(self._timeout):
                return await _call_function(tool, arguments)
        except anyio.get_cancelled_exc_class() as cancelled:
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # A task that the function awaits was cancelled, and not the run; asyncio's
            # task groups would end this worker without a word.
            problem = "the tool awaited something that was cancelled"
            raise RuntimeError(problem) from cancelled
        problem = f"no result within {self._timeout:g} seconds"
        raise TimeoutError(problem)

    def _describe(self, error: Exception) -> str:
        """Return what the model is told; messages may hold secrets."""
        if isinstance(error, ToolCallError):
            return f"error: {text_of_error(error)}"
        kind = f"error: {type(error).__name__}"
        text = text_of_error(error) if self._on_error == "tell-all" else ""
        return f"{kind}: {text}" if text else kind


def _lacks_function(tool: Tool | Mapping[str, object]) -> bool:
    """Return whether *tool* is one that limin would have to run, and cannot."""
    if isinstance(tool, Tool):
        return tool.function is None
    return tool.get("type", _FUNCTION) == _FUNCTION


async def _call_function(tool: Tool, arguments: Mapping[str, object]) -> object:
    """Return the result of a function; one that is not async runs in a thread."""
    function = partial(cast("Callable[..., object]", tool.function), **arguments)
    if inspect.iscoroutinefunction(function):
        result: object = function()
    else:
        # A limiter of its own, since a thread that is abandoned may keep its place. The
        # list hides a coroutine, which trio refuses as the result of a thread.
        (result,) = await anyio.to_thread.run_sync(
            lambda: [function()], abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
        )
    return (
        await cast("Awaitable[object]", result) if inspect.isawaitable(result) else result
    )
