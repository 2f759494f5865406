"""Values of fields that limin does not know, which are to be sent back as they came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from limin.wire import untyped
from limin.wire.raw_json import is_null
from limin.wire.surrogates import mend_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

# Objects and lists, one in the other; more could not be written again.
_DEEPEST = 64


def read_values(fields: Mapping[str, msgspec.Raw]) -> dict[str, object]:
    """Return the values of *fields* that are not null.

    Half of a surrogate pair is U+FFFD. A value that JSON cannot hold is left out: NaN, or
    one that is nested too deeply.
    """
    values = {name: read_value(raw) for name, raw in fields.items() if not is_null(raw)}
    return {name: value for name, value in values.items() if value is not None}


def read_value(raw: msgspec.Raw) -> object:
    """Return the value in *raw*; None if JSON cannot hold it. See `read_values`."""
    data, _ = mend_json(bytes(raw))
    try:
        value = untyped.parse(data)
        if _is_deep(value, _DEEPEST):
            return None
        json.dumps(value, allow_nan=False)
    except ValueError:
        return None
    return value


def _is_deep(value: object, depth: int) -> bool:
    entries = untyped.as_list(value)
    if entries is None:
        entries = list((untyped.as_object(value) or {}).values())
    return bool(entries) and (
        depth == 0 or any(_is_deep(entry, depth - 1) for entry in entries)
    )
