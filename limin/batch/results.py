"""Many questions: their results in order or as they finish, failures as values."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, get_args

import anyio

from limin.batch.workers import (
    Item,
    Parallel,
    Result,
    Source,
    WorkerPool,
    count_items,
    unwrap_single,
)
from limin.errors import BatchError, ConfigurationError, LiminError, NotSentError
from limin.values.checks import check_argument, check_choice, describe_type, is_integer
from limin.values.completion import TextCompletion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

OnError: TypeAlias = Literal["raise", "return"]


def check_batch(source: object, n_parallel: object, on_error: object = "raise") -> None:
    """Refuse arguments that no batch can be made of.

    Raises:
        ConfigurationError: If *source* is one text or cannot be iterated, or
            *n_parallel* is neither a number of at least 1 nor `auto`, or there is
            no such *on_error*.
    """
    one = isinstance(source, (str, bytes))
    if one or not isinstance(source, (Iterable, AsyncIterable)):
        found = describe_type(source)
        problem = f"expected an iterable of prompts or conversations, found {found}"
        raise ConfigurationError(problem)
    fits = n_parallel == "auto" or is_integer(n_parallel, 1)
    expected = "an integer of at least 1, or 'auto'"
    check_argument("n_parallel", n_parallel, expected, fits=fits)
    check_choice("on_error", on_error, get_args(OnError))


async def ask_all(
    source: Source[Item],
    ask: Callable[[Item], Awaitable[TextCompletion]],
    *,
    n_parallel: Parallel,
    report: Callable[[Result], None],
) -> tuple[list[Result], LiminError | None]:
    """Ask for each item of *source*, *n_parallel* at a time; results in its order.

    A sliding window: as soon as one answer is there, the next request leaves.

    Args:
        source: Consumed as workers become free, and no further.
        ask: Asks one question.
        n_parallel: Requests under way at most; `auto` finds the number by itself.
        report: Told of every result as it comes.

    Returns:
        A completion or an error for each item, and the error that would have
        struck every item and so stopped the batch early.

    Raises:
        Exception: What the iterator of *source* raised, as it is.
    """
    found: dict[int, Result] = {}

    async def keep(place: int, result: Result) -> None:
        found[place] = result
        report(result)

    workers = WorkerPool(source, ask, keep, n_parallel)
    await workers.run()
    if workers.broken is not None:
        raise workers.broken
    size = count_items(source)
    not_sent = NotSentError("the batch stopped early")
    places = range(len(found) if size is None else size)
    return [found.get(place, not_sent) for place in places], workers.stopped_by


def completions_or_raise(
    results: Sequence[Result], stopped_by: LiminError | None
) -> list[TextCompletion]:
    """The completions, if every result is one and is where it should be.

    Raises:
        BatchError: If any is an error, or the batch stopped; it holds them all.
    """
    completions = [one for one in results if isinstance(one, TextCompletion)]
    if len(completions) < len(results) or stopped_by is not None:
        raise BatchError(results, stopped_by)
    return completions


class Results:
    """The results of a batch as they finish: `async with`, then `async for`.

    Each is the place of its item in the source, from 0, and the completion or
    the error in its place. A slow consumer slows the requests down; leaving the
    block cancels what is under way. Memory for as many items as are in parallel.
    """

    def __init__(
        self,
        source: Source[Item],
        ask: Callable[[Item], Awaitable[TextCompletion]],
        n_parallel: Parallel,
        within: AbstractContextManager[object],
    ) -> None:
        """Results of asking for each item of *source*, *within* a context."""
        self._within = within
        self._stack = AsyncExitStack()
        self._send, self._receive = anyio.create_memory_object_stream[tuple[int, Result]]()
        self._workers = WorkerPool(source, ask, self._hand_over, n_parallel)
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        """Start asking.

        Raises:
            CheckpointError: If the checkpoint cannot be used.
        """
        self._stack.enter_context(self._within)
        await self._stack.enter_async_context(self._tasks)
        self._tasks.start_soon(self._run)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Cancel what is under way."""
        self._tasks.cancel_scope.cancel()
        self._receive.close()
        try:
            return await self._stack.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            found = unwrap_single(group)
            if found is error:
                return False
            raise found from None

    def closing(self, close: Callable[[], Awaitable[None]]) -> Self:
        """The results themselves, which call *close* when the block is left."""
        self._stack.push_async_callback(close)
        return self

    def __aiter__(self) -> Self:
        """The results, once."""
        return self

    async def __anext__(self) -> tuple[int, Result]:
        """The next result that finishes.

        Raises:
            LiminError: At the end, if an error that would strike every item has
                stopped the batch early.
            Exception: What the user's own iterator raised, as it is, after what
                was under way was handed over.
        """
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            ended = self._workers.broken or self._workers.stopped_by
            if ended is not None:
                raise ended from None
            raise StopAsyncIteration from None

    async def _run(self) -> None:
        async with self._send:
            await self._workers.run()

    async def _hand_over(self, place: int, result: Result) -> None:
        await self._send.send((place, result))
