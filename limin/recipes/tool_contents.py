"""What a tool returned or raised, as the content of a message."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from limin.values.checks import plain_json
from limin.values.content import Audio, File, Image
from limin.wire.surrogates import mend_text

if TYPE_CHECKING:
    from limin.values.content import Part

_MEDIA = (Image, Audio, File)


def content_of(result: object) -> str | list[Part]:
    """Return the *result* of a function as the content of a message.

    Text stays text. Pictures, sounds and files stay parts, alone and in a list or a
    tuple; what stands beside them becomes text, except for a mapping with a `type`, which
    is a part of its own. The rest becomes JSON, or the text of an object that JSON cannot
    hold. Halves of surrogate pairs, which no request can hold, become U+FFFD.
    """
    whole = result
    if isinstance(result, _MEDIA):
        return [result]
    if isinstance(result, (list, tuple)):
        entries = cast("Sequence[object]", result)
        if any(isinstance(entry, _MEDIA) for entry in entries):
            return list(map(_part_of, entries))
    return _text_of(whole)


def text_of_error(error: Exception) -> str:
    """Return the text of *error*; empty if it has none, or cannot tell it."""
    try:
        return mend_text(str(error))
    except Exception:  # noqa: BLE001 (a `__str__` raises anything)
        return ""


def _part_of(entry: object) -> Part:
    whole = entry
    if isinstance(entry, _MEDIA):
        return entry
    if isinstance(entry, Mapping):
        fields = cast("Mapping[str, object]", entry)
        if isinstance(fields.get("type"), str):
            return fields
    return _text_of(whole)


def _text_of(result: object) -> str:
    if isinstance(result, str):
        return mend_text(str.__str__(result))
    try:
        return msgspec.json.encode(result, enc_hook=_encode_other).decode()
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(result, enc_hook=_encode_other, str_keys=True)
        return mend_text(json.dumps(plain, ensure_ascii=False, separators=(",", ":")))


def _encode_other(value: object) -> object:
    """Return *value* as something that JSON can hold."""
    if isinstance(value, (list, tuple, dict)):
        return str(cast("object", value))  # As the key of a mapping; others need no help.
    dump: object = getattr(value, "model_dump", None)  # pydantic's.
    if callable(dump) and not isinstance(value, type):
        return dump()
    plain_value = plain_json(value)
    return str(value) if plain_value is value else plain_value
