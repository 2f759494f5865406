"""Conversations and log probabilities as coloured text for a terminal."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.rule import Rule
from rich.text import Text

from limin.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from limin.conversation import Message, Role
    from limin.tokens import TokenLogProb

_ROLE_STYLES: dict[Role, str] = {
    "system": "magenta",
    "developer": "magenta",
    "user": "cyan",
    "assistant": "green",
    "tool": "yellow",
}

# Dark red to dark green, as red, green and blue; both legible on white and
# on black.
_IMPROBABLE = (178, 24, 24)
_CERTAIN = (0, 128, 32)


def conversation(messages: Iterable[Message]) -> RenderableType:
    """A rule with the role's name over the text of each message."""
    lines: list[RenderableType] = []
    for message in messages:
        style = _ROLE_STYLES[message.role]
        title = Text(message.role, style=f"bold {style}")
        lines.append(Rule(title, style=style, align="left"))
        lines.append(Text(visible(message.content)))
    return Group(*lines)


def log_probs(tokens: Iterable[TokenLogProb], *, show_probabilities: bool) -> Text:
    """The tokens' text, each coloured by its probability.

    Args:
        tokens: The sampled tokens.
        show_probabilities: Put `[0.97]` behind each, or `[?]` if not known.
    """
    text = Text()
    for token in tokens:
        prob = token.prob
        text.append(visible(token.token), style=_colour(prob))
        if show_probabilities:
            text.append("[?]" if prob is None else f"[{prob:.2f}]", style="dim")
    return text


def to_ansi(renderable: RenderableType, *, width: int | None) -> str:
    """*renderable* as a string with the escape sequences of its colours.

    Args:
        renderable: What to render.
        width: Columns at which it wraps; None for no wrapping.
    """
    file = io.StringIO()
    # An environment of its own: COLUMNS, NO_COLOR and the like are for screens.
    console = Console(
        file=file,
        width=sys.maxsize if width is None else width,
        color_system="truecolor",
        force_terminal=True,
        force_jupyter=False,
        legacy_windows=False,
        _environ={},
    )
    console.print(renderable, soft_wrap=width is None, end="")
    text = file.getvalue()
    return text if width is None else text.removesuffix("\n")


def _colour(prob: float | None) -> str:
    if prob is None:
        return "dim"
    share = min(max(prob, 0.0), 1.0)
    mixed = (
        round(low + (high - low) * share)
        for low, high in zip(_IMPROBABLE, _CERTAIN, strict=True)
    )
    return f"rgb({','.join(map(str, mixed))})"
