"""Many questions: workers on one lazy source, failures as values, order kept.

Knows nothing of HTTP: it is given the function that asks.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sized
from typing import (
    TYPE_CHECKING,
    Generic,
    Literal,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    get_args,
)

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
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

Item = TypeVar("Item")
Source: TypeAlias = Iterable[Item] | AsyncIterable[Item]
Result: TypeAlias = TextCompletion | LiminError

OnError: TypeAlias = Literal["raise", "return"]

# What strikes one prompt in this way strikes every prompt.
_FATAL = (AuthenticationError, PermissionDeniedError, NotFoundError, QuotaError)


def check_batch(source: object, n_parallel: object, on_error: object = "raise") -> None:
    """Refuse arguments that no batch can be made of.

    Raises:
        ConfigurationError: If *source* is one text or cannot be iterated, or
            *n_parallel* is no number of at least 1, or there is no such *on_error*.
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
    if on_error not in get_args(OnError):
        problem = f"on_error: expected {' or '.join(get_args(OnError))}, found another"
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
) -> tuple[list[Result], LiminError | None]:
    """Ask for each item of *source*, *n_parallel* at a time; results in its order.

    A sliding window: as soon as one answer is there, the next request leaves.

    Args:
        source: Consumed as workers become free, and no further.
        ask: Asks one question.
        n_parallel: Requests under way at most.
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

    work = _Work(source, ask, keep)
    async with anyio.create_task_group() as tasks:
        for _ in range(_workers(source, n_parallel)):
            tasks.start_soon(work.run)
    if work.broken is not None:
        raise work.broken
    size = size_of(source)
    not_sent = NotSentError("the batch stopped early")
    places = range(len(found) if size is None else size)
    return [found.get(place, not_sent) for place in places], work.stopped_by


def completions_or_raise(
    results: Sequence[Result], stopped_by: LiminError | None
) -> list[TextCompletion]:
    """The completions, if every result is one.

    Raises:
        BatchError: If any is an error; it holds them all.
    """
    completions = [one for one in results if isinstance(one, TextCompletion)]
    if len(completions) < len(results):
        raise BatchError(results, stopped_by)
    return completions


class AsyncResource(Protocol):
    """What is closed when it is done with."""

    async def aclose(self) -> None:
        """Close it."""
        ...


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
        n_parallel: int,
    ) -> None:
        """Results of asking for each item of *source*."""
        self._closing: AsyncResource | None = None
        self._workers = _workers(source, n_parallel)
        self._send, self._receive = anyio.create_memory_object_stream[tuple[int, Result]]()
        self._work = _Work(source, ask, self._hand_over)
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        """Start asking."""
        await self._tasks.__aenter__()
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
            return await self._tasks.__aexit__(kind, error, traceback)
        finally:
            if self._closing is not None:
                await self._closing.aclose()

    def closing(self, resource: AsyncResource) -> Self:
        """The results themselves, which close *resource* when the block is left."""
        self._closing = resource
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
            ended = self._work.broken or self._work.stopped_by
            if ended is not None:
                raise ended from None
            raise StopAsyncIteration from None

    async def _run(self) -> None:
        async with self._send, anyio.create_task_group() as tasks:
            for _ in range(self._workers):
                tasks.start_soon(self._work.run)

    async def _hand_over(self, place: int, result: Result) -> None:
        await self._send.send((place, result))


def _workers(source: object, n_parallel: int) -> int:
    size = size_of(source)
    return n_parallel if size is None else min(n_parallel, size)


class _Work(Generic[Item]):
    """What the workers of one batch share.

    Attributes:
        broken: What ended the batch and is none of limin's errors.
        stopped_by: The error that would strike every item.
    """

    def __init__(
        self,
        source: Source[Item],
        ask: Callable[[Item], Awaitable[TextCompletion]],
        deliver: Callable[[int, Result], Awaitable[None]],
    ) -> None:
        self.broken: Exception | None = None
        self.stopped_by: LiminError | None = None
        self._ask = ask
        self._deliver = deliver
        self._pull = _puller(source)
        self._asked = 0

    async def run(self) -> None:
        """One worker: ask until the source is empty, or the batch stops.

        An exception that is none of limin's, the user's own iterator's say,
        ends the batch in good order: what is under way is finished first.
        """
        try:
            while self.stopped_by is None and self.broken is None:
                item = await self._pull()
                place, self._asked = self._asked, self._asked + 1
                await self._deliver(place, await self._one(item))
        except StopAsyncIteration:
            return
        except Exception as error:  # noqa: BLE001 (raised again when all is finished)
            self.broken = error

    async def _one(self, item: Item) -> Result:
        try:
            return await self._ask(item)
        except LiminError as error:
            if isinstance(error, _FATAL):
                self.stopped_by = self.stopped_by or error
            return error


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
