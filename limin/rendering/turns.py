"""What a reader sees of each message: who speaks, its texts and parts, its calls.

The terminal, HTML and Markdown share it, so that all of them show the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

import attrs

from limin.rendering.calls import call_id, call_name, quote_name, show_call, show_name
from limin.values.content import Image, describe_part, text_of_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from limin.rendering.calls import ShownCall
    from limin.values.content import Part
    from limin.values.messages import Message, Role
    from limin.values.tool_runs import ToolResult


@attrs.frozen
class ShownPart:
    """A part that is no text.

    Attributes:
        description: Its kind and size, such as `<image/png 640x480, 83 kB>`.
        image: The picture; None for another part.
    """

    description: str
    image: Image | None = None


@attrs.frozen
class Refusal:
    """The model's refusal.

    Attributes:
        text: Its words.
    """

    text: str


Block: TypeAlias = "str | ShownPart | Refusal"


@attrs.frozen
class Turn:
    """One message as its reader sees it.

    Attributes:
        role: The speaker.
        names: The name of the tool, if one speaks, and that of the speaker in quotes;
            both harmless and on one line.
        blocks: Texts and parts in their order. They are not harmless. At least one, or
            a call.
        calls: The calls of tools.
        failure: Kind of the error that a tool raised; None if it returned.
    """

    role: Role
    names: tuple[str, ...]
    blocks: tuple[Block, ...]
    calls: tuple[ShownCall, ...]
    failure: str | None

    @property
    def is_result(self) -> bool:
        """Whether a tool speaks."""
        return self.role in {"tool", "function"}


def find_turns(
    messages: Iterable[Message], results: Iterable[ToolResult] = ()
) -> Iterator[Turn]:
    """Yield *messages* for a reader.

    The fields of a message that limin does not know stay unseen, the reasoning that is
    sent back to a server among them; but not a refusal, which is an answer.

    Args:
        messages: The messages in their order.
        results: The results of tools that are known to have failed, or not.
    """
    failures = {
        id(result.message): show_name(type(result.error).__name__)
        for result in results
        if result.error is not None
    }
    tools: dict[str | None, str | None] = {}
    for message in messages:
        names = _find_names(message, tools.get(message.tool_call_id))
        tools |= {call_id(call): call_name(call) for call in message.tool_calls}
        tools.pop(None, None)
        calls = tuple(map(show_call, message.tool_calls)) + _older_calls(message)
        blocks = tuple(_find_blocks(message))
        if not blocks and not calls:
            blocks = ("",)
        yield Turn(message.role, names, blocks, calls, failures.get(id(message)))


def _find_names(message: Message, tool: str | None) -> tuple[str, ...]:
    """Return the names beside the role; *tool* is the one whose call is answered."""
    if message.role == "function":  # Its name is the name of the function.
        return () if message.name is None else (show_name(message.name),)
    tool = tool if message.role == "tool" else None
    names = () if tool is None else (show_name(tool),)
    if message.name is None or message.name == tool:
        return names
    return (*names, quote_name(message.name))


def _find_blocks(message: Message) -> Iterator[Block]:
    content, extra = message.content, message.extra or {}
    parts = (content,) if isinstance(content, str) else content or ()
    yield from (block for block in map(_to_block, parts) if block)
    if extra.get("content") is not None:  # Of another type than content is.
        yield ShownPart("<content>")
    refusal = extra.get("refusal")
    if isinstance(refusal, str) and refusal:
        yield Refusal(refusal)


def _to_block(part: Part) -> Block:
    text = text_of_part(part)
    if text is not None:
        return text
    if isinstance(part, Mapping) and part.get("type") == "refusal":
        refusal = part.get("refusal")
        return Refusal(refusal) if isinstance(refusal, str) else ShownPart("<refusal>")
    return ShownPart(describe_part(part), part if isinstance(part, Image) else None)


def _older_calls(message: Message) -> tuple[ShownCall, ...]:
    """Return the call of OpenAI's older interface, if there is one."""
    call = (message.extra or {}).get("function_call")
    if not isinstance(call, Mapping):
        return ()
    return (show_call({"function": cast("Mapping[str, object]", call)}),)
