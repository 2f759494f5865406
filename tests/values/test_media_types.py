import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.values.media_types import find_media_type, find_size

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480)
GIF = b"GIF89a" + struct.pack("<HH", 640, 480)


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG of *segments*, each a marker and its content."""
    parts = (struct.pack(">BBH", 0xFF, m, len(c) + 2) + c for m, c in segments)
    return b"\xff\xd8" + b"".join(parts)


# A frame is its precision, its height and its width.
FRAME = struct.pack(">BHH", 8, 480, 640)
JPEG = jpeg((0xE0, b"JFIF\0"), (0xC4, b"a table"), (0xC2, FRAME))


def webp(form: bytes, content: bytes) -> bytes:
    """A WebP file with one chunk, whose name is *form*."""
    chunk = form + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


# Source: RFC 9649, 2.5 (lossy), 2.6 (lossless) and 2.7 (extended).
LOSSY = webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480))
LOSSLESS = webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14))
EXTENDED = webp(b"VP8X", bytes(4) + (639).to_bytes(3, "little") + b"\xdf\x01\0")

WAV = b"RIFF\x24\0\0\0WAVEfmt "
MP3 = b"\xff\xfb\x90\x64"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (GIF, "image/gif"),
        (b"GIF87a", "image/gif"),
        (LOSSY, "image/webp"),
        (LOSSLESS, "image/webp"),
        (EXTENDED, "image/webp"),
        (WAV, "audio/wav"),
        (MP3, "audio/mpeg"),
        (b"\xff\xf3\x90", "audio/mpeg"),  # MPEG 2
        (b"ID3\x04", "audio/mpeg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"", None),
        (b"hello", None),
        (b"RIFF\x24\0\0\0AVI ", None),
        (b"RIFF", None),
        (b"\xff\xfb", None),  # Too short for a frame.
        (b"\xff\xd9\x90", None),  # The end of a JPEG.
        (b"\xff\xf1\x50", None),  # AAC has layer 0.
        (b"\xff\xeb\x90", None),  # There is no version 1.
        (b"\xff\xfb\xf0", None),  # There is no bit rate 15,
        (b"\xff\xfb\x9c", None),  # and no sampling rate 3.
        ("\ufeffh".encode("utf-16-le"), None),
        ("\ufeffh".encode("utf-16-be"), None),
    ],
)
def test_media_type(data: bytes, media_type: str | None) -> None:
    """The first bytes tell the format, and others tell none."""
    assert find_media_type(data) == media_type


@pytest.mark.parametrize("data", [PNG, JPEG, GIF, LOSSY, LOSSLESS, EXTENDED])
def test_size(data: bytes) -> None:
    """Width and height stand in the header of each format."""
    assert find_size(data) == (640, 480)


@pytest.mark.parametrize("data", [PNG, JPEG, GIF, LOSSY, LOSSLESS, EXTENDED])
def test_size_of_a_header_that_is_cut_off(data: bytes) -> None:
    """Half a header has no size, wherever it ends, and is no error."""
    for end in range(len(data)):
        assert find_size(data[:end]) is None


def many_segments() -> Iterable[tuple[int, bytes]]:
    """More segments than any camera writes, and then a frame."""
    return [*((0xE0, b""),) * 2000, (0xC0, FRAME)]


@pytest.mark.parametrize(
    "data",
    [
        WAV,
        b"hello",
        webp(b"XMP ", bytes(20)),
        b"\xff\xd8\xff\xe0\0\x02\0\0\0\0\0\0\0\0",
        jpeg(*many_segments()),
    ],
    ids=["sound", "text", "webp", "jpeg", "long"],
)
def test_no_size(data: bytes) -> None:
    """What is no picture, or has an odd header, has no size."""
    assert find_size(data) is None


START = st.sampled_from(
    [b"", PNG[:16], b"\xff\xd8\xff", GIF[:6], LOSSY[:16], EXTENDED[:16]]
)


@given(start=START, rest=st.binary(max_size=64))
def test_any_bytes(start: bytes, rest: bytes) -> None:
    """No bytes are an error."""
    size = find_size(start + rest)
    assert size is None or min(size) >= 0
