"""Tokens as text: each in the colour of its probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.color import Color
from rich.style import Style
from rich.text import Text

from limin.rendering.number_formats import format_bracketed
from limin.rendering.palette import check_palette
from limin.rendering.spelling import find_span, joint_prob
from limin.rendering.symbols import NEWLINE, TAB
from limin.rendering.terminal_colors import colors
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.rendering.palette import Palette
    from limin.rendering.terminal_colors import RGB
    from limin.values.log_probs import LogProbs
    from limin.values.tokens import TextPiece, TokenLogProb

# A tab goes to the next stop all the same, so that columns stay columns.
_IN_TEXT = str.maketrans({"\n": f"{NEWLINE}\n", "\t": f"{TAB}\t"})


def colored(log_probs: LogProbs, palette: Palette, *, show_probabilities: bool) -> Text:
    """The tokens' text, each in its colour, line breaks and tabs marked.

    Args:
        log_probs: What was sampled.
        palette: Its colours.
        show_probabilities: Put `[0.97]` behind each piece, or `[?]` if not known.
    """
    check_palette(palette)  # There may be no token that needs it.
    text, sampled = Text(), log_probs.sampled
    for piece in log_probs.pieces():
        tokens = sampled[piece.first : piece.last + 1]
        prob = joint_prob(tokens)
        words = escape_controls(_piece_text(piece, tokens)).translate(_IN_TEXT)
        # The probability stands on the line of its token, also if that ends it.
        end = "\n" if show_probabilities and words.endswith("\n") else ""
        text.append(words.removesuffix(end), style=token_style(prob, palette))
        if show_probabilities:
            text.append(format_bracketed(prob), style="dim")
        text.append(end)
    return text


def colored_answer(message: str, log_probs: LogProbs, palette: Palette) -> Text | None:
    """*message* in the colours of its tokens; None if they do not spell it."""
    pieces, sampled = log_probs.pieces(), log_probs.sampled
    span = find_span(message, pieces)
    if span is None:
        return None
    (start, end), text, place = span, Text(), 0
    for piece in pieces:
        part = piece.text[max(start - place, 0) : max(end - place, 0)]
        prob = joint_prob(sampled[piece.first : piece.last + 1])
        text.append(escape_controls(part), style=token_style(prob, palette))
        place += len(piece.text)
    return text


def token_style(prob: float | None, palette: Palette) -> Style:
    """Text in the colours of *prob*; dim if it is not known."""
    shown = colors(prob, palette)
    if shown.foreground is None:
        return Style(dim=True)
    return Style(color=_color(shown.foreground), bgcolor=_color(shown.background))


def bar_style(prob: float | None, palette: Palette) -> Style:
    """The colour of *prob* if every screen shows it; a background's need not be seen."""
    shown = colors(prob, palette)
    return Style() if shown.background else Style(color=_color(shown.foreground))


def _piece_text(piece: TextPiece, tokens: Sequence[TokenLogProb]) -> str:
    """The text of *piece*; a half surrogate is seen only in a token without bytes."""
    is_told = piece.is_joined or tokens[0].token_bytes is not None
    return piece.text if is_told else tokens[0].token


def _color(color: RGB | None) -> Color | None:
    return None if color is None else Color.from_rgb(*color)
