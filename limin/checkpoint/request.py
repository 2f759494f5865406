"""A request as a checkpoint knows it: by its digest, and without the bytes of its parts."""

from __future__ import annotations

import binascii
import json
import re
from typing import TYPE_CHECKING, NamedTuple, Self, cast

import msgspec

from limin.errors import ConversationError
from limin.values.checks import plain_json
from limin.values.content import Audio, File, Image, part_to_openai
from limin.values.conversation import Conversation
from limin.values.media_files import sha256_of
from limin.values.messages import Message
from limin.values.openai_messages import joined_text, other_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from limin.values.content import Part

# msgspec's own error is a ValueError only in its later versions.
_UNREADABLE = (ValueError, msgspec.DecodeError)

# The way of fetching an answer does not make it the answer to another question.
_FETCHING = ("stream", "stream_options")

# The encoder leaves this object out of a line.
NO_METADATA = msgspec.Raw(b"null")

# Bytes of a text that is worth a mark.
_LONG = 4096

# What follows a text, or the end of a list or an object, in compact JSON.
_BETWEEN_TEXTS = b":,]}"


class RecordedRequest(msgspec.Struct, frozen=True):
    """A request that is looked up in a checkpoint, or recorded there.

    Attributes:
        digest: SHA-256 of the canonical JSON of its body, without how the answer is
            fetched.
        body: The body.
        conversation: The conversation in it.
        metadata: Metadata of the conversation as JSON; null if there is none.
    """

    digest: bytes
    body: ShortBody
    conversation: Conversation
    metadata: msgspec.Raw = NO_METADATA

    @classmethod
    def of(cls, body: bytes, conversation: Conversation) -> Self:
        """Return the request that sends *body*, as it encodes *conversation*.

        Raises:
            ConversationError: If JSON cannot hold the conversation's metadata.
        """
        metadata = _encode_metadata(conversation.metadata)
        # A base64 of megabytes would be decoded and encoded again only to be hashed.
        short = ShortBody(body) if _is_plain(conversation) else ShortBody.of(body)
        return cls(short.digest(), short, conversation, metadata)

    def split(self) -> tuple[msgspec.Raw, dict[str, msgspec.Raw]]:
        """Return the messages as a line holds them, and the other fields as they were sent.

        Bytes of parts are not in the messages: at their place is an object with their
        `sha256`, `media_type` and `size`.
        """
        fields = _read_fields(self.body.text)
        messages = fields.pop("messages")
        if _is_plain(self.conversation):
            return messages, fields
        messages = _encode(list(map(_to_recorded, self.conversation.messages)))
        pieces = {n: self.body.restore(bytes(value)) for n, value in fields.items()}
        return messages, {n: msgspec.Raw(b"".join(each)) for n, each in pieces.items()}


def read_messages(messages: msgspec.Raw, metadata: msgspec.Raw) -> Conversation:
    """Return the conversation that a line holds.

    Raises:
        ConversationError: If it holds none.
    """
    fields = json.loads(bytes(metadata))
    try:
        texts = _plain_decoder.decode(messages)
    except _UNREADABLE:
        recorded = json.loads(bytes(messages))
        return Conversation.from_openai(recorded, metadata=fields)
    plain = [Message(text.role, text.content) for text in texts]  # type: ignore[arg-type] # Message checks its role
    return Conversation(plain, metadata=fields)


