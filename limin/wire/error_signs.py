"""Signs of an error in a response whose HTTP status says success."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.wire import untyped
from limin.wire.error_body import (
    STATUS_ENDS,
    STATUS_FIELDS,
    holds_words,
    lower_names,
    parse_body,
)
from limin.wire.raw_json import has_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

    from limin.wire import schema

_MOST_ELEMENTS = 200
_DEEPEST = 8

# Words, statuses and codes that report no error.
_SUCCESSES = frozenset(
    {
        *("", "0", "00000", "ok", "success", "succeeded", "successful", "true", "none"),
        *("null", "no error", "false", "completed", "complete", "finished", "done"),
        *("in_progress", "incomplete", "queued", "running", "processing", "pending"),
        *("active", "ready", "[]", "{}"),
    }
)
# Fields of an object without choices that make it an error if they hold text.
_MESSAGES = ("message", "detail", "msg")
# Objects that hold a status and a message of their own, beside the choices.
_STATUS_OBJECTS = ("baseresp", "header", "status")
_NEAR = 3  # Objects in which an error is looked for, one in the other.


def is_error(body: bytes) -> bool:
    """Return whether *body* is an error, though its HTTP status says success.

    It is one if an error stands in it under any name: `error` or `errors`, a status that
    is no success beside a message, `success: false`, or a list of such objects. Values
    that say nothing, or success, are no error.
    """
    value = parse_body(body)
    elements = untyped.as_list(value)
    values = [value] if elements is None else elements[:_MOST_ELEMENTS]
    objects = filter(None, map(untyped.as_object, values))
    return any(_is_error_object(lower_names(each)) for each in objects)


def is_failed_chunk(chunk: schema.Chunk, data: bytes) -> bool:
    """Return whether a chunk reports an error beside its choices, or in their place.

    Args:
        chunk: The chunk.
        data: The chunk as it came.
    """
    if chunk.choices:
        if not (len(chunk.error) or len(chunk.errors) or len(chunk.base_resp)):
            return False
        values = (chunk.error, chunk.errors, chunk.base_resp)
        return any(map(has_value, values)) and is_error(data)
    # Ollama's own API has an object for a message.
    return is_error(data) or bytes(chunk.message).startswith(b"{")


def reports_error(raw: msgspec.Raw) -> bool:
    """Return whether the JSON of a field `error` reports one.

    Some servers send the field with each answer: null, an empty object, `"None"`, or a
    code of success.
    """
    return len(raw) > 0 and _says_error(parse_body(bytes(raw)))


def _says_error(value: object, depth: int = _DEEPEST) -> bool:
    """Return whether a value under `error` or `errors` says more than success."""
    fields, elements = untyped.as_object(value), untyped.as_list(value)
    if fields is not None:
        elements = [each for name, each in fields.items() if not _is_id(name)]
    if elements is not None:
        some = elements[:_MOST_ELEMENTS]
        return depth == 0 or any(_says_error(each, depth - 1) for each in some)
    return value if isinstance(value, bool) else _is_failure(value)


def _is_id(name: str) -> bool:
    return name.lower().endswith("id")


def _is_error_object(fields: Mapping[str, object]) -> bool:
    if _has_error(fields):
        return True
    if fields.get("choices"):
        parts = (lower_names(untyped.as_object(fields.get(n))) for n in _STATUS_OBJECTS)
        return any(_has_failed_status(part, of_numbers=True) for part in parts)
    return _is_message(fields) or _holds_error(fields, _NEAR)


def _has_error(fields: Mapping[str, object]) -> bool:
    errors = (fields.get("error"), fields.get("errors"))
    return any(map(_says_error, errors)) or fields.get("success") is False


def _is_message(fields: Mapping[str, object]) -> bool:
    """Return whether an object without choices is a message alone, or says `error`."""
    if any(fields.get(name) == "error" for name in ("object", "type", "event", "status")):
        return True
    statuses = [fields[name] for name in STATUS_FIELDS if fields.get(name) is not None]
    if statuses and not any(map(_is_failure, statuses)):
        return False
    has_text = any(fields.get(n) and isinstance(fields[n], str) for n in _MESSAGES)
    has_list = bool(untyped.as_list(fields.get("detail")))
    return has_text or has_list or _has_failed_status(fields)


def _holds_error(fields: Mapping[str, object], depth: int) -> bool:
    """Return whether an object in *fields* has an error, or an object in it, and so on."""
    objects = filter(None, map(untyped.as_object, fields.values()))
    return depth > 0 and any(
        any(map(_says_error, (each.get("error"), each.get("errors"))))
        or _has_failed_status(each)
        or _holds_error(each, depth - 1)
        for each in map(lower_names, objects)
    )


def _has_failed_status(fields: Mapping[str, object], *, of_numbers: bool = False) -> bool:
    """Return whether *fields* have a status or code of no success, and a message.

    Args:
        fields: The fields of an object.
        of_numbers: Believe only a number: an answer came, too.
    """
    has_words = any(value and holds_words(name) for name, value in fields.items())
    return has_words and any(
        _is_failure(value) and (not of_numbers or str(value).strip().isdecimal())
        for name, value in fields.items()
        if name in STATUS_FIELDS or name.endswith(STATUS_ENDS)
    )


def _is_failure(status: object) -> bool:
    """Return whether a status, a code or a word reports no success."""
    if status is None or isinstance(status, (bool, dict, list)):
        return status is False
    text = str(status).strip().lower()
    is_2xx = text.isdecimal() and text[0] == "2" and len(text) == 3  # noqa: PLR2004 (digits)
    return text not in _SUCCESSES and not is_2xx
