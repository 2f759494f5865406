"""Text for a terminal behind limin's own lines, so that it cannot look like them.

Rules, margins and the marks of calls are drawn with box characters. A text that has
one of these stands behind a margin.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.text import Text

from limin.rendering.symbols import mark_breaks
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from limin.rendering.calls import ShownCall

MARGIN = "│ "
_MARK, _BELOW_MARK = "└ ", "  "

# Where rich cannot draw, its rules are of hyphens.
_PLAIN_MARKS = {MARGIN: "| ", _MARK: "+ ", _BELOW_MARK: _BELOW_MARK}

# Box Drawing, and the line extension, which looks the same.
_LINES = re.compile("[\u2500-\u257f\u23af]")
_PLAIN_LINES = re.compile(r"--|^[|+] ", re.MULTILINE)

# Characters of one argument, and of all arguments of a call.
_LONGEST_ARGUMENT = 200
_MOST_CHARACTERS = 600


class Margined:
    """A text with a mark before each of its lines."""

    def __init__(self, text: Text, first: str = MARGIN, later: str = MARGIN) -> None:
        """Put *first* before the first line, and *later* before the others."""
        self._text, self._first, self._later = text, first, later

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines at the width that is left."""
        width = max(options.max_width - len(self._later), 1)
        dim, mark = console.get_style("dim"), self._first
        for line in self._text.wrap(console, width):
            yield Segment(_PLAIN_MARKS[mark] if options.ascii_only else mark, dim)
            # A text without spans would be rendered without its own style.
            yield from Text().append_text(line).render(console, end="\n")
            mark = self._later


class Prose:
    """A harmless text; behind a margin if it draws lines itself."""

    def __init__(self, text: Text) -> None:
        """Show *text*."""
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the text, with or without the margin."""
        lines = _PLAIN_LINES if options.ascii_only else _LINES
        yield Margined(self._text) if lines.search(self._text.plain) else self._text


def draw_failure(kind: str) -> Margined:
    """Return a line that says that a tool failed, by the *kind* of its error."""
    return Margined(Text.assemble(("failed: ", "bold red"), kind), _MARK, _BELOW_MARK)


def draw_call(call: ShownCall) -> Margined:
    """Return `name(argument=...)`; long arguments are cut, with the number of the rest."""
    text = Text.assemble((call.name, "bold"), "(")
    room, left = _MOST_CHARACTERS, call.length
    for index, argument in enumerate(call.arguments):
        if room <= 0:
            text.append(", ").append(_more(left), style="dim")
            break
        shown = argument[: min(room, _LONGEST_ARGUMENT)]
        text.append(", " if index else "").append(mark_breaks(escape_controls(shown)))
        if len(shown) < len(argument):
            text.append(_more(len(argument) - len(shown)), style="dim")
        room, left = room - len(shown), left - len(argument)
    return Margined(text.append(")"), _MARK, _BELOW_MARK)


def _more(number: int) -> str:
    return f"<{number:,} more character{'' if number == 1 else 's'}>"
