"""Decisions for the client: one, or many at once, with their checkpoint and progress."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, cast, get_args

from limin.asking import about, open_checkpoint
from limin.batch.results import run_batch
from limin.batch.workers import WorkerPool
from limin.calls.observer import InFlight
from limin.calls.served_model import ServedModelCheck
from limin.calls.warning_report import report_warnings
from limin.errors import ConfigurationError
from limin.parallel import (
    as_item,
    as_limin_error,
    calls_under_way,
    measure,
    open_progress,
    within,
)
from limin.recipes.decisions import By, Decider, Style, check_style, split_item
from limin.values.checks import check_choice, check_flag, check_integer, check_text
from limin.values.conversation import as_conversation
from limin.values.messages import Message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from limin.batch.results import OnError
    from limin.batch.workers import Parallel, Source
    from limin.calls.call import Caller
    from limin.calls.observer import Observer
    from limin.checkpoint.recorder import RecordedCall
    from limin.errors import LiminError
    from limin.recipes.alternatives import Alternatives
    from limin.recipes.ask import Ask
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.decisions import Decision
    from limin.values.options import DecisionOptions
    from limin.values.warnings import ResponseWarning

# OpenAI sends no more, and neither does vLLM unless it is started with more.
_ALTERNATIVES = 20


class DecisionSetting:
    """The options of decisions, checked, and the callers that ask for them."""

    def __init__(
        self,
        caller: Callable[[int], Caller],
        options: DecisionOptions,
        known: Alternatives,
        labels: Sequence[str] | Sequence[int] | None,
    ) -> None:
        """Check *options*.

        Args:
            caller: Returns what makes calls that ask for a number of alternatives.
            options: The options.
            known: What is known of the number of alternatives that the server takes.
            labels: The labels of all questions; None if each has its own.

        Raises:
            ConfigurationError: If an option makes no sense.
        """
        by = check_choice("by", options.get("by", "letter"), get_args(By))
        fallback = options.get("fallback")
        if fallback is not None:
            check_choice("fallback", fallback, ("text",))
        prefill = options.get("prefill")
        self._style = Style(
            by=cast("By", by),
            orders=check_integer("orders", options.get("orders", 1), at_least=1),
            prefill=None if prefill is None else check_text("prefill", prefill),
            fold=check_flag("fold", options.get("fold", True)),
            fallback=fallback,
        )
        if labels is not None:
            check_style(self._style, labels)
        self._make_caller, self._known = caller, known
        number = options.get("top_log_probs")
        self._number = _ALTERNATIVES if number is None else number
        self.caller = caller(self._number)
        if self.caller.encoder.sampling.is_constrained:
            problem = "expected no grammar for a decision: it hides other answers"
            raise ConfigurationError(problem)

    def observe(self, observer: Observer) -> None:
        """Let *observer* listen to the calls, too."""
        make = self._make_caller
        self._make_caller = lambda number: make(number).observed_by(observer)
        self.caller = self.caller.observed_by(observer)

    def decider(self, recorded: RecordedCall | None) -> Decider:
        """Return what decides, behind the open checkpoint *recorded* if there is one."""
        asks: dict[int, Ask] = {}

        def ask(number: int) -> Ask:
            if number not in asks:
                same = number == self._number
                caller = self.caller if same else self._make_caller(number)
                plain_ask = ServedModelCheck(caller).ask
                asks[number] = recorded.asking_as(caller) if recorded else plain_ask
            return asks[number]

        def report(
            completion: TextCompletion[object], warnings: tuple[ResponseWarning, ...]
        ) -> None:
            caller = self.caller
            report_warnings(completion, caller.on_warning, caller.asked_at, warnings)

        return Decider(
            ask, self._style, n_alternatives=self._number, known=self._known, report=report
        )


async def decide_one(
    setting: DecisionSetting,
    conversation: Conversation,
    labels: Sequence[str],
    options: DecisionOptions,
) -> Decision[str]:
    """Return the decision about *conversation*; see `Client.generate_decision`.

    Raises:
        LiminError: If there is none.
    """
    recorded = open_checkpoint(setting.caller, options)
    async with recorded or nullcontext():
        decide = setting.decider(recorded)
        return await about(conversation, partial(decide, conversation, labels))


async def decide_all(
    setting: DecisionSetting,
    source: Source[object],
    labels: Sequence[str] | None,
    n_parallel: Parallel,
    options: DecisionOptions,
    *,
    system_prompt: str | None = None,
    show_progress: bool,
    on_error: OnError,
) -> list[Decision[str]] | list[Decision[str] | LiminError]:
    """Return the decisions about *source*; see `Client.generate_decisions`.

    Raises:
        BatchError: If any failed, and *on_error* says so.
        CheckpointError: If the checkpoint cannot be used; nothing was sent.
    """
    show_progress = check_flag("show_progress", show_progress)
    if system_prompt is not None:
        Message("system", system_prompt)
    calls = InFlight()
    if show_progress:
        setting.observe(calls)
    recorded = open_checkpoint(setting.caller, options)
    deciders: list[Decider] = []  # Made when the checkpoint is open.

    def decide(item: object) -> Awaitable[Decision[str]]:
        if not deciders:
            deciders.append(setting.decider(recorded))
        prompt, own_labels = split_item(item) if labels is None else (item, labels)
        conversation = as_conversation(cast("str", prompt), system_prompt)
        return as_item(conversation, partial(deciders[0], conversation, own_labels))

    workers = WorkerPool(
        source, decide, n_parallel, as_result=as_limin_error, measure=measure
    )
    rate_limiter = setting.caller.rate_limiter
    state = partial(calls_under_way, calls, rate_limiter, recorded)
    progress = open_progress(show_progress, workers, state)
    return await run_batch(workers, within(recorded, progress), on_error)
