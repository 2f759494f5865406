"""The calls of one round: each tool is run, and its result becomes a message."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread
import msgspec

from limin.errors import ConfigurationError, ToolCallError
from limin.values.checks import plain_json
from limin.values.content import Audio, File, Image
from limin.values.messages import Message
from limin.values.safe_text import excerpt
from limin.values.tool_runs import ToolResult
from limin.values.tools import Tool, ToolCall, tool_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from limin.values.content import Part
    from limin.values.options import OnToolError


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
            tools: Those that are not mappings have functions.
            n_parallel: Functions under way at most.
            timeout: Seconds for one function; None for no limit.
            on_error: Whether the model is told the type of an exception or its message
                as well, or it is raised.

        Raises:
            ConfigurationError: If a tool has no function.
        """
        self._tools = {tool.name: tool for tool in tools if isinstance(tool, Tool)}
        for name, tool in self._tools.items():
            if tool.function is None:
                problem = f"tools: expected a function for each, found none for {name!r}"
                raise ConfigurationError(problem)
        self._names = [name for name in map(tool_name, tools) if name is not None]
        self._n_parallel, self._timeout, self._on_error = n_parallel, timeout, on_error

    async def run(self, calls: Sequence[ToolCall], results: dict[int, ToolResult]) -> None:
        """Run *calls*, and put the result of each into *results* as soon as it is there.

        Args:
            calls: The calls of one answer.
            results: The results by the index of their call. It holds those that are
                finished, even if the rest is cancelled.

        Raises:
            Exception: The first exception of a function, if these are to be raised.
        """
        waiting = iter(enumerate(calls))
        threads = anyio.CapacityLimiter(self._n_parallel)
        failures: list[Exception] = []

        async def work() -> None:
            for index, call in waiting:
                try:
                    results[index] = await self._run_one(call, threads)
                except Exception as error:  # noqa: BLE001 (raised below, outside of the group)
                    failures.append(error)
                    group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for _ in range(min(self._n_parallel, len(calls))):
                group.start_soon(work)
        if failures:
            raise failures[0]

    async def _run_one(self, call: ToolCall, threads: anyio.CapacityLimiter) -> ToolResult:
        before = anyio.current_time()
        result: object = None
        error: Exception | None = None
        try:
            tool = self._find(call)
            arguments = tool.read_arguments(call.arguments)
            with anyio.fail_after(self._timeout):
                result = await _call_function(tool, arguments, threads)
            content = content_of(result)
        except ToolCallError as problem:
            error, content = problem, f"error: {problem}"
        except Exception as exception:
            if self._on_error == "raise":
                raise
            error, content = exception, self._describe(exception)
        seconds = anyio.current_time() - before
        message = Message("tool", content, tool_call_id=call.id)
        return ToolResult(
            call=call, message=message, result=result, error=error, duration=seconds
        )

    def _find(self, call: ToolCall) -> Tool:
        """Return the tool that is called.

        Raises:
            ToolCallError: If there is none.
        """
        if call.name in self._tools:
            return self._tools[call.name]
        names, found = ", ".join(self._names), excerpt(call.name)
        problem = f"expected one of the tools {names}, found {found!r}"
        raise ToolCallError(problem)

    def _describe(self, error: Exception) -> str:
        """Return what the model is told; messages may hold secrets."""
        kind = f"error: {type(error).__name__}"
        return f"{kind}: {error}" if self._on_error == "tell-all" else kind


async def _call_function(
    tool: Tool, arguments: Mapping[str, object], threads: anyio.CapacityLimiter
) -> object:
    """Return the result of a function; one that is not async runs in a thread."""
    function = partial(cast("Callable[..., object]", tool.function), **arguments)
    if inspect.iscoroutinefunction(function):
        result: object = function()
    else:
        result = await anyio.to_thread.run_sync(
            function, abandon_on_cancel=True, limiter=threads
        )
    return (
        await cast("Awaitable[object]", result) if inspect.isawaitable(result) else result
    )


def content_of(result: object) -> str | list[Part]:
    """Return the *result* of a function as the content of a message.

    Text stays text, pictures and other parts stay parts; the rest becomes JSON, or the
    text of an object that JSON cannot hold.
    """
    if isinstance(result, str):
        return result.encode(errors="replace").decode()
    if isinstance(result, (Image, Audio, File)):
        return [result]
    if isinstance(result, (list, tuple)):
        entries = cast("Sequence[object]", result)
        if any(isinstance(entry, (Image, Audio, File)) for entry in entries):
            return cast("list[Part]", list(entries))
    return msgspec.json.encode(result, enc_hook=_encode_other).decode()


def _encode_other(value: object) -> object:
    """Return *value* as something that JSON can hold."""
    dump: object = getattr(value, "model_dump", None)  # pydantic's.
    if callable(dump) and not isinstance(value, type):
        return dump()
    plain_value = plain_json(value)
    return str(value) if plain_value is value else plain_value
