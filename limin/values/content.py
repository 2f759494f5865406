"""The parts of a message's content: text, pictures, sounds and files.

Bytes are encoded once for each object, however many requests carry it.
"""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self, TypeAlias, cast

import attrs
import msgspec

from limin.errors import ConversationError
from limin.values.checks import describe_type, plain, plain_json, plain_mapping
from limin.values.media_files import is_url, read_file, sha256_of
from limin.values.media_types import find_media_type, find_size

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

# Source: RFC 6838, 4.2.
_MEDIA_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9!#$&^_.+-]{1,127}")

# OpenAI's formats of sound, by the second half of the media type where they differ.
_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}

_LONGEST_KIND = 40  # Characters of a part's kind in a repr.
_QUOTED_BYTES = 3072  # A server quotes no more of them in its error.

# A shorter text of an unknown field may be a word of the protocol (`input_audio`), which
# is no secret, and which a server's error needs.
_SHORTEST_TEXT = 24

_UNITS = ("bytes", "kB", "MB", "GB")


@attrs.frozen(repr=False)
class _Media(ABC):
    """Bytes or a URL that a message carries."""

    _kind: ClassVar[str]
    _takes: ClassVar[str] = "bytes or a URL"
    _media_types: ClassVar[str] = ""  # Their common start.

    source: bytes | str | None
    media_type: str | None = attrs.field(default=None, kw_only=True)
    _encoded: bytes | None = attrs.field(default=None, init=False, eq=False)
    _sha256: str | None = attrs.field(default=None, init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        source = self.source
        if isinstance(source, (bytes, bytearray, memoryview)):
            object.__setattr__(self, "source", bytes(source))
            object.__setattr__(self, "media_type", self._find_media_type(bytes(source)))
            return
        if not isinstance(source, str):
            self._refuse(self._takes, describe_type(source))
        object.__setattr__(self, "source", self._check_url(source))
        if self.media_type is not None:
            self._refuse("a media_type of bytes only", "one of a URL")

    @classmethod
    def from_path(
        cls, path: str | os.PathLike[str], *, media_type: str | None = None
    ) -> Self:
        """Return the part with the bytes of the file at *path*, which is read at once.

        Raises:
            ConversationError: If the file cannot be read or is empty, or if its format
                is not known and no *media_type* is given.
        """
        return cls(read_file(cls._kind, path), media_type=media_type)

    @property
    def data(self) -> bytes | None:
        """The bytes; None for a URL."""
        return self.source if isinstance(self.source, bytes) else None

    @property
    def url(self) -> str | None:
        """The URL; None for bytes."""
        return self.source if isinstance(self.source, str) else None

    def __repr__(self) -> str:
        """Return kind and size, because reprs end up in logs, and prompts must not."""
        if self.data is None:
            return f"<{self._kind} by URL>"
        return f"<{self.media_type}, {format_size(len(self.data))}>"

    def to_openai(self) -> dict[str, object]:
        """Return the part as OpenAI's API takes it."""
        return self._shape(self._encode())

    def to_reference(self) -> dict[str, object]:
        """Return `to_openai` with `sha256`, `media_type` and `size` in place of bytes."""
        if not isinstance(self.source, bytes):
            return self.to_openai()
        if self._sha256 is None:
            object.__setattr__(self, "_sha256", sha256_of(self.source))
        return self._shape(
            {
                "sha256": self._sha256,
                "media_type": self.media_type,
                "size": len(self.source),
            }
        )

    @abstractmethod
    def _shape(self, content: object) -> dict[str, object]:
        """Return the part as OpenAI's API takes it, with *content* as its content."""

    def to_json(self) -> bytes:
        """Return `to_openai` as JSON; the part is encoded the first time only."""
        if self._encoded is None:
            object.__setattr__(self, "_encoded", msgspec.json.encode(self.to_openai()))
        return cast("bytes", self._encoded)

    def texts(self) -> Iterator[str]:
        """Yield what a server could quote of the part in an error."""
        if isinstance(self.source, bytes):
            yield base64.b64encode(self.source[:_QUOTED_BYTES]).decode()
        elif self.source is not None:
            yield self.source

    def _encode(self) -> str:
        """Return the bytes as a data URL, or else the URL."""
        if not isinstance(self.source, bytes):
            return cast("str", self.source)
        return f"data:{self.media_type};base64,{base64.b64encode(self.source).decode()}"

    def _find_media_type(self, data: bytes) -> str:
        """Return the media type that was given, or else that of *data*."""
        if not data:
            self._refuse("bytes", "none")
        media_type = plain(self.media_type)
        if media_type is None:
            media_type = find_media_type(data)
            if media_type is None:
                self._refuse("bytes of a known format, or `media_type=`", "neither")
        if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
            self._refuse("a media_type such as `image/png`", describe_type(media_type))
        if not media_type.startswith(self._media_types):
            self._refuse(f"bytes of type {self._media_types}…", media_type)
        return media_type

    def _check_url(self, url: str) -> str:
        if not is_url(url):
            name = f"{type(self).__name__}.from_path"
            self._refuse(self._takes, f"another str ({name} reads a file)")
        return str.__str__(url)

    def _refuse(self, expected: str, found: str) -> NoReturn:
        problem = f"{self._kind}: expected {expected}, found {found}"
        raise ConversationError(problem)


@attrs.frozen(repr=False)
class Image(_Media):
    """A picture in a message.

    Attributes:
        source: Bytes of a png, jpeg, gif or webp picture, or a URL, which the server
            fetches.
        media_type: Media type of the bytes; None for a URL. By default it is told by
            the first bytes: png, jpeg, gif and webp are known.
        detail: How closely the model looks, `low`, `high` or `auto`; None leaves it to
            the server.

    Raises:
        ConversationError: If there are no bytes, or their format is not known and no
            `media_type` is given; also for a str that is no URL.

    Source: https://platform.openai.com/docs/guides/images-vision
    """

    _kind = "image"
    _media_types = "image/"

    source: bytes | str
    detail: str | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        _check_text_or_none("detail of an image", self.detail)

    def __repr__(self) -> str:
        """Return media type, pixels and size, or that it is a URL."""
        pixels = None if self.data is None else find_size(self.data)
        if self.data is None or pixels is None:
            return super().__repr__()
        width, height = pixels
        return f"<{self.media_type} {width}x{height}, {format_size(len(self.data))}>"

    def _shape(self, content: object) -> dict[str, object]:
        fields = {"url": content}
        if self.detail is not None:
            fields["detail"] = self.detail
        return {"type": "image_url", "image_url": fields}


@attrs.frozen(repr=False)
class Audio(_Media):
    """A sound in a message.

    OpenAI's format has no sound by URL. For a server that takes one, a mapping is sent
    as it is: `{"type": "audio_url", "audio_url": {"url": ...}}`.

    Attributes:
        source: Bytes of a wav or mp3 file, or of another format by its `media_type`.
        media_type: Media type of the bytes. By default it is told by the first bytes.

    Raises:
        ConversationError: If there are no bytes, or their format is not known and no
            `media_type` is given; also for a URL.

    Source: https://platform.openai.com/docs/guides/audio
    """

    _kind = "audio"
    _takes = "bytes (a part by URL is sent as a mapping)"
    _media_types = "audio/"

    source: bytes

    def _shape(self, content: object) -> dict[str, object]:
        subtype = cast("str", self.media_type).partition("/")[2]
        fields = {"data": content, "format": _FORMATS.get(subtype, subtype)}
        return {"type": "input_audio", "input_audio": fields}

    def _encode(self) -> str:
        return base64.b64encode(self.source).decode()

    def _check_url(self, url: str) -> NoReturn:
        self._refuse(self._takes, "a URL" if is_url(url) else "a str")


@attrs.frozen(repr=False)
class File(_Media):
    """A file in a message, such as a PDF.

    Attributes:
        source: Bytes of the file, or a URL; None if the server has it already.
        media_type: Media type of the bytes; None without bytes. By default it is told
            by the first bytes: pdf, and the formats of `Image` and `Audio`, are known.
        filename: Name of the file that the model sees; None for no name.
        file_id: Id of a file that was uploaded before; None without one.

    Raises:
        ConversationError: If there are neither bytes nor a URL nor an id, or more than
            one of them; also if the bytes' format is not known and no `media_type` is
            given.

    Source: https://platform.openai.com/docs/guides/pdf-files
    """

    _kind = "file"
    _takes = "bytes or a URL, or `file_id=`"

    source: bytes | str | None = None
    filename: str | None = attrs.field(default=None, kw_only=True)
    file_id: str | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        _check_text_or_none("filename of a file", self.filename)
        _check_text_or_none("file_id of a file", self.file_id)
        if self.file_id is None:
            super().__attrs_post_init__()
        elif self.source is not None:
            self._refuse("bytes or a URL or `file_id=`", "two of them")
        elif self.media_type is not None:
            self._refuse("a media_type of bytes only", "one of a file_id")

    @classmethod
    def from_path(
        cls, path: str | os.PathLike[str], *, media_type: str | None = None
    ) -> Self:
        """Return the file at *path*, under its own name; it is read at once.

        Raises:
            ConversationError: If the file cannot be read or is empty, or if its format
                is not known and no *media_type* is given.
        """
        data = read_file(cls._kind, path)
        return cls(data, media_type=media_type, filename=Path(path).name)

    def __repr__(self) -> str:
        """Return media type and size, or that it is an id or a URL."""
        return super().__repr__() if self.file_id is None else "<file by id>"

    def _shape(self, content: object) -> dict[str, object]:
        fields = {"file_data": content} if self.file_id is None else {}
        if self.file_id is not None:
            fields["file_id"] = self.file_id
        if self.filename is not None:
            fields["filename"] = self.filename
        return {"type": "file", "file": fields}


Part: TypeAlias = "str | Image | Audio | File | Mapping[str, object]"


def to_part(value: Part) -> Part:
    """Return *value* as a part that nobody else can change; anything else as it is.

    Raises:
        ConversationError: If a mapping is nested too deeply.
    """
    if isinstance(value, str):
        # The encoder takes no subclass of `str`; the elements of a numpy array are some.
        return str.__str__(value)
    if isinstance(value, Mapping):
        return plain_mapping("part of a message", value, ConversationError)
    return value


def is_part(value: object) -> bool:
    """Return whether *value* is text, an `Image`, `Audio` or `File`, or a mapping."""
    return isinstance(value, (str, _Media, Mapping))


def part_to_openai(part: Part) -> dict[str, object]:
    """Return *part* as OpenAI's API takes it; a mapping is copied."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, _Media):
        return part.to_openai()
    return cast("dict[str, object]", plain_json(part))


def text_of_part(part: Part) -> str | None:
    """Return the text of *part*; None if it holds something else."""
    if isinstance(part, Mapping):
        text = part.get("text") if part.get("type") == "text" else None
        return text if isinstance(text, str) else None
    return part if isinstance(part, str) else None


def texts_of_part(part: Part) -> Iterator[str]:
    """Yield every text in *part* that no error may repeat, also as a server quotes it."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, _Media):
        yield from part.texts()
    else:
        yield from texts_of_json(part)


def texts_of_json(value: object) -> Iterator[str]:
    """Yield the texts in *value*, except for its names and for short ones."""
    values = [value]
    while values:
        entry = values.pop()
        if isinstance(entry, str):
            if len(entry) >= _SHORTEST_TEXT:
                yield entry
        elif isinstance(entry, Mapping):
            values.extend(cast("Mapping[object, object]", entry).values())
        elif isinstance(entry, list):
            values.extend(cast("list[object]", entry))


def describe_part(part: Part) -> str:
    """Return kind and size of *part*, and nothing of its content."""
    text = text_of_part(part)
    if text is not None:
        return f"<{len(text)} characters>"
    if not isinstance(part, Mapping):
        return repr(part)
    kind = part.get("type")
    if isinstance(kind, str) and kind.isidentifier() and kind.isascii():
        return f"<{kind[:_LONGEST_KIND]}>"
    return "<part>"


def format_size(n_bytes: int) -> str:
    """Return a number of bytes in its unit: `812 bytes`, `1.2 kB`, `83 kB`."""
    size, units = float(n_bytes), iter(_UNITS)
    unit = next(units)
    while size >= 999.5 and unit != _UNITS[-1]:  # noqa: PLR2004 (rounds to 1000)
        size, unit = size / 1000, next(units)
    is_short = unit != "bytes" and size < 9.95  # noqa: PLR2004 (rounds to two digits)
    return f"{size:.1f} {unit}" if is_short else f"{size:.0f} {unit}"


def _check_text_or_none(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        problem = f"{name}: expected a str or None, found {describe_type(value)}"
        raise ConversationError(problem)
