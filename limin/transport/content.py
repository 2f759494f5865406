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
    """Decodes the body of one response, bounded before and after decompression."""

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
        self._held = b""
        # A gzip has one or more members; one is decompressed at a time.
        self._inflater: Inflater | None = None

    def decode(self, data: bytes) -> bytes:
        """Return the decoded bytes of the next *data*; may be empty.

        Raises:
            ResponseTooLargeError: If the body outgrows its limit.
            ProtocolError: If the body is not in its coding.
        """
        self._received += len(data)
        self._bound(self._received)
        return self._inflate(data) if self._is_compressed else data

    def finish(self) -> None:
        """Check that the body is complete.

        Raises:
            ProtocolError: If a compressed body broke off.
        """
        if self._held or self._inflater is not None:
            reason = "the compressed body broke off"
            raise ProtocolError(reason)

    def _inflate(self, data: bytes) -> bytes:
        data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        try:
            while data:
                inflater = self._inflater
                if inflater is None:
                    if not self._is_gzip and len(data) < _ZLIB_HEADER:
                        self._held = data
                        break
                    inflater = zlib.decompressobj(self._window_bits(data))
                room = self._limit - self._size + 1
                piece = inflater.decompress(data, room)
                self._size += len(piece)
                self._bound(self._size)
                pieces.append(piece)
                self._inflater = None if inflater.eof else inflater
                data = inflater.unconsumed_tail or inflater.unused_data
        except zlib.error as error:
            reason = f"the body is not compressed as it says: {error}"
            raise ProtocolError(reason) from error
        return b"".join(pieces)

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
