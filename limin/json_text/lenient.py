"""JSON as leniently as Python's own parser can read it."""

from __future__ import annotations

import json
from typing import cast

_LONGEST_INTEGER = 300


def parse_leniently(body: bytes) -> object:
    """Parse *body*, in which there may be what JSON forbids and servers send.

    Bytes that are no UTF-8 become U+FFFD; a byte order mark is skipped; NaN and
    Infinity are numbers, and control characters may stand in text. An integer of more
    than 300 digits becomes a float.

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
