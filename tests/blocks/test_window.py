"""One window over all blocks: its bound, its order, and what ends it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from limin.batch.workers import WorkerPool
from limin.blocks.window import Window
from limin.errors import AuthenticationError, BadRequestError, LiminError
from limin.parallel import as_limin_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable


class Asked:
    """What a window asks, and when it may be answered."""

    def __init__(self, n_parallel: int = 2) -> None:
        self.items: list[str] = []
        self.under_way = self.most = self.n_opened = 0
        self.gate = anyio.Event()
        self.n_parallel = n_parallel
        self.keep: Callable[[object], object] = lambda result: result
        self.failing: dict[str, Exception] = {}
        self.opening: Exception | None = None

    async def ask(self, item: str) -> str:
        self.items.append(item)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
            if item in self.failing:
                raise self.failing[item]
        finally:
            self.under_way -= 1
        return item.upper()

    @asynccontextmanager
    async def open_workers(
        self, source: AsyncIterable[str]
    ) -> AsyncGenerator[WorkerPool[str, str, LiminError]]:
        self.n_opened += 1
        if self.opening is not None:
            raise self.opening
        yield WorkerPool(source, self.ask, self.n_parallel, as_result=as_limin_error)

    @asynccontextmanager
    async def window(self) -> AsyncIterator[Window[str, str, Any]]:
        window: Window[str, str, Any] = Window(
            self.open_workers,
            self.keep,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(window.run)
            yield window
            tasks.cancel_scope.cancel()


async def collect(
    window: Window[str, str, Any], rows: str, answers: dict[str, object]
) -> None:
    """Answer a block of *rows*, one for each letter; note the answers, or the error."""
    try:
        answers[rows] = await window.answer(len(rows), rows.__getitem__)
    except Exception as error:  # noqa: BLE001 (it is what is looked at)
        answers[rows] = error


async def test_blocks_share_the_window() -> None:
    """All blocks together have as many requests under way as one, the oldest first."""
    asked, answers = Asked(), dict[str, object]()
    async with asked.window() as window, anyio.create_task_group() as tasks:
        for rows in ("abc", "de", "fgh"):
            tasks.start_soon(collect, window, rows, answers)
            await anyio.wait_all_tasks_blocked()
        assert (asked.under_way, asked.items) == (2, ["a", "b"])
        asked.gate.set()
    assert (asked.most, asked.n_opened) == (2, 1)
    assert asked.items == list("abcdefgh")
    assert answers == {"abc": list("ABC"), "de": list("DE"), "fgh": list("FGH")}


async def test_blocks_come_one_after_the_other() -> None:
    """The same workers wait for the next block, and an empty one needs none."""
    asked, answers = Asked(), dict[str, object]()
    asked.gate.set()
    async with asked.window() as window:
        for rows in ("ab", "", "c"):
            await collect(window, rows, answers)
    assert answers == {"ab": ["A", "B"], "": [], "c": ["C"]}
    assert asked.n_opened == 1


async def test_failed_row_is_a_result() -> None:
    """Neither its block nor any other knows more of it."""
    asked, answers, error = Asked(), dict[str, object](), BadRequestError(400, "no")
    asked.gate.set()
    asked.failing["b"] = error

    def read(index: int) -> str:
        if index == 1:
            problem = "no prompt"
            raise LiminError(problem)
        return "xyz"[index]

    async with asked.window() as window:
        await collect(window, "abc", answers)
        x, y, z = await window.answer(3, read)
    assert answers == {"abc": ["A", error, "C"]}
    assert (x, str(y), z) == ("X", "no prompt", "Z")
    assert asked.items == ["a", "b", "c", "x", "z"]


@pytest.mark.parametrize("failing", ["a", "b"])
async def test_error_that_would_fail_every_row(failing: str) -> None:
    """All blocks under way are given up, and the next one is asked about anew."""
    asked, answers, error = Asked(), dict[str, object](), AuthenticationError(401, "no")
    asked.failing[failing] = error
    async with asked.window() as window:
        async with anyio.create_task_group() as tasks:
            for rows in ("ab", "cd"):
                tasks.start_soon(collect, window, rows, answers)
                await anyio.wait_all_tasks_blocked()
            asked.gate.set()
        assert answers == {"ab": error, "cd": error}
        assert "d" not in asked.items
        await collect(window, "ef", answers)
    assert answers["ef"] == ["E", "F"]
    assert asked.n_opened == 2


async def test_idle_workers_end_with_the_others() -> None:
    """A fatal error in the only row is raised, though all other workers wait for rows."""
    asked, answers, error = Asked(5), dict[str, object](), AuthenticationError(401, "no")
    asked.failing["a"] = error
    asked.gate.set()
    async with asked.window() as window:
        await collect(window, "a", answers)
    assert answers == {"a": error}


async def test_bug_in_keeping_results() -> None:
    """It is raised as it is, and no block waits for ever."""
    asked, answers = Asked(5), dict[str, object]()
    asked.gate.set()
    asked.keep = [].index
    async with asked.window() as window:
        await collect(window, "a", answers)
    assert isinstance(answers["a"], ValueError)


async def test_workers_that_cannot_be_opened() -> None:
    """A checkpoint that cannot be used fails each block that comes."""
    asked, answers = Asked(), dict[str, object]()
    asked.opening = LiminError("in use")
    async with asked.window() as window:
        await collect(window, "a", answers)
        await collect(window, "b", answers)
    assert answers == {"a": asked.opening, "b": asked.opening}


async def test_source_that_ends() -> None:
    """Workers that end without a reason are one."""

    @asynccontextmanager
    async def open_workers(
        source: AsyncIterable[str],
    ) -> AsyncGenerator[WorkerPool[str, str, LiminError]]:
        assert aiter(source) is source
        yield WorkerPool([], Asked().ask, 1, as_result=as_limin_error)

    window: Window[str, str, Any] = Window(open_workers, lambda result: result)
    answers = dict[str, object]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(window.run)
        await collect(window, "a", answers)
        tasks.cancel_scope.cancel()
    assert str(answers["a"]) == "the rows have ended"
