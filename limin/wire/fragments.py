"""The elements of `tool_calls`: whole calls in an answer, parts of them in a stream."""

from __future__ import annotations

import msgspec

from limin.wire.raw_json import (
    UNDECODABLE,
    is_null,
    kind_of,
    read_text,
    split_elements,
    split_fields,
)
from limin.wire.surrogates import mend_text
from limin.wire.unknown_values import read_values

FUNCTION = "function"

# The objects of a call that hold its name and its text, and the field with the text.
TEXTS = {FUNCTION: "arguments", "custom": "input"}

_ABSENT = msgspec.Raw()
_LONGEST_INDEX = 10  # Digits.


class Fragment(msgspec.Struct, gc=False):
    """One element of `tool_calls`.

    Attributes:
        index: Index of the call; None if not sent.
        id: Its id; None if not sent.
        kind: Its type; None if not sent.
        body_name: Name of the object with name and text; None if there is none.
        name: Name of the tool, perhaps with halves of surrogate pairs; None if not sent.
        text: The arguments, or the text for a tool that is no function; empty if not
            sent.
        inner: The other fields beside the name and the text, if they have a value.
        others: The other fields of the call, if they have a value.
    """

    index: int | None = None
    id: str | None = None
    kind: str | None = None
    body_name: str | None = None
    name: str | None = None
    text: str = ""
    inner: dict[str, msgspec.Raw] | None = None
    others: dict[str, msgspec.Raw] | None = None

    @property
    def is_function(self) -> bool:
        """Whether a function is called, and no tool of another type."""
        return self.body_name == FUNCTION and self.kind in {None, FUNCTION}


class _Function(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str | None = None
    arguments: str | None = None


class _Known(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An element of the standard shape, without an unknown field."""

    function: _Function
    index: int | None = None
    id: str | None = None
    type: str | None = None


_decoder = msgspec.json.Decoder(list[_Known])


def read_fragments(calls: msgspec.Raw) -> list[Fragment]:
    """Return the elements of `tool_calls`, which may be one object instead of a list.

    An element that says nothing but its index and its type is none.
    """
    try:
        decoded = _decoder.decode(calls)
    except UNDECODABLE:
        fragments = _read_odd(calls)
    else:
        fragments = [
            Fragment(
                each.index,
                each.id or None,
                each.type or None,
                FUNCTION,
                each.function.name or None,
                each.function.arguments or "",
            )
            for each in decoded
        ]
    return [each for each in fragments if not _is_empty(each)]


def read_function_call(call: msgspec.Raw) -> list[Fragment]:
    """Return the `function_call` of OpenAI's older interface; an empty list for none."""
    if kind_of(call) != b"{":
        return []
    fragment = Fragment()
    _add_body(fragment, FUNCTION, split_fields(call))
    return [] if _is_empty(fragment) else [fragment]


def read_extra(fragment: Fragment) -> dict[str, object] | None:
    """Return the unknown fields of a call as values, those of its function inside it.

    They are all fields of a call that is none of a function.
    """
    if fragment.is_function and not fragment.inner and not fragment.others:
        return None
    extra = read_values(fragment.others or {})
    inner = read_values(fragment.inner or {})
    if inner and fragment.body_name:
        extra[fragment.body_name] = inner
    if fragment.kind not in {None, FUNCTION}:
        extra["type"] = fragment.kind
    return extra or None


def read_argument(raw: msgspec.Raw) -> str:
    """Return arguments as text; some servers send the object, and not the text of it.

    Source: https://github.com/ggml-org/llama.cpp/issues/20198
    """
    text = read_text(raw)
    if text is not None:
        return text
    return "" if is_null(raw) else bytes(raw).decode("utf-8", "replace")


def _read_odd(calls: msgspec.Raw) -> list[Fragment]:
    elements = split_elements(calls) if kind_of(calls) == b"[" else [calls]
    return [_read_one(split_fields(each)) for each in elements if kind_of(each) == b"{"]


def _read_one(fields: dict[str, msgspec.Raw]) -> Fragment:
    index, call_id = fields.pop("index", _ABSENT), fields.pop("id", _ABSENT)
    digits = bytes(index) if len(index) <= _LONGEST_INDEX else b""
    own_id = read_text(call_id)
    fragment = Fragment(
        int(digits) if digits.isdigit() else None, mend_text(own_id) if own_id else None
    )
    kind = fields.get("type", _ABSENT)
    if is_null(kind) or kind_of(kind) == b'"':
        fragment.kind = mend_text(read_text(fields.pop("type", _ABSENT)) or "") or None
    for name in TEXTS:
        if kind_of(fields.get(name, _ABSENT)) == b"{":
            _add_body(fragment, name, split_fields(fields.pop(name)))
            break
    fragment.others = _with_value(fields)
    return fragment


def _add_body(fragment: Fragment, name: str, fields: dict[str, msgspec.Raw]) -> None:
    fragment.body_name = name
    fragment.name = read_text(fields.pop("name", _ABSENT)) or None
    fragment.text = read_argument(fields.pop(TEXTS[name], _ABSENT))
    fragment.inner = _with_value(fields)


def _with_value(fields: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw] | None:
    values = {name: raw for name, raw in fields.items() if not is_null(raw)}
    return values or None


def _is_empty(fragment: Fragment) -> bool:
    texts = fragment.id or fragment.name or fragment.text
    return not (texts or fragment.inner or fragment.others)
