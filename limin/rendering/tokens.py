"""Tokens for a terminal: text in the colors of its probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.color import Color
from rich.style import Style
from rich.text import Text

from limin.rendering.number_formats import format_bracketed
from limin.rendering.palette import check_palette
from limin.rendering.spelling import find_span, joint_prob
from limin.rendering.symbols import mark_lines_and_tabs
from limin.rendering.terminal_colors import colors
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.rendering.json_answer import JsonPart
    from limin.rendering.terminal_colors import RGB
    from limin.values.display import Palette
    from limin.values.log_probs import LogProbs
    from limin.values.tokens import TextPiece, TokenLogProb


def colored(log_probs: LogProbs, palette: Palette, *, show_probabilities: bool) -> Text:
    """Return the text of all tokens in their colors, with marked line breaks and tabs.

    Args:
        log_probs: Tokens with their probabilities.
        palette: Name of the colors.
        show_probabilities: Put `[0.97]` behind each piece, or `[?]` if its
            probability is unknown.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    check_palette(palette)  # Without a token no color would be looked up.
    text, sampled = Text(), log_probs.sampled
    for piece in log_probs.pieces():
        tokens = sampled[piece.first : piece.last + 1]
        prob = joint_prob(tokens)
        marked = mark_lines_and_tabs(escape_controls(_text_to_show(piece, tokens)))
        # The probability stands before a final line break, on the line of its token.
        end = "\n" if show_probabilities and marked.endswith("\n") else ""
        text.append(marked.removesuffix(end), style=token_style(prob, palette))
        if show_probabilities:
            text.append(format_bracketed(prob), style="dim")
        text.append(end)
    return text


def colored_answer(message: str, log_probs: LogProbs, palette: Palette) -> Text | None:
    """Return *message* in the colors of its tokens; None if they do not spell it."""
    pieces, sampled = log_probs.pieces(), log_probs.sampled
    span = find_span(message, pieces)
    if span is None:
        return None
    (start, end), text, offset = span, Text(), 0
    for piece in pieces:
        part = piece.text[max(start - offset, 0) : max(end - offset, 0)]
        prob = joint_prob(sampled[piece.first : piece.last + 1])
        text.append(escape_controls(part), style=token_style(prob, palette))
        offset += len(piece.text)
    return text


def colored_json(parts: Sequence[JsonPart], palette: Palette) -> Text:
    """Return *parts* of a JSON answer, scalars of known probability in its color."""
    text = Text()
    for part in parts:
        prob = None if part.located is None else part.located.field.prob
        is_known = prob is not None and not math.isnan(prob)
        style = token_style(prob, palette) if is_known else ""
        text.append(escape_controls(part.text), style=style)
    return text


def token_style(prob: float | None, palette: Palette) -> Style:
    """Return the style of text of probability *prob*; dim if it is unknown."""
    pair = colors(prob, palette)
    if pair.foreground is None:
        return Style(dim=True)
    return Style(color=_rich_color(pair.foreground), bgcolor=_rich_color(pair.background))


def bar_style(prob: float | None, palette: Palette) -> Style:
    """Return the style of a bar, whose background is the terminal's own.

    Colors that need a background of their own are left out.
    """
    pair = colors(prob, palette)
    return Style() if pair.background else Style(color=_rich_color(pair.foreground))


def _text_to_show(piece: TextPiece, tokens: Sequence[TokenLogProb]) -> str:
    """Return the text of *piece*, with half a surrogate pair if its token has one.

    Only the text of a token can hold half a pair; its bytes and the piece cannot.
    """
    has_bytes = piece.is_joined or tokens[0].token_bytes is not None
    return piece.text if has_bytes else tokens[0].token


def _rich_color(color: RGB | None) -> Color | None:
    return None if color is None else Color.from_rgb(*color)
