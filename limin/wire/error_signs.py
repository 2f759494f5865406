"""Signs of an error in a response whose HTTP status says success."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.wire import untyped
from limin.wire.error_body import (
    MESSAGE_FIELDS,
    STATUS_ENDS,
    STATUS_FIELDS,
    lower_names,
    parse_body,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limin.wire import schema

_MOST_ELEMENTS = 200
_NULL = len(b"null")
_MESSAGE_ENDS = ("message", "msg")
_PLAIN_MESSAGES = ("message", "detail", "msg")
_MESSAGES = frozenset(MESSAGE_FIELDS) - {
    *("error", "errors", "choices", "data", "body", "response"),
}

# Values of a status or code that report no error.
_SUCCESSES = frozenset(
    {
        *("", "0", "00000", "ok", "success", "succeeded", "successful", "true", "none"),
        *("completed", "complete", "finished", "done", "in_progress", "incomplete"),
        *("queued", "running", "processing", "pending", "active", "ready"),
    }
)
# Objects that hold a status and a message of their own, beside the choices.
_STATUS_OBJECTS = ("baseresp", "header", "status")
_NEAR = 2  # Objects in which an error is looked for, one in the other.


def is_error(body: bytes) -> bool:
    """Return whether *body* is an error, though its HTTP status says success.

    It is one if an error stands in it under any name: `error` or `errors`, a status that
    is no success beside a message, `success: false`, or a list of such objects. Values
    that say nothing, such as an empty list, are no error.
    """
    return _is_error_value(parse_body(body))


def _is_error_value(value: object) -> bool:
    elements = untyped.as_list(value)
    if elements is not None:
        objects = (each for each in elements[:_MOST_ELEMENTS] if untyped.as_object(each))
        return any(map(_is_error_value, objects))
    fields = lower_names(untyped.as_object(value))
    if fields.get("error") or fields.get("errors") or fields.get("success") is False:
        return True
    if fields.get("choices"):
        inner = (
            lower_names(untyped.as_object(fields.get(name))) for name in _STATUS_OBJECTS
        )
        return any(_reports_failure(each, is_strict=True) for each in inner)
    return _is_refusal(fields) or any(
        _holds_failure(inner, _NEAR) for inner in map(untyped.as_object, fields.values())
    )


def _is_refusal(fields: Mapping[str, object]) -> bool:
    """Return whether the *fields* of an object without choices say that it is an error."""
    if any(fields.get(name) == "error" for name in ("object", "type", "event", "status")):
        return True
    statuses = [fields[name] for name in STATUS_FIELDS if fields.get(name) is not None]
    if statuses and not any(_is_failure(status, is_strict=False) for status in statuses):
        return False
    messages = (fields.get(name) for name in _PLAIN_MESSAGES)
    has_message = any(isinstance(text, str) and text for text in messages)
    is_list = bool(untyped.as_list(fields.get("detail")))
    return has_message or is_list or _reports_failure(fields)


def _holds_failure(value: dict[str, object] | None, depth: int) -> bool:
    """Return whether an object has an error of its own, or one in an object in it."""
    fields = lower_names(value)
    if fields.get("error") or fields.get("errors") or _reports_failure(fields):
        return True
    return depth > 0 and any(
        _holds_failure(inner, depth - 1)
        for inner in map(untyped.as_object, fields.values())
    )


def _reports_failure(fields: Mapping[str, object], *, is_strict: bool = False) -> bool:
    """Return whether *fields* have a status or code of no success, and a message.

    Args:
        fields: The fields of an object.
        is_strict: Believe only a number: an answer came, too.
    """
    has_message = any(
        value and (name in _MESSAGES or name.endswith(_MESSAGE_ENDS))
        for name, value in fields.items()
    )
    return has_message and any(
        _is_failure(value, is_strict=is_strict)
        for name, value in fields.items()
        if name in STATUS_FIELDS or name.endswith(STATUS_ENDS)
    )


def _is_failure(status: object, *, is_strict: bool) -> bool:
    if status is None or isinstance(status, (bool, dict, list)):
        return status is False
    text = str(status).strip().lower()
    is_2xx = text.isdecimal() and text[0] == "2" and len(text) == 3  # noqa: PLR2004 (digits)
    if text in _SUCCESSES or is_2xx:
        return False
    return text.isdecimal() or not is_strict


def is_failed_chunk(chunk: schema.Chunk, data: bytes) -> bool:
    """Return whether a chunk reports an error beside its choices, or in their place.

    Args:
        chunk: The chunk.
        data: The chunk as it came.
    """
    if chunk.choices and len(chunk.error) <= _NULL:
        is_odd = len(chunk.errors) > _NULL or len(chunk.base_resp) > _NULL
        return is_odd and is_error(data)
    # Ollama's own API has an object for a message.
    return is_error(data) or bytes(chunk.message).startswith(b"{")
