"""The tokens of an answer as HTML, tinted by probability, with their alternatives.

Each piece of text is one element. Facts about its tokens are its accessible
description, which a screen reader speaks after the text when the piece is focused. The
stylesheet shows the same attribute on hover and on focus.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from limin.rendering.html_elements import escape_text
from limin.rendering.html_tints import tint_class
from limin.rendering.number_formats import format_decimal, format_percent
from limin.rendering.spelling import joint_prob
from limin.rendering.symbols import name_token, show_on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from limin.values.log_probs import LogProbs
    from limin.values.tokens import TextPiece, TokenLogProb, TokenPosition

# Browsers lay out only the blocks that are on the screen. A block ends only where a
# line of the text ends: elsewhere it would break the line.
_PIECES_IN_A_BLOCK = 50

# The edge of the box that shows a name would cut off a longer one.
_LONGEST_NAME = 60


def render_tokens(log_probs: LogProbs, pieces: Sequence[TextPiece]) -> str:
    """Return the text of *pieces* of *log_probs*, with an element for each piece."""
    positions = list(log_probs)
    rendered = (
        (piece.text, _render_piece(piece, positions[piece.first : piece.last + 1]))
        for piece in pieces
    )
    return render_blocks(rendered, "Tokens with probabilities")


def render_blocks(pieces: Iterable[tuple[str, str]], label: str) -> str:
    """Return *pieces* of a text in blocks, as a group that screen readers call *label*.

    Args:
        pieces: Text and HTML of each piece.
        label: The name of the group, which is not escaped.
    """
    text = "".join(f'<div class="limin-block">{block}</div>' for block in _blocks(pieces))
    return (
        f'<div class="limin-tokens" role="group" aria-label="{label}"'
        f' lang="" dir="auto">{text}</div>'
    )


def render_summary(tokens: LogProbs) -> str:
    """Return number, perplexity and log probability of *tokens*, and the legend."""
    facts = [f"{len(tokens):,} tokens" if len(tokens) != 1 else "1 token"]
    if tokens.perplexity is not None:
        facts.append(f"perplexity {format_decimal(tokens.perplexity)}")
    if tokens.total is not None:
        facts.append(f"log probability {format_decimal(tokens.total)}")
    items = "".join(f"<span>{fact}</span>" for fact in facts)
    scale = 'improbable<span class="limin-scale"></span>certain'
    return (
        f'<p class="limin-quiet limin-figures">{items}'
        f'<span aria-hidden="true">{scale}</span></p>'
    )


def _blocks(pieces: Iterable[tuple[str, str]]) -> Iterator[str]:
    block: list[str] = []
    for text, rendered in pieces:
        block.append(rendered)
        if text.endswith("\n") and len(block) >= _PIECES_IN_A_BLOCK:
            yield "".join(block)
            block = []
    if block:
        yield "".join(block)


def _render_piece(piece: TextPiece, positions: Sequence[TokenPosition]) -> str:
    prob = joint_prob(position.sampled for position in positions)
    description = html.escape(_describe_piece(piece, positions, prob))
    # The stylesheet draws the mark of a line's end, so copied text does not hold it.
    text = escape_text(piece.text).replace("\n", "<i></i>\n")
    return (
        f'<span class="{tint_class(prob)}" tabindex="0"'
        f' aria-description="{description}">{text}</span>'
    )


def _describe_piece(
    piece: TextPiece, positions: Sequence[TokenPosition], prob: float | None
) -> str:
    """Return all facts about a piece of probability *prob*, aligned for a fixed pitch."""
    parts = ["\n".join(_position_lines(position)) for position in positions]
    if piece.is_joined:
        name = show_on_one_line(piece.text)
        joint = format_percent(prob).strip()
        parts.insert(0, f"{name}\n{len(parts)} tokens, together {joint}")
    return "\n\n".join(parts)


def _position_lines(position: TokenPosition) -> Iterator[str]:
    sampled = position.sampled
    yield short_name(sampled)
    percent = "unknown" if sampled.prob is None else format_percent(sampled.prob)
    yield f"probability     {percent:>10}"
    if sampled.log_prob is not None:
        yield f"log probability {format_decimal(sampled.log_prob):>8}"
    if (rank := position.rank) is not None:
        yield f"rank            {rank:>8}"
    if (entropy := position.entropy) is not None:
        yield f"entropy         {format_decimal(entropy):>8} nats"
    if position.alternatives:
        yield ""
    for token in position.alternatives:
        mark = "▸" if token.is_same_token(sampled) else " "
        yield f"{mark}{format_percent(token.prob)}  {short_name(token)}"


def short_name(token: TokenLogProb) -> str:
    """Return the name of *token*; a long one is cut."""
    name = name_token(token)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
