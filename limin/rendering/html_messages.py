"""Messages as HTML: their texts, parts and calls under the names of their roles."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from limin.rendering.html_elements import escape_text, render_label, render_prose
from limin.rendering.symbols import mark_breaks
from limin.rendering.turns import Refusal, ShownPart, find_turns
from limin.values.media_types import find_media_type
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.rendering.calls import ShownCall
    from limin.rendering.turns import Block, Turn
    from limin.values.content import Image
    from limin.values.messages import Message
    from limin.values.tool_runs import ToolResult

# Pictures that a page may hold. SVG is none of them: it is a document with links.
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

_LONGEST_UNFOLDED = 200  # Characters of the arguments of a call.


def render_messages(
    messages: Iterable[Message],
    *,
    images: bool = False,
    results: Iterable[ToolResult] = (),
) -> str:
    """Return a section for each message, under the name of its role.

    Args:
        messages: The messages in their order.
        images: Whether pictures are shown, and not only described.
        results: The results of tools that are known to have failed, or not.
    """
    turns = find_turns(messages, results)
    return "".join(_render_turn(turn, images=images) for turn in turns)


def render_start(message: Message) -> str:
    """Return the start of *message* on one line."""
    (turn,) = find_turns([message])
    texts = (
        block.description if isinstance(block, ShownPart) else block
        for block in turn.blocks
        if not isinstance(block, Refusal)
    )
    return escape_text(excerpt(" ".join(texts)))


def render_calls(calls: Iterable[ShownCall]) -> str:
    """Return `name(argument=...)` for each call; long arguments are folded."""
    return "".join(map(_render_call, calls))


def render_refusal(text: str) -> str:
    """Return the words of a refusal under a heading."""
    refusal = render_label("Refusal", level=3) + render_prose(text)
    return f'<div class="limin-refusal">{refusal}</div>'


def _render_turn(turn: Turn, *, images: bool) -> str:
    names = "".join(f" <bdi>{escape_text(name)}</bdi>" for name in turn.names)
    failure = ""
    if turn.failure is not None:
        kind = escape_text(turn.failure)
        failure = f' <span class="limin-failure">failed ({kind})</span>'
    label = render_label(f"{turn.role.capitalize()}{names}{failure}")
    blocks = "".join(_render_block(block, images=images) for block in turn.blocks)
    kind = "limin-result " if turn.is_result else ""
    return (
        f'<section class="limin-message {kind}limin-{turn.role}"'
        f' aria-label="{turn.role} message">'
        f"{label}{blocks}{render_calls(turn.calls)}</section>"
    )


def _render_block(block: Block, *, images: bool) -> str:
    if isinstance(block, str):
        return render_prose(block)
    if isinstance(block, Refusal):
        return render_refusal(block.text)
    picture = _picture_url(block.image) if images and block.image is not None else None
    description = escape_text(block.description)
    if picture is None:
        return f'<p class="limin-part">{description}</p>'
    return f'<img class="limin-picture" src="{picture}" alt="{description}">'


def _picture_url(image: Image) -> str | None:
    """Return a URL that holds *image*; None for a URL, and for any other format.

    The bytes say the format, whatever media type they were given.
    """
    media_type = None if image.data is None else find_media_type(image.data)
    if image.data is None or media_type not in _PICTURES:
        return None
    return f"data:{media_type};base64,{base64.b64encode(image.data).decode()}"


def _render_call(call: ShownCall) -> str:
    name = f"<b>{escape_text(call.name)}</b>"
    arguments = [mark_breaks(escape_text(argument)) for argument in call.arguments]
    if call.length <= _LONGEST_UNFOLDED:
        return f'<p class="limin-call" dir="ltr">{name}({", ".join(arguments)})</p>'
    start = escape_text(", ".join(call.arguments)[:_LONGEST_UNFOLDED])
    number = f"{call.length:,} characters"
    return (
        f'<details class="limin-call" dir="ltr"><summary>{name} ({number})'
        f"<span>{mark_breaks(start)}</span></summary>"
        f'<div class="limin-text">{",<br>".join(arguments)}</div></details>'
    )
