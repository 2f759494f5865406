"""Many at once: completions for the client, and the user's own function for all items.

Here a batch meets its progress bar, and completions their checkpoint.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar, cast, overload

from limin.asking import BatchAsk
from limin.batch.results import Results, check_batch, run_batch
from limin.batch.workers import Work, WorkerPool, as_it_is, count_items
from limin.calls.observer import InFlight
from limin.calls.token_budget import TokenBudget
from limin.errors import LiminError, UnexpectedError
from limin.policy.failures import StopBatch, is_overload, unwrap_single
from limin.values.checks import check_argument, check_flag, check_length
from limin.values.display import rendering
from limin.values.messages import Message
from limin.values.progress import BatchState, Effort, kept_note

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from limin.asking import AnswerType
    from limin.batch.results import OnError
    from limin.batch.workers import Parallel, Source
    from limin.calls.caller import Caller
    from limin.calls.server import Servers
    from limin.checkpoint.recorder import RecordedCall
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.options import BatchOptions, DecisionOptions
    from limin.values.progress import BatchListener

Item = TypeVar("Item")
R = TypeVar("R")


@overload
async def run_parallel(
    items: Source[Item],
    function: Callable[[Item], Awaitable[R]],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: Literal["raise"] = "raise",
) -> list[R]: ...


@overload
async def run_parallel(
    items: Source[Item],
    function: Callable[[Item], Awaitable[R]],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: Literal["return"],
) -> list[R | Exception]: ...


async def run_parallel(
    items: Source[Item],
    function: Callable[[Item], Awaitable[R]],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: OnError = "raise",
) -> list[R] | list[R | Exception]:
    """Call an async function of your own for each item, and return its results in order.

    A failed item never affects the others: its exception stands in its place. An
    exception that *function* returns counts as one that it raised. Cancellation and
    KeyboardInterrupt end everything at once, as everywhere.

    Args:
        items: Any iterable or async iterable, consumed lazily.
        function: Called with one item at a time.
        n_parallel: Items under way at most; `auto` finds the number by the results
            per second, and lowers it when a `LiminError` says that a server is
            overloaded.
        show_progress: Whether a bar on stderr shows the progress.
        on_error: Whether to raise if any item failed, or to return the exceptions in
            their places, each as it was raised; both after all others were finished.

    Raises:
        BatchError: If any item failed; its `results` hold every result and every
            exception. A `LiminError` that would fail every item, of a wrong key for
            example, stops the batch early; `NotSentError` stands for the items whose
            turn did not come.
        ConfigurationError: If an argument makes no sense; nothing was called.
        Exception: An exception of the iterator of *items*, as it is, after all that
            was under way was finished. Its cause is a `BatchError` with the results.
    """
    n_parallel = check_batch(items, n_parallel, on_error, items="items", takes_keys=True)
    show_progress = check_flag("show_progress", show_progress)
    check_argument("function", function, "an async function", fits=callable(function))
    if count_items(items) == 0:
        return []
    workers = WorkerPool(items, function, n_parallel, as_result=as_it_is)
    progress = open_progress(show_progress, workers, partial(_items_under_way, workers))
    return await run_batch(workers, within(None, progress), on_error, noun="item")


async def complete_all(
    caller: Caller,
    source: Source[Item],
    n_parallel: Parallel,
    options: BatchOptions,
    answer_type: AnswerType | None,
    *,
    system_prompt: str | None = None,
    show_progress: bool,
    on_error: OnError,
) -> list[TextCompletion[object]] | list[TextCompletion[object] | LiminError]:
    """Return the completions of *source*; see `Client.generate_text_completions`.

    Raises:
        BatchError: If any failed, and *on_error* says so.
        CheckpointError: If the checkpoint cannot be used; nothing was sent.
    """
    workers, context = _prepare(
        caller,
        source,
        n_parallel,
        options,
        answer_type,
        system_prompt,
        show_progress=show_progress,
    )
    return await run_batch(workers, context, on_error)


def iter_completions(
    caller: Caller,
    source: Source[Item],
    n_parallel: Parallel,
    options: BatchOptions,
    answer_type: AnswerType | None,
    *,
    system_prompt: str | None = None,
    show_progress: bool,
) -> Results[TextCompletion[object]]:
    """Return the results of *source* as they finish; see `Client.iter_text_completions`."""
    return Results(
        *_prepare(
            caller,
            source,
            n_parallel,
            options,
            answer_type,
            system_prompt,
            show_progress=show_progress,
        )
    )


def _prepare(  # noqa: PLR0917 (passed on)
    caller: Caller,
    source: Source[Item],
    n_parallel: Parallel,
    options: BatchOptions,
    answer_type: AnswerType | None,
    system_prompt: str | None,
    *,
    show_progress: bool,
) -> tuple[
    WorkerPool[Item, TextCompletion[object], LiminError],
    AbstractAsyncContextManager[BatchListener | None],
]:
    """Return workers, and the context of checkpoint and progress that they run in.

    Raises:
        LiminError: If an option makes no sense.
    """
    show_progress = check_flag("show_progress", show_progress)
    calls = InFlight()
    if show_progress:
        caller = caller.observed_by(calls)
    workers, recorded = batch_workers(
        caller, source, n_parallel, options, answer_type, system_prompt
    )
    state = partial(calls_under_way, calls, caller.servers, recorded)
    return workers, within(recorded, open_progress(show_progress, workers, state))


def batch_workers(  # noqa: PLR0917 (passed on)
    caller: Caller,
    source: Source[Item],
    n_parallel: Parallel,
    options: BatchOptions,
    answer_type: AnswerType | None,
    system_prompt: str | None,
) -> tuple[WorkerPool[Item, TextCompletion[object], LiminError], RecordedCall | None]:
    """Return workers, and the call with the checkpoint that they run in, if any.

    Raises:
        ConfigurationError: If an option of the checkpoint makes no sense.
        ConversationError: If *system_prompt* is no text; it would fail every prompt.
    """
    if system_prompt is not None:
        Message("system", system_prompt)
    caller, parallelism = caller.limited_by(n_parallel)
    budget = budget_of(options)
    if budget is not None:
        caller = caller.observed_by(budget)
    batch = BatchAsk(caller, options, answer_type)

    def ask_about(item: Item) -> Awaitable[TextCompletion[object]]:
        conversation, ask = batch.about(item, system_prompt)
        if budget is not None:
            budget.check(conversation)
        return as_item(conversation, ask)

    workers = WorkerPool(
        source, ask_about, parallelism, as_result=as_limin_error, measure=measure
    )
    return workers, batch.recorded


def budget_of(options: BatchOptions | DecisionOptions) -> TokenBudget | None:
    """Return the budget of *options*, if they have one.

    Raises:
        ConfigurationError: If it makes no sense.
    """
    limit = check_length("max_total_tokens", options.get("max_total_tokens"))
    return None if limit is None else TokenBudget(limit)


def as_limin_error(error: Exception) -> LiminError:
    """Return *error* if it is one of limin's, or else an error that it is the cause of."""
    if isinstance(error, LiminError):
        return error
    unexpected = UnexpectedError(type(error).__name__)
    unexpected.__cause__ = error
    return unexpected


