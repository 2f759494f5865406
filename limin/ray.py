"""Completions for the blocks of a Ray data set: `Dataset.map_batches(TextCompletions)`.

Needs the extra `limin[ray]`. Nothing here imports Ray, which calls the class.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, cast

import anyio
import anyio.to_thread
import attrs
from anyio.from_thread import BlockingPortal

from limin.asking import AnswerType
from limin.batch.results import check_batch
from limin.blocks.columns import ResultColumns
from limin.blocks.rows import BlockRows, choose_reader
from limin.blocks.tables import as_table
from limin.blocks.window import Window
from limin.checkpoint.folder import as_folder
from limin.client import Client
from limin.deciding import DecisionSetting, decision_workers
from limin.errors import ConfigurationError, LiminError
from limin.parallel import batch_workers
from limin.values.checks import check_argument, check_text
from limin.values.endpoint import Limits, as_private, check_url, find_private_query
from limin.values.headers import conceal
from limin.values.messages import Message
from limin.values.option_names import check_option_names, conceal_options
from limin.values.options import AskOptions, resolve_configuration
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
    from typing import Literal

    from limin.batch.workers import Parallel, WorkerPool
    from limin.blocks.columns import Result, ResultRow
    from limin.blocks.tables import Table
    from limin.checkpoint.recorder import RecordedCall
    from limin.values.conversation import Conversation
    from limin.values.options import BatchOptions

    Item: TypeAlias = str | Conversation
    Workers: TypeAlias = WorkerPool[Item, Any, LiminError]

__all__ = ["BlockOptions", "TextCompletions"]


class BlockOptions(AskOptions, total=False):
    """The options of `TextCompletions`; see `AskOptions`, and for labels `DecisionOptions`.

    Attributes:
        stream: Whether to fetch answers by streaming, for their idle timeout.
        fsync: Whether each line of the checkpoint survives a power cut.
        limits: Limits of size and number for one server.
        requests_per_minute: Requests of this actor in any minute at most.
        tokens_per_minute: Tokens of this actor in any minute at most.
        by, orders, prefill, continue_prefill, fold, fallback: See `DecisionOptions`; only
            beside *labels*.
    """

    stream: bool
    fsync: bool
    limits: Limits | None
    requests_per_minute: float | None
    tokens_per_minute: float | None
    by: Literal["letter", "text"]
    orders: int
    prefill: str | None
    continue_prefill: bool
    fold: bool
    fallback: Literal["text"] | None


_OF_CLIENT = ("limits", "requests_per_minute", "tokens_per_minute")
_OF_DECISIONS = ("by", "orders", "prefill", "continue_prefill", "fold", "fallback")

# Headers that hold keys, in lower case.
_KEYS = frozenset(
    {"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key"}
    | {"cookie", "ocp-apim-subscription-key"}
)
# Ray 2.60 writes `env_vars` of a `runtime_env` into runtime_env_agent.log, word for word.
_ENVIRONMENT = (
    "Ray pickles and stores arguments; set OPENAI_API_KEY in the environment in which Ray "
    "is started on each node, since a runtime_env stands in Ray's logs"
)


@attrs.frozen
class _Plan:
    """What the workers of an actor ask, checked."""

    n_parallel: Parallel
    system_prompt: str | None
    options: dict[str, Any]
    answer_type: AnswerType | None
    decisions: DecisionSetting | None


class _ActorClient(Client):
    """The client of one actor."""

    @asynccontextmanager
    async def open_workers(
        self, plan: _Plan, source: AsyncIterable[Item]
    ) -> AsyncGenerator[Workers]:
        """Yield workers that ask about *source*, while their checkpoint is open.

        Raises:
            LiminError: If an option makes no sense, or the checkpoint cannot be used.
        """
        workers, recorded = self._make_workers(plan, source)
        async with recorded or nullcontext():
            yield workers

    def _make_workers(
        self, plan: _Plan, source: AsyncIterable[Item]
    ) -> tuple[Workers, RecordedCall | None]:
        setting = plan.decisions
        if setting is None:
            options = cast("BatchOptions", plan.options)
            caller = self._caller(options, plan.answer_type)
            return batch_workers(
                caller,
                source,
                plan.n_parallel,
                options,
                plan.answer_type,
                plan.system_prompt,
            )
        caller = self._caller(setting.call_options)
        workers, recorded = decision_workers(
            setting,
            caller,
            self._alternatives[caller.model],
            source,
            plan.n_parallel,
            plan.system_prompt,
        )
        return cast("Workers", workers), recorded


class TextCompletions:
    """Asks about the rows of blocks: a callable class for `Dataset.map_batches`.

    Each row keeps its columns, and gains `answer`, `finish_reason`, `prompt_tokens`,
    `completion_tokens`, `duration` in seconds, `error` and `error_kind`; with
    *response_type* also `value`, the answer as JSON alone; with `log_probs=True` also
    `tokens` and `log_probs`, and with `top_log_probs` `top_tokens` and `top_log_probs`;
    with *labels* `label`, `mass`, `is_certain`, `expected`, and `prob.LABEL` for each
    label. Their Arrow types do not depend on the answers. A row that has no answer has
    the error's sentence in `error`, and the name of its class in `error_kind`.

    An actor has one client, which is kept over its blocks, and asks in a thread of its
    own: however long Ray does not take a finished block, answers under way are read. The
    thread, the client and the checkpoint are opened with the first block, so that an
    instance made in the driver only checks its arguments.

    The key is `OPENAI_API_KEY` of the actor's environment. No argument takes one, since
    Ray pickles and stores them.
    """

    def __init__(
        self,
        *,
        prompt_column: str = "prompt",
        messages_column: str | None = None,
        template: str | None = None,
        system_prompt: str | None = None,
        labels: Sequence[str] | Sequence[int] | None = None,
        n_parallel: Parallel = 32,
        base_url: str | Sequence[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        prefix: str = "",
        response_type: object = None,
        reask: int = 0,
        **options: Unpack[BlockOptions],
    ) -> None:
        """Check the arguments; nothing is opened yet.

        Args:
            prompt_column: Column of the prompts.
            messages_column: Column of lists of messages, as structs or as JSON texts, in
                place of *prompt_column*. None for none.
            template: Prompts with `{name}` for the column `name`, in place of
                *prompt_column*. None for none.
            system_prompt: The system's message before each prompt; None for none. It is
                not added to a conversation, which has its own.
            labels: Labels to decide between; see `Client.generate_decisions`. None for
                answers as they are.
            n_parallel: Requests of this actor under way at most, over all blocks that Ray
                gives it at once; `auto` finds the number.
            base_url: The endpoint, or several replicas of one; by default
                `OPENAI_BASE_URL` of the actor's environment.
            checkpoint: A folder, which is made if there is none. Each actor writes to a
                file of its own in it, and takes answers from all. None for none.
            prefix: What stands before the names of the columns that are added.
            response_type: The type of each answer; see `Client.generate_text_completion`.
            reask: How often to ask again if an answer does not fit.
            **options: See `BlockOptions`.

        Raises:
            ConfigurationError: If an argument makes no sense, or would hold a key.
            TypeError: If there is no such option.
        """
        base_url = conceal(base_url)
        # No copy: what is concealed, is so in all local variables.
        given = cast("dict[str, Any]", options)
        conceal_options(given)
        _refuse_keys(given, base_url)
        names = BlockOptions.__annotations__.keys() | AskOptions.__annotations__.keys()
        check_option_names(TextCompletions.__init__, given, names)
        self._reader = choose_reader(prompt_column, messages_column, template)
        self._base_url = base_url
        self._of_client = {name: given.pop(name) for name in _OF_CLIENT if name in given}
        if checkpoint is not None:
            given["checkpoint"] = as_folder(checkpoint)
        parallel = check_batch((), n_parallel)
        answers = response_type, reask
        self._plan = _make_plan(given, parallel, system_prompt, labels, answers)
        self._columns = _find_columns(self._plan, check_text("prefix", prefix))
        self._starting = threading.Lock()
        self._actor: _Actor | None = None

    async def __call__(self, block: object) -> Table:
        """Return *block* with the columns of its answers.

        Args:
            block: A table of pyarrow, which keeps the types of its columns; a table of
                pandas, or a mapping from names to arrays.

        Raises:
            ConfigurationError: If the block has no column of prompts, or has a column of
                a name that is added; or if an option makes no sense.
            LiminError: If an error would fail every row: a wrong key, a model that does
                not exist, a used-up balance, a checkpoint that cannot be written.
        """
        table = as_table(block)
        self._columns.check_names(table)
        rows = BlockRows.of(table, self._reader)
        answer = partial(self._answer, table.num_rows, rows.read)
        answered = await anyio.to_thread.run_sync(answer, abandon_on_cancel=True)
        return self._columns.add_to(table, answered)

    def close(self) -> None:
        """End the requests under way, and close connections and checkpoint.

        Ray does so when an actor ends in good order; an actor that is killed needs no
        closing. A closed instance may be used again.
        """
        with self._starting:
            if self._actor is not None:
                self._actor.close()
                self._actor = None

    def _answer(self, size: int, read: Callable[[int], Item]) -> list[ResultRow]:
        """Return what the columns show of the results of a block."""
        if not size:  # Engines ask about no rows, to find out the columns.
            return []
        with self._starting:
            if self._actor is None:
                self._actor = _Actor(
                    partial(_ActorClient, cast("Any", self._base_url), **self._of_client),
                    self._plan,
                    self._columns.row_of,
                )
                weakref.finalize(self, self._actor.close)
        return self._actor.answer(size, read)


class _Actor:
    """A thread with an event loop, a client and its window, for all blocks."""

    def __init__(
        self,
        make_client: Callable[[], _ActorClient],
        plan: _Plan,
        keep: Callable[[Result], ResultRow],
    ) -> None:
        """Start the thread.

        Raises:
            LiminError: If there can be no client.
        """
        self._make_client, self._plan, self._keep = make_client, plan, keep
        self._ready = threading.Event()
        self._error: Exception | None = None
        # A program that ends does not wait for it.
        self._thread = threading.Thread(target=self._run, name="limin", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error
        self._portal.start_task_soon(self._window.run)

    def answer(self, size: int, read: Callable[[int], Item]) -> list[ResultRow]:
        """Return what is kept of the results of a block; see `Window.answer`."""
        return self._portal.call(self._window.answer, size, read)

    def close(self) -> None:
        """End the thread, unless it has ended."""
        if self._thread.is_alive():
            self._portal.call(self._portal.stop, True)  # noqa: FBT003 (anyio's)
            self._thread.join()

    def _run(self) -> None:
        try:
            anyio.run(self._serve)
        except Exception as error:  # noqa: BLE001 (raised where the thread was started)
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        async with self._make_client() as client, BlockingPortal() as self._portal:
            open_workers = partial(client.open_workers, self._plan)
            self._window: Window[Item, Any, ResultRow] = Window(open_workers, self._keep)
            self._ready.set()
            await self._portal.sleep_until_stopped()


def _refuse_keys(options: Mapping[str, Any], base_url: str | Sequence[str] | None) -> None:
    """Refuse arguments that hold a key, or may.

    Raises:
        ConfigurationError: If there are such; it does not show their values.
    """
    if "api_key" in options:
        problem = f"api_key: expected none among the arguments, found one; {_ENVIRONMENT}"
        raise ConfigurationError(problem)
    keys = sorted(_KEYS & as_private(cast("Any", options.get("headers"))).keys())
    if keys:
        problem = f"headers: expected none with a key, found {keys[0]}; {_ENVIRONMENT}"
        raise ConfigurationError(problem)
    urls = [base_url] if base_url is None or isinstance(base_url, str) else base_url
    is_text = isinstance(urls, Sequence) and all(
        url is None or isinstance(url, str) for url in urls
    )
    check_argument("base_url", base_url, "a URL, several, or None", fits=is_text)
    for url in filter(None, urls):
        check_url("base_url", url)
    if any(map(find_private_query, filter(None, urls))):
        problem = (
            "base_url: expected no query that may hold a key, found one; Ray pickles and "
            "stores arguments; set OPENAI_BASE_URL in the environment of the nodes"
        )
        raise ConfigurationError(problem)


def _make_plan(
    options: dict[str, Any],
    n_parallel: Parallel,
    system_prompt: str | None,
    labels: object,
    answers: tuple[object, int],
) -> _Plan:
    """Return what workers ask, with *options*, for *answers* of a type, or for *labels*.

    Raises:
        ConfigurationError: If an option makes no sense.
    """
    response_type, reask = answers
    answer_type = AnswerType.of(response_type, reask)
    decisions = None
    others = _OF_DECISIONS if labels is None else ("stream",)
    misplaced = [name for name in others if name in options]
    if misplaced or (labels is not None and answer_type is not None):
        found = misplaced[0] if misplaced else "response_type"
        beside = "without labels" if labels is None else "beside labels"
        problem = f"{found}: expected none {beside}, found one"
        raise ConfigurationError(problem)
    if labels is not None:
        decisions = DecisionSetting.of(cast("Any", options), labels)
    configuration = resolve_configuration(cast("AskOptions", options))
    RequestEncoder.of(configuration, answer_type.schema if answer_type else None)
    if system_prompt is not None:
        Message("system", system_prompt)
    return _Plan(n_parallel, system_prompt, options, answer_type, decisions)


def _find_columns(plan: _Plan, prefix: str) -> ResultColumns:
    """Return the columns of the results of *plan*."""
    configuration = resolve_configuration(cast("AskOptions", plan.options))
    return ResultColumns.of(
        prefix=prefix,
        is_typed=plan.answer_type is not None,
        labels=None if plan.decisions is None else plan.decisions.labels,
        log_probs=configuration.log_probs,
        top_log_probs=configuration.top_log_probs,
    )
