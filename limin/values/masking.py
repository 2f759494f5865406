"""Secrets that a server quotes, masked in whatever way it writes them.

Texts are compared in a folded form. Escapes of HTML, URLs, JSON and Python are decoded.
Letter case, accents and the width of letters do not count, and white space and invisible
characters are left out: a server may change all that, and a person still reads the secret.
"""

from __future__ import annotations

import html
import json
import re
import sys
import unicodedata
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MASK = "***"

# A shorter secret stays, because it occurs inside other words by chance.
SHORTEST_SECRET = 8

# So many letters in a row are a quotation. Text has more in common with other text.
_QUOTATION_OF_KEY, _QUOTATION_OF_TEXT = 12, 18

_MOST_SEARCHED = 4096
_LARGEST_BODY = 65_536  # In bytes; masking takes about 1 ms for each 4096.

# One character each. JSON inside JSON doubles the backslashes, and
# HTML and URLs do alike; the numbers are bounded, because a run that is tried from each of
# its places takes for ever.
_ESCAPE = re.compile(
    r"&(?:amp;){0,4}(?P<html>#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});"
    r"|(?P<url>(?:%(?:25){0,4}[0-9a-f]{2})+)"
    r"|\\{1,8}+(?:u(?P<high>d[89ab][0-9a-f]{2})\\{1,8}u(?P<low>d[c-f][0-9a-f]{2})"
    r"|u\{(?P<brace>[0-9a-f]{1,6})\}"
    r"|(?:u(?P<u>[0-9a-f]{4})|x(?P<x>[0-9a-f]{2})|U(?P<python>[0-9a-f]{8}))"
    r"|(?P<letter>[nrtbf\"'/]))",
    re.IGNORECASE,
)

# Left of a blank in a URL, and of doubled backslashes: they belong to what is beside them.
_LEFTOVERS = re.compile(r"[+\\]+")
# Categories of Unicode that show nothing: white space, controls, format characters,
# marks on other letters, halves of surrogate pairs.
_UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Mc", "Me", "Cs"})
# Fillers show nothing, though they are letters by category: DerivedCoreProperties.txt.
_LEFT_OUT = "+\\\u115f\u1160\u3164\uffa0"

_MASKED, _LEFTOVER = 1, 2
_RUN = re.compile(b"[\x01\x02]+")


class _FoldedLetters(dict[int, str | None]):
    """The folded form of each character, by its code; None if it is left out."""

    _MOST = 20_000  # Enough for Chinese; a server can send a million others.

    def __missing__(self, code: int) -> str | None:
        folded = None
        for letter in unicodedata.normalize("NFKD", chr(code)).casefold():
            if unicodedata.category(letter) not in _UNSEEN and letter not in _LEFT_OUT:
                folded = (folded or "") + letter
        if len(self) < self._MOST:
            self[code] = folded
        return folded


_FOLDED = _FoldedLetters()


class _Text(NamedTuple):
    """A text that may quote secrets.

    Attributes:
        text: The text.
        letters: Its folded form.
        starts, stops: The place in the text of each letter of the folded form.
        marks: For each character of the text, whether it is masked, or a leftover.
    """

    text: str
    letters: str
    starts: list[int]
    stops: list[int]
    marks: bytearray


class _Parts:
    """All parts of one size of the texts, and those among them that a secret has, too."""

    def __init__(self, searched: Iterable[_Text], size: int) -> None:
        self._size = size
        self._all = {part for each in searched for _, part in self._of(each)}
        # Each part of a secret holds one of the secret's samples, which are far fewer.
        self._sample = size // 2
        self._step = size - self._sample + 1
        self._samples = {
            part[n : n + self._sample] for part in self._all for n in range(self._step)
        }
        self._quoted: set[str] = set()

    def look_in(self, folded: str) -> None:
        """Find the parts in a *folded* secret; only around samples, each place once."""
        size, sample = self._size, self._sample
        around = {
            folded[max(start + sample - size, 0) : start + size]
            for start in range(0, len(folded) - sample + 1, self._step)
            if folded[start : start + sample] in self._samples
        }
        self._quoted |= self._all & {
            near[start : start + size]
            for near in around
            for start in range(len(near) - size + 1)
        }

    def mark(self, searched: Iterable[_Text]) -> None:
        """Mark the parts that a secret has, wherever they are in the texts."""
        for each in searched if self._quoted else ():
            for start, part in self._of(each):
                if part in self._quoted:
                    stop = start + self._size
                    _mark(each.marks, each.starts[start], each.stops[stop - 1])

    def _of(self, searched: _Text) -> Iterator[tuple[int, str]]:
        letters, size = searched.letters, self._size
        for start in range(len(letters) - size + 1):
            yield start, letters[start : start + size]


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return *text* with `***` for each of the *secrets*, and for each long part of one.

    A part of a key is long from 12 characters on, one of a prompt from 18, without white
    space. Only the first 4096 characters of *text* are returned.
    """
    return mask_all([text], secrets)[0]


def mask_all(texts: Sequence[str], secrets: Iterable[str]) -> list[str]:
    """Mask several texts as `mask_secrets` does, with one walk over each of the secrets."""
    searched = [_prepare(text[:_MOST_SEARCHED]) for text in texts]
    by_size: dict[int, _Parts] = {}
    for secret in filter(_is_long, secrets):
        _mark_spellings(searched, secret)
        folded = _fold(secret)
        size = min(_quotation_size(secret), len(folded))
        if size >= SHORTEST_SECRET:
            if size not in by_size:
                by_size[size] = _Parts(searched, size)
            by_size[size].look_in(folded)
    for parts in by_size.values():
        parts.mark(searched)
    return [_masked(each) for each in searched]


def mask_body(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return the *body* of an error with `***` for whatever quotes one of the *secrets*.

    JSON stays JSON, because each text and number in it is masked by itself, and is cut at
    4096 characters. So is a body that is no JSON, or is larger than 64 KiB. Where there
    are no secrets the body stays as it is.
    """
    long = list(filter(_is_long, secrets))
    if not long:
        return body
    # What is cut here is no JSON any more.
    text = body[:_LARGEST_BODY].decode("utf-8-sig", errors="replace")
    try:
        value: object = json.loads(text)
        texts = list(dict.fromkeys(filter(_may_quote, _texts_in(value))))
        masked = dict(zip(texts, mask_all(texts, long), strict=True))
        if all(shown == each for each, shown in masked.items()):
            return text.encode()
        return json.dumps(_with_masked(value, masked)).encode()
    except (ValueError, RecursionError):
        return mask_secrets(text, long).encode()