async def as_item(conversation: Conversation, ask: Callable[[], Awaitable[R]]) -> R:
    """Return what *ask* returns about *conversation*, an item of a batch.

    Raises:
        LiminError: Any exception of *ask*, as what stands in the item's place.
        StopBatch: As *ask* raised it.
    """
    try:
        return await ask()
    except StopBatch as stop:
        stop.error.conversation = conversation
        raise
    except Exception as error:  # noqa: BLE001 (raised as what stands in the item's place)
        known = as_limin_error(error)
        known.conversation = conversation
        raise known  # noqa: B904 (it has its cause)


@asynccontextmanager
async def within(
    recorded: RecordedCall | None,
    progress: AbstractContextManager[BatchListener | None],
) -> AsyncGenerator[BatchListener | None]:
    """Open the checkpoint, if any, and show *progress* inside."""
    async with nullcontext() if recorded is None else _kept_by(recorded):
        with progress as listener:
            yield listener


@asynccontextmanager
async def _kept_by(recorded: RecordedCall) -> AsyncGenerator[None]:
    """Open the checkpoint, and say in a note to an exception what it keeps.

    A traceback shows the note: that of Ctrl-C, with and without a progress bar.
    """
    async with recorded:
        try:
            yield
        except BaseException as error:
            note = f"limin: {kept_note(recorded.kept, recorded.path)}"
            # The results take their only exception out of the group of their tasks.
            if isinstance(error, BaseExceptionGroup):
                group = cast("BaseExceptionGroup[BaseException]", error)
                unwrap_single(group).add_note(note)
            else:
                error.add_note(note)
            raise


def measure(result: object) -> Work:
    """Return the work that the server did for *result*, for `auto`."""
    effort = Effort.of(result)
    return Work(
        1.0 if effort.tokens is None else float(effort.tokens),
        overloaded=any(is_overload(attempt.error) for attempt in effort.attempts),
    )


def calls_under_way(
    calls: InFlight, servers: Servers, recorded: RecordedCall | None
) -> BatchState:
    """Return how a batch of *calls* stands."""
    return BatchState(
        in_flight=calls.under_way,
        resting=servers.seconds_of_rest,
        kept=0 if recorded is None else recorded.kept,
        checkpoint=None if recorded is None else recorded.path,
    )


def _items_under_way(workers: WorkerPool[Item, R, Exception]) -> BatchState:
    return BatchState(in_flight=workers.under_way)


def open_progress(
    show_progress: bool,  # noqa: FBT001 (passed on)
    workers: WorkerPool[Item, R, LiminError] | WorkerPool[Item, R, Exception],
    state: Callable[[], BatchState],
) -> AbstractContextManager[BatchListener | None]:
    """Return the progress bar of *workers*, which asks for their *state*; or nothing.

    Where there is nothing to do, nothing is shown.
    """
    if not show_progress or workers.size == 0:
        return nullcontext()
    return rendering().batch_progress(workers.size, state)
