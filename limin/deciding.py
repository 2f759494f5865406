"""Decisions for the client: one, or many at once, with their checkpoint and progress."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast, get_args

import attrs
import msgspec

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
    budget_of,
    calls_under_way,
    measure,
    open_progress,
    within,
)
from limin.recipes.decisions import By, Decider, Fallback, Style, split_item
from limin.values.checks import (
    check_argument,
    check_choice,
    check_flag,
    check_integer,
    check_text,
    refuse,
)
from limin.values.configuration import ModelConfiguration
from limin.values.conversation import as_conversation
from limin.values.messages import Message
from limin.values.options import (
    DECISION_DEFAULTS,
    DEFAULTS,
    AskOptions,
    find_filled_in,
    resolve_configuration,
)
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection

    from limin.batch.results import OnError
    from limin.batch.workers import Parallel, Source
    from limin.calls.caller import Caller
    from limin.checkpoint.recorder import RecordedCall
    from limin.errors import LiminError
    from limin.recipes.alternatives import Alternatives
    from limin.recipes.ask import Ask
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.decisions import Decision
    from limin.values.options import DecisionOptions
    from limin.values.warnings import ResponseWarning

Labels: TypeAlias = "list[str] | list[int]"
AnyDecision: TypeAlias = "Decision[str] | Decision[int]"

# Tokens of an answer: a letter or a number and some more, so that the text is there too.
# A label that is a text has at most as many tokens as bytes, and mostly far fewer.
_FEW_TOKENS = 16
_MANY_TOKENS = 64  # Of labels that are not known yet.
_MOST_TOKENS = 256

_CONTINUES = {"continue_final_message": True, "add_generation_prompt": False}

# Of a configuration that was given, a temperature that is not this one was meant.
_DEFAULTS = ModelConfiguration()
_CALL_NAMES = AskOptions.__annotations__.keys() - attrs.fields_dict(ModelConfiguration)


@attrs.frozen
class DecisionSetting:
    """The options of decisions, checked.

    Attributes:
        style: How questions are put, and answers read.
        labels: The labels of all questions; None if each has its own.
        configuration: The fields of the requests.
        options: The options.
        filled_in: Names of the fields of the requests that the user left to limin.
    """

    style: Style
    labels: Labels | None
    configuration: ModelConfiguration
    options: DecisionOptions
    filled_in: Collection[str]

    @classmethod
    def of(cls, options: DecisionOptions, labels: object) -> DecisionSetting:
        """Check *options* and *labels*; these are None if each question has its own.

        Raises:
            ConfigurationError: If an option makes no sense, labels are no labels, or a
                grammar constrains the answers.
        """
        style = _read_style(options)
        checked = None if labels is None else style.check_labels(labels)
        configuration, filled_in = _configuration(options, style, checked)
        sampling = RequestEncoder.of(configuration).sampling
        if sampling.is_constrained or sampling.must_call:
            limit = "grammar" if sampling.is_constrained else "call that must be made"
            problem = f"expected no {limit} for a decision: it hides the other answers"
            raise ConfigurationError(problem)
        return cls(style, checked, configuration, options, filled_in)

    @property
    def call_options(self) -> AskOptions:
        """The options of each request."""
        options = {k: v for k, v in self.options.items() if k in _CALL_NAMES}
        return cast("AskOptions", options | {"model_configuration": self.configuration})

    def decider(
        self, caller: Caller, known: Alternatives, recorded: RecordedCall | None
    ) -> Decider:
        """Return what decides by asking as *caller* does.

        Args:
            caller: Makes calls with `call_options`.
            known: What is known of the number of alternatives that the server takes.
            recorded: The checkpoint, if there is one; it is open when the decider asks.
        """
        encoder = RequestEncoder.of(self.configuration, filled_in=self.filled_in)
        caller = msgspec.structs.replace(caller, encoder=encoder)
        check = ServedModelCheck(caller)
        asks: dict[int, Ask] = {}

        def ask(number: int) -> Ask:
            if number not in asks:
                asking = self._asking_for(caller, number)
                plain_ask = check.asking_as(asking).ask
                asks[number] = recorded.asking_as(asking) if recorded else plain_ask
            return asks[number]

        def report(
            completion: TextCompletion[object], warnings: tuple[ResponseWarning, ...]
        ) -> None:
            report_warnings(completion, caller.on_warning, caller.asked_at, warnings)

        number = cast("int", self.configuration.top_log_probs)
        return Decider(ask, self.style, n_alternatives=number, known=known, report=report)

    def _asking_for(self, caller: Caller, number: int) -> Caller:
        """Return a caller that asks for *number* alternatives, and else as *caller*."""
        if number == self.configuration.top_log_probs:
            return caller
        configuration = attrs.evolve(self.configuration, top_log_probs=number)
        encoder = RequestEncoder.of(configuration, filled_in=self.filled_in)
        return msgspec.structs.replace(caller, encoder=encoder)


def _read_style(options: DecisionOptions) -> Style:
    """Return how the questions are put.

    Raises:
        ConfigurationError: If an option makes no sense.
    """
    given: dict[str, Any] = {**DEFAULTS, **options}
    by = check_choice("by", given["by"], get_args(By))
    fallback = given["fallback"]
    if fallback is not None:
        fallback = check_choice("fallback", fallback, get_args(Fallback), "None")
    prefill = given["prefill"]
    if prefill is not None:
        prefill = check_text("prefill", prefill)
        is_visible = bool(prefill.strip())
        check_argument("prefill", prefill, "a visible text or None", fits=is_visible)
    return Style(
        by=cast("By", by),
        orders=check_integer("orders", given["orders"], at_least=1),
        prefill=prefill,
        continues=check_flag("continue_prefill", given["continue_prefill"]),
        fold=check_flag("fold", given["fold"]),
        fallback=cast("Fallback | None", fallback),
    )


def _configuration(
    options: DecisionOptions, style: Style, labels: Labels | None
) -> tuple[ModelConfiguration, Collection[str]]:
    """Return the fields of the requests, and the names of those that the user left out.

    Raises:
        ConfigurationError: If a field is of the wrong type or out of range.
    """
    given: dict[str, Any] = {"log_probs": DECISION_DEFAULTS["log_probs"], **options}
    configuration = resolve_configuration(cast("AskOptions", given))
    changes: dict[str, Any] = {}
    is_default = configuration.temperature == _DEFAULTS.temperature
    if "temperature" not in options and is_default:
        changes["temperature"] = DECISION_DEFAULTS["temperature"]
    if configuration.top_log_probs is None:
        changes["top_log_probs"] = DECISION_DEFAULTS["top_log_probs"]
    if configuration.max_tokens is None and configuration.max_completion_tokens is None:
        changes["max_tokens"] = _tokens_for(style, labels)
    if style.continues:
        changes["extra_body"] = {**_CONTINUES, **(configuration.extra_body or {})}
    filled_in = {*find_filled_in(options, configuration), *changes} - {"extra_body"}
    return attrs.evolve(configuration, **changes), filled_in


def _tokens_for(style: Style, labels: Labels | None) -> int:
    """Return how many tokens an answer may have."""
    if labels is None:
        return _FEW_TOKENS if style.by == "letter" else _MANY_TOKENS
    if style.lists(labels):
        return _FEW_TOKENS
    longest = max(len(str(label).encode()) for label in labels)
    return min(max(longest, _FEW_TOKENS), _MOST_TOKENS)


async def decide_one(
    setting: DecisionSetting,
    caller: Caller,
    known: Alternatives,
    conversation: Conversation,
) -> AnyDecision:
    """Return the decision about *conversation*; see `Client.generate_decision`.

    Raises:
        ConfigurationError: If the question has no labels.
        LiminError: If there is none.
    """
    labels = setting.labels
    if labels is None:
        refuse("labels", labels, "those of the question")
    recorded = open_checkpoint(caller, setting.options)
    decider = setting.decider(caller, known, recorded)
    decide = partial(decider, conversation, cast("list[str]", labels))
    async with recorded or nullcontext():
        return await about(conversation, decide)


async def decide_all(
    setting: DecisionSetting,
    caller: Caller,
    known: Alternatives,
    source: Source[object],
    n_parallel: Parallel,
    *,
    system_prompt: str | None = None,
    show_progress: bool,
    on_error: OnError,
) -> list[AnyDecision] | list[AnyDecision | LiminError]:
    """Return the decisions about *source*; see `Client.generate_decisions`.

    Raises:
        BatchError: If any failed, and *on_error* says so.
        CheckpointError: If the checkpoint cannot be used; nothing was sent.
    """
    show_progress = check_flag("show_progress", show_progress)
    calls = InFlight()
    if show_progress:
        caller = caller.observed_by(calls)
    workers, recorded = decision_workers(
        setting, caller, known, source, n_parallel, system_prompt
    )
    state = partial(calls_under_way, calls, caller.servers, recorded)
    progress = open_progress(show_progress, workers, state)
    return await run_batch(workers, within(recorded, progress), on_error)


def decision_workers(  # noqa: PLR0917 (passed on)
    setting: DecisionSetting,
    caller: Caller,
    known: Alternatives,
    source: Source[object],
    n_parallel: Parallel,
    system_prompt: str | None,
) -> tuple[WorkerPool[object, AnyDecision, LiminError], RecordedCall | None]:
    """Return workers, and the call with the checkpoint that they run in, if any.

    Raises:
        ConfigurationError: If a grammar constrains the answers, or an option of the
            batch makes no sense.
        ConversationError: If *system_prompt* is no text; it would fail every prompt.
    """
    if system_prompt is not None:
        Message("system", system_prompt)
    caller, parallelism = caller.limited_by(n_parallel)
    budget = budget_of(setting.options)
    if budget is not None:
        caller = caller.observed_by(budget)
    recorded = open_checkpoint(caller, setting.options)
    decider = setting.decider(caller, known, recorded)

    def decide(item: object) -> Awaitable[AnyDecision]:
        given: object = setting.labels
        prompt, given = split_item(item) if given is None else (item, given)
        conversation = as_conversation(cast("str", prompt), system_prompt)
        if budget is not None:
            budget.check(conversation)

        def ask() -> Awaitable[AnyDecision]:
            labels = setting.labels or setting.style.check_labels(given)
            return decider(conversation, cast("list[str]", labels))

        return as_item(conversation, ask)

    workers = WorkerPool(
        source, decide, parallelism, as_result=as_limin_error, measure=measure
    )
    return workers, recorded
