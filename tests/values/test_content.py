import base64
import json
import struct
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import ConversationError
from limin.values.content import (
    Audio,
    File,
    Image,
    Part,
    describe_part,
    format_size,
    part_to_openai,
    text_of_part,
    texts_of_part,
    to_part,
)

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + bytes(83_000)
WAV = b"RIFF\x24\0\0\0WAVEfmt "
MP3 = b"ID3\x04"
PDF = b"%PDF-1.7 a page"

PLAN = "my secret plan for tonight"
LINK = "https://pictures.test/secret.png?sig=abc"


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def refusal(kind: Any, *args: Any, **kwargs: Any) -> str:
    """The message with which *kind* refuses its arguments; it tells nothing of them."""
    with pytest.raises(ConversationError) as caught:
        kind(*args, **kwargs)
    assert "secret" not in str(caught.value)
    return str(caught.value)


# A part, and what OpenAI's API takes for it.
SHAPES: list[tuple[Part, dict[str, Any]]] = [
    ("hello", {"type": "text", "text": "hello"}),
    (
        Image(PNG),
        {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}},
    ),
    (
        Image(b"RIFF....WEBP"),
        {
            "type": "image_url",
            "image_url": {"url": data_url("image/webp", b"RIFF....WEBP")},
        },
    ),
    (
        Image(b"unknown", media_type="image/avif", detail="low"),
        {
            "type": "image_url",
            "image_url": {"url": "data:image/avif;base64,dW5rbm93bg==", "detail": "low"},
        },
    ),
    (
        Image("https://a.test/b.png", detail="high"),
        {
            "type": "image_url",
            "image_url": {"url": "https://a.test/b.png", "detail": "high"},
        },
    ),
    (
        Audio(WAV),
        {
            "type": "input_audio",
            "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"},
        },
    ),
    (
        Audio(MP3),
        {"type": "input_audio", "input_audio": {"data": "SUQzBA==", "format": "mp3"}},
    ),
    (
        Audio(MP3, media_type="audio/x-wav"),
        {"type": "input_audio", "input_audio": {"data": "SUQzBA==", "format": "wav"}},
    ),
    (
        Audio(b"unknown", media_type="audio/flac"),
        {
            "type": "input_audio",
            "input_audio": {"data": "dW5rbm93bg==", "format": "flac"},
        },
    ),
    (
        File(PDF),
        {"type": "file", "file": {"file_data": data_url("application/pdf", PDF)}},
    ),
    (
        File(b"hello", media_type="text/plain", filename="a.txt"),
        {
            "type": "file",
            "file": {"file_data": "data:text/plain;base64,aGVsbG8=", "filename": "a.txt"},
        },
    ),
    (
        File("https://a.test/b.pdf"),
        {"type": "file", "file": {"file_data": "https://a.test/b.pdf"}},
    ),
    (
        File(file_id="file-1", filename="b.pdf"),
        {"type": "file", "file": {"file_id": "file-1", "filename": "b.pdf"}},
    ),
    (
        {"type": "video_url", "video_url": {"url": "https://a.test"}},
        {"type": "video_url", "video_url": {"url": "https://a.test"}},
    ),
]


@pytest.mark.parametrize(("part", "expected"), SHAPES)
def test_shape(part: Part, expected: dict[str, Any]) -> None:
    """Each part has the shape that OpenAI documents, and a mapping its own."""
    assert part_to_openai(part) == expected
    if isinstance(part, (Image, Audio, File)):
        assert json.loads(part.to_json()) == expected


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_type(kind: Any) -> None:
    """Bytes are copied, so that nobody changes the picture later."""
    image = Image(kind(PNG))
    assert (image.data, image.url, image.media_type) == (PNG, None, "image/png")
    assert type(image.data) is bytes


def test_part_by_url_has_no_bytes() -> None:
    """Nothing is fetched: a URL stays one."""
    image = Image("https://a.test/b.png")
    assert (image.data, image.url, image.media_type) == (None, "https://a.test/b.png", None)
    assert Image("data:image/png;base64,iVBO").url == "data:image/png;base64,iVBO"
    assert Image("gs://bucket/b.png").url == "gs://bucket/b.png"


