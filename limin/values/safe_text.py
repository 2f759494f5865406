"""Text of models and servers, made safe to show.

It may hold escape sequences, bells and bidirectional overrides, so everything that
limin shows passes through here first.
"""

from __future__ import annotations

import json
import os.path
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Characters that act, or that show nothing: controls (Cc) except tab and newline,
# format characters (Cf), half surrogates (Cs), line and paragraph separators,
# fillers, variation selectors, tags. Three kinds stay: U+FE0F, which ordinary
# emoji carry; Arabic and Syriac signs that are Cf, but visible; private
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

_LONGEST_EXCERPT = 200
_SHORTEST_SECRET = 8
_SECRET_START = 24  # A quotation is often cut, so the first characters are enough.


def escape_controls(text: str) -> str:
    """Return *text* with a symbol for each invisible or control character.

    Tabs and newlines stay. A family of emoji falls apart into its members, because
    their joiner (U+200D) can also join other characters unseen.
    """
    return _INVISIBLE.sub(_symbol, text)


def excerpt(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the start of *text* on one line, at most 200 characters, without *secrets*.

    A secret of fewer than 8 characters stays, because it occurs inside other words.
    A longer one is removed even if only its first 24 characters are there.
    """
    if secrets:
        text = _mask_secrets(text, secrets)
    line = escape_controls(" ".join(text.split()))
    return line if len(line) <= _LONGEST_EXCERPT else line[: _LONGEST_EXCERPT - 1] + "…"


def _mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return *text* with `***` for each secret, or for a long enough start of one."""
    forms = [
        form
        for secret in secrets
        if len(secret) >= _SHORTEST_SECRET
        for form in _quoted_forms(secret)
    ]
    spans = sorted(span for form in forms for span in _find_spans(text, form))
    pieces: list[str] = []
    end = 0
    for start, stop in spans:
        if start >= end:
            pieces.append(text[end:start])
        end = max(end, stop)
    return "***".join([*pieces, text[end:]])


def _quoted_forms(secret: str) -> set[str]:
    """Return the forms in which servers quote *secret*: unchanged, as JSON, as Python."""
    json_ascii, json_text = json.dumps(secret), json.dumps(secret, ensure_ascii=False)
    return {secret, json_ascii[1:-1], json_text[1:-1], repr(secret)[1:-1]}


def _find_spans(text: str, form: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each place in *text* that quotes *form* or its start."""
    beginning = form[:_SECRET_START]
    start = text.find(beginning)
    while start >= 0:
        quotation = text[start : start + len(form)]
        end = start + len(os.path.commonprefix([quotation, form]))  # noqa: RUF071 (by character is meant)
        yield start, end
        start = text.find(beginning, end)


def _symbol(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:  # noqa: PLR2004 (the end of C0)
        return chr(_PICTURES + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"  # noqa: PLR2004 (DEL)
