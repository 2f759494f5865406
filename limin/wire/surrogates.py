"""Halves of surrogate pairs, which JSON can escape and UTF-8 cannot carry."""

from __future__ import annotations

import re

# Of a pair the high half comes first.
_FIRST, _LAST_HIGH, _LAST = "\ud800", "\udbff", "\udfff"
_HALF = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"

# An escape in JSON: a pair, a half, or any other, whose backslash begins no half.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def mend_json(data: bytes) -> tuple[bytes, int]:
    """Return JSON with U+FFFD for each half of a pair, and the number of halves."""
    if b"\\u" not in data or (b"\\ud" not in data and b"\\uD" not in data):
        return data, 0
    count = 0

    def mend(match: re.Match[bytes]) -> bytes:
        nonlocal count
        if match[1] is None:
            return match[0]
        count += 1
        return b"\\ufffd"

    mended = _ESCAPE.sub(mend, data)
    return (mended, count) if count else (data, 0)


def mend_text(text: str) -> str:
    """Return *text* with U+FFFD for each half of a pair; pairs become characters."""
    if text.isascii() or not _HALF.search(text):
        return text
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _HALF.sub(_REPLACEMENT, joined)


class TextJoiner:
    """Joins the pieces of a text that a server may cut inside a surrogate pair.

    Attributes:
        n_halves: Number of halves without the other one, which are U+FFFD in the text.
        is_cumulative: Whether each piece so far began with the piece before it.
        repeats: Whether a piece was all of the text before it, once more.
    """

    __slots__ = (
        "_half",
        "_last",
        "_pieces",
        "_size",
        "is_cumulative",
        "n_halves",
        "repeats",
    )

    def __init__(self) -> None:
        """Start without a text."""
        self._pieces: list[str] = []
        self._size = 0
        self._last: str = ""
        self._half: str = ""
        self.n_halves: int = 0
        self.is_cumulative: bool = True
        self.repeats: bool = False

    def add(self, piece: str) -> str:
        """Add *piece*, and return the text that can be handed over.

        The first half of a pair is held back until the second one comes.
        """
        if self._half or not piece.isascii():
            piece = self._join(piece)
        if piece:
            self._compare(piece)
            self._pieces.append(piece)
            self._size += len(piece)
            self._last = piece
        return piece

    def end(self) -> str:
        """Return the text for a half that is still held back; empty if there is none."""
        if not self._half:
            return ""
        self._half = ""
        self.n_halves += 1
        return self.add(_REPLACEMENT)

    def text(self) -> str:
        """Return the whole text that was handed over."""
        return "".join(self._pieces)

    @property
    def is_empty(self) -> bool:
        """Whether no character was handed over."""
        return not self._size

    @property
    def is_repeated(self) -> bool:
        """Whether pieces repeat the text before them, which is then there several times.

        Some servers send with each piece all of the text so far, or at the end all of
        it once more. Two pieces are too few, unless they are longer than a syllable.
        Digits and blanks grow by themselves: "1", "10", "100".
        """
        n_pieces, first = len(self._pieces), self._pieces[0] if self._pieces else ""
        is_longer = len(self._last) > len(first) and any(map(str.isalpha, self._last))
        has_words = len(first) > _SYLLABLE and " " in self._last
        is_cumulative = self.is_cumulative and is_longer and (n_pieces > 2 or has_words)  # noqa: PLR2004 (see above)
        return is_cumulative or self.repeats

    def is_all(self, text: str) -> bool:
        """Return whether *text* is all that came before."""
        return len(text) == self._size and text == "".join(self._pieces)

    def _compare(self, piece: str) -> None:
        """Note whether *piece* repeats the text before it, in time linear in its length."""
        if self.is_cumulative and self._pieces:
            self.is_cumulative = piece.startswith(self._last)
        if len(self._pieces) > 1 and self._size > _SENTENCE and self.is_all(piece):
            self.repeats = True

    def _join(self, piece: str) -> str:
        piece = self._half + piece
        self._half = piece[-1:] if _FIRST <= piece[-1:] <= _LAST_HIGH else ""
        piece = piece.removesuffix(self._half)
        mended = mend_text(piece)
        if mended is not piece:
            self.n_halves += mended.count(_REPLACEMENT) - piece.count(_REPLACEMENT)
        return mended


# Characters; shorter pieces may repeat by themselves: "ha", "haha".
_SYLLABLE = 4
_SENTENCE = 16
