"""What bytes hold, told by their first ones: the media type, and a picture's size."""

from __future__ import annotations

import struct

# The first bytes of each format, and its media type.
# Source: https://mimesniff.spec.whatwg.org/
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
)
_RIFF_FORMATS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}

# JPEG markers that begin a frame, and hold its size. The others between C0 and CF are
# tables. Source: ITU-T T.81, table B.1.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MOST_SEGMENTS = 1000


def find_media_type(data: bytes) -> str | None:
    """Return the media type of png, jpeg, gif, webp, wav, mp3 or pdf; None for others."""
    for start, media_type in _SIGNATURES:
        if data.startswith(start):
            return media_type
    if data.startswith(b"RIFF"):
        return _RIFF_FORMATS.get(data[8:12])
    return "audio/mpeg" if _is_mp3_frame(data) else None


def find_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a picture in pixels; None if its header is not known."""
    find = _SIZES.get(find_media_type(data) or "")
    try:
        return None if find is None else find(data)
    except (struct.error, IndexError):  # The header is cut off.
        return None


def _is_mp3_frame(data: bytes) -> bool:
    """Return whether *data* begins with a frame of MPEG audio, layer III.

    Source: ISO/IEC 11172-3, 2.4.1.3: eleven bits set, the version, the layer, a bit,
    the bit rate, the sampling rate. The highest number of a rate stands for none.
    """
    header = int.from_bytes(data[:3], "big")
    if len(data) < 3 or header >> 13 != 0x7FF:  # noqa: PLR2004 (see above)
        return False
    version, layer = header >> 11 & 3, header >> 9 & 3
    bit_rate, sampling_rate = header >> 4 & 15, header >> 2 & 3
    return version != 1 and layer == 1 and bit_rate != 15 and sampling_rate != 3  # noqa: PLR2004 (see above)


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Return the size in one of the three headers of WebP.

    Source: RFC 9649, 2.5 to 2.7.
    """
    if data[12:16] == b"VP8X":
        low, high = struct.unpack_from("<IH", data, 24)
        return (low & 0xFFFFFF) + 1, (high << 8 | low >> 24) + 1
    if data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if data[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return the size in the first frame header; segments before it are skipped."""
    offset = 2
    for _ in range(_MOST_SEGMENTS):
        mark, marker, length = struct.unpack_from(">BBH", data, offset)
        if mark != 0xFF:  # noqa: PLR2004 (each segment begins with it)
            return None
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, offset + 5)
            return width, height
        offset += 2 + length
    return None


_SIZES = {
    "image/png": _png_size,
    "image/gif": _gif_size,
    "image/webp": _webp_size,
    "image/jpeg": _jpeg_size,
}
