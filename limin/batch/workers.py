"""The workers of a batch: how many there are, which item is next, when they stop.

They know nothing of HTTP and completions: the function that asks is given to them.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterable, Iterable, Sized
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Generic,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    cast,
)

import anyio.lowlevel

from limin.errors import LiminError
from limin.policy.failures import StopBatch, had_overload, is_fatal, unwrap_single
from limin.policy.parallelism import AdaptiveParallelism, FixedParallelism

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from limin.policy.parallelism import Parallelism

Item = TypeVar("Item")
R = TypeVar("R")  # A result.
E = TypeVar("E", bound=Exception)  # An exception that stands in a result's place.
Source: TypeAlias = Iterable[Item] | AsyncIterable[Item]
Parallel: TypeAlias = int | Literal["auto"]

# Seconds for which workers may go on without letting other tasks run. A cancellation, a
# deadline or Ctrl-C waits that long at most. A turn of the event loop takes some
# microseconds, which is nothing once in this time.
_SECONDS_IN_A_ROW = 0.01


class _End(Enum):
    """The end of a source: none of its items, and no exception that it may raise."""

    END = "end"


class Work(NamedTuple):
    """The work that a server did for one result.

    Attributes:
        amount: Tokens, or 1 if they are not known; 0 for an error.
        overloaded: Whether the server had too much to do at any attempt.
    """

    amount: float
    overloaded: bool = False


def count_one(_result: object) -> Work:
    """Return one unit of work, whatever the result."""
    return Work(1.0)


def count_items(source: object) -> int | None:
    """Return how many items *source* holds; None if only iterating would show it."""
    try:
        return len(source) if isinstance(source, Sized) else None
    except Exception:  # noqa: BLE001 (a table of a database may not know, in its own words)
        return None


def as_it_is(error: Exception) -> Exception:
    """Return *error*, which stands in a result's place as it was raised."""
    return error


