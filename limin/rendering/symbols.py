"""Symbols for characters that would not be seen: white space and parts of a character.

The terminal and HTML share them, so a token has the same name in both. Symbols of
control characters are made in `values.safe_text`.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from limin.values.tokens import TokenLogProb

# The stylesheet of a page has these two as well.
NEWLINE = "⏎"
EMPTY = "∅"

_TAB = "⇥"

# A middle dot is a letter of some languages, and two columns wide on East Asian
# terminals. The open box is only a symbol, and always one column wide.
# Source: EastAsianWidth.txt of Unicode 16; NamesList.txt, U+2423 and U+237D.
_SPACE = "␣"
_NO_BREAK_SPACE = "⍽"

_DOTTED_CIRCLE = "◌"

# A tab still moves to the next tab stop, so that columns stay columns.
_MARKED = str.maketrans({"\n": f"{NEWLINE}\n", "\t": f"{_TAB}\t"})
_WITHOUT_BREAKS = str.maketrans({"\n": NEWLINE, "\t": _TAB})
_ON_ONE_LINE = str.maketrans(
    {"\n": NEWLINE, "\t": _TAB, " ": _SPACE, "\N{NO-BREAK SPACE}": _NO_BREAK_SPACE}
)


def mark_lines_and_tabs(text: str) -> str:
    """Return *text* with a symbol before each line break and each tab."""
    return text.translate(_MARKED)


def mark_breaks(text: str) -> str:
    """Return *text* on one line, with a symbol for each line break and each tab."""
    return text.translate(_WITHOUT_BREAKS)


def show_on_one_line(text: str) -> str:
    """Return *text* on one line, with a symbol for each invisible character.

    An empty text is shown as `∅`.
    """
    # A combining character would otherwise join what stands before the text.
    starts_with_mark = unicodedata.category(text[:1] or " ").startswith("M")
    base = _DOTTED_CIRCLE if starts_with_mark else ""
    return (base + escape_controls(text)).translate(_ON_ONE_LINE) or EMPTY


def name_token(token: TokenLogProb) -> str:
    """Return the text of *token* on one line, nothing of it invisible.

    A token that ends inside a character is shown as its bytes: `⟨F0 9F⟩`.
    """
    if not token.token_bytes:
        return show_on_one_line(token.token)
    try:
        return show_on_one_line(token.token_bytes.decode())
    except UnicodeDecodeError:
        return f"⟨{token.token_bytes.hex(' ').upper()}⟩"
