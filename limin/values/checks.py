"""Checks of arguments: one verb, and one wording for every argument.

Each `check_` returns nothing if the argument is fine, and raises a
`ConfigurationError` otherwise: "name: expected X, found Y".

Messages end up in logs, so only numbers are shown. A text may be a prompt or a key:
everything else is shown by its type.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeGuard

from limin.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence


def is_number(value: object) -> TypeGuard[float]:
    """Return whether *value* is a number, and not True or False."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_above_zero(value: object) -> bool:
    """Return whether *value* is a finite number above 0."""
    return is_number(value) and 0 < value < math.inf


def is_integer(value: object, at_least: float) -> bool:
    """Return whether *value* is an integer of at least *at_least*."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def check_argument(name: str, value: object, expected: str, *, fits: bool) -> None:
    """Refuse the argument *name* unless its *value* *fits*.

    Raises:
        ConfigurationError: If it does not.
    """
    if not fits:
        problem = f"{name}: expected {expected}, found {describe_value(value)}"
        raise ConfigurationError(problem)


def check_integer(name: str, value: object, at_least: int) -> None:
    """Refuse a *value* that is no integer of at least *at_least*.

    Raises:
        ConfigurationError: If it is not.
    """
    fits = is_integer(value, at_least)
    check_argument(name, value, f"an integer of at least {at_least}", fits=fits)


def check_rate(name: str, value: object) -> None:
    """Refuse a *value* that is neither None nor a number above 0.

    Raises:
        ConfigurationError: If it is neither.
    """
    fits = value is None or is_above_zero(value)
    check_argument(name, value, "a number above 0 or None", fits=fits)


def check_seconds(name: str, value: object) -> None:
    """Refuse a *value* that is neither None nor a number of seconds above 0.

    Raises:
        ConfigurationError: If it is neither.
    """
    fits = value is None or is_above_zero(value)
    check_argument(name, value, "seconds above 0 or None", fits=fits)


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse a *value* that is none of *choices*, without repeating it.

    Raises:
        ConfigurationError: If it is none of them.
    """
    if value not in choices:
        *others, last = choices
        shown = "another str" if isinstance(value, str) else describe_value(value)
        problem = f"{name}: expected {', '.join(others)} or {last}, found {shown}"
        raise ConfigurationError(problem)


def check_text(name: str, value: object) -> None:
    """Refuse a *value* that is no text, without showing it, even if it is a number.

    Raises:
        ConfigurationError: If it is no `str`.
    """
    if not isinstance(value, str):
        problem = f"{name}: expected a str, found {describe_type(value)}"
        raise ConfigurationError(problem)


def describe_value(value: object) -> str:
    """Return *value* for a message: numbers and None as they are, the rest by its type."""
    is_shown = value is None or isinstance(value, (int, float))
    return repr(value) if is_shown else describe_type(value)


def describe_type(value: object) -> str:
    """Return the type of *value* for a message, `a list`, and nothing of its content."""
    return with_article(type(value).__name__)


def with_article(noun: str) -> str:
    """Return *noun* after `a` or `an`.

    A `u` that begins the name of a type or a role sounds like "you": a UUID, a user.
    """
    return f"{'an' if noun[0].lower() in 'aeio' else 'a'} {noun}"
