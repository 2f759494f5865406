"""Conversations for a terminal: each message under a rule in the color of its role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.rule import Rule
from rich.text import Text

from limin.rendering.margins import Prose, draw_call, draw_failure
from limin.rendering.turns import Refusal, ShownPart, find_turns
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from limin.rendering.turns import Block, Turn
    from limin.values.messages import Message, Role
    from limin.values.tool_runs import ToolResult

_ROLE_STYLES: dict[Role, str] = {
    "system": "magenta",
    "developer": "magenta",
    "user": "cyan",
    "assistant": "green",
    "tool": "yellow",
    "function": "yellow",
}


def conversation(messages: Iterable[Message], results: Iterable[ToolResult] = ()) -> Group:
    """Return *messages* in their order, each under a rule with the name of its role."""
    turns = find_turns(messages, results)
    return Group(*(line for turn in turns for line in _turn_lines(turn)))


def _turn_lines(turn: Turn) -> Iterator[RenderableType]:
    style = _ROLE_STYLES[turn.role]
    title = Text(" ".join((turn.role, *turn.names)), style=f"bold {style}")
    yield Rule(title, style=style, align="left")
    if turn.failure is not None:
        yield draw_failure(turn.failure)
    yield from map(_show_block, turn.blocks)
    yield from map(draw_call, turn.calls)


def _show_block(block: Block) -> RenderableType:
    if isinstance(block, ShownPart):
        return Text(block.description, style="dim")
    if isinstance(block, Refusal):
        return show_refusal(block.text)
    return Prose(Text(escape_controls(block)))


def show_refusal(text: str) -> Prose:
    """Return *text*, which is a refusal, after a word that says so."""
    return Prose(Text.assemble(("refused: ", "bold red"), escape_controls(text)))
