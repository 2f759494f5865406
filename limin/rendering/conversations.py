"""Conversations for a terminal: each message under a rule in the colour of its role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.rule import Rule
from rich.text import Text

from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from limin.values.messages import Message, Role

_ROLE_STYLES: dict[Role, str] = {
    "system": "magenta",
    "developer": "magenta",
    "user": "cyan",
    "assistant": "green",
    "tool": "yellow",
}


def conversation(messages: Iterable[Message]) -> Group:
    """Return *messages* in their order, each under a rule with the name of its role."""
    lines: list[RenderableType] = []
    for message in messages:
        style = _ROLE_STYLES[message.role]
        title = Text(message.role, style=f"bold {style}")
        lines.append(Rule(title, style=style, align="left"))
        lines.append(Text(escape_controls(message.text)))
    return Group(*lines)
