"""Prompts and answers in the shape of the conventions.

Source: gen-ai-input-messages.json, gen-ai-output-messages.json and
gen-ai-tool-definitions.json in model/gen-ai of the conventions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from limin.telemetry.names import NO_FINISH_REASON
from limin.values.content import Audio, File, Image
from limin.values.tools import Tool, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from limin.values.choice import Choice
    from limin.values.content import Part
    from limin.values.messages import Content, Message

_MODALITIES: dict[type, str] = {Image: "image", Audio: "audio", File: "document"}


def shape_input(messages: Iterable[Message]) -> list[dict[str, object]]:
    """Return *messages* as they were sent; bytes are left out."""
    return [_shape_message(message) for message in messages]


def shape_output(choices: Iterable[Choice]) -> list[dict[str, object]]:
    """Return the answers in *choices*."""
    return [_shape_choice(choice) for choice in choices]


def shape_tools(tools: Iterable[Tool | Mapping[str, object]]) -> list[dict[str, object]]:
    """Return the names of *tools*: their descriptions may be long."""
    shaped: list[dict[str, object]] = []
    for tool in tools:
        if isinstance(tool, Tool):
            shaped.append({"type": "function", "name": tool.name})
            continue
        function = tool.get("function")
        holder = cast(
            "Mapping[str, object]", function if isinstance(function, Mapping) else tool
        )
        kind = str(tool.get("type", "function"))
        shaped.append({"type": kind, "name": str(holder.get("name", kind))})
    return shaped


def _shape_message(message: Message) -> dict[str, object]:
    if message.role == "tool":
        response = {"type": "tool_call_response", "id": message.tool_call_id}
        parts: list[dict[str, object]] = [{**response, "response": message.text}]
    else:
        parts = [*_shape_content(message.content), *map(_shape_call, message.tool_calls)]
    shaped: dict[str, object] = {"role": message.role, "parts": parts}
    if message.name is not None:
        shaped["name"] = message.name
    return shaped


def _shape_content(content: Content) -> list[dict[str, object]]:
    if content is None:
        return []
    if isinstance(content, str):
        return [_text(content)] if content else []
    return [_shape_part(part) for part in cast("Sequence[Part]", content)]


def _shape_part(part: Part) -> dict[str, object]:
    if isinstance(part, str):
        return _text(part)
    if isinstance(part, Mapping):
        return {"type": "unknown", **part}
    shaped: dict[str, object] = {"modality": _MODALITIES[type(part)]}
    if part.media_type is not None:
        shaped["mime_type"] = part.media_type
    if part.url is not None:
        return {"type": "uri", **shaped, "uri": part.url}
    if isinstance(part, File) and part.file_id is not None:
        return {"type": "file", **shaped, "file_id": part.file_id}
    # A `blob` has the bytes, which no exporter takes if they are many.
    return {"type": "omitted_blob", **shaped, "size": len(part.data or b"")}


def _shape_call(call: ToolCall | Mapping[str, object]) -> dict[str, object]:
    if isinstance(call, ToolCall):
        arguments = call.arguments
        return {
            "type": "tool_call",
            "id": call.id,
            "name": call.name,
            "arguments": arguments,
        }
    return {**call, "type": "other_tool_call"}


def _shape_choice(choice: Choice) -> dict[str, object]:
    parts: list[dict[str, object]] = []
    if choice.reasoning:
        parts.append({"type": "reasoning", "content": choice.reasoning})
    if choice.message:
        parts.append(_text(choice.message))
    if choice.refusal:
        parts.append({"type": "refusal", "content": choice.refusal})
    parts += map(_shape_call, choice.tool_calls)
    reason = choice.finish_reason or NO_FINISH_REASON
    return {"role": "assistant", "parts": parts, "finish_reason": reason}


def _text(text: str) -> dict[str, object]:
    return {"type": "text", "content": text}
