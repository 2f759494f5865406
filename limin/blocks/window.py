"""One window over all blocks that a process has at once.

The rows of the blocks wait in one queue, in the order in which the blocks came, and one
pool of workers asks about them. So the number of requests under way is that of the pool,
however many blocks there are, and the last rows of a block are asked about beside the
first ones of the next.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Generic, Self, TypeAlias, TypeVar

import anyio

from limin.errors import LiminError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable
    from contextlib import AbstractAsyncContextManager

    from limin.batch.workers import WorkerPool

Item = TypeVar("Item")
R = TypeVar("R")  # A result.
Row = TypeVar("Row")  # What is kept of it.

Workers: TypeAlias = "WorkerPool[Item, R, LiminError]"


class _Block(Generic[Item, Row]):
    """A block under way: what is kept of its rows so far, and how many are left."""

    def __init__(self, size: int, read: Callable[[int], Item]) -> None:
        self.rows: list[Row | None] = [None] * size
        self.read, self.n_left = read, size
        self.error: BaseException | None = None
        self.finished = anyio.Event()


class Window(Generic[Item, R, Row]):
    """Asks about the rows of all blocks, in the order in which they came."""

    def __init__(
        self,
        open_workers: Callable[
            [AsyncIterable[Item]], AbstractAsyncContextManager[Workers[Item, R]]
        ],
        keep: Callable[[R | LiminError], Row],
    ) -> None:
        """Prepare to ask; `run` does it.

        Args:
            open_workers: Returns a context with the workers of a source.
            keep: Returns what is kept of a result, which may be much smaller.
        """
        self._open_workers, self._keep = open_workers, keep
        self._blocks: list[_Block[Item, Row]] = []
        self._waiting: deque[tuple[_Block[Item, Row], int]] = deque()
        self._arrived = anyio.Event()
        self._taken: dict[int, tuple[_Block[Item, Row], int]] = {}
        self._n_taken, self._is_ended = 0, False

    async def answer(self, size: int, read: Callable[[int], Item]) -> list[Row]:
        """Return what is kept of the results of a block, in the order of its rows.

        Args:
            size: The number of rows.
            read: Reads the row at an index as an item, when its turn has come; if it
                raises a `LiminError`, that is the row's result.

        Raises:
            BaseException: If an error would fail every row, or an exception ended the
                workers; the rows of all blocks under way are given up then.
        """
        block: _Block[Item, Row] = _Block(size, read)
        if size:
            self._blocks.append(block)
            self._waiting.extend((block, index) for index in range(size))
            self._arrived.set()
            await block.finished.wait()
        if block.error is not None:
            raise block.error
        return [row for row in block.rows if row is not None]

    async def run(self) -> None:
        """Ask until cancelled. After an error, the next block is asked about anew."""
        while True:
            while not self._waiting:
                await self._wait_for_rows()
            self._taken.clear()
            self._n_taken, self._is_ended = 0, False
            try:
                async with self._open_workers(self) as workers:
                    await workers.run(partial(self._deliver, workers))
            except Exception as error:  # noqa: BLE001 (raised by each block)
                self._give_up(error)
            else:
                # The source has no end but that of an error.
                ended_by = workers.broken or workers.stopped_by
                self._give_up(ended_by or LiminError("the rows have ended"))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """Return the next row that can be read as an item, as soon as there is one."""
        while not self._is_ended:
            if not self._waiting:
                await self._wait_for_rows()
                continue
            block, index = self._waiting.popleft()
            try:
                item = block.read(index)
            except LiminError as error:
                self._settle(block, index, error)
                continue
            self._taken[self._n_taken] = block, index
            self._n_taken += 1
            return item
        raise StopAsyncIteration

    async def _wait_for_rows(self) -> None:
        self._arrived = anyio.Event()
        await self._arrived.wait()

    async def _deliver(
        self, workers: Workers[Item, R], number: int, result: R | LiminError
    ) -> None:
        block, index = self._taken.pop(number)
        self._is_ended = True
        try:
            if workers.stopped_by is None:
                self._settle(block, index, result)
                self._is_ended = False
        finally:
            if self._is_ended:
                self._arrived.set()  # Idle workers wait for rows.

    def _settle(self, block: _Block[Item, Row], index: int, result: R | LiminError) -> None:
        block.rows[index] = self._keep(result)
        block.n_left -= 1
        if not block.n_left:
            self._blocks.remove(block)
            block.finished.set()

    def _give_up(self, error: BaseException) -> None:
        """End all blocks under way by *error*."""
        self._waiting.clear()
        for block in self._blocks:
            block.error = error
            block.finished.set()
        self._blocks.clear()
