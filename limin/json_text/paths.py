"""Paths of the values in a JSON text: `$.name`, `$["other name"]`, `$[0]`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = "$"


def path_of(steps: Iterable[str | int]) -> str:
    """Return the path from the root along *steps*: keys of objects, indices of arrays.

    Different steps have different paths.
    """
    return ROOT + "".join(map(path_step, steps))


def path_step(step: str | int) -> str:
    """Return one step of a path.

    A key that is an identifier stands behind a dot. Any other is a JSON string in
    brackets, in which only halves of surrogate pairs are escaped beyond need.
    """
    if isinstance(step, int):
        return f"[{step}]"
    if step.isidentifier():
        return f".{step}"
    return f"[{json.dumps(step, ensure_ascii=not _can_be_encoded(step))}]"


def _can_be_encoded(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
