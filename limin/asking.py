"""Functions that ask about one conversation, and the recipes that are built on them."""

from __future__ import annotations

import os
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast, get_args

import anyio
import attrs
import msgspec

from limin.calls.served_model import ServedModelCheck
from limin.calls.warning_report import report_warnings
from limin.checkpoint.recorder import RecordedCall
from limin.errors import ConfigurationError, ConversationError, LiminError
from limin.recipes.tool_calls import ToolRunner
from limin.recipes.tool_loop import ToolLimits, ToolLoop
from limin.values.checks import (
    check_argument,
    check_choice,
    check_flag,
    check_integer,
    check_length,
    check_seconds,
    describe_type,
)
from limin.values.configuration import ModelConfiguration
from limin.values.conversation import as_conversation
from limin.values.options import (
    DEFAULTS,
    OnToolError,
    find_filled_in,
    resolve_configuration,
)
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from limin.calls.caller import Caller
    from limin.recipes.ask import Ask
    from limin.recipes.structured import TypedAsk, TypedStream
    from limin.schemas.json_schema import JsonSchema
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.options import BatchOptions, DecisionOptions, ToolRunOptions
    from limin.values.tool_runs import ToolRun
    from limin.values.tools import Tool
    from limin.values.warnings import ResponseWarning

    Prepared: TypeAlias = tuple[
        Conversation, Callable[[], Awaitable[TextCompletion[object]]]
    ]

R = TypeVar("R")


async def about(conversation: Conversation, ask: Callable[[], Awaitable[R]]) -> R:
    """Return what *ask* returns, and note *conversation* in an error that comes instead.

    It is what the user asked, whatever was added to it on the way.

    Raises:
        Exception: The error.
    """
    try:
        return await ask()
    except Exception as error:
        for known in (error, error.__cause__):  # An exception of a tool has one as cause.
            if isinstance(known, LiminError):
                known.conversation = conversation
        raise


def open_checkpoint(
    caller: Caller, options: BatchOptions | DecisionOptions | ToolRunOptions
) -> RecordedCall | None:
    """Return a function that asks as *caller* does, behind the checkpoint of *options*.

    None if there is no checkpoint.

    Raises:
        ConfigurationError: If an option of the checkpoint makes no sense.
    """
    path = options.get("checkpoint")
    fsync = check_flag("fsync", options.get("fsync", DEFAULTS["fsync"]))
    is_path = path is None or isinstance(path, (str, os.PathLike))
    check_argument("checkpoint", path, "a path or None", fits=is_path)
    return None if path is None else RecordedCall(caller, path, fsync=fsync)


def _asks_of_one_model(
    first: Caller, later: Caller, recorded: RecordedCall | None
) -> tuple[Ask, Ask]:
    """Return functions that ask as *first* and *later* do, and expect one served model.

    *recorded* asks as *first* does behind the open checkpoint, if there is one.
    """
    if recorded is not None:
        return recorded, recorded.asking_as(later)
    check = ServedModelCheck(first)
    return check.ask, check.asking_as(later).ask


# Configurations whose encoders are kept; a source may make a new one for each item.
_MOST_CONFIGURATIONS = 256


class BatchAsk:
    """Asks about the items of a batch, each with its own configuration if it has one.

    Attributes:
        recorded: The checkpoint; it is open while items are asked about. None for none.
    """

    def __init__(
        self, caller: Caller, options: BatchOptions, answer_type: AnswerType | None
    ) -> None:
        """Ask as *caller* does, which was made of *options*, for answers of a type.

        Raises:
            ConfigurationError: If an option of the checkpoint makes no sense.
        """
        self._caller, self._options, self._answer_type = caller, options, answer_type
        self.recorded = open_checkpoint(caller, options)
        self._checks = {caller.model: ServedModelCheck(caller)}
        self._calls = {} if self.recorded is None else {caller.model: self.recorded}
        own: Ask = self.recorded or self._checks[caller.model].ask
        self._own = self._typed(own, caller)
        # By identity: 1 and 1.0 are equal, and other requests. The values keep the keys.
        self._asks: dict[int, tuple[ModelConfiguration, Ask]] = {}
        self._turn = anyio.Lock()

    def about(self, item: object, system_prompt: str | None) -> Prepared:
        """Return the conversation of *item*, and a function that asks about it.

        Raises:
            ConversationError: If it is no prompt, no conversation, and no pair of one and
                a configuration.
        """
        prompt, configuration = _split_pair(item)
        conversation = as_conversation(prompt, system_prompt)
        if configuration is None:
            return conversation, partial(self._own, conversation)
        return conversation, partial(self._ask_with, configuration, conversation)

    async def _ask_with(
        self, configuration: ModelConfiguration, conversation: Conversation
    ) -> TextCompletion[object]:
        known = self._asks.get(id(configuration))
        ask = await self._make_once(configuration) if known is None else known[1]
        return await ask(conversation)

    async def _make_once(self, configuration: ModelConfiguration) -> Ask:
        """Return what `_make_ask` returns; it may look into the checkpoint for a while."""
        async with self._turn:
            known = self._asks.get(id(configuration))
            if known is not None:
                return known[1]
            ask = await self._make_ask(configuration)
            if len(self._asks) >= _MOST_CONFIGURATIONS:
                del self._asks[next(iter(self._asks))]
            self._asks[id(configuration)] = configuration, ask
            return ask

    async def _make_ask(self, configuration: ModelConfiguration) -> Ask:
        """Return a function that asks with *configuration*.

        Each model has a name by which it is served, whatever else is configured.
        """
        caller = self._configure(configuration)
        model = caller.model
        if self.recorded is None:
            check = self._checks.setdefault(model, ServedModelCheck(caller))
            return self._typed(check.asking_as(caller).ask, caller)
        if model not in self._calls:
            self._calls[model] = await self.recorded.asking_another_model(caller)
        return self._typed(self._calls[model].asking_as(caller), caller)

    def _configure(self, configuration: ModelConfiguration) -> Caller:
        options: dict[str, object] = {**self._options, "model_configuration": configuration}
        resolved = resolve_configuration(cast("BatchOptions", options))
        filled_in = find_filled_in(cast("BatchOptions", options), resolved)
        schema = None if self._answer_type is None else self._answer_type.schema
        encoder = RequestEncoder.of(resolved, schema, filled_in)
        return msgspec.structs.replace(self._caller, encoder=encoder, model=resolved.model)

    def _typed(self, ask: Ask, caller: Caller) -> Ask:
        return self._answer_type.typed_ask(ask, caller) if self._answer_type else ask


