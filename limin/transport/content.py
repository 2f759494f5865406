"""Compressed bodies, inflated piece by piece and never beyond a bound."""

from __future__ import annotations

import zlib

from limin.errors import ProtocolError, ResponseTooLargeError

# What requests say they take: what the standard library can inflate.
ACCEPTED = "gzip, deflate"

# RFC 9110, 8.4.1.3: a gzip of old.
_GZIP = frozenset({"gzip", "x-gzip"})
_IDENTITY = frozenset({"", "identity"})

# zlib's own numbers for what it should expect.
_GZIP_BITS = zlib.MAX_WBITS | 16
_ZLIB_BITS = zlib.MAX_WBITS
_RAW_BITS = -zlib.MAX_WBITS

_ZLIB_HEADER = 2


class Body:
    """The body of one answer as it grows, bounded before and after inflating.

    Attributes:
        received: Bytes that came, still compressed.
    """

    def __init__(self, coding: str, *, limit: int) -> None:
        """A body under the content coding *coding*, of at most *limit* bytes.

        Raises:
            ProtocolError: If it is one that no request said it takes.
        """
        coding = coding.strip().lower()
        if coding not in _GZIP | _IDENTITY | {"deflate"}:
            reason = f"the body is compressed in a way that was not asked for: {coding!a}"
            raise ProtocolError(reason)
        self.received = 0
        self._gzip = coding in _GZIP
        self._deflate = coding == "deflate"
        self._limit = limit
        self._size = 0
        self._pieces: list[bytes] = []
        self._held = b""
        # One member of a gzip at a time, and whether one is under way.
        self._inflater = zlib.decompressobj()
        self._inflating = False

    def add(self, data: bytes) -> None:
        """Append the next bytes that came.

        Raises:
            ResponseTooLargeError: If the body outgrows its limit.
            ProtocolError: If it is not what its coding says.
        """
        self.received += len(data)
        self._bound(self.received)
        if self._gzip or self._deflate:
            self._inflate(data)
        else:
            self._pieces.append(data)

    def take(self) -> bytes:
        """What came since the last call, inflated; may be nothing."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def finish(self) -> bytes:
        """What was not taken of the body, inflated.

        Raises:
            ProtocolError: If the compressed body broke off.
        """
        if self._held or self._inflating:
            reason = "the compressed body broke off"
            raise ProtocolError(reason)
        return b"".join(self._pieces)

    def _inflate(self, data: bytes) -> None:
        data = self._held + data
        self._held = b""
        try:
            while data:
                if not self._inflating:
                    if self._deflate and len(data) < _ZLIB_HEADER:
                        self._held = data
                        return
                    self._inflater = zlib.decompressobj(self._bits(data))
                    self._inflating = True
                room = self._limit - self._size + 1
                piece = self._inflater.decompress(data, room)
                self._size += len(piece)
                self._bound(self._size)
                self._pieces.append(piece)
                self._inflating = not self._inflater.eof
                data = self._inflater.unconsumed_tail or self._inflater.unused_data
        except zlib.error as error:
            reason = f"the body is not compressed as it says: {error}"
            raise ProtocolError(reason) from error

    def _bits(self, start: bytes) -> int:
        """What zlib should expect, of a body that starts so.

        Deflate is zlib's format (RFC 9110, 8.4.1.2), but some servers send the
        bare stream; the first two bytes tell (RFC 1950, 2.2).
        """
        if self._gzip:
            return _GZIP_BITS
        wrapped = start[0] & 0x0F == zlib.DEFLATED and (start[0] << 8 | start[1]) % 31 == 0
        return _ZLIB_BITS if wrapped else _RAW_BITS

    def _bound(self, size: int) -> None:
        if size > self._limit:
            reason = f"the body is larger than {self._limit} bytes"
            raise ResponseTooLargeError(reason, self._limit)