class WorkerPool(Generic[Item, R, E]):
    """Workers that ask about the items of one source.

    Attributes:
        size: Items that the source holds; None as long as it is not known.
        taken: Items taken from the source.
        under_way: Items being asked about.
        finished: Items that have a result.
        stopped_by: The error that would fail every item; None if there was none.
        broken: The exception that ended the batch and is no result; None if there
            was none.
    """

    def __init__(
        self,
        source: Source[Item],
        ask: Callable[[Item], Awaitable[R]],
        n_parallel: Parallel | Parallelism,
        *,
        as_result: Callable[[Exception], E],
        measure: Callable[[R], Work] = count_one,
    ) -> None:
        """Prepare workers for *source*; `run` starts them.

        Args:
            source: Consumed as workers become free, and no further.
            ask: Asks about one item.
            n_parallel: Items under way at most; `auto`, or what is given in its place,
                finds the number.
            as_result: Returns the result that stands for an exception of *ask*.
            measure: Measures a result, for `auto`.
        """
        self.taken = self.under_way = self.finished = 0
        self.stopped_by: LiminError | None = None
        self.broken: BaseException | None = None
        self.size = count_items(source)
        self._ask, self._as_result, self._measure = ask, as_result, measure
        self._next_item = _item_reader(source)
        self._workers = 0
        self._last_turn = -math.inf  # When all others had a turn for certain.
        self._is_interrupted = False  # By what ends everything at once.
        self._adaptive: Parallelism | None = None
        self._parallelism: Parallelism | FixedParallelism
        if isinstance(n_parallel, int):
            self._parallelism = FixedParallelism(n_parallel)
        elif n_parallel == "auto":
            self._parallelism = self._adaptive = AdaptiveParallelism()
        else:
            self._parallelism = self._adaptive = n_parallel

    async def run(self, deliver: Callable[[int, R | E], Awaitable[None]]) -> None:
        """Ask until the source is empty, or the batch stops.

        Args:
            deliver: Called with the index of each item and its result.
        """
        self._deliver = deliver
        try:
            async with anyio.create_task_group() as self._tasks:
                self._start_workers()
        except BaseExceptionGroup as group:
            raise unwrap_single(group) from None

    def _start_workers(self) -> None:
        """Start as many workers as are allowed, and as there is work for."""
        limit = self._parallelism.limit
        if self.size is not None:
            limit = min(limit, self.size - self.taken + self._workers)
        while self._workers < limit:
            self._workers += 1
            self._tasks.start_soon(self._work)

    async def _work(self) -> None:
        """Ask while there is work for this worker.

        An exception that is no result ends the batch in good order: items under way
        are finished first.
        """
        try:
            while not self._ended() and self._workers <= self._parallelism.limit:
                item = await self._take_item()
                if item is _End.END:
                    break
                index, self.taken = self.taken, self.taken + 1
                # Asking for the time takes a while, and nobody else needs it.
                started = 0.0 if self._adaptive is None else anyio.current_time()
                result = await self._ask_one(item)
                try:
                    self._learn(result, started)
                finally:  # Whatever is wrong with learning, the result came.
                    await self._deliver(index, result)
                await self._let_others_run()
        except anyio.get_cancelled_exc_class() as cancelled:
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # Not the batch was cancelled, but a task of the user's that *ask* awaits;
            # asyncio's task groups would end this worker without a word.
            self.broken = cancelled
        except Exception as error:  # noqa: BLE001 (raised again when all is finished)
            self.broken = error
        except BaseException:
            # The others may have their turns before they are cancelled, and a source that
            # ends the program would do so again.
            self._is_interrupted = True
            raise
        self._workers -= 1

    async def _let_others_run(self) -> None:
        """Give all other tasks a turn, if the last certain one is too long ago.

        What asks may never wait, and neither may the source. Of the workers that have had
        the same turn only one begins another 10 ms, so that 100 of them take no second.
        """
        last_turn = self._last_turn
        if time.perf_counter() - last_turn < _SECONDS_IN_A_ROW:
            return
        await anyio.lowlevel.checkpoint()
        if self._last_turn == last_turn:
            self._last_turn = time.perf_counter()

    async def _take_item(self) -> Item | Literal[_End.END]:
        """Return the next item; the end if there is none, or if the source raises.

        Whatever the user's own iterator raises costs no answer. But what ends a program
        does so at once.
        """
        try:
            item = await self._next_item()
        except (KeyboardInterrupt, SystemExit, anyio.get_cancelled_exc_class()):
            raise
        except BaseException as error:  # noqa: BLE001 (raised again when all is finished)
            self.broken = error
            return _End.END
        if item is _End.END:
            self.size = self.taken
        return item

    def _ended(self) -> bool:
        is_stopped = self.stopped_by is not None or self.broken is not None
        return is_stopped or self._is_interrupted

    async def _ask_one(self, item: Item) -> R | E:
        self.under_way += 1
        try:
            result: R | E = await self._ask(item)
        except StopBatch as stop:
            self.stopped_by = self.stopped_by or stop.error
            result = cast("R", stop.result)
        except Exception as error:  # noqa: BLE001 (it is the result)
            result = self._as_result(error)
        finally:
            self.under_way -= 1
        self.finished += 1
        if isinstance(result, LiminError) and is_fatal(result):
            self.stopped_by = self.stopped_by or result
        return result

    def _learn(self, result: R | E, started: float) -> None:
        """Adapt the number of workers to a *result*, if the number is to be found."""
        if self._adaptive is None:
            return
        amount, overloaded = self._work_of(result)
        self._adaptive.finished(
            anyio.current_time(), started=started, work=amount, overloaded=overloaded
        )
        if not self._ended():
            self._start_workers()

    def _work_of(self, result: R | E) -> Work:
        if isinstance(result, LiminError):
            return Work(0.0, had_overload(result))
        if isinstance(result, Exception):
            return count_one(result)
        return self._measure(result)


def _item_reader(
    source: Source[Item],
) -> Callable[[], Awaitable[Item | Literal[_End.END]]]:
    """Return a function that reads the next item of *source*, for one worker at a time."""
    if isinstance(source, AsyncIterable):
        async_items, turn = aiter(source), anyio.Lock()

        async def read_when_it_comes() -> Item | Literal[_End.END]:
            async with turn:
                try:
                    return await anext(async_items)
                except StopAsyncIteration:
                    return _End.END

        return read_when_it_comes
    items = iter(source)

    async def read() -> Item | Literal[_End.END]:
        return next(items, _End.END)

    return read
