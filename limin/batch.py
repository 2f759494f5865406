"""Many questions: workers on one lazy source, failures as values, order kept.

Knows nothing of HTTP: it is given the function that asks.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sized
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import anyio

from limin.completion import TextCompletion
from limin.errors import (
    AuthenticationError,
    BatchError,
    ConfigurationError,
    LiminError,
    NotFoundError,
    NotSentError,
    PermissionDeniedError,
    QuotaError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Item = TypeVar("Item")
Source: TypeAlias = Iterable[Item] | AsyncIterable[Item]
Result: TypeAlias = TextCompletion | LiminError

# What strikes one prompt in this way strikes every prompt.
_FATAL = (AuthenticationError, PermissionDeniedError, NotFoundError, QuotaError)


def check_batch(source: object, n_parallel: object) -> None:
    """Refuse arguments that no batch can be made of.

    Raises:
        ConfigurationError: If *source* is one text or cannot be iterated, or
            *n_parallel* is no number of at least 1.
    """
    one = isinstance(source, (str, bytes))
    if one or not isinstance(source, (Iterable, AsyncIterable)):
        found = type(source).__name__
        problem = f"expected an iterable of prompts or conversations, found a {found}"
        raise ConfigurationError(problem)
    number = isinstance(n_parallel, int) and not isinstance(n_parallel, bool)
    if not number or n_parallel < 1:  # type: ignore[operator]  # a number, says the line above
        problem = f"n_parallel: expected an integer of at least 1, found {n_parallel!r}"
        raise ConfigurationError(problem)


def size_of(source: object) -> int | None:
    """How many items *source* holds; None if only iterating would tell."""
    return len(source) if isinstance(source, Sized) else None


async def ask_all(
    source: Source[Item],
    ask: Callable[[Item], Awaitable[TextCompletion]],
    *,
    n_parallel: int,
    report: Callable[[Result], None],
) -> list[TextCompletion]:
    """Ask for each item of *source*, *n_parallel* at a time; answers in its order.

    A sliding window: as soon as one answer is there, the next request leaves.

    Args:
        source: Consumed as workers become free, and no further.
        ask: Asks one question.
        n_parallel: Requests under way at most.
        report: Told of every result as it comes.

    Raises:
        BatchError: If any item failed, after all others were finished.
        Exception: What the iterator of *source* raised, as it is.
    """
    work = _Work(source, ask, report)
    size = size_of(source)
    workers = n_parallel if size is None else min(n_parallel, size)
    async with anyio.create_task_group() as tasks:
        for _ in range(workers):
            tasks.start_soon(work.run)
    if work.broken is not None:
        raise work.broken
    return work.in_order(size)


class _Work(Generic[Item]):
    """What the workers of one batch share."""

    def __init__(
        self,
        source: Source[Item],
        ask: Callable[[Item], Awaitable[TextCompletion]],
        report: Callable[[Result], None],
    ) -> None:
        self.broken: Exception | None = None
        self._stopped_by: LiminError | None = None
        self._ask = ask
        self._report = report
        self._pull = _puller(source)
        self._asked = 0
        self._results: dict[int, Result] = {}

    async def run(self) -> None:
        """One worker: ask until the source is empty, or the batch stops.

        An exception that is none of limin's, the user's own iterator's say,
        ends the batch in good order: what is under way is finished first.
        """
        try:
            while self._stopped_by is None and self.broken is None:
                item = await self._pull()
                place, self._asked = self._asked, self._asked + 1
                await self._one(place, item)
        except StopAsyncIteration:
            return
        except Exception as error:  # noqa: BLE001 (raised again by `ask_all`)
            self.broken = error

    async def _one(self, place: int, item: Item) -> None:
        try:
            result: Result = await self._ask(item)
        except LiminError as error:
            result = error
            if isinstance(error, _FATAL):
                self._stopped_by = self._stopped_by or error
        self._results[place] = result
        self._report(result)

    def in_order(self, size: int | None) -> list[TextCompletion]:
        """The completions, one for each of *size* items if that is known."""
        places = range(len(self._results) if size is None else size)
        not_sent = NotSentError("the batch stopped early")
        results = [self._results.get(place, not_sent) for place in places]
        completions = [one for one in results if isinstance(one, TextCompletion)]
        if len(completions) < len(results):
            raise BatchError(results, self._stopped_by)
        return completions


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
