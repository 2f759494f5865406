"""Which model answers, and how it samples: the fields of one request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from limin.errors import ConfigurationError
from limin.values.checks import (
    as_list,
    check_argument,
    is_integer,
    is_number,
    plain,
    plain_json,
    plain_mapping,
)
from limin.values.tools import Tool, check_tool_choice, to_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Validator = Callable[[object, attrs.Attribute[Any], Any], None]

# Fields of the body that limin itself sets, and the option to use instead.
_RESERVED = {
    "messages": "the prompt or conversation",
    "stream": "the option `stream` or the stream functions",
}


def _check(expected: str, fits: Callable[[object], bool]) -> Validator:
    """Return a validator that refuses a value unless it *fits*."""

    def check(_owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
        check_argument(attribute.name, value, expected, fits=fits(value))

    return check


def _number(low: float = -math.inf, high: float = math.inf) -> Validator:
    expected = "a finite number"
    if low > -math.inf:
        expected += f" of at least {low:g}"
    if high < math.inf:
        expected += f" and at most {high:g}"

    def fits(value: object) -> bool:
        if not is_number(value):
            return value is None
        return low <= value <= high and abs(value) < math.inf

    return _check(f"{expected}, or None", fits)


def _integer(low: float = -math.inf) -> Validator:
    expected = "an integer" if low == -math.inf else f"an integer of at least {low}"

    def fits(value: object) -> bool:
        return value is None or is_integer(value, low)

    return _check(f"{expected}, or None", fits)


def _are_texts(value: object) -> bool:
    texts = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
    return value is None or all(isinstance(text, str) for text in texts)


def _check_reserved(_owner: object, _attribute: object, extra_body: object) -> None:
    names = cast("Mapping[str, object]", extra_body or {}).keys() & _RESERVED.keys()
    for name in sorted(names):
        problem = f"extra_body: {name!r} is set by {_RESERVED[name]}, not here"
        raise ConfigurationError(problem)


# Converters: each returns the plain value if there is one, or else the argument itself,
# which the validator then refuses by its type.


def _to_text(value: str) -> str:
    return cast("str", plain(value))


def _to_number(value: float | None) -> float | None:
    return cast("float | None", plain(value))


def _to_integer(value: int | None) -> int | None:
    return cast("int | None", plain(value))


def _to_flag(value: bool) -> bool:  # noqa: FBT001 (attrs passes it)
    return cast("bool", plain(value))


def _to_texts(stops: str | Sequence[str] | None) -> str | Sequence[str] | None:
    """Return *stops* as one text, or frozen as a tuple of texts."""
    entries = None if isinstance(stops, str) else as_list(stops)
    if entries is None:
        return cast("str | None", plain(stops))
    texts = tuple(plain(entry) for entry in entries)
    return cast("tuple[str, ...]", texts) if _are_texts(texts) else stops


def _to_json(extra_body: Mapping[str, object] | None) -> Mapping[str, object] | None:
    if not isinstance(extra_body, Mapping):
        return extra_body
    try:
        return cast("dict[str, object]", plain_json(extra_body))
    except RecursionError:
        return dict(extra_body)  # It holds itself: the encoder refuses it by name.


def _to_flag_or_none(value: bool | None) -> bool | None:  # noqa: FBT001 (attrs passes it)
    return cast("bool | None", plain(value))


def _to_text_or_none(value: str | None) -> str | None:
    return cast("str | None", plain(value))


def _to_biases(
    biases: Mapping[int, float] | Mapping[str, float] | None,
) -> Mapping[str, float] | None:
    """Return *biases* under the names that JSON has: ids of tokens are texts there."""
    if not isinstance(biases, Mapping):
        return biases
    items = cast("Mapping[object, object]", biases).items()
    named = {_to_json_key(token): plain(bias) for token, bias in items}
    return cast("dict[str, float]", named)


def _to_json_key(token: object) -> object:
    key = plain(token)
    return str(key) if type(key) is int else key


def _to_choice(
    choice: str | Mapping[str, object] | None,
) -> str | Mapping[str, object] | None:
    if isinstance(choice, Mapping):
        return plain_mapping("tool_choice", choice, ConfigurationError)
    return cast("str | None", plain(choice))


def _are_biases(value: object) -> bool:
    if not isinstance(value, dict):
        return value is None
    items = cast("dict[object, object]", value).items()
    return all(
        isinstance(key, str) and is_number(bias) and abs(bias) < math.inf
        for key, bias in items
    )


def _show_biases(biases: Mapping[str, float] | None) -> str:
    return "None" if biases is None else f"<{len(biases)} tokens>"


def _show_tools(tools: tuple[Tool | Mapping[str, object], ...]) -> str:
    """Return the names of *tools* alone: there may be many, with long schemas."""
    names = [tool.name if isinstance(tool, Tool) else "<mapping>" for tool in tools]
    return f"[{', '.join(names)}]"


def _show_choice(choice: str | Mapping[str, object] | None) -> str:
    return "<mapping>" if isinstance(choice, Mapping) else repr(choice)


_flag = _check("True or False", lambda value: isinstance(value, bool))
_name = _check("the name of a model", lambda value: isinstance(value, str) and bool(value))
_stops = _check("a str, a sequence of str, or None", _are_texts)
_flag_or_none = _check(
    "True, False or None", lambda value: value is None or isinstance(value, bool)
)
_text_or_none = _check(
    "a str or None", lambda value: value is None or isinstance(value, str)
)
_biases = _check("a mapping from the ids of tokens to finite numbers, or None", _are_biases)
_choice = _check(
    "a str, a mapping, or None",
    lambda value: value is None or isinstance(value, (str, dict)),
)
_mapping = _check(
    "a mapping, or None", lambda value: value is None or isinstance(value, dict)
)


@attrs.frozen(kw_only=True)
class ModelConfiguration:
    """The model that answers, and how it samples.

    None leaves a field out of the request, so that the server decides. Numbers and flags
    of numpy or pandas are converted to Python's own.

    Attributes:
        model: Name of the model.
        temperature: Sampling temperature, at least 0; 0 takes the likeliest token
            each time.
        max_tokens: Maximum length of the answer, in tokens.
        top_p: Sample only from the likeliest tokens that add up to this probability,
            from 0 to 1.
        stop: Text, or texts, at which the answer ends.
        seed: Seed of the random numbers, on servers that support one.
        presence_penalty: Penalty for tokens that have occurred; OpenAI accepts -2
            to 2.
        frequency_penalty: Penalty for tokens by how often they have occurred; OpenAI
            accepts -2 to 2.
        log_probs: Whether to ask for the log probabilities of the tokens.
        top_log_probs: Number of likeliest tokens to ask for at each position; OpenAI
            sends at most 20, and vLLM its whole vocabulary for -1. Needs `log_probs`.
        max_completion_tokens: Maximum length of the answer with its reasoning, in tokens;
            OpenAI's newer name for `max_tokens`, which its reasoning models refuse.
        reasoning_effort: How much the model reasons, such as `low` or `high`.
        logit_bias: What is added to the logits of tokens, by the token's id; OpenAI
            accepts -100 to 100.
        tools: Functions, or `Tool` objects, that the model may call. A mapping is sent
            as it is.
        tool_choice: Whether the model calls a tool: `auto`, `none`, `required`, or the
            name of the one tool that it must call. A mapping is sent as it is.
        parallel_tool_calls: Whether the model may call several tools at once.
        extra_body: More fields for the body of the request, such as those of one
            vendor; they win over limin's. Kept as a copy, in which arrays, columns and
            numbers of numpy, pandas or polars are plain JSON. A None at
            `stream_options` leaves that field out, for servers that refuse it.
        stream: Whether to fetch the answer by streaming, for its timings and its
            idle timeout; the completion is the same.

    Raises:
        ConfigurationError: If a field is of the wrong type or out of range.
    """

    model: str = attrs.field(default="gpt-4o", converter=_to_text, validator=_name)
    temperature: float | None = attrs.field(
        default=0.7, converter=_to_number, validator=_number(0)
    )
    max_tokens: int | None = attrs.field(
        default=None, converter=_to_integer, validator=_integer(1)
    )
    top_p: float | None = attrs.field(
        default=None, converter=_to_number, validator=_number(0, 1)
    )
    stop: str | Sequence[str] | None = attrs.field(
        default=None, converter=_to_texts, validator=_stops
    )
    seed: int | None = attrs.field(
        default=None, converter=_to_integer, validator=_integer()
    )
    presence_penalty: float | None = attrs.field(
        default=None, converter=_to_number, validator=_number()
    )
    frequency_penalty: float | None = attrs.field(
        default=None, converter=_to_number, validator=_number()
    )
    log_probs: bool = attrs.field(default=False, converter=_to_flag, validator=_flag)
    top_log_probs: int | None = attrs.field(
        default=None, converter=_to_integer, validator=_integer(-1)
    )
    max_completion_tokens: int | None = attrs.field(
        default=None, converter=_to_integer, validator=_integer(1)
    )
    reasoning_effort: str | None = attrs.field(
        default=None, converter=_to_text_or_none, validator=_text_or_none
    )
    logit_bias: Mapping[int, float] | Mapping[str, float] | None = attrs.field(
        default=None, converter=_to_biases, validator=_biases, repr=_show_biases
    )
    tools: tuple[Tool | Mapping[str, object], ...] = attrs.field(
        default=(), converter=to_tools, repr=_show_tools
    )
    tool_choice: str | Mapping[str, object] | None = attrs.field(
        default=None, converter=_to_choice, validator=_choice, repr=_show_choice
    )
    parallel_tool_calls: bool | None = attrs.field(
        default=None, converter=_to_flag_or_none, validator=_flag_or_none
    )
    extra_body: Mapping[str, object] | None = attrs.field(
        default=None, converter=_to_json, validator=[_mapping, _check_reserved], repr=False
    )
    stream: bool = attrs.field(default=False, converter=_to_flag, validator=_flag)

    def __attrs_post_init__(self) -> None:
        if self.top_log_probs is not None and not self.log_probs:
            problem = (
                "top_log_probs: expected log_probs=True beside it, "
                f"found top_log_probs={self.top_log_probs} alone"
            )
            raise ConfigurationError(problem)
        # Whoever puts his tools into the body himself knows what the choice means.
        if self.tool_choice is not None and "tools" not in (self.extra_body or {}):
            check_tool_choice(self.tool_choice, self.tools)