def _split_pair(item: object) -> tuple[str | Conversation, ModelConfiguration | None]:
    """Return the prompt or conversation of *item*, and its configuration if it has one.

    Raises:
        ConversationError: If *item* is another tuple.
    """
    if not isinstance(item, tuple):
        return cast("str", item), None
    pair = cast("tuple[object, ...]", item)
    if len(pair) == 2 and isinstance(pair[1], ModelConfiguration):  # noqa: PLR2004 (a pair)
        return cast("str", pair[0]), pair[1]
    kinds = ", ".join(map(describe_type, pair)) or "nothing"
    problem = f"expected a pair of a prompt and a ModelConfiguration, found {kinds}"
    raise ConversationError(problem)


@attrs.frozen
class AnswerType:
    """The type of the answers, and how often to ask again about one that does not fit.

    Attributes:
        schema: The type.
        reask: How often at most to ask again.
    """

    schema: JsonSchema[object]
    reask: int = 0

    @classmethod
    def of(cls, response_type: object, reask: int = 0) -> AnswerType | None:
        """Return the type that *response_type* stands for; None for None.

        Raises:
            ConfigurationError: If it has no JSON schema, or *reask* makes no sense.
        """
        reask = check_integer("reask", reask, at_least=0)
        if response_type is None:
            if reask:
                problem = f"reask: expected response_type beside it, found reask={reask}"
                raise ConfigurationError(problem)
            return None
        from limin.values.typed_answers import as_schema  # noqa: PLC0415 (loads schemas)

        return cls(as_schema(response_type), reask)

    def typed_ask(self, ask: Ask, caller: Caller) -> TypedAsk[object]:
        """Return a function that asks as *ask* does, and reads the answers.

        Args:
            ask: Asks with requests of *caller*.
            caller: Says whether tools are offered, and how warnings are reported.
        """
        from limin.recipes.structured import TypedAsk, TypedReader  # noqa: PLC0415 (loads schemas)

        offers_tools, report = caller.encoder.offers_tools, _reporter(caller)
        return TypedAsk(ask, TypedReader(self.schema, offers_tools, report), self.reask)

    def typed_stream(self, caller: Caller) -> TypedStream[object]:
        """Return what reads one answer while it comes, for a stream of *caller*."""
        from limin.recipes.structured import TypedReader, TypedStream  # noqa: PLC0415 (loads schemas)

        offers_tools, report = caller.encoder.offers_tools, _reporter(caller)
        return TypedStream(TypedReader(self.schema, offers_tools, report))


def _reporter(caller: Caller) -> Callable[[TextCompletion[object], ResponseWarning], None]:
    """Return a function that reports a warning as *caller* does."""

    def report(completion: TextCompletion[object], warning: ResponseWarning) -> None:
        report_warnings(completion, caller.on_warning, caller.asked_at, (warning,))

    return report


async def run_with_tools(
    conversation: Conversation,
    tools: Sequence[Tool | Mapping[str, object]],
    callers: tuple[Caller, Caller],
    answer_type: AnswerType | None,
    options: ToolRunOptions,
) -> ToolRun[object]:
    """Return a run in which the model calls *tools*; see `Client.run_tools`.

    Args:
        conversation: The conversation at the start.
        tools: The tools that the model may call.
        callers: The first asks the first time, the second from then on.
        answer_type: The type of the last answer; None for any text.
        options: The limits of the run and the checkpoint.

    Raises:
        LiminError: If an option makes no sense, or a request failed.
    """
    given: dict[str, Any] = {**DEFAULTS, **options}
    limits = ToolLimits(
        max_rounds=check_integer("max_rounds", given["max_rounds"], at_least=1),
        max_calls=check_length("max_calls", given["max_calls"]),
        max_seconds=check_seconds("max_seconds", given["max_seconds"]),
    )
    on_error = check_choice("on_tool_error", given["on_tool_error"], get_args(OnToolError))
    runner = ToolRunner(
        tools,
        n_parallel=check_integer("n_parallel", given["n_parallel"], at_least=1),
        timeout=check_seconds("tool_timeout", given["tool_timeout"]),
        on_error=cast("OnToolError", on_error),
    )
    recorded = open_checkpoint(callers[0], options)
    async with recorded or nullcontext():
        first, later = _asks_of_one_model(*callers, recorded)
        if answer_type is not None:
            first = answer_type.typed_ask(first, callers[0])
            later = answer_type.typed_ask(later, callers[1])
        return await ToolLoop(conversation, runner, limits).run(first, later)
