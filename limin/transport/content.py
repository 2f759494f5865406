"""Compressed bodies, decompressed piece by piece and never beyond a limit."""

from __future__ import annotations

import zlib
from typing import Protocol

from limin.errors import ProtocolError, ResponseTooLargeError

# The codings that the standard library can decompress.
ACCEPTED = "gzip, deflate"

# RFC 9110, 8.4.1.3: x-gzip is an old name of gzip.
_GZIP = frozenset({"gzip", "x-gzip"})
_READABLE = _GZIP | {"deflate"}

# Those of IANA, and what people compress with besides. Any other word, such as "none" or
# a charset, names no compression: some gateways fill the header with those.
_UNREADABLE = frozenset(
    {"aes128gcm", "br", "bzip2", "compress", "dcb", "dcz", "exi", "lz4", "lzma"}
    | {"pack200-gzip", "snappy", "x-compress", "xz", "zstd"}
)

# Formats as zlib numbers them.
_GZIP_BITS = zlib.MAX_WBITS | 16
_ZLIB_BITS = zlib.MAX_WBITS
_RAW_BITS = -zlib.MAX_WBITS

_ZLIB_HEADER = 2

# What one step does at most: bytes that it makes, and calls of zlib, each with a small
# piece, since zlib copies what stands behind each member of a gzip.
STEP_BYTES = 1_048_576
_STEP_CALLS = 2048
_PIECE = 4096


class Inflater(Protocol):
    """A decompressor of zlib, whose own class has no public name."""

    @property
    def eof(self) -> bool:
        """Whether the end of the compressed data was reached."""
        ...

    @property
    def unconsumed_tail(self) -> bytes:
        """Input that exceeded the room for output."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Input behind the end of the compressed data."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most *max_length* bytes of output."""
        ...


class BodyDecoder:
    """Decodes the body of one response, bounded before and after decompression.

    Decompression goes step by step, since a few bytes can become many: between two steps
    the caller lets other tasks have their turn.

    Attributes:
        has_more: Whether another step, without new data, is due before new data.
    """

    def __init__(self, coding: str, *, limit: int) -> None:
        """Decode a body under the content coding *coding*, of at most *limit* bytes.

        Raises:
            ProtocolError: If it names a compression that was not asked for, or several.
        """
        named = _compressions(coding) if coding else []
        if len(named) > 1 or not _READABLE.issuperset(named):
            ways = ", ".join(named)
            reason = f"the body is compressed in a way that was not asked for: '{ways}'"
            error = ProtocolError(reason)
            error.is_permanent = True
            raise error
        self._is_gzip = not _GZIP.isdisjoint(named)
        self._is_compressed = bool(named)
        self._limit = limit
        self._received = self._size = 0
        self._input, self._position = b"", 0
        self._tail = b""  # What zlib has left of its last piece of the input.
        # A gzip has one or more members; one is decompressed at a time.
        self._inflater: Inflater | None = None
        self._is_full = False  # Whether zlib may hold output that found no room.
        self.has_more = False

    def decode(self, data: bytes = b"") -> bytes:
        """Return decoded bytes of the next *data*, of one step; may be empty.

        Raises:
            ResponseTooLargeError: If the body outgrows its limit.
            ProtocolError: If the body is not in its coding.
        """
        self._received += len(data)
        self._bound(self._received)
        if not self._is_compressed:
            return data
        if data:
            self._input, self._position = data, 0
        try:
            return self._inflate()
        except zlib.error as error:
            reason = f"the body is not compressed as it says: {error}"
            raise ProtocolError(reason) from error

    def finish(self) -> None:
        """Check that the body is complete.

        Raises:
            ProtocolError: If a compressed body broke off.
        """
        if self._tail or self._inflater is not None:
            reason = "the compressed body broke off"
            raise ProtocolError(reason)

    def _inflate(self) -> bytes:
        """Return the output of one step."""
        pieces: list[bytes] = []
        room, n_calls = STEP_BYTES, 0
        self.has_more = True
        while room > 0 and n_calls < _STEP_CALLS:
            data = self._take_piece()
            if not (data or self._is_full):
                self.has_more = False
                break
            piece = self._inflate_piece(data, min(room, self._limit - self._size + 1))
            pieces.append(piece)
            room, n_calls = room - len(piece), n_calls + 1
        return b"".join(pieces)

    def _take_piece(self) -> bytes:
        """Return the next input for zlib; empty if there is none, or not enough."""
        needed = 1 if self._is_gzip or self._inflater is not None else _ZLIB_HEADER
        data, self._tail = self._tail, b""
        if len(data) < needed:
            end = self._position + _PIECE
            data += self._input[self._position : end]
            self._position = end
        if len(data) < needed:
            data, self._tail = b"", data
        return data

    def _inflate_piece(self, data: bytes, room: int) -> bytes:
        inflater = self._inflater or zlib.decompressobj(self._window_bits(data))
        piece = inflater.decompress(data, room)
        self._size += len(piece)
        self._bound(self._size)
        self._is_full = len(piece) == room and not inflater.eof
        self._inflater = None if inflater.eof else inflater
        self._tail = inflater.unconsumed_tail or inflater.unused_data
        return piece

    def _window_bits(self, start: bytes) -> int:
        """Return the format of a body with this *start*, as zlib numbers it.

        Deflate is zlib's format (RFC 9110, 8.4.1.2), but some servers send the
        bare stream; the first two bytes show which (RFC 1950, 2.2).
        """
        if self._is_gzip:
            return _GZIP_BITS
        is_zlib = start[0] & 0x0F == zlib.DEFLATED and (start[0] << 8 | start[1]) % 31 == 0
        return _ZLIB_BITS if is_zlib else _RAW_BITS

    def _bound(self, size: int) -> None:
        if size > self._limit:
            reason = f"the body is larger than {self._limit} bytes"
            raise ResponseTooLargeError(reason, self._limit)


def _compressions(coding: str) -> list[str]:
    codings = [each.strip() for each in coding.lower().split(",")]
    return [each for each in codings if each in _READABLE or each in _UNREADABLE]
