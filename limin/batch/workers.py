"""The workers of a batch: how many there are, what they pull, when they stop.

Know nothing of HTTP: they are given the function that asks.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sized
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar, cast

import anyio

from limin.errors import LiminError
from limin.policy.failures import StopBatch, had_overload, is_fatal, is_overload
from limin.policy.parallelism import AdaptiveParallelism
from limin.values.completion import TextCompletion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Item = TypeVar("Item")
Source: TypeAlias = Iterable[Item] | AsyncIterable[Item]
Result: TypeAlias = TextCompletion | LiminError
Parallel: TypeAlias = int | Literal["auto"]


def count_items(source: object) -> int | None:
    """How many items *source* holds; None if only iterating would tell."""
    return len(source) if isinstance(source, Sized) else None


class WorkerPool(Generic[Item]):
    """Workers that ask for the items of one source.

    Attributes:
        broken: What ended the batch and is none of limin's errors.
        stopped_by: The error that would strike every item.
    """

    def __init__(
        self,
        source: Source[Item],
        ask: Callable[[Item], Awaitable[TextCompletion]],
        deliver: Callable[[int, Result], Awaitable[None]],
        n_parallel: Parallel,
    ) -> None:
        """Workers for *source*.

        Args:
            source: Consumed as workers become free, and no further.
            ask: Asks one question.
            deliver: Given the place of each item and its result.
            n_parallel: Requests under way at most; `auto` finds the number.
        """
        self.broken: Exception | None = None
        self.stopped_by: LiminError | None = None
        self._ask = ask
        self._deliver = deliver
        self._pull = _puller(source)
        self._size = count_items(source)
        self._asked = 0
        self._workers = 0
        self._parallel = n_parallel
        self._adaptive = AdaptiveParallelism() if n_parallel == "auto" else None

    async def run(self) -> None:
        """Ask until the source is empty, or the batch stops."""
        try:
            async with anyio.create_task_group() as self._tasks:
                self._start_workers()
        except BaseExceptionGroup as group:
            raise unwrap_single(group) from None

    def _start_workers(self) -> None:
        """Start as many workers as there should be, and as there is work for."""
        limit = self._limit()
        if self._size is not None:
            limit = min(limit, self._size - self._asked + self._workers)
        while self._workers < limit:
            self._workers += 1
            self._tasks.start_soon(self._work)

    def _limit(self) -> int:
        if self._adaptive is not None:
            return self._adaptive.limit
        return self._parallel if isinstance(self._parallel, int) else 1

    async def _work(self) -> None:
        """One worker: ask while there is work for it.

        An exception that is none of limin's, the user's own iterator's say,
        ends the batch in good order: what is under way is finished first.
        """
        try:
            while not self._ended() and self._workers <= self._limit():
                item = await self._pull()
                place, self._asked = self._asked, self._asked + 1
                await self._deliver(place, await self._ask_one(item))
        except StopAsyncIteration:
            self._size = self._asked
        except Exception as error:  # noqa: BLE001 (raised again when all is finished)
            self.broken = error
        self._workers -= 1

    def _ended(self) -> bool:
        return self.stopped_by is not None or self.broken is not None

    async def _ask_one(self, item: Item) -> Result:
        started = anyio.current_time()
        result = await self._result(item)
        if self._adaptive is not None:
            self._adaptive.finished(
                anyio.current_time(),
                started=started,
                work=_work_of(result),
                overloaded=_was_overloaded(result),
            )
            if not self._ended():
                self._start_workers()
        return result

    async def _result(self, item: Item) -> Result:
        try:
            return await self._ask(item)
        except StopBatch as unwritten:
            self.stopped_by = self.stopped_by or unwritten.error
            return cast("TextCompletion", unwritten.result)
        except LiminError as error:
            if is_fatal(error):
                self.stopped_by = self.stopped_by or error
            return error


def unwrap_single(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception in *group*, Ctrl-C's say; *group* itself if there are more.

    Which tasks there are inside is nothing that a caller should see.
    """
    inner, *others = group.exceptions
    if others:
        return group
    if not isinstance(inner, BaseExceptionGroup):
        return inner
    return unwrap_single(cast("BaseExceptionGroup[BaseException]", inner))


def _work_of(result: Result) -> float:
    """How much a request brought: tokens, or one answer if they are not told."""
    if not isinstance(result, TextCompletion):
        return 0.0
    counted = None if result.usage is None else result.usage.completion_tokens
    return 1.0 if counted is None else float(counted)


def _was_overloaded(result: Result) -> bool:
    """Whether the server said at any attempt that it has too much to do."""
    if isinstance(result, TextCompletion):
        return any(is_overload(attempt.error) for attempt in result.timing.attempts)
    return had_overload(result)


def _puller(source: Source[Item]) -> Callable[[], Awaitable[Item]]:
    """What brings the next item of *source*, to one worker at a time."""
    if isinstance(source, AsyncIterable):
        iterator, turn = aiter(source), anyio.Lock()

        async def pull() -> Item:
            async with turn:
                return await anext(iterator)

        return pull
    items = iter(source)

    async def pull_at_once() -> Item:
        for item in items:
            return item
        raise StopAsyncIteration

    return pull_at_once
