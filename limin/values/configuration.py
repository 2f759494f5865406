"""Which model answers, and how it samples: the fields of one request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from limin.errors import ConfigurationError
from limin.values.checks import check_argument, is_integer, is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Validator = Callable[[object, attrs.Attribute[Any], Any], None]

# Fields of the body that limin itself answers for, and the option to use.
_RESERVED = {
    "messages": "the prompt or conversation",
    "stream": "the option `stream` or the stream functions",
}


def _check(expected: str, fits: Callable[[object], bool]) -> Validator:
    """A validator that refuses what does not fit, and says so."""

    def check(_owner: object, attribute: attrs.Attribute[Any], found: object) -> None:
        check_argument(attribute.name, found, expected, fits=fits(found))

    return check


def _number(low: float = -math.inf, high: float = math.inf) -> Validator:
    expected = "a finite number"
    if low > -math.inf:
        expected += f" of at least {low:g}"
    if high < math.inf:
        expected += f" and at most {high:g}"

    def fits(found: object) -> bool:
        if not is_number(found):
            return found is None
        return low <= found <= high and abs(found) < math.inf

    return _check(f"{expected}, or None", fits)


def _integer(low: float = -math.inf) -> Validator:
    expected = "an integer" if low == -math.inf else f"an integer of at least {low}"

    def fits(found: object) -> bool:
        return found is None or is_integer(found, low)

    return _check(f"{expected}, or None", fits)


def _texts(found: object) -> bool:
    many = cast("tuple[object, ...]", found) if isinstance(found, tuple) else (found,)
    return found is None or all(isinstance(text, str) for text in many)


def _freeze(stops: str | Sequence[str] | None) -> str | Sequence[str] | None:
    return tuple(stops) if isinstance(stops, list) else stops


def _check_reserved(_owner: object, _attribute: object, found: object) -> None:
    names = cast("Mapping[str, object]", found or {}).keys() & _RESERVED.keys()
    for name in sorted(names):
        problem = f"extra_body: {name!r} is set by {_RESERVED[name]}, not here"
        raise ConfigurationError(problem)


def _copy(extra_body: Mapping[str, object] | None) -> Mapping[str, object] | None:
    return dict(extra_body) if isinstance(extra_body, Mapping) else extra_body


_flag = _check("True or False", lambda found: isinstance(found, bool))
_name = _check("the name of a model", lambda found: isinstance(found, str) and bool(found))
_stops = _check("a str, a sequence of str, or None", _texts)
_mapping = _check(
    "a mapping, or None", lambda found: found is None or isinstance(found, dict)
)


@attrs.frozen(kw_only=True)
class ModelConfiguration:
    """Which model answers, and how it samples.

    None leaves a field out of the request, and the choice to the server.

    Attributes:
        model: Name of the model.
        temperature: At least 0; 0 takes the likeliest token each time.
        max_tokens: Length of the answer at most, in tokens.
        top_p: Sample from the likeliest tokens that make up this probability,
            0 to 1.
        stop: Text, or texts, at which the answer ends.
        seed: Start of the random numbers, where the server can repeat itself.
        presence_penalty: Against tokens that occurred; OpenAI takes -2 to 2.
        frequency_penalty: Against tokens by how often they occurred; OpenAI
            takes -2 to 2.
        log_probs: Whether to ask for the log probabilities of the tokens.
        top_log_probs: How many of the likeliest tokens to ask for at each
            position; OpenAI gives at most 20, and vLLM its whole vocabulary
            for -1. Needs `log_probs`.
        extra_body: Fields merged into the body of the request, over the others:
            whatever a vendor takes. Kept as a shallow copy. A None at
            `stream_options` leaves that out, for servers that refuse it.
        stream: Whether to fetch the answer by streaming, for its timings and its
            idle timeout; what comes back is the same.

    Raises:
        ConfigurationError: If a field is of the wrong type or out of range.
    """

    model: str = attrs.field(default="gpt-4o", validator=_name)
    temperature: float | None = attrs.field(default=0.7, validator=_number(0))
    max_tokens: int | None = attrs.field(default=None, validator=_integer(1))
    top_p: float | None = attrs.field(default=None, validator=_number(0, 1))
    stop: str | Sequence[str] | None = attrs.field(
        default=None, converter=_freeze, validator=_stops
    )
    seed: int | None = attrs.field(default=None, validator=_integer())
    presence_penalty: float | None = attrs.field(default=None, validator=_number())
    frequency_penalty: float | None = attrs.field(default=None, validator=_number())
    log_probs: bool = attrs.field(default=False, validator=_flag)
    top_log_probs: int | None = attrs.field(default=None, validator=_integer(-1))
    extra_body: Mapping[str, object] | None = attrs.field(
        default=None, converter=_copy, validator=[_mapping, _check_reserved], repr=False
    )
    stream: bool = attrs.field(default=False, validator=_flag)

    def __attrs_post_init__(self) -> None:
        if self.top_log_probs is not None and not self.log_probs:
            problem = (
                f"top_log_probs: expected log_probs=True beside it, "
                f"found top_log_probs={self.top_log_probs} alone"
            )
            raise ConfigurationError(problem)
