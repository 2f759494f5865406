"""Messages from and to OpenAI's JSON, without loss.

A field goes into its attribute if the attribute gives it back unchanged, and else into
`extra`. A part or a call that no class can hold stays a mapping.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from limin.errors import ConversationError
from limin.values.checks import describe_type, plain_json
from limin.values.content import Audio, File, Image, part_to_openai
from limin.values.messages import Message
from limin.values.tools import ToolCall

if TYPE_CHECKING:
    from limin.values.content import Part
    from limin.values.messages import Call, Content, Role

_DATA_URL = re.compile(r"data:([^;,]+);base64,(.*)", re.DOTALL)
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_TEXT_FIELDS = ("name", "tool_call_id")


def message_from_openai(fields: object, index: int) -> Message:
    """Return the message in *fields*, the object at *index* of a list.

    Raises:
        ConversationError: If it is no object, or has no role that is known.
    """
    if not isinstance(fields, Mapping):
        problem = f"message {index}: expected an object, found {describe_type(fields)}"
        raise ConversationError(problem)
    try:
        extra = cast("dict[str, object]", plain_json(cast("object", fields)))
        role = cast("Role", extra.pop("role", None))
        content, omit_content = _take_content(extra)
        texts = {name: _take_text(extra, name) for name in _TEXT_FIELDS}
        calls = _take_calls(extra)
        return Message(
            role,
            content,
            tool_calls=calls,
            extra=extra or None,
            omit_content=omit_content,
            **texts,
        )
    except ConversationError as error:
        problem = f"message {index}: {error.problem}"
        raise ConversationError(problem) from None
    except RecursionError:
        problem = f"message {index}: expected values that JSON can hold"
        problem += ", found too deep a nesting"
        raise ConversationError(problem) from None


def message_to_openai(message: Message) -> dict[str, object]:
    """Return *message* as OpenAI's API takes it; nothing in it belongs to the message."""
    fields: dict[str, object] = {"role": message.role}
    if not message.omit_content:
        fields["content"] = _content_to_openai(message.content)
    return fields | other_fields(message)


def other_fields(message: Message) -> dict[str, object]:
    """Return the fields of *message* beside role and content, as a copy."""
    fields: dict[str, object] = {}
    if message.name is not None:
        fields["name"] = message.name
    if message.tool_calls:
        fields["tool_calls"] = [call_to_openai(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields | cast("dict[str, object]", plain_json(message.extra or {}))


def call_to_openai(call: Call) -> dict[str, object]:
    """Return *call* as OpenAI's API has it."""
    if isinstance(call, ToolCall):
        return call.to_openai()
    return cast("dict[str, object]", plain_json(call))


def joined_text(content: Content) -> str | None:
    """Return *content* as one text if it is sent as one, else None."""
    if isinstance(content, str):
        return content
    texts = [part for part in content or () if isinstance(part, str)]
    is_text = content and len(texts) == len(content)
    return "\n".join(texts) if is_text else None


def _content_to_openai(content: Content) -> object:
    text = joined_text(content)
    if text is not None or content is None:
        return text
    return [part_to_openai(part) for part in content]


def _take_content(fields: dict[str, object]) -> tuple[Content, bool]:
    """Take the content out of *fields*; return it, and whether the message has none.

    Content that is neither text nor null nor a list of objects stays in *fields*.
    """
    content = fields.get("content")
    is_list = isinstance(content, list) and all(
        isinstance(part, dict) for part in cast("list[object]", content)
    )
    is_text = content is None or isinstance(content, str)
    if "content" not in fields or not (is_text or is_list):
        return None, True
    del fields["content"]
    if not isinstance(content, list):
        return cast("str | None", content), False
    objects = cast("list[dict[str, object]]", content)
    parts = tuple(map(_part_from_openai, objects))
    is_sent_as_text = all(isinstance(part, str) for part in parts)
    return (tuple(objects) if is_sent_as_text else parts), False


def _take_text(fields: dict[str, object], name: str) -> str | None:
    return cast("str", fields.pop(name)) if isinstance(fields.get(name), str) else None


def _take_calls(fields: dict[str, object]) -> tuple[Call, ...]:
    calls = fields.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        return ()
    objects = cast("list[object]", calls)
    if not all(isinstance(call, dict) for call in objects):
        return ()
    del fields["tool_calls"]
    return tuple(map(ToolCall.from_openai, cast("list[dict[str, object]]", objects)))


def _part_from_openai(fields: dict[str, object]) -> Part:
    """Return the part in *fields*; *fields* itself if no class can hold it."""
    kind = fields.get("type")
    inner = fields.get(kind) if isinstance(kind, str) else None
    try:
        if kind == "text" and isinstance(inner, str):
            part: Part = inner
        elif isinstance(inner, dict):
            part = _read_media(cast("str", kind), cast("dict[str, object]", inner))
        else:
            return fields
    except (ConversationError, binascii.Error, KeyError, TypeError, ValueError):
        return fields
    return part if part_to_openai(part) == fields else fields


def _read_media(kind: str, fields: dict[str, object]) -> Part:
    """Return the picture, sound or file in *fields*.

    Raises:
        ConversationError, KeyError, TypeError, ValueError: If there is none.
    """
    if kind == "input_audio":
        data = _decode(cast("str", fields["data"]))
        audio_format = cast("str", fields["format"])
        audio_type = _AUDIO_TYPES.get(audio_format, f"audio/{audio_format}")
        return Audio(data, media_type=audio_type)
    if kind == "image_url":
        picture, picture_type = _read_url(cast("str", fields["url"]))
        detail = cast("str | None", fields.get("detail"))
        return Image(picture, media_type=picture_type, detail=detail)
    if kind != "file":
        raise KeyError(kind)
    filename = cast("str | None", fields.get("filename"))
    if "file_id" in fields:
        return File(file_id=cast("str", fields["file_id"]), filename=filename)
    content, media_type = _read_url(cast("str", fields["file_data"]))
    return File(content, media_type=media_type, filename=filename)


def _read_url(url: str) -> tuple[str | bytes, str | None]:
    """Return the bytes in a data URL with their media type, or else the URL itself."""
    match = _DATA_URL.fullmatch(url)
    if match is None:
        return url, None
    return _decode(match[2]), match[1]


def _decode(text: str) -> bytes:
    # `base64.b64decode` would check the text by a slow pattern.
    return binascii.a2b_base64(text, strict_mode=True)
