"""Checks of the labels of a decision, and of the log probabilities that it is read from.

Labels are a part of a prompt, so messages name them by their places.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from limin.errors import ConfigurationError
from limin.values.checks import (
    as_list,
    is_number,
    plain,
    refuse,
)
from limin.values.labels.texts import fold

if TYPE_CHECKING:
    from limin.values.tokens import TokenPosition

ValueT = TypeVar("ValueT")

_LABELS = "texts, or whole numbers"
_UNREACHABLE = "\x00"  # JSON has no such character in a text.


def check_log_probs(log_probs: object) -> Sequence[TokenPosition]:
    """Return *log_probs*; refuse what has no positions.

    Raises:
        ConfigurationError: If they are none.
    """
    if not isinstance(log_probs, Sequence) or isinstance(log_probs, str | bytes):
        refuse("log_probs", log_probs, "the log probabilities of an answer")
    return cast("Sequence[TokenPosition]", log_probs)


def check_labels(labels: object, *, folds: bool) -> tuple[list[Any], tuple[str, ...]]:
    """Return *labels* as they are keys, and the text of each.

    Args:
        labels: Texts, or whole numbers.
        folds: Whether labels that differ only in case, or in blanks around them, are one.

    Raises:
        ConfigurationError: If there is none, one is blank or of another type, or two are
            one.
    """
    keys = [plain(label) for label in _listed("labels", labels)]
    kind = str if keys and isinstance(keys[0], str) else int
    texts: list[str] = []
    for index, key in enumerate(keys):
        is_whole = is_number(key) and isinstance(key, int)
        if not (isinstance(key, str) if kind is str else is_whole):
            refuse(
                f"labels[{index}]", key, "a text" if kind is str else f"one of {_LABELS}"
            )
        texts.append(_check_text(f"labels[{index}]", str(key)))
    folded = [fold(text.strip()) for text in texts] if folds else texts
    if folds and "" in folded:
        _refuse_blank(f"labels[{folded.index('')}]")
    _check_distinct("labels", folded, " apart from case and blanks" if folds else "")
    return keys, tuple(texts)


def check_values(
    values: Iterable[ValueT], *, is_quoted: bool
) -> tuple[list[ValueT], tuple[str, ...]]:
    """Return the *values* that JSON may have, and the text by which each begins.

    Args:
        values: Texts, whole numbers, True, False and None.
        is_quoted: Whether a quotation mark has come before, so that only texts can follow.

    Raises:
        ConfigurationError: If there is none, one is of another type, or two are equal.
    """
    keys = cast("list[ValueT]", _listed("values", values))
    texts: list[str] = []
    for index, key in enumerate(keys):
        if not isinstance(key, str | int | None):
            refuse(f"values[{index}]", key, "a text, a whole number, True, False or None")
        texts.append(_json_text(key, is_quoted=is_quoted))
    _check_distinct("values", keys, "")
    return keys, tuple(texts)


def _json_text(value: object, *, is_quoted: bool) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return _UNREACHABLE + text if is_quoted else text
    begun = text[1:] if is_quoted else text
    return begun[:-1] if value else begun


def _listed(name: str, values: object) -> list[object]:
    """Return the entries of *values*, at least one."""
    entries = as_list(values)
    if entries is None:
        is_text = isinstance(values, str | bytes | bytearray)
        if is_text or not isinstance(values, Iterable):
            refuse(name, values, f"a list of {_LABELS}")
        entries = list(cast("Iterable[object]", values))
    if not entries:
        problem = f"{name}: expected at least one, found none"
        raise ConfigurationError(problem)
    return entries


def _check_text(name: str, text: str) -> str:
    """Return *text*, which must be visible, and in UTF-8."""
    if not text.strip():
        _refuse_blank(name)
    try:
        text.encode()
    except UnicodeEncodeError:
        problem = (
            f"{name}: expected characters that UTF-8 can encode, found a lone surrogate"
        )
        raise ConfigurationError(problem) from None
    return text


def _refuse_blank(name: str) -> None:
    problem = f"{name}: expected a text with a visible character, found a blank one"
    raise ConfigurationError(problem)


def _check_distinct(name: str, values: Sequence[object], apart: str) -> None:
    places: dict[object, int] = {}
    for index, value in enumerate(values):
        first = places.setdefault(value, index)
        if first != index:
            problem = (
                f"{name}: expected different ones{apart}, found {first} and {index} equal"
            )
            raise ConfigurationError(problem)
