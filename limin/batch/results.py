"""The results of a batch: in order or as they finish, failures as values."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NoReturn,
    Self,
    TypeAlias,
    cast,
    get_args,
)

import anyio

from limin.errors import (
    BatchError,
    CheckpointError,
    ConfigurationError,
    LiminError,
    NotSentError,
)
from limin.policy.failures import unwrap_single
from limin.values.checks import check_choice, describe_type, is_integer, plain, refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from typing_extensions import TypeVar

    from limin.batch.workers import E, Item, Parallel, R, WorkerPool
    from limin.values.completion import TextCompletion
    from limin.values.progress import BatchListener

    # `Results` without an argument, in a user's annotation, is of completions.
    V = TypeVar("V", default=TextCompletion)
else:
    from typing import TypeVar

    V = TypeVar("V")

OnError: TypeAlias = Literal["raise", "return"]

_OUTSIDE = "results are read inside their `async with` block"


def check_batch(
    source: object,
    n_parallel: object,
    on_error: object = "raise",
    *,
    items: str = "prompts or conversations",
    takes_keys: bool = False,
) -> Parallel:
    """Return *n_parallel* as a plain value; refuse arguments that make no batch.

    Args:
        source: The items.
        n_parallel: Items under way at most.
        on_error: Whether failures are raised or returned.
        items: The word for the items.
        takes_keys: Whether a mapping or a table may stand for its keys or columns, which
            iterating it gives.

    Raises:
        ConfigurationError: If *source* is one text, a mapping, a table, or cannot be
            iterated, or *n_parallel* is neither a number of at least 1 nor `auto`, or
            there is no such *on_error*.
    """
    advice = None if takes_keys else _advice_instead_of_keys(source)
    if not _is_iterable(source) or advice is not None:
        problem = f"expected an iterable of {items}, found {describe_type(source)}"
        raise ConfigurationError(f"{problem}; {advice}" if advice else problem)
    number = plain(n_parallel)
    is_auto = isinstance(number, str) and number == "auto"
    if not is_auto and not is_integer(number, 1):
        refuse("n_parallel", number, "an integer of at least 1, or 'auto'")
    check_choice("on_error", on_error, get_args(OnError))
    return cast("Parallel", number)


def _is_iterable(source: object) -> bool:
    """Return whether *source* can be iterated, and is no text."""
    is_text = isinstance(source, (str, bytes, bytearray))
    return not is_text and isinstance(source, (Iterable, AsyncIterable))


def _advice_instead_of_keys(source: object) -> str | None:
    """Return an advice for *source* if it is a table or a mapping, or else None.

    Tables of pandas, polars, pyarrow and datasets, and arrays of numpy, are known by
    their shape, which has one number for each dimension.
    """
    if isinstance(source, Mapping):
        return "iterating it gives only its keys; pass a list, such as its values"
    shape = getattr(source, "shape", None)
    if isinstance(shape, tuple) and len(cast("tuple[object, ...]", shape)) != 1:
        return "pass one of its columns, or a list"
    return None


async def run_batch(
    workers: WorkerPool[Item, R, E],
    within: AbstractAsyncContextManager[BatchListener | None],
    on_error: OnError,
    *,
    noun: str = "prompt",
) -> list[R] | list[R | E]:
    """Run *workers* to the end, *within* a context.

    Args:
        workers: Not started yet.
        within: Entered for the time of the batch; brings the listener, if any.
        on_error: Whether failures are raised, or returned in their places.
        noun: The word for an item.

    Raises:
        BatchError: If any item failed and *on_error* says so, or a checkpoint
            cannot be written.
        BaseException: See `ask_all`; also an exception of *within*.
    """
    results: list[R | E] | None = None
    broken_by: BaseException | None = None
    try:
        async with within as listener:
            try:
                results, stopped_by = await ask_all(workers, listener, noun=noun)
            except BaseException as error:
                broken_by = error  # From the results.
                raise
    except Exception as error:
        if broken_by is not None:  # Whatever leaving the context raised besides.
            raise broken_by  # noqa: B904 (its cause has the results)
        if results is None:
            raise
        raise_with_results(error, results, noun)
    if on_error == "return" and not isinstance(stopped_by, CheckpointError):
        return results
    if stopped_by is not None or any(isinstance(result, Exception) for result in results):
        raise _with_notes(BatchError(cast("Any", results), stopped_by, noun))
    return cast("list[R]", results)


def _with_notes(error: BatchError) -> BatchError:
    """Return *error* with the notes (PEP 678) of the error that its message names.

    Those of an exception that is not limin's may hold a prompt.
    """
    named = error.stopped_by or next(iter(error.errors.values()), None)
    if isinstance(named, LiminError):
        for note in getattr(named, "__notes__", ()):
            error.add_note(note)
    return error


async def ask_all(
    workers: WorkerPool[Item, R, E],
    listener: BatchListener | None = None,
    *,
    noun: str = "prompt",
) -> tuple[list[R | E], LiminError | None]:
    """Run *workers*, and collect the results in the order of their source.

    The window slides: as soon as one result is there, the next item is taken.

    Returns:
        A result or an exception for each item, and the error that would have
        failed every item and so stopped the batch early.

    Raises:
        BaseException: The exception that ended the batch and is no result, as it
            was raised: by the iterator of the source, for example. Its cause is a
            `BatchError` with the results.
    """
    results: dict[int, R | E] = {}

    async def keep(index: int, result: R | E) -> None:
        results[index] = result
        if listener is not None:
            listener.finished(index, result)

    try:
        await workers.run(keep)
    except anyio.get_cancelled_exc_class():
        raise
    except BaseException as error:  # noqa: BLE001 (raised as it is)
        raise_with_results(error, _in_order(results, workers), noun)
    in_order = _in_order(results, workers)
    if workers.broken is not None:
        raise_with_results(workers.broken, in_order, noun)
    return in_order, workers.stopped_by


def _in_order(results: Mapping[int, R], workers: WorkerPool[Any, Any, Any]) -> list[R]:
    """Return the results in the order of the source; an error stands for the others."""
    size = max(workers.taken, workers.size or 0)
    # Workers keep either every exception or every LiminError.
    not_sent = cast("R", NotSentError("the batch stopped early"))
    return [results.get(index, not_sent) for index in range(size)]


def raise_with_results(
    error: BaseException, results: Sequence[object], noun: str = "prompt"
) -> NoReturn:
    """Raise *error* as it is, from a `BatchError` that holds *results*.

    The cause that *error* has already becomes the cause of that.
    """
    so_far = BatchError(cast("Any", results), noun=noun)
    context = None if error.__suppress_context__ else error.__context__
    so_far.__cause__ = error.__cause__ or context
    raise error from so_far


class Results(Generic[V]):
    """The results of a batch as they finish: `async with`, then `async for`.

    Each is the index of its item in the source, from 0, and the completion, or the
    error in its place. A slow consumer slows the requests down; leaving the block
    cancels the requests under way. It takes memory for as many items as are in parallel.
    """

    def __init__(
        self,
        workers: WorkerPool[Any, V, LiminError],
        within: AbstractAsyncContextManager[BatchListener | None],
    ) -> None:
        """Hand over the results of *workers*, which run *within* a context.

        It brings the listener to the results, if there is one.
        """
        self._workers, self._within = workers, within
        self._listener: BatchListener | None = None
        self._is_broken = False
        self._stack = AsyncExitStack()
        self._state: Literal["not entered", "entered", "left"] = "not entered"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        """Refuse to be pickled or copied: requests under way belong to one process.

        Raises:
            TypeError: Always.
        """
        problem = "limin.Results cannot be pickled or copied; collect them in a list first"
        raise TypeError(problem)

    def __repr__(self) -> str:
        """Show the state of the batch, without prompts and answers."""
        workers = self._workers
        state = f"{workers.finished} finished, {workers.under_way} under way"
        ended_by = workers.broken or workers.stopped_by
        if ended_by is not None:
            state += f", stopped by {type(ended_by).__name__}"
        return f"<limin.Results: {state}>"

    async def __aenter__(self) -> Self:
        """Start asking.

        Raises:
            CheckpointError: If the checkpoint cannot be used.
            RuntimeError: If the block was entered before.
        """
        if self._state != "not entered":
            problem = "results are entered once"
            raise RuntimeError(problem)
        self._state = "entered"
        try:
            self._listener = await self._stack.enter_async_context(self._within)
        except BaseException:
            self._state = "left"
            await self._stack.aclose()
            raise
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        # Made here, since a stream that is never closed is a ResourceWarning.
        self._send, self._receive = anyio.create_memory_object_stream[
            tuple[int, V | LiminError]
        ]()
        self._tasks.start_soon(self._run)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Cancel the requests under way."""
        self._state = "left"
        self._tasks.cancel_scope.cancel()
        self._receive.close()
        try:
            return await self._stack.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            inner = unwrap_single(group)
            if inner is error:
                return False
            raise inner from None

    def closing(self, close: Callable[[], Awaitable[None]]) -> Self:
        """Return the results themselves, which call *close* when the block is left."""
        self._stack.push_async_callback(close)
        return self

    def __aiter__(self) -> Self:
        """Return the results themselves; they can be iterated once."""
        return self

    async def __anext__(self) -> tuple[int, V | LiminError]:
        """Wait for the next result that finishes.

        Raises:
            LiminError: At the end, if an error that would fail every item has
                stopped the batch early.
            Exception: The exception of the user's own iterator, as it is, after
                everything that was under way was handed over. Its cause is a
                `BatchError`, as in a batch; it holds no results, since all were
                handed over.
            RuntimeError: Outside the `async with` block.
        """
        if self._state != "entered":
            raise RuntimeError(_OUTSIDE)
        with suppress(anyio.EndOfStream):
            return await self._receive.receive()
        workers = self._workers
        if workers.broken is not None and not self._is_broken:
            self._is_broken = True
            raise_with_results(_no_end(workers.broken), ())
        if workers.broken is not None:
            raise _no_end(workers.broken)
        raise workers.stopped_by or StopAsyncIteration

    async def _run(self) -> None:
        async with self._send:
            await self._workers.run(self._hand_over)

    async def _hand_over(self, index: int, result: V | LiminError) -> None:
        if self._listener is not None:
            self._listener.finished(index, result)
        await self._send.send((index, result))


def _no_end(error: BaseException) -> BaseException:
    """Return *error*, or another one in the place of what would end a loop in silence.

    So does Python itself for generators (PEP 479).
    """
    if not isinstance(error, StopAsyncIteration):
        return error
    problem = "the iterator of the batch raised StopAsyncIteration"
    other = RuntimeError(problem)
    other.__cause__ = error
    return other
