"""What the events of a stream say beside chunks: that it is over, or only that it lives."""

from __future__ import annotations

import re

from limin.wire.raw_json import decode_fields

# `[DONE]`, in any case and in quotation marks as some gateways write it.
_END = re.compile(rb"[\"']?(\[done\]|done)[\"']?", re.IGNORECASE)

# `null`, `ping`, `"keep-alive"`; but `error` says something.
_WORD = re.compile(
    rb"[\"']?(?!\w*(?:error|exception|fail))[a-z][\w-]{0,30}[\"']?", re.IGNORECASE
)

_NAMES = frozenset({b"ping", b"pong", b"keepalive", b"heartbeat"})
_LONGEST = 1024  # What keeps a connection alive is short.

# Where an object says what it is, and fields with which it is more than a sign of life.
_KINDS = ("object", "type", "event")
_CONTENTS = ("choices", "error", "errors")


def is_end(data: bytes) -> bool:
    """Return whether the *data* of an event say that nothing more comes."""
    return _END.fullmatch(data.strip()) is not None


def is_name_of_life(name: bytes) -> bool:
    """Return whether events of this *name* only keep a connection alive."""
    return re.sub(rb"[\W_]", b"", name.lower()) in _NAMES


def is_sign_of_life(data: bytes) -> bool:
    """Return whether the *data* of an event only keep a connection alive.

    They are nothing, `null`, one bare word, or an object of such a kind without an error.
    """
    text = data.strip()
    if len(text) > _LONGEST:
        return False
    if text[:1] != b"{":
        return not text or _WORD.fullmatch(text) is not None
    fields = decode_fields(text)
    if any(name in fields for name in _CONTENTS):
        return False
    return any(is_name_of_life(bytes(fields.get(name, b""))) for name in _KINDS)