class _PlainMessage(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str
    content: str


_plain_decoder = msgspec.json.Decoder(list[_PlainMessage])


class ShortBody(NamedTuple):
    """A body in which long texts are replaced by marks, so that it is read faster.

    Attributes:
        text: The body with a mark in the place of each long text.
        pattern: Pattern of the marks, whose group is the index of the text; None if
            there are none.
        long_texts: The long texts.
    """

    text: bytes
    pattern: re.Pattern[bytes] | None = None
    long_texts: tuple[memoryview, ...] = ()

    @classmethod
    def of(cls, body: bytes) -> ShortBody:
        """Return *body*, compact JSON, without its long texts."""
        spans = list(_find_long_texts(body))
        if not spans:
            return cls(body)
        ends = [0, *(place for span in spans for place in span), len(body)]
        pieces = [body[ends[i] : ends[i + 1]] for i in range(0, len(ends), 2)]
        number = 0
        while any(b"text-%d-" % number in piece for piece in pieces):
            number += 1
        marked = [b"text-%d-%d;%b" % (number, i, p) for i, p in enumerate(pieces[1:])]
        pattern = re.compile(rb"text-%d-(\d+);" % number)
        view = memoryview(body)
        long_texts = tuple(view[start:end] for start, end in spans)
        return cls(pieces[0] + b"".join(marked), pattern, long_texts)

    def restore(self, data: bytes) -> Iterator[bytes | memoryview]:
        """Yield the pieces of *data* with each text in the place of its mark."""
        if self.pattern is None:
            yield data
            return
        for index, piece in enumerate(self.pattern.split(data)):
            yield self.long_texts[int(piece)] if index % 2 else piece

    def digest(self) -> bytes:
        """Return the SHA-256 of the canonical JSON of the whole body."""
        from hashlib import sha256  # noqa: PLC0415 (loads OpenSSL, which only checkpoints need)

        result = sha256()
        for piece in self.restore(_canonical(self.text)):
            result.update(piece)
        return result.digest()


def _find_long_texts(body: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of long texts in *body*, compact JSON, that need no decoding.

    Between two quotes is either a text or what stands between texts, and that begins
    with one of four characters. A text of ASCII without a backslash is its own canonical
    form. A name is left out, since the canonical form sorts by it.
    """
    start, is_ascii = body.find(b'"') + 1, body.isascii()
    while (end := body.find(b'"', start)) >= 0:
        if (
            end - start >= _LONG
            and body[start] not in _BETWEEN_TEXTS
            and not body.startswith(b":", end + 1)
            and body.find(b"\\", start, end) < 0
            and (is_ascii or body[start:end].isascii())
        ):
            yield start, end
        start = end + 1


def _canonical(body: bytes) -> bytes:
    """Return *body* with sorted names, and without how the answer is fetched."""
    try:
        fields = _without_fetching(msgspec.json.decode(body, type=dict[str, object]))
        return msgspec.json.encode(fields, order="sorted")
    except _UNREADABLE:  # Half a surrogate pair in `extra_body`, for example.
        fields = _without_fetching(json.loads(body))
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _without_fetching(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in _FETCHING}


def _read_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the fields of *body* as they were sent, except for half surrogates."""
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except _UNREADABLE:
        fields = json.loads(body)
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return _read_fields(text.encode(errors="replace"))


def _is_plain(conversation: Conversation) -> bool:
    return all(message.is_plain for message in conversation.messages)


def _encode_metadata(metadata: Mapping[str, object]) -> msgspec.Raw:
    """Return *metadata* as JSON.

    Raises:
        ConversationError: If JSON cannot hold a value in it.
    """
    if not metadata:
        return NO_METADATA
    try:
        return _encode(plain_json(metadata))
    except (TypeError, ValueError, RecursionError) as error:
        reason = error if isinstance(error, TypeError) else "found another one"
        expectation = "expected values that JSON can hold, as the checkpoint keeps them"
        problem = f"metadata: {expectation}; {reason}"
        raise ConversationError(problem) from None


def _encode(value: object) -> msgspec.Raw:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return msgspec.Raw(text.encode())


def _to_recorded(message: Message) -> dict[str, object]:
    """Return *message* as a line holds it."""
    fields: dict[str, object] = {"role": message.role}
    if not message.omit_content:
        content, text = message.content, joined_text(message.content)
        is_text = text is not None or content is None
        fields["content"] = text if is_text else list(map(_part_to_recorded, content or ()))
    others = other_fields(message)
    calls = {"tool_calls": others.pop("tool_calls")} if message.tool_calls else {}
    return fields | calls | cast("dict[str, object]", _without_bytes(others))


def _part_to_recorded(part: Part) -> object:
    if isinstance(part, (Image, Audio, File)):
        fields = part.to_reference()
        return fields if part.data is not None else _without_bytes(fields)
    fields = part_to_openai(part)
    return fields if isinstance(part, str) else _without_bytes(fields)


def _without_bytes(value: object) -> object:
    """Return *value*, a JSON value, with an object in the place of each base64."""
    if isinstance(value, str):
        return _without_data_url(value)
    if isinstance(value, list):
        return list(map(_without_bytes, cast("list[object]", value)))
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, object]", value)
    fields = {name: _without_bytes(entry) for name, entry in fields.items()}
    audio = fields.get("input_audio")
    if isinstance(audio, dict):
        fields["input_audio"] = _without_sound(cast("dict[str, object]", audio))
    return fields


def _without_sound(audio: dict[str, object]) -> dict[str, object]:
    data, audio_format = audio.get("data"), audio.get("format")
    if not isinstance(data, str):
        return audio
    return audio | {"data": _to_reference(data, f"audio/{audio_format}") or data}


def _without_data_url(text: str) -> object:
    if not text.startswith("data:"):
        return text
    header, _, data = text.partition(",")
    if not header.endswith(";base64"):
        return text
    media_type = header.removeprefix("data:").partition(";")[0]
    return _to_reference(data, media_type) or text


def _to_reference(base64_text: str, media_type: str) -> dict[str, object] | None:
    """Return hash, type and size of the bytes in *base64_text*; None if there are none."""
    try:
        data = binascii.a2b_base64(base64_text, strict_mode=True)
    except ValueError:
        return None
    return {"sha256": sha256_of(data), "media_type": media_type, "size": len(data)}
