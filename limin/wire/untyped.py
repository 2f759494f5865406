"""JSON of unknown shape: parse it, take a value by its type, write it again."""

from __future__ import annotations

import json
import math
from typing import cast

import msgspec

from limin.json_text.lenient import parse_leniently

parse = parse_leniently  # As `TextCompletion.raw` parses the same bodies.


def encode(value: object) -> msgspec.Raw:
    """Return *value* as JSON; empty for None, which stands for an absent field.

    Raises:
        RecursionError: If it is nested too deeply.
    """
    # The standard library's writer keeps NaN, which msgspec would make null, and
    # halves of surrogate pairs, which msgspec refuses.
    return msgspec.Raw() if value is None else msgspec.Raw(json.dumps(value).encode())


def as_object(value: object) -> dict[str, object] | None:
    """Return *value* if it is an object, else None."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """Return *value* if it is a list, else None."""
    return cast("list[object]", value) if isinstance(value, list) else None


def as_text(value: object) -> str | None:
    """Return *value* if it is text, else None."""
    return value if isinstance(value, str) else None


def as_number(value: object) -> float | None:
    """Return *value* as a number, even if it came as text; None if it is no number.

    NaN counts as no number, and so does a number too large for a float.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(number) or number == math.inf else number


def kind(value: object) -> str:
    """Name the type of *value* for a message, without its content."""
    if value is None:
        return "nothing"
    names = {"dict": "an object", "list": "a list", "str": "text", "bool": "a truth value"}
    return names.get(type(value).__name__, "a number")
