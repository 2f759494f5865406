"""Text from outside, made harmless to look at.

A model or a server may write escape sequences, bells, bidirectional overrides:
whatever limin shows goes through here first.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Controls (C0 but tab and newline, DEL, C1), soft hyphen, zero-width and
# bidirectional characters, line and paragraph separators, tags, half surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_PICTURES = 0x2400  # U+2400 to U+241F picture the characters U+0000 to U+001F.

_WORDS = 200
_SHORTEST_SECRET = 8
_HEAD = 24


def visible(text: str) -> str:
    """*text* with a symbol for each character that acts instead of showing.

    Tabs and newlines stay.
    """
    return _INVISIBLE.sub(_symbol, text)


def excerpt(text: str, secrets: Iterable[str] = ()) -> str:
    """The start of *text* on one line, at most 200 characters, without *secrets*.

    A secret of fewer than 8 characters stays, since it would be found inside
    other words. Of a longer one that is quoted, its start is enough.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            for quoted in {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
                text = _without(text, quoted)
    line = visible(" ".join(text.split()))
    return line if len(line) <= _WORDS else line[: _WORDS - 1] + "…"


def _without(text: str, secret: str) -> str:
    """*text* with `***` wherever *secret*, or a long enough start of it, stands."""
    head = secret[:_HEAD]
    start = text.find(head)
    while start >= 0:
        end = start + len(head)
        rest = secret[_HEAD:]
        while rest and text.startswith(rest[0], end):
            end, rest = end + 1, rest[1:]
        text = text[:start] + "***" + text[end:]
        start = text.find(head, start + 3)
    return text


def _symbol(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:  # noqa: PLR2004 (the end of C0)
        return chr(_PICTURES + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"  # noqa: PLR2004 (DEL)
