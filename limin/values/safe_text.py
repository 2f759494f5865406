"""Text of models and servers, made safe to show.

It may hold escape sequences, bells and bidirectional overrides, so everything that
limin shows passes through here first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def escape_controls(text: str) -> str:
    """Return *text* with a symbol for each invisible or control character.

    Tabs and newlines stay. A family of emoji falls apart into its members, because
    their joiner (U+200D) can also join other characters unseen.
    """
    return _INVISIBLE.sub(_symbol, text)


def excerpt(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the start of *text* on one line, at most 200 characters, without *secrets*.

    A secret of fewer than 8 characters stays; see `mask_secrets`.
    """
    if secrets:
        from limin.values.masking import mask_secrets  # noqa: PLC0415 (loads html)

        text = mask_secrets(text, secrets)
    line = escape_controls(" ".join(text.split()))
    return line if len(line) <= _LONGEST_EXCERPT else line[: _LONGEST_EXCERPT - 1] + "…"


def _symbol(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:  # noqa: PLR2004 (the end of C0)
        return chr(_PICTURES + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"  # noqa: PLR2004 (DEL)
