"""Checks of arguments."""

from __future__ import annotations

import math

from limin.errors import ConfigurationError


def is_above_zero(found: object) -> bool:
    """Whether *found* is a finite number above 0."""
    if not isinstance(found, (int, float)) or isinstance(found, bool):
        return False
    return 0 < found < math.inf


def is_count(found: object, least: float) -> bool:
    """Whether *found* is an integer of at least *least*."""
    return isinstance(found, int) and not isinstance(found, bool) and found >= least


def checked_retries(max_retries: int) -> int:
    """*max_retries* itself.

    Raises:
        ConfigurationError: If it is no number of at least 0.
    """
    if not is_count(max_retries, 0):
        problem = f"max_retries: expected an integer of at least 0, found {max_retries!r}"
        raise ConfigurationError(problem)
    return max_retries


def checked_seconds(name: str, found: float | None) -> float | None:
    """*found* itself, which the option *name* was given.

    Raises:
        ConfigurationError: If it is neither None nor a number above 0.
    """
    if found is not None and not is_above_zero(found):
        problem = f"{name}: expected seconds above 0 or None, found {found!r}"
        raise ConfigurationError(problem)
    return found
