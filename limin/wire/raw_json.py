"""JSON of which only the outermost fields are read."""

from __future__ import annotations

import msgspec

from limin.wire import untyped
from limin.wire.surrogates import mend_text

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# Values that servers send for fields without a value.
_ABSENT = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false", b"0"})
_LONGEST_ABSENT = 16  # With white space inside, as pretty-printing servers send.

_NULL = msgspec.Raw(b"null")
_NULL_SIZE = len(_NULL)  # Of the smallest objects with a field, none is as small.

_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text_decoder: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)
_elements_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def has_value(raw: msgspec.Raw) -> bool:
    """Return whether *raw* holds a value: not null, empty, false or 0."""
    size = len(raw)
    if size == 0 or size > _LONGEST_ABSENT:
        return size > 0
    return b"".join(bytes(raw).split()) not in _ABSENT


def is_null(raw: msgspec.Raw) -> bool:
    """Return whether *raw* is null, or nothing at all."""
    return not len(raw) or bytes(raw) == b"null"


def kind_of(raw: msgspec.Raw) -> bytes:
    """Return the first byte of *raw*: `{` of an object, `[` of a list, `"` of a text."""
    return memoryview(raw)[:1].tobytes()


def decode_fields(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the fields of the object in *data*; none if it cannot be decoded."""
    try:
        return _fields_decoder.decode(data)
    except UNDECODABLE:
        return {}


def decode_elements(data: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Return the elements of the list in *data*; none if it cannot be decoded."""
    try:
        return _elements_decoder.decode(data)
    except UNDECODABLE:
        return []


def split_fields(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the fields of the object in *data*, as leniently as possible.

    JSON that only Python's own parser takes is written anew. There are none if it is no
    object.
    """
    if len(data) <= _NULL_SIZE:
        return {}
    try:
        return _fields_decoder.decode(data)
    except UNDECODABLE:
        fields = untyped.as_object(_parse(data)) or {}
        return {mend_text(name): _encode(value) for name, value in fields.items()}


def split_elements(data: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Return the elements of the list in *data*; see `split_fields`."""
    try:
        return _elements_decoder.decode(data)
    except UNDECODABLE:
        return list(map(_encode, untyped.as_list(_parse(data)) or ()))


def read_text(raw: msgspec.Raw) -> str | None:
    """Return the text in *raw*, perhaps with halves of surrogate pairs; None for others."""
    if not len(raw):
        return None
    try:
        return _text_decoder.decode(raw)
    except UNDECODABLE:
        return untyped.as_text(_parse(raw)) if kind_of(raw) == b'"' else None


def read_value(raw: msgspec.Raw) -> object:
    """Return the value in *raw*, which is JSON; None if it cannot be decoded."""
    try:
        value: object = msgspec.json.decode(raw)
    except UNDECODABLE:
        return _parse(raw)
    return value


def _parse(data: bytes | msgspec.Raw) -> object:
    try:
        return untyped.parse(bytes(data))
    except ValueError:
        return None


def _encode(value: object) -> msgspec.Raw:
    try:
        return untyped.encode(value) if value is not None else _NULL
    except RecursionError:
        return _NULL
