"""Elements that every page shares: headings, messages, lists of facts, text."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.conversation import Message


def render_messages(messages: Iterable[Message]) -> str:
    return "".join(
        f'<section class="limin-message limin-{message.role}"'
        f' aria-label="{message.role} message">'
        f"{render_label(message.role.capitalize())}{render_prose(message.content)}</section>"
        for message in messages
    )


def render_facts(facts: Iterable[tuple[str, str]]) -> str:
    listed = "".join(
        f"<div><dt>{name}</dt><dd>{escape_text(value)}</dd></div>" for name, value in facts
    )
    return f"<dl>{listed}</dl>"


def render_label(text: str, *, level: int = 2) -> str:
    """A heading for screen readers that a notebook's table of contents leaves out."""
    return f'<p class="limin-label" role="heading" aria-level="{level}">{text}</p>'


def render_prose(text: str) -> str:
    """What a person or a model wrote, in whatever language and direction."""
    return f'<div class="limin-text" lang="" dir="auto">{escape_text(text)}</div>'


def escape_text(text: str) -> str:
    return html.escape(escape_controls(text))