def test_part_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many requests about one picture cost one encoding; equal pictures are two."""
    calls: list[int] = []
    encode = base64.b64encode

    def count(data: bytes) -> bytes:
        calls.append(len(data))
        return encode(data)

    monkeypatch.setattr(base64, "b64encode", count)
    image, other = Image(PNG), Image(PNG)
    assert len({id(image.to_json()) for _ in range(3)}) == 1
    assert other.to_json() == image.to_json()
    assert calls == [len(PNG)] * 2
    assert image == other
    assert hash(image) == hash(other)


def test_changed_copy_is_encoded_again() -> None:
    """A copy with another detail sends that detail."""
    image = Image(PNG)
    image.to_json()
    changed = attrs.evolve(image, detail="low")
    assert json.loads(changed.to_json())["image_url"]["detail"] == "low"
    assert changed != image


REPRS: list[tuple[Part, str]] = [
    (Image(PNG), "<image/png 640x480, 83 kB>"),
    (Image(PNG[:20]), "<image/png, 20 bytes>"),
    (Image(b"secret!", media_type="image/avif"), "<image/avif, 7 bytes>"),
    (Image(LINK), "<image by URL>"),
    (Audio(WAV), "<audio/wav, 16 bytes>"),
    (File(PDF, filename="secret.pdf"), "<application/pdf, 15 bytes>"),
    (File(LINK), "<file by URL>"),
    (File(file_id="secret"), "<file by id>"),
    ("secret", "<6 characters>"),
    ({"type": "text", "text": "secret"}, "<6 characters>"),
    ({"type": "text", "text": None, "more": "secret"}, "<text>"),
    ({"type": "video_url", "video_url": "secret"}, "<video_url>"),
    ({"type": "a" * 99}, f"<{'a' * 40}>"),
    ({"type": PLAN}, "<part>"),
    ({"type": 3}, "<part>"),
    ({}, "<part>"),
]


@pytest.mark.parametrize(("part", "expected"), REPRS)
def test_repr(part: Part, expected: str) -> None:
    """Kind and size are shown, and nothing of the content."""
    assert describe_part(part) == expected


@pytest.mark.parametrize(
    ("n_bytes", "expected"),
    [
        (0, "0 bytes"),
        (812, "812 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (9_940, "9.9 kB"),
        (9_960, "10 kB"),
        (83_333, "83 kB"),
        (999_499, "999 kB"),
        (999_501, "1.0 MB"),
        (5_000_000, "5.0 MB"),
        (12 * 10**9, "12 GB"),
        (10**13, "10000 GB"),
    ],
)
def test_size(n_bytes: int, expected: str) -> None:
    """A size has two digits or three, and the unit that fits."""
    assert format_size(n_bytes) == expected


REFUSALS: list[tuple[Any, dict[str, Any], str]] = [
    (Image, {"source": b""}, "image: expected bytes, found none"),
    (
        Image,
        {"source": b"secret"},
        "image: expected bytes of a known format, or `media_type=`, found neither",
    ),
    (
        Image,
        {"source": b"secret", "media_type": "secret"},
        "image: expected a media_type such as `image/png`, found a str",
    ),
    (
        Image,
        {"source": PNG, "media_type": "image/" + "secret" * 30},
        "image: expected a media_type such as `image/png`, found a str",
    ),
    (
        Image,
        {"source": PNG, "media_type": 3},
        "image: expected a media_type such as `image/png`, found an int",
    ),
    (
        Image,
        {"source": PDF},
        "image: expected bytes of type image/…, found application/pdf",
    ),
    (
        Image,
        {"source": "secret.png"},
        "image: expected bytes or a URL, found another str (Image.from_path reads a file)",
    ),
    (
        Image,
        {"source": "C:\\secret.png"},
        "image: expected bytes or a URL, found another str (Image.from_path reads a file)",
    ),
    (
        Image,
        {"source": "plan: keep it secret"},
        "image: expected bytes or a URL, found another str (Image.from_path reads a file)",
    ),
    (
        Image,
        {"source": Path("secret")},
        "image: expected bytes or a URL, found a PosixPath",
    ),
    (Image, {"source": None}, "image: expected bytes or a URL, found a NoneType"),
    (
        Image,
        {"source": LINK, "media_type": "image/png"},
        "image: expected a media_type of bytes only, found one of a URL",
    ),
    (
        Image,
        {"source": PNG, "detail": 3},
        "detail of an image: expected a str or None, found an int",
    ),
    (
        Audio,
        {"source": LINK},
        "audio: expected bytes (a part by URL is sent as a mapping), found a URL",
    ),
    (
        Audio,
        {"source": "secret.wav"},
        "audio: expected bytes (a part by URL is sent as a mapping), found a str",
    ),
    (Audio, {"source": PNG}, "audio: expected bytes of type audio/…, found image/png"),
    (File, {}, "file: expected bytes or a URL, or `file_id=`, found a NoneType"),
    (
        File,
        {"source": PDF, "file_id": "secret"},
        "file: expected bytes or a URL or `file_id=`, found two of them",
    ),
    (
        File,
        {"media_type": "text/plain", "file_id": "secret"},
        "file: expected a media_type of bytes only, found one of a file_id",
    ),
    (File, {"file_id": 3}, "file_id of a file: expected a str or None, found an int"),
    (
        File,
        {"source": PDF, "filename": b"secret"},
        "filename of a file: expected a str or None, found a bytes",
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "expected"), REFUSALS)
def test_refusal(kind: Any, arguments: dict[str, Any], expected: str) -> None:
    """What is no part says what was expected, and repeats nothing of it."""
    assert refusal(kind, **arguments) == expected


def test_from_path(tmp_path: Path) -> None:
    """A file is read at once, its format is told by its bytes, and it keeps its name."""
    path = tmp_path / "picture.jpg"
    path.write_bytes(PNG)
    image = Image.from_path(str(path))
    file = File.from_path(path, media_type="application/x-picture")
    path.unlink()
    assert image == Image(PNG)
    assert file == File(PNG, media_type="application/x-picture", filename="picture.jpg")
    with pytest.raises(ConversationError, match="found image/png"):
        Audio.from_path(file_with(tmp_path, PNG))


def file_with(directory: Path, data: bytes) -> Path:
    """A file with *data*."""
    path = directory / "file"
    path.write_bytes(data)
    return path


def test_file_that_is_empty(tmp_path: Path) -> None:
    """An empty file is refused here, not by the server."""
    path = file_with(tmp_path, b"")
    assert refusal(Image.from_path, path) == "image: expected bytes, found none"


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The path that cannot be read is named, with the reason."""
    missing = tmp_path / "picture.png"
    start = "expected the path of a file that can be read, found"
    assert refusal(Image.from_path, missing) == (
        f"image: {start} {str(missing)!r}: no such file or directory"
    )
    assert refusal(File.from_path, tmp_path) == (
        f"file: {start} {str(tmp_path)!r}: is a directory"
    )
    assert refusal(Audio.from_path, "a\0b") == f"audio: {start} 'a\\x00b': no path"
    assert refusal(Audio.from_path, 3) == f"audio: {start} an int"


