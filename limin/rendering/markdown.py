"""Conversations as Markdown: each message under its role as a heading.

Texts are Markdown already, and stay so. What a text could do to the messages around it
is undone: controls and HTML are escaped, and a text with headings like those of a role,
or with code that does not end, is quoted as a whole. Links and pictures in it stay.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from limin.rendering.symbols import mark_breaks
from limin.rendering.turns import Refusal, ShownPart, find_turns
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.rendering.calls import ShownCall
    from limin.rendering.turns import Block, Turn
    from limin.values.messages import Message

_BACKTICKS = re.compile("`+")
_FENCE = re.compile("```|~~~")

# A heading of the first two levels at the start of a line, perhaps in a list or in a
# quotation, and the line that makes a heading of the one before it.
# Source: https://spec.commonmark.org/0.31.2/#atx-headings, #setext-headings
_HEADING = re.compile(r"[ \t>*+-]*(?:\d+[.)][ \t]+)?##?(?:[ \t]|$)")
_UNDERLINE = re.compile(r"[ \t>]*(?:=+|-+)[ \t]*")
_OPENING = re.compile(r"(`{3,}|~{3,})[^`]*")

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
# Code on one line, in which a tag is text already. A bar may end the cell of a table.
_CODE = re.compile(r"`[^`|\n]+`")


def conversation(messages: Iterable[Message]) -> str:
    """Return *messages* in their order, each under its role as heading."""
    return "\n".join(map(_show_turn, find_turns(messages)))


def _show_turn(turn: Turn) -> str:
    heading = " ".join(("##", turn.role.capitalize(), *map(_code, turn.names)))
    blocks = [_show_block(block, is_result=turn.is_result) for block in turn.blocks]
    if turn.calls:
        blocks.append(_fence("\n".join(map(_spell, turn.calls))))
    return "\n\n".join((heading, *blocks)) + "\n"


def _show_block(block: Block, *, is_result: bool) -> str:
    if isinstance(block, ShownPart):
        return _code(block.description)
    if isinstance(block, Refusal):
        return f"**Refused:**\n\n{_show_prose(block.text)}"
    return _fence(escape_controls(block)) if is_result else _show_prose(block)


def _spell(call: ShownCall) -> str:
    arguments = ", ".join(map(mark_breaks, map(escape_controls, call.arguments)))
    return f"{call.name}({arguments})"


def _code(line: str) -> str:
    """Return *line*, which has no line break, as code that it cannot end."""
    mark = "`" * (_longest_run(line) + 1)
    gap = " " if "`" in line else ""
    return f"{mark}{gap}{line}{gap}{mark}"


def _fence(text: str) -> str:
    """Return *text* as a block of code that it cannot end."""
    mark = "`" * max(_longest_run(text) + 1, 3)
    return f"{mark}\n{text}\n{mark}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)


def _show_prose(text: str) -> str:
    text = escape_controls(text)
    outside = _mark_outside(text.split("\n"))
    lines = [line for line, is_outside in outside if is_outside]
    keeps_code = _has_simple_code(lines)
    shown = (
        _escape_tags(line, keeps_code=keeps_code) if is_outside else line
        for line, is_outside in outside
    )
    if _stands_alone(outside):
        return "\n".join(shown)
    return "\n".join(f"> {line}" if line else ">" for line in shown)


def _mark_outside(lines: list[str]) -> list[tuple[str, bool]]:
    """Return each line, and whether it is outside of the blocks of code.

    Only marks without indentation are known: others could be of a list, and end with it.
    If there are others in a block, or it does not end, all lines are outside.
    """
    marked: list[tuple[str, bool]] = []
    mark = ""
    for line in lines:
        opening = None if mark else _OPENING.fullmatch(line)
        marked.append((line, not mark and opening is None))
        if opening is not None:
            mark = opening[1]
        elif mark and _ends_code(line, mark):
            if not line.startswith(mark):
                break
            mark = ""
    return [(line, True) for line in lines] if mark else marked


def _ends_code(line: str, mark: str) -> bool:
    """Return whether *line* ends the block that *mark* began, if it has no indentation."""
    line = line.strip(" \t")
    return line.startswith(mark) and set(line) == {mark[0]}


def _stands_alone(lines: list[tuple[str, bool]]) -> bool:
    """Return whether nothing in *lines* could pass for a role, or reach beyond them."""
    previous = ""
    for line, is_outside in lines:
        if is_outside:
            if _FENCE.search(line) or _HEADING.match(line):
                return False
            if previous and _UNDERLINE.fullmatch(line):
                return False
        previous = line.strip() if is_outside else ""
    return True


def _has_simple_code(lines: list[str]) -> bool:
    """Return whether each piece of code in *lines* surely begins and ends on one line."""
    return not any(
        "``" in line or "\\`" in line or "`" in _CODE.sub("", line) for line in lines
    )


def _escape_tags(line: str, *, keeps_code: bool) -> str:
    """Return *line* without HTML; in code a tag is text already, if *keeps_code*."""
    if not keeps_code:
        return _TAG.sub("&lt;", line)
    pieces, offset = list[str](), 0
    for code in _CODE.finditer(line):
        pieces += (_TAG.sub("&lt;", line[offset : code.start()]), code[0])
        offset = code.end()
    return "".join((*pieces, _TAG.sub("&lt;", line[offset:])))
