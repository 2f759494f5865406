"""Text from outside, made harmless to look at.

A model or a server may write escape sequences, bells, bidirectional overrides:
whatever limin shows goes through here first.
"""

from __future__ import annotations

import json
import os.path
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What Unicode knows to act or to show nothing: controls (Cc) but tab and newline,
# format characters (Cf), half surrogates (Cs), line and paragraph separators,
# fillers, variation selectors, tags. Three kinds stay: U+FE0F, which ordinary
# emoji carry; Arabic and Syriac signs that are Cf, and yet are seen; private
# characters (Co), which show a box or an icon of the user's own font.
# Source: UnicodeData.txt, and Default_Ignorable_Code_Point in
# DerivedCoreProperties.txt, of Unicode 16.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e"
    "\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_PICTURES = 0x2400  # U+2400 to U+241F picture the characters U+0000 to U+001F.

_WORDS = 200
_SHORTEST_SECRET = 8
_HEAD = 24


def escape_controls(text: str) -> str:
    """*text* with a symbol for each character that acts instead of showing.

    Tabs and newlines stay. A family of emoji falls apart into its members, since
    what joins them (U+200D) can join other things unseen.
    """
    return _INVISIBLE.sub(_symbol, text)


def excerpt(text: str, secrets: Iterable[str] = ()) -> str:
    """The start of *text* on one line, at most 200 characters, without *secrets*.

    A secret of fewer than 8 characters stays, since it would be found inside
    other words. Of a longer one that is quoted, its start is enough.
    """
    line = escape_controls(" ".join(_without(text, secrets).split()))
    return line if len(line) <= _WORDS else line[: _WORDS - 1] + "…"


def _without(text: str, secrets: Iterable[str]) -> str:
    """*text* with `***` wherever a secret stands, or a long enough start of one."""
    quoted = [
        written
        for secret in secrets
        if len(secret) >= _SHORTEST_SECRET
        for written in _writings(secret)
    ]
    spans = sorted(span for written in quoted for span in _spans(text, written))
    pieces: list[str] = []
    end = 0
    for start, stop in spans:
        if start >= end:
            pieces.append(text[end:start])
        end = max(end, stop)
    return "***".join([*pieces, text[end:]])


def _writings(secret: str) -> set[str]:
    """The ways in which servers quote *secret*: as it is, as JSON, as Python."""
    json_ascii, json_text = json.dumps(secret), json.dumps(secret, ensure_ascii=False)
    return {secret, json_ascii[1:-1], json_text[1:-1], repr(secret)[1:-1]}


def _spans(text: str, written: str) -> Iterator[tuple[int, int]]:
    """Where *written* stands in *text*, or as much of it as is quoted."""
    head = written[:_HEAD]
    start = text.find(head)
    while start >= 0:
        there = text[start : start + len(written)]
        end = start + len(os.path.commonprefix([there, written]))  # noqa: RUF071 (by character is meant)
        yield start, end
        start = text.find(head, end)


def _symbol(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:  # noqa: PLR2004 (the end of C0)
        return chr(_PICTURES + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"  # noqa: PLR2004 (DEL)
