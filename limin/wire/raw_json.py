"""JSON of which only the outermost fields are read."""

from __future__ import annotations

import msgspec

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# Values that servers send for fields without a value.
_ABSENT = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false", b"0"})
_LONGEST_ABSENT = 16  # With white space inside, as pretty-printing servers send.

_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def has_value(raw: msgspec.Raw) -> bool:
    """Return whether *raw* holds a value: not null, empty, false or 0."""
    size = len(raw)
    if size == 0 or size > _LONGEST_ABSENT:
        return size > 0
    return b"".join(bytes(raw).split()) not in _ABSENT


def decode_fields(data: bytes) -> dict[str, msgspec.Raw]:
    """Return the fields of the object in *data*; none if it cannot be decoded."""
    try:
        return _fields_decoder.decode(data)
    except UNDECODABLE:
        return {}
