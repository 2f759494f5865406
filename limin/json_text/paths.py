"""Paths of values in JSON: `$.name`, `$["other name"]`, `$[0]`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = "$"

_STEP = re.compile(r'\.([^.\[\]"]+)|\[([0-9]+)\]|\[("(?:[^"\\]|\\.)*")\]')


def path_of(keys: Iterable[str | int]) -> str:
    """Return the path of the value that is reached by *keys*, from the outermost.

    No two lists of keys have the same path.
    """
    return ROOT + "".join(step_of(key) for key in keys)


def step_of(key: str | int) -> str:
    """Return the part of a path that is for *key*: `.name`, `["other name"]` or `[0]`."""
    if isinstance(key, int):
        return f"[{key}]"
    if key.isidentifier():
        return f".{key}"
    # What cannot be printed, such as half of a surrogate pair, is escaped.
    return f"[{json.dumps(key, ensure_ascii=not key.isprintable())}]"


def keys_of(path: str) -> tuple[str | int, ...]:
    """Return the keys that *path*, as `path_of` makes it, leads through.

    Raises:
        ValueError: If it is no such path.
    """
    keys: list[str | int] = []
    end = 1
    while end < len(path):
        step = _STEP.match(path, end)
        if step is None:
            break
        name, index, quoted = step.groups()
        keys.append(name or (cast("str", json.loads(quoted)) if quoted else int(index)))
        end = step.end()
    if not path.startswith(ROOT) or end != len(path):
        problem = f"no path of a value in JSON, at character {end}"
        raise ValueError(problem)
    return tuple(keys)