@pytest.mark.parametrize("path", [LINK, "secret" * 50, data_url("image/png", PNG)])
def test_path_that_is_none(path: str) -> None:
    """A URL, or the content itself, in the place of a path is not repeated."""
    found = "a longer text" if path.startswith("secret") else "a URL"
    assert f"found {found}: " in refusal(Image.from_path, path)


def test_mapping_is_copied() -> None:
    """What happens to a mapping later does not reach the part, nor the other way."""
    mapping: dict[str, Any] = {"type": "text", "cache_control": {"type": "ephemeral"}}
    part = to_part(mapping)
    mapping["cache_control"]["type"] = "changed"
    sent = part_to_openai(part)
    assert sent["cache_control"] == {"type": "ephemeral"}
    sent["cache_control"] = None
    assert part_to_openai(part)["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("hello", "hello"),
        ("", ""),
        ({"type": "text", "text": "hello"}, "hello"),
        ({"type": "input_text", "text": "hello"}, None),
        ({"type": "text", "text": 3}, None),
        (Image(PNG), None),
    ],
)
def test_text_of_part(part: Part, text: str | None) -> None:
    """Text is text, and parts of OpenAI's type `text`."""
    assert text_of_part(part) == text


def test_texts_that_no_error_may_repeat() -> None:
    """Texts, URLs and the start of the bytes are known; words of the protocol are not."""
    assert list(texts_of_part("hi")) == ["hi"]
    assert list(texts_of_part(Image(LINK))) == [LINK]
    assert list(texts_of_part(File(file_id="file-1"))) == []
    (quoted,) = texts_of_part(Image(PNG))
    assert (
        data_url("image/png", PNG).removeprefix("data:image/png;base64,").startswith(quoted)
    )
    assert len(quoted) == 4096
    part = {"type": "video_url", "parts": [{"url": LINK}, 3, PLAN], "fps": 2}
    assert set(texts_of_part(part)) == {LINK, PLAN}


LETTERS = st.characters(categories=["L", "N", "P", "S", "Zs"], min_codepoint=32)


@given(secret=st.text(LETTERS, min_size=6), data=st.binary(min_size=6))
def test_nothing_of_a_part_is_shown(secret: str, data: bytes) -> None:
    """No text, URL, name or byte of any part gets into a repr."""
    secret, data = f"\N{SNOWMAN}{secret}", b"\xff\xfe" + data
    parts: list[Part] = [
        secret,
        Image(f"https://{''.join(secret.split())}", detail=secret),
        Image(data, media_type="image/avif"),
        File(data, media_type="text/plain", filename=secret),
        File(file_id=secret, filename=secret),
        {"type": secret, secret: secret},
        {"type": "text", "text": secret},
    ]
    shown = "".join(map(describe_part, parts))
    assert shown.isascii()
    assert "\\" not in shown


def test_json_of_an_odd_name() -> None:
    """A part's JSON is JSON, whatever the file's name."""
    file = File(b"x", media_type="text/plain", filename='"\\\n\N{SNOWMAN}')
    assert msgspec.json.decode(file.to_json()) == file.to_openai()
