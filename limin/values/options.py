"""The options of every function and method that asks, by name.

`ModelConfiguration` is the home of the defaults. `AskOptions` and the classes after
it repeat only the names, so that type checkers know every option of every function.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, cast, get_args

import attrs

from limin.errors import ConfigurationError
from limin.values.checks import check_choice, describe_type
from limin.values.configuration import ModelConfiguration
from limin.values.tools import relax_tool_choice

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence

    from limin.values.conversation import Conversation
    from limin.values.tools import ToolSource

OnWarning: TypeAlias = Literal["ignore", "warn", "raise"]
OnToolError: TypeAlias = Literal["tell", "tell-all", "raise"]

# An item of a batch with a configuration of its own.
Configured: TypeAlias = "tuple[str | Conversation, ModelConfiguration]"


class AskOptions(TypedDict, total=False):
    """The options of every function that asks, by name.

    An option wins over the same field of `model_configuration`, or over the client's
    argument of that name. All other options are fields of `ModelConfiguration`.

    Attributes:
        model_configuration: Fields to start from; by default those of
            `ModelConfiguration()`.
        timeout: Deadline of one completion, in seconds, retries included; None for no
            limit. By default the client's, which is 600.
        idle_timeout: Longest gap between two events of a stream, in seconds, counted
            from the first token. Keep-alive comments are not events. None for no
            limit. By default the client's, which is 60.
        max_retries: Maximum number of retries after transient failures. By default
            the client's, which is 4.
        on_warning: Treatment of the warnings about a completion: `ignore`, the
            default, does nothing; `warn` issues a `LiminWarning` for each; `raise`
            raises an `AnswerWarningError`. They are in `completion.warnings` in any
            case.
        headers: More headers for each request of this call; they win over the client's.
            Checkpoints neither hold nor heed them. None, the default, adds none.
    """

    model: str
    temperature: float | None
    max_tokens: int | None
    top_p: float | None
    stop: str | Sequence[str] | None
    seed: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    log_probs: bool
    top_log_probs: int | None
    max_completion_tokens: int | None
    reasoning_effort: str | None
    logit_bias: Mapping[int, float] | Mapping[str, float] | None
    tool_choice: str | Mapping[str, object] | None
    parallel_tool_calls: bool | None
    extra_body: Mapping[str, object] | None
    model_configuration: ModelConfiguration | None
    timeout: float | None
    idle_timeout: float | None
    max_retries: int
    on_warning: OnWarning
    headers: Mapping[str, str] | None


class StreamOptions(AskOptions, total=False):
    """The options of a stream; see `AskOptions`, too.

    Attributes:
        tools: Functions, or `Tool` objects, that the model may call.
    """

    tools: Sequence[ToolSource]


class CompletionOptions(StreamOptions, total=False):
    """The options of a completion that is returned whole; see `StreamOptions`.

    Attributes:
        stream: Whether to fetch it by streaming, for its timings and its idle
            timeout. A stream that breaks off is retried, like any request.
    """

    stream: bool


class BatchOptions(CompletionOptions, total=False):
    """The options of a batch: those of each completion, and those of its checkpoint.

    An item that is a pair brings a `ModelConfiguration`, which takes the place of
    `model_configuration`; options given by name win over it, too.

    Attributes:
        checkpoint: Path of a file that each completion is written to as one line, as
            soon as it is finished. Completions that it already holds are not asked for
            again. A folder, or a path that ends with a slash, stands for a file in it
            that no other process uses, and for the completions in all of its files. None
            for no file.
        fsync: Whether each line survives a power cut; then each one waits for the
            disk. False by default.
        max_total_tokens: Tokens of prompts and answers after which nothing more is
            asked: requests under way are finished, and the batch stops by a
            `TokenBudgetError`. Answers out of the checkpoint do not count, so the same
            call goes on with as many tokens again. If the server counts no tokens, they
            are estimated by the length of the texts. None, the default, for no limit.
    """

    checkpoint: str | os.PathLike[str] | None
    fsync: bool
    max_total_tokens: int | None


class ToolRunOptions(AskOptions, total=False):
    """The options of a run with tools; see `AskOptions`, too.

    A `tool_choice` that forces a call holds for the first request only.

    Attributes:
        max_rounds: Requests at most; 8 by default.
        max_calls: Calls of tools at most; None, the default, for no limit. Calls beyond
            it are not run, and have no result; a run from that conversation begins with
            them.
        max_seconds: Seconds for the whole run; None, the default, for no limit.
        n_parallel: Tools under way at most; 8 by default.
        tool_timeout: Seconds for one call of a tool; None, the default, for no limit. The
            model is told that it was too long. A function that is not async goes on in
            its thread.
        on_tool_error: What happens if a tool raises: `tell`, the default, tells the model
            the type of the exception, since messages hold secrets; `tell-all` tells the
            message, too; `raise` ends the run with the exception.
        stream: Whether to fetch the answers by streaming.
        checkpoint: Path of a file that each answer is written to as one line. A run that
            was killed goes on where it was, with tools that give the same results: they
            are run again. None for no file.
        fsync: Whether each line survives a power cut.
    """

    max_rounds: int
    max_calls: int | None
    max_seconds: float | None
    n_parallel: int
    tool_timeout: float | None
    on_tool_error: OnToolError
    stream: bool
    checkpoint: str | os.PathLike[str] | None
    fsync: bool


class DecisionOptions(AskOptions, total=False):
    """The options of a decision; see `AskOptions`, too.

    Unless they are given, here or in `model_configuration`, `temperature` is 0,
    `top_log_probs` is 20, and `max_tokens` is a few, with room for the longest label. The
    default temperature of a `model_configuration` does not count as given. A server that
    refuses the number of alternatives is asked for the number that it names, which the
    client remembers. There may be no grammar: it would hide what the model thinks of other
    answers.

    Attributes:
        by: How the model is to answer: by `letter`, the default, the labels are listed
            under letters behind the last user message, in an order that is drawn by
            chance, and the same for the same question each time; by `text` nothing is
            added. Labels that are numbers stand for themselves.
        orders: Number of orders of the labels to ask in, one request for each; the
            decision is the mean. 1 by default. Models prefer places, so take a multiple of
            the number of labels: each label stands in each place then.
        prefill: Beginning of the answer, such as `Answer:`, which the model continues;
            None for none. llama.cpp continues it by itself.
        continue_prefill: Whether to ask vLLM or SGLang to continue *prefill*, by their
            fields `continue_final_message` and `add_generation_prompt`. False by default.
        fold: Whether case, and marks before the answer, make no difference. True by
            default.
        fallback: With `text`, the text of the answer decides if there are no log
            probabilities; None, the default, makes that an error.
        checkpoint: Path of a file that each answer is written to; see `BatchOptions`. If
            the server refused the number of alternatives, a new client asks it once more
            when the run is resumed.
        fsync: Whether each line survives a power cut.
        max_total_tokens: Tokens after which no more is decided; see `BatchOptions`. A
            decision that was begun is finished, whatever its `orders`.
    """

    by: Literal["letter", "text"]
    orders: int
    prefill: str | None
    continue_prefill: bool
    fold: bool
    fallback: Literal["text"] | None
    checkpoint: str | os.PathLike[str] | None
    fsync: bool
    max_total_tokens: int | None


# The defaults of the options that are no fields of `ModelConfiguration`; those of the
# timeouts and of `max_retries` are the client's.
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "on_warning": "ignore",
        "headers": None,
        "checkpoint": None,
        "fsync": False,
        "max_total_tokens": None,
        "max_rounds": 8,
        "max_calls": None,
        "max_seconds": None,
        "n_parallel": 8,
        "tool_timeout": None,
        "on_tool_error": "tell",
        "by": "letter",
        "orders": 1,
        "prefill": None,
        "continue_prefill": False,
        "fold": True,
        "fallback": None,
    }
)
# Those of the fields that a decision needs; its `max_tokens` has room for its labels. It
# asks for 20 alternatives, since OpenAI sends no more, and neither does vLLM unless it is
# started with more.
DECISION_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"temperature": 0.0, "log_probs": True, "top_log_probs": 20}
)


def check_on_warning(on_warning: OnWarning) -> OnWarning:
    """Return *on_warning* as a `str`; refuse one that does not exist.

    Raises:
        ConfigurationError: If it is none of those of `OnWarning`.
    """
    return cast("OnWarning", check_choice("on_warning", on_warning, get_args(OnWarning)))


def options_after_call(options: CompletionOptions) -> CompletionOptions:
    """Return *options* for the requests behind the first; they force no call of a tool.

    The same object if *options* force none.
    """
    configuration = options.get("model_configuration")
    choice = None
    if isinstance(configuration, ModelConfiguration):
        choice = configuration.tool_choice
    choice = options.get("tool_choice", choice)
    relaxed = relax_tool_choice(choice)
    return options if relaxed is choice else {**options, "tool_choice": relaxed}


_FIELDS = frozenset(attrs.fields_dict(ModelConfiguration))
_DEFAULTS = ModelConfiguration()
# The defaults that are sent.
_SENT_DEFAULTS = {"model": _DEFAULTS.model, "temperature": _DEFAULTS.temperature}


def resolve_configuration(options: AskOptions) -> ModelConfiguration:
    """Return the `model_configuration` of *options* with their other fields in it.

    Raises:
        ConfigurationError: If a value is of the wrong type or out of range.
    """
    configuration = options.get("model_configuration")
    if configuration is None:
        configuration = _DEFAULTS
    if not isinstance(configuration, ModelConfiguration):
        kind = describe_type(configuration)
        problem = f"model_configuration: expected a ModelConfiguration, found {kind}"
        raise ConfigurationError(problem)
    explicit = {name: value for name, value in options.items() if name in _FIELDS}
    return (
        attrs.evolve(configuration, **cast("Any", explicit)) if explicit else configuration
    )


def find_filled_in(
    options: AskOptions, configuration: ModelConfiguration
) -> Collection[str]:
    """Return the names of the fields that the user left to limin, and that are sent.

    A default in a `model_configuration` does not count as given.

    Args:
        options: The options of the call.
        configuration: The configuration that they were resolved to.
    """
    return [
        name
        for name, value in _SENT_DEFAULTS.items()
        if name not in options and getattr(configuration, name) == value
    ]
