"""Checks of the values in a script: what a test got wrong is said where it wrote it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, cast

import msgspec

from limin.errors import ConfigurationError
from limin.values.checks import (
    as_list,
    check_text,
    describe_type,
    is_number,
    plain,
    plain_mapping,
    refuse,
)
from limin.values.endpoint import as_private
from limin.values.headers import PrivateHeaders
from limin.values.tools import ToolCall

# A token, its natural log probability, and those of the alternatives at its position. Bytes
# are a token that ends inside a character.
ScriptedToken: TypeAlias = tuple[str | bytes, float, Mapping[str, float]]

_TOKEN_SHAPE = "(token, log_prob, {alternative: log_prob})"  # noqa: S105 (no secret)
_LOG_PROB = "a finite number of at most 0"


def to_text(value: object) -> str | None:
    """Return the text of an answer: a value that is no text becomes its JSON.

    Raises:
        ConfigurationError: If JSON cannot hold it.
    """
    if value is None or isinstance(value, str):
        return cast("str | None", plain(value))
    to_json = getattr(value, "model_dump_json", None)  # Of a pydantic model.
    if callable(to_json) and not isinstance(value, type):
        return check_text("text", to_json())
    # msgspec writes bytes as base64, which nobody means here.
    if type(value) not in {bytes, bytearray, memoryview}:
        try:
            return msgspec.json.encode(value).decode()
        except (TypeError, ValueError, RecursionError):
            pass
    problem = "text: expected a str, None or a value that JSON can hold, found "
    raise ConfigurationError(problem + describe_type(value)) from None


def to_tokens(tokens: Iterable[ScriptedToken] | None) -> tuple[ScriptedToken, ...] | None:
    """Return *tokens* with plain numbers.

    Raises:
        ConfigurationError: If one has another shape, or a number is no log probability.
    """
    if tokens is None:
        return None
    if isinstance(tokens, (str, bytes, Mapping)) or not isinstance(tokens, Iterable):
        refuse("log_probs", cast("object", tokens), f"a list of {_TOKEN_SHAPE}, or None")
    return tuple(_to_token(f"log_probs[{i}]", token) for i, token in enumerate(tokens))


def _to_token(name: str, token: object) -> ScriptedToken:
    match as_list(token):
        case [text, log_prob, alternatives]:
            pass
        case _:
            refuse(name, token, _TOKEN_SHAPE)
    if not isinstance(text, (str, bytes)) or not isinstance(alternatives, Mapping):
        refuse(name, token, _TOKEN_SHAPE)
    numbers = {
        check_text(f"{name} alternative", alternative): _check_log_prob(name, value)
        for alternative, value in cast("Mapping[object, object]", alternatives).items()
    }
    return text, _check_log_prob(name, log_prob), numbers


def _check_log_prob(name: str, value: object) -> float:
    number = plain(value)
    if not is_number(number) or not -math.inf < number <= 0:
        refuse(name, number, f"{_LOG_PROB} as log probability")
    return float(number)


def to_pieces(pieces: Iterable[str]) -> tuple[str, ...]:
    """Return the *pieces* of a stream.

    Raises:
        ConfigurationError: If they are no list of texts.
    """
    if isinstance(pieces, (str, bytes, Mapping)) or not isinstance(pieces, Iterable):
        refuse("pieces", cast("object", pieces), "a list of texts")
    return tuple(check_text(f"pieces[{i}]", piece) for i, piece in enumerate(pieces))


def to_calls(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    """Return the tool *calls* of an answer.

    Raises:
        ConfigurationError: If one is no `ToolCall`.
    """
    if not isinstance(calls, Iterable):
        refuse("tool_calls", calls, "a list of ToolCall")
    for index, call in enumerate(calls := tuple(calls)):
        if not isinstance(call, ToolCall):
            refuse(f"tool_calls[{index}]", call, "a ToolCall")
    return calls


def to_usage(usage: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """Return the *usage* of an answer as plain JSON.

    Raises:
        ConfigurationError: If it is no mapping.
    """
    if usage is None:
        return None
    if not isinstance(usage, Mapping):
        refuse("usage", usage, "a mapping or None")
    return plain_mapping("usage", usage, ConfigurationError)


def to_headers(headers: Mapping[str, str] | None) -> PrivateHeaders:
    """Return the *headers* of a response, by their names in lower case.

    Raises:
        ConfigurationError: If one is no header, or one that the endpoint sets.
    """
    return PrivateHeaders() if headers is None else as_private(headers)


def check_seconds_of_wait(name: str, value: object) -> float:
    """Return *value* as seconds of at least 0.

    Raises:
        ConfigurationError: If it is none.
    """
    number = plain(value)
    if not is_number(number) or not 0 <= number < math.inf:
        refuse(name, number, "seconds of at least 0")
    return number


def check_text_or_none(name: str, value: object) -> str | None:
    """Return *value* as text or None.

    Raises:
        ConfigurationError: If it is neither.
    """
    return None if value is None else check_text(name, value)