def _may_quote(text: str) -> bool:
    """Return whether *text* is long enough, or holds a sign that may stand for many."""
    return len(text) >= SHORTEST_SECRET or not text.isascii()


def _texts_in(value: object) -> Iterator[str]:
    """Yield the names, texts and numbers in *value*, which is JSON."""
    if isinstance(value, dict):
        for name, each in cast("dict[str, object]", value).items():
            yield name
            yield from _texts_in(each)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _texts_in(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _with_masked(value: object, masked: Mapping[str, str]) -> object:
    """Return *value* with what *masked* has for each name, text and number in it."""
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value).items()
        return {masked.get(n, n): _with_masked(each, masked) for n, each in fields}
    if isinstance(value, list):
        return [_with_masked(each, masked) for each in cast("list[object]", value)]
    text = str(value)
    return masked[text] if masked.get(text, text) != text else value


def _is_long(secret: str) -> bool:
    return len(secret) >= SHORTEST_SECRET


def _quotation_size(secret: str) -> int:
    return _QUOTATION_OF_TEXT if re.search(r"\s", secret) else _QUOTATION_OF_KEY


def _fold(text: str) -> str:
    """Return *text* in the form in which texts are compared."""
    if "&" in text or "%" in text or "\\" in text:
        text = _ESCAPE.sub(_decode, text)
    return text.translate(_FOLDED)


def _prepare(text: str) -> _Text:
    """Fold *text*, and keep the place of each letter."""
    folded = [_FOLDED[ord(character)] for character in text]
    ends: dict[int, int] = {}
    for match in _ESCAPE.finditer(text):  # It has the place of one character.
        start, stop = match.span()
        folded[start:stop] = [_fold(match[0]), *[None] * (stop - start - 1)]
        ends[start] = stop
    starts = [index for index, letters in enumerate(folded) for _ in letters or ""]
    stops = [ends.get(index, index + 1) for index in starts]
    marks = bytearray(len(text))
    for match in _LEFTOVERS.finditer(text):
        _mark(marks, *match.span(), _LEFTOVER)
    return _Text(text, "".join(filter(None, folded)), starts, stops, marks)


def _decode(match: re.Match[str]) -> str:
    """Return the characters that an escape stands for."""
    if name := match["html"]:
        return html.unescape(f"&{name};")
    if url := match["url"]:
        return unquote(re.sub("%(?:25)+(?=[0-9a-fA-F]{2})", "%", url))
    if match["letter"]:
        return match["letter"] if match["letter"] in "\"'/" else " "
    if match["high"]:
        pair = bytes.fromhex(match["high"] + match["low"])
        return pair.decode("utf-16-be", "replace")
    code = int(match["u"] or match["x"] or match["python"] or match["brace"], 16)
    return chr(code) if code <= sys.maxunicode else ""


def _mark_spellings(searched: Iterable[_Text], secret: str) -> None:
    """Mark *secret* as it is, as JSON and as Python, if it is short enough for a text.

    One of little but blanks and signs has no folded form that could be found.
    """
    texts = [each for each in searched if len(each.text) >= len(secret)]
    if not texts:
        return
    spellings = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    spellings.add(json.dumps(secret, ensure_ascii=False)[1:-1])
    for each in texts:
        for spelling in spellings:
            start = each.text.find(spelling)
            while start >= 0:
                stop = start + len(spelling)
                _mark(each.marks, start, stop)
                start = each.text.find(spelling, stop)


def _mark(marks: bytearray, start: int, stop: int, mark: int = _MASKED) -> None:
    marks[start:stop] = bytes([mark]) * (stop - start)


def _masked(searched: _Text) -> str:
    pieces: list[str] = []
    position = 0
    for run in _RUN.finditer(searched.marks):
        if _MASKED in run[0]:
            pieces += (searched.text[position : run.start()], MASK)
            position = run.end()
    return "".join((*pieces, searched.text[position:]))
