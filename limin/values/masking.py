"""Secrets that a server quotes, masked in whatever way it writes them.

Texts are compared in a folded form: escapes of HTML, URLs, JSON and Python are decoded,
letter case does not count, and white space is left out, as a server may change all that.
"""

from __future__ import annotations

import html
import json
import re
import sys
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"

# A shorter secret stays, because it occurs inside other words.
_SHORTEST_SECRET = 8

# So many characters in a row are a quotation. Text has more in common with other text.
_QUOTATION_OF_KEY, _QUOTATION_OF_TEXT = 12, 18

_MOST_SEARCHED = 4096

# One character each. JSON inside JSON doubles the backslashes, and HTML does alike; the
# number is bounded, because a run that is tried from each of its places takes for ever.
_ESCAPE = re.compile(
    r"&(?:amp;){0,4}(?P<html>#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});"
    r"|(?P<url>(?:%[0-9a-f]{2})+)"
    r"|\\{1,8}(?:u(?P<high>d[89ab][0-9a-f]{2})\\{1,8}u(?P<low>d[c-f][0-9a-f]{2})"
    r"|(?:u(?P<u>[0-9a-f]{4})|x(?P<x>[0-9a-f]{2})|U(?P<python>[0-9a-f]{8}))"
    r"|(?P<letter>[nrtbf\"'/]))",
    re.IGNORECASE,
)

# White space, in URLs also a plus sign, and what is left of doubled backslashes.
_LEFT_OUT = re.compile(r"[\s+\\]+")


class _Unit(NamedTuple):
    """A character, or an escape, of a text.

    Attributes:
        start, stop: Its place in the text.
        folded: Its characters in the form in which texts are compared; may be empty.
        is_escaping: Whether it is a backslash, a plus sign, or an escaped blank.
    """

    start: int
    stop: int
    folded: str
    is_escaping: bool = False


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return *text* with `***` for each of the *secrets*, and for each long part of one.

    A part of a key is long from 12 characters on, one of a prompt from 18, without white
    space. Only the first 4096 characters of *text* are returned.
    """
    text = text[:_MOST_SEARCHED]
    units = list(_units(text))
    letters = "".join(unit.folded for unit in units)
    owners = [number for number, unit in enumerate(units) for _ in unit.folded]
    is_masked = bytearray(len(text))
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            folded = _fold(secret)
            forms = {secret} if len(folded) >= _SHORTEST_SECRET else _quoted_forms(secret)
            for form in forms:
                for start in _find_all(text, form):
                    _mark(is_masked, start, start + len(form))
            for start, stop in _quotations(letters, folded, _quotation_size(secret)):
                first, last = _widen(units, owners[start], owners[stop - 1])
                _mark(is_masked, units[first].start, units[last].stop)
    if not any(is_masked):
        return text
    runs = groupby(zip(text, is_masked, strict=True), key=lambda pair: pair[1])
    return "".join(
        MASK if masked else "".join(character for character, _ in run)
        for masked, run in runs
    )


def _quoted_forms(secret: str) -> set[str]:
    """Return *secret* unchanged, as JSON, and as Python: for one of little but blanks."""
    forms = (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])
    return {*forms, json.dumps(secret, ensure_ascii=False)[1:-1]}


def _quotation_size(secret: str) -> int:
    return _QUOTATION_OF_TEXT if re.search(r"\s", secret) else _QUOTATION_OF_KEY


def _quotations(letters: str, folded: str, size: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of parts of a *folded* secret in *letters*; they may overlap.

    A part has *size* characters, or all of the secret if that is shorter.
    """
    size = min(size, len(folded))
    if size < _SHORTEST_SECRET:
        return
    # Each quotation holds one of these samples, which are few.
    length = size // 2
    step, tested = size - length + 1, 0
    for sample in range(0, len(letters) - length + 1, step):
        if letters[sample : sample + length] in folded:
            first, last = sample + length - size, min(sample, len(letters) - size)
            for start in range(max(first, tested, 0), last + 1):
                if letters[start : start + size] in folded:
                    yield start, start + size
            tested = max(tested, last + 1)


def _fold(text: str) -> str:
    """Return *text* in the form in which texts are compared."""
    decoded = _ESCAPE.sub(lambda match: _decode(match) or "", text)
    return _LEFT_OUT.sub("", decoded.casefold())


def _units(text: str) -> Iterator[_Unit]:
    """Yield the characters and escapes of *text*."""
    position = 0
    for match in _ESCAPE.finditer(text):
        yield from _plain_units(text, position, match.start())
        folded = _fold_plain(_decode(match))
        yield _Unit(match.start(), match.end(), folded, not folded)
        position = match.end()
    yield from _plain_units(text, position, len(text))


def _plain_units(text: str, start: int, stop: int) -> Iterator[_Unit]:
    for position in range(start, stop):
        letter = text[position]
        yield _Unit(position, position + 1, _fold_plain(letter), letter in "\\+")


def _fold_plain(text: str) -> str:
    return _LEFT_OUT.sub("", text.casefold())


def _decode(match: re.Match[str]) -> str:
    """Return the characters that an escape stands for."""
    if name := match["html"]:
        return html.unescape(f"&{name};")
    if match["url"]:
        return unquote(match["url"])
    if match["letter"]:
        return match["letter"] if match["letter"] in "\"'/" else " "
    if match["high"]:
        pair = bytes.fromhex(match["high"] + match["low"])
        return pair.decode("utf-16-be", "replace")
    code = int(match["u"] or match["x"] or match["python"], 16)
    return chr(code) if code <= sys.maxunicode else ""


def _widen(units: list[_Unit], first: int, last: int) -> tuple[int, int]:
    """Include what is left of escapes around a quotation: it belongs to it."""
    while first > 0 and units[first - 1].is_escaping:
        first -= 1
    while last + 1 < len(units) and units[last + 1].is_escaping:
        last += 1
    return first, last


def _mark(is_masked: bytearray, start: int, stop: int) -> None:
    is_masked[start:stop] = b"\x01" * (stop - start)


def _find_all(text: str, secret: str) -> Iterator[int]:
    start = text.find(secret)
    while start >= 0:
        yield start
        start = text.find(secret, start + len(secret))
