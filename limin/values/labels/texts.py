"""The texts of labels, and how far the tokens of an answer have spelled one of them.

The answer is a label if its text, behind the marks that come before an answer (blanks,
quotes, brackets, markup), begins with the text of the label, and the label ends there:
with a token, or before a character that does not go on with its word. So `Yes, it is` is
`yes`, and `**B** because` is `B`; `And` is no `A`, and `10` no `1`. Of several labels
that end like this the longest counts: `New York` is not `New`. Upper and lower case are
one. Chinese, Japanese, Korean and Thai have no blanks between words, so there a word may
follow at once.

A control token ends the text, as does the end of it.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from codecs import utf_8_decode
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import attrs

from limin.values.labels.partial_characters import could_begin, could_fold_to

if TYPE_CHECKING:
    from collections.abc import Sequence

# Runs of labels in sorted order: the first one, and the one behind the last.
Runs: TypeAlias = "tuple[tuple[int, int], ...]"

NONE = -1  # The index of no label.

# What is written before an answer, and is no part of it. `Ġ`, `Ċ` and `▁` are how some
# servers write the blank of a token.
_BLANKS = (
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u0120\u010a"
    "\u2581"
)
_QUOTES = (
    "\"'`\xb4\xab\xbb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a"
    "\u300c\u300d\u300e\u300f\uff02\uff07"
)
_MARKUP = "*_#|•·([{\uff08\uff3b\u3010:\uff1a\xa1\xbf"
# Before a number these are signs, and change what it says.
_SIGNS = "-\u2013\u2014\u2212+>~"

# They choose between a plain and a colorful form of the character before them.
_SELECTORS = "\ufe0e\ufe0f"
_DROPPED = dict.fromkeys(map(ord, _SELECTORS))
_JOINER = "\u200d"

_JSON_BLANKS = " \t\n\r"
_JSON_ENDS = _JSON_BLANKS + ",]}"
_ESCAPE = b"\\"

# Scripts that write words without blanks between them, or that add endings to words of
# other scripts: Thai to Tibetan, Myanmar, Hangul, Khmer, and Chinese, Japanese, Korean.
_UNSPACED = (
    ("\u0e00", "\u109f"),
    ("\u1100", "\u11ff"),
    ("\u1780", "\u17ff"),
    ("\u2e80", "\u9fff"),
    ("\ua960", "\ua97f"),
    ("\uac00", "\ud7ff"),
    ("\uf900", "\ufaff"),
    ("\uff66", "\uffdc"),
    ("\U00020000", "\U0003ffff"),
)


@attrs.frozen
class Progress:
    """How far an answer has spelled a label, token by token.

    Attributes:
        text: The text behind the marks, folded; empty before the answer begins.
        pending: Bytes of a character that has not ended.
        opening: What must still come before a value of JSON.
        is_begun: Whether the answer has begun: behind the marks.
        longer: The labels that the text begins, and that are longer.
        ended: The longest label that has ended; NONE if there is none.
        perhaps: A label that has ended if the pending character is no part of its word.
    """

    text: str = ""
    pending: bytes = b""
    opening: str = ""
    is_begun: bool = False
    longer: Runs = ()
    ended: int = NONE
    perhaps: int = NONE

    @property
    def is_settled(self) -> bool:
        """Whether nothing that follows can change which label this is, if any."""
        return self.is_begun and not self.longer and self.perhaps == NONE

    @property
    def runs(self) -> Runs:
        """The labels that this may become, each once."""
        ends = [number for number in (self.ended, self.perhaps) if number != NONE]
        return (*self.longer, *((number, number + 1) for number in ends))

    @property
    def is_escaped(self) -> bool:
        """Whether an escape of JSON hides what comes next."""
        return self.pending == _ESCAPE

    def at_end(self) -> Progress:
        """Return what this is if the text ends here."""
        ended = self.ended if self.perhaps == NONE else self.perhaps
        return Progress(self.text, is_begun=True, ended=ended)


def _numbers(labels: LabelTexts) -> dict[str, int]:
    return {text: number for number, text in enumerate(labels.texts)}


def _lengths(labels: LabelTexts) -> tuple[int, ...]:
    return tuple(sorted({len(text) for text in labels.texts}))


def _firsts(labels: LabelTexts) -> frozenset[str]:
    return frozenset(text[0] for text in labels.texts)


@attrs.frozen(eq=False)
class LabelTexts:
    """The texts of labels, as `Progress` is compared with them.

    Attributes:
        texts: The texts, folded and sorted.
        order: The place of each label among the sorted ones, in the order of the user.
        skipped: The characters before an answer that are no part of it.
        folds: Whether case and the selectors of emoji do not matter.
        opening: What comes before a value of JSON, without blanks.
        is_json: Whether they are values of JSON: a quotation mark ends a text, and a
            backslash begins an escape.
    """

    texts: tuple[str, ...]
    order: tuple[int, ...]
    skipped: str = ""
    folds: bool = False
    opening: str = ""
    is_json: bool = False
    _numbers: dict[str, int] = attrs.field(
        init=False, default=attrs.Factory(_numbers, takes_self=True)
    )
    _lengths: tuple[int, ...] = attrs.field(
        init=False, default=attrs.Factory(_lengths, takes_self=True)
    )
    _firsts: frozenset[str] = attrs.field(
        init=False, default=attrs.Factory(_firsts, takes_self=True)
    )

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        *,
        skipped: str = "",
        folds: bool = False,
        opening: str = "",
        is_json: bool = False,
    ) -> LabelTexts:
        """Sort *texts*, which are folded already."""
        numbers = {text: number for number, text in enumerate(sorted(texts))}
        order = tuple(numbers[text] for text in texts)
        return cls(tuple(numbers), order, skipped, folds, opening, is_json)

    @property
    def longest(self) -> int:
        """The number of characters of the longest text."""
        return self._lengths[-1]

    def beginning(self) -> Progress:
        """Return the progress before the first token."""
        return Progress(opening=self.opening, longer=((0, len(self.texts)),))

    def read_on(self, before: Progress, token: bytes) -> Progress:
        """Return the progress after *token*, which follows *before*."""
        data = before.pending + token
        piece, length = utf_8_decode(data, "replace", False)  # noqa: FBT003 (takes no names)
        pending, opening = data[length:], before.opening
        if not before.text:
            opening, piece = self._skip(opening, piece)
            if not piece:
                return self._not_begun(opening, pending)
            if opening:
                return _NO_LABEL
        if self.folds:
            piece = fold(piece)
        if not before.text and piece[0] not in self._firsts and piece[0] != "\\":
            return _NO_LABEL
        text = before.text + piece
        after = self._compared(before, text, pending)
        if self.is_json:
            # An escape has several spellings, so only a whole label can have one.
            escape = text.find("\\", self._length(after.ended))
            if escape >= 0:
                return self._compared(before, text[:escape], _ESCAPE)
        return after

    def is_decided(self, text: Progress) -> bool:
        """Return whether nothing that follows *text*, all that has come, changes its label.

        A label at its very end may yet go on as another word.
        """
        length = self._length(text.ended)
        return text.is_settled and (not length or len(text.text) > length)

    def _length(self, number: int) -> int:
        return 0 if number == NONE else len(self.texts[number])

    def _skip(self, opening: str, piece: str) -> tuple[str, str]:
        """Return what is still to come of the opening, and the text behind the marks."""
        start = n_opened = 0
        while start < len(piece) and n_opened < len(opening):
            if piece[start] == opening[n_opened]:
                n_opened += 1
            elif piece[start] not in self.skipped:
                break
            start += 1
        return opening[n_opened:], piece[start:].lstrip(self.skipped)

    def _not_begun(self, opening: str, pending: bytes) -> Progress:
        """Return the progress where only marks have come, and perhaps a part of one."""
        is_mark = not pending or opening or could_begin(pending, self.skipped)
        longer = ((0, len(self.texts)),) if is_mark else self._longer("", pending)
        return Progress("", pending, opening, is_begun=not is_mark, longer=longer)

    def _compared(self, before: Progress, text: str, pending: bytes) -> Progress:
        ended, perhaps = before.ended, NONE
        # A label that ended with the token before has been seen there.
        shortest = len(before.text) + (not before.pending)
        for length in self._lengths:
            if not shortest <= length <= len(text):
                continue
            number = self._numbers.get(text[:length], NONE)
            if number == NONE:
                continue
            if length == len(text) and pending:
                perhaps = number
            elif length == len(text) or self._ends(text[:length], text[length]):
                ended = number
        longer = self._longer(text, pending)
        return Progress(text, pending, "", True, longer, ended, perhaps)  # noqa: FBT003 (in order)

    def _ends(self, label: str, following: str) -> bool:
        """Return whether *label* has ended before the character *following*."""
        if not self.is_json:
            return not goes_on(label[-1], following)
        if label in {'""', '"'}:
            return True
        is_text = label.startswith('"') or not self.skipped
        return following in ('"' if is_text else _JSON_ENDS)

    def _longer(self, text: str, pending: bytes) -> Runs:
        """Return the labels that begin with *text* and may go on with *pending*."""
        length = len(text)
        start = bisect_left(self.texts, text, key=lambda label: label[:length])
        stop = bisect_right(self.texts, text, key=lambda label: label[:length])
        start += start < stop and len(self.texts[start]) == length
        if start == stop:
            return ()
        may_be_dropped = self.folds and could_begin(pending, _SELECTORS)
        if not pending or pending == _ESCAPE or may_be_dropped:
            return ((start, stop),)
        return tuple(self._that_go_on(length, start, stop, pending))

    def _that_go_on(
        self, length: int, start: int, stop: int, pending: bytes
    ) -> list[tuple[int, int]]:
        """Return the runs from *start* to *stop* whose next character may be *pending*."""
        runs: list[tuple[int, int]] = []
        while start < stop:
            following = self.texts[start][length]
            end = bisect_right(
                self.texts, following, start, stop, key=lambda label: label[length]
            )
            if could_fold_to(pending, following, folds=self.folds):
                runs.append((start, end))
            start = end
        return runs


_NO_LABEL = Progress(is_begun=True)


def fold(text: str) -> str:
    """Return *text* without differences of case and of the form of emoji."""
    folded = text.casefold()
    return folded if folded.isascii() else folded.translate(_DROPPED)


def goes_on(last: str, following: str) -> bool:
    """Return whether *following* goes on with the word whose character is *last*."""
    if following == _JOINER or unicodedata.category(following).startswith("M"):
        return True
    is_word = last.isalnum() and following.isalnum()
    return is_word and not is_unspaced(last) and not is_unspaced(following)


def is_unspaced(character: str) -> bool:
    """Return whether *character* is of a script that writes words without blanks."""
    return any(first <= character <= last for first, last in _UNSPACED)


@lru_cache(maxsize=64)
def folded_labels(texts: tuple[str, ...]) -> LabelTexts:
    """Return labels whose case does not matter, nor the marks before them.

    A character that begins a label is no mark.
    """
    folded = [fold(text.strip()) for text in texts]
    firsts = {text[0] for text in folded}
    marks = _BLANKS + _QUOTES + _MARKUP + _SELECTORS
    if not any(first.isdigit() for first in firsts):
        marks += _SIGNS
    skipped = "".join(mark for mark in marks if mark.casefold() not in firsts)
    return LabelTexts.of(folded, skipped=skipped, folds=True)


@lru_cache(maxsize=64)
def exact_labels(texts: tuple[str, ...]) -> LabelTexts:
    """Return labels with which the answer must begin as they are."""
    return LabelTexts.of(texts)


@lru_cache(maxsize=64)
def json_labels(texts: tuple[str, ...], opening: str, *, is_quoted: bool) -> LabelTexts:
    """Return values of JSON, each in the text by which it begins.

    Args:
        texts: The texts; of a string without its last quotation mark.
        opening: The punctuation that the first token has before the value.
        is_quoted: Whether a token before the first has opened the quotation mark.
    """
    skipped = "" if is_quoted else _JSON_BLANKS
    opening = "".join(opening.split())
    return LabelTexts.of(texts, skipped=skipped, opening=opening, is_json=True)
