"""Heads of responses that are framed a little off -> heads as the parser reads them.

The parser is strict. What RFC 9112 tells or allows a client to read all the same is
brought into proper shape here: it costs nothing for proper heads, and nothing behind the
head is read leniently. A connection whose head was odd carries no other request, so that
whoever reads it another way gains nothing.
"""

from __future__ import annotations

import re

# What can be mended: a line that ends in a line feed alone (RFC 9112, 2.2), a header that
# goes on in the next line (5.2), and a length beside another one or beside chunks (6.3).
_ODD = re.compile(rb"(?<!\r)\n|\n[ \t]|\ncontent-length:", re.IGNORECASE)

_BLANK_LINE = re.compile(rb"\n\r?\n")
_CONTENT = re.compile(rb"[^\r\n]")
_LINE_END = re.compile(rb"\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1[0-9][0-9]")


def is_odd(head: bytes | bytearray) -> bool:
    """Return whether *head*, or the part of it that came, can be mended."""
    return _ODD.search(head) is not None


class HeadMender:
    """Collects the heads of one response, the interim ones among them, and mends the last.

    Each byte is read once, however the heads are cut into pieces.
    """

    def __init__(self) -> None:
        """Start without bytes."""
        self._held = bytearray()
        self._start = self._searched = 0

    def feed(self, data: bytes | bytearray) -> bytes | None:
        """Return the last head in proper shape, and what came behind it.

        None if it is not complete. What cannot be mended stays as it is, so that the
        parser refuses it.
        """
        held = self._held
        held += data
        while first := _CONTENT.search(held, self._start):
            self._start = first.start()
            end = _BLANK_LINE.search(held, max(self._start, self._searched - 2))
            self._searched = len(held) if end is None else end.end()
            if end is None:
                return None
            head = bytes(held[self._start : end.end()])
            if not _INTERIM.match(head):
                return _mend(head) + held[end.end() :]
            self._start = end.end()
        self._start = len(held)
        return None


def transfer_codings(values: list[bytes]) -> set[bytes]:
    """Return the codings that headers with these *values* name, in lower case."""
    return {each.strip(b" \t") for each in b",".join(values).lower().split(b",")}


def _mend(head: bytes) -> bytes:
    status_line, fields = _LINE_END.split(head, maxsplit=1)
    # Before the first header there is nothing to continue (RFC 9112, 2.2).
    lines = _LINE_END.split(_FOLD.sub(b" ", fields))[:-2]
    return b"\r\n".join([status_line, *_mend_lengths(lines), b"", b""])


def _mend_lengths(lines: list[bytes]) -> list[bytes]:
    """Return the headers in *lines* with one length, or none beside chunks.

    Equal lengths are one, and chunks override a length (RFC 9112, 6.3).
    """
    lengths = _values(lines, b"content-length")
    codings = _values(lines, b"transfer-encoding")
    named = {each.strip(b" \t") for each in b",".join(lengths).split(b",")}
    if codings and transfer_codings(codings) == {b"chunked"}:
        kept: list[bytes] = []
    elif lengths and len(named) == 1 and not codings:
        kept = [b"Content-Length: " + named.pop()]
    else:
        return lines
    return kept + [line for line in lines if _name(line) != b"content-length"]


def _values(lines: list[bytes], name: bytes) -> list[bytes]:
    return [line.partition(b":")[2] for line in lines if _name(line) == name]


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()
