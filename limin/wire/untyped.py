"""Parsed JSON of unknown shape, taken by the type that is wanted."""

from __future__ import annotations

import json
import math
from typing import cast

_LONGEST_INTEGER = 300


def parse(body: bytes) -> object:
    """What *body* says, read as leniently as Python's own parser can.

    Bytes that are no UTF-8 become U+FFFD; a byte order mark is skipped; NaN and
    Infinity are numbers, and control characters may stand in text.

    Raises:
        ValueError: If it is no JSON.
    """
    try:
        text = body.decode("utf-8-sig", "replace")
        return cast("object", json.loads(text, strict=False, parse_int=_integer))
    except RecursionError as error:
        problem = "nested too deeply"
        raise ValueError(problem) from error


def _integer(digits: str) -> int | float:
    # Python refuses to convert more than some thousand digits.
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def as_object(value: object) -> dict[str, object] | None:
    """*value* if it is an object, else None."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """*value* if it is a list, else None."""
    return cast("list[object]", value) if isinstance(value, list) else None


def as_text(value: object) -> str | None:
    """*value* if it is text, else None."""
    return value if isinstance(value, str) else None


def as_number(value: object) -> float | None:
    """*value* as a number, also if it came as text; None for what is none.

    NaN is none, nor is what is too large for a float.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(number) or number == math.inf else number


def kind(value: object) -> str:
    """What *value* is, without what it says: for messages."""
    if value is None:
        return "nothing"
    names = {"dict": "an object", "list": "a list", "str": "text", "bool": "a truth value"}
    return names.get(type(value).__name__, "a number")
