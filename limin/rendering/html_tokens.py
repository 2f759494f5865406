"""The tokens of an answer as HTML: tinted by probability, with what else was likely.

Each piece of text is one element. What is known about its tokens is its accessible
description, which a screen reader speaks when the piece is focused, after the text
itself; the stylesheet shows the same attribute to the eye on hover and on focus.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from limin.rendering.html_tints import tint_class
from limin.rendering.number_formats import format_decimal, format_percent
from limin.rendering.spelling import joint_prob
from limin.rendering.symbols import name_token, show_on_one_line
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from limin.values.log_probs import LogProbs
    from limin.values.tokens import TextPiece, TokenLogProb, TokenPosition

# Browsers lay out only the blocks that are on the screen. A block ends where a line
# of the text does, so that it shows no end that the text has not.
_PIECES_IN_A_BLOCK = 50

# Longer ones would be cut off by the edge of what shows them.
_LONGEST_NAME = 60


def render_tokens(log_probs: LogProbs, pieces: Sequence[TextPiece]) -> str:
    """The text of *pieces* of *log_probs* as HTML, an element for each of them."""
    positions = list(log_probs)
    blocks = (
        "".join(_span(piece, positions[piece.first : piece.last + 1]) for piece in block)
        for block in _blocks(pieces)
    )
    text = "".join(f'<div class="limin-block">{block}</div>' for block in blocks)
    return (
        '<div class="limin-tokens" role="group" aria-label="Tokens with probabilities"'
        f' lang="" dir="auto">{text}</div>'
    )


def render_figures(tokens: LogProbs) -> str:
    """What the tokens add up to, and the scale of their tints."""
    facts = [f"{len(tokens):,} tokens" if len(tokens) != 1 else "1 token"]
    if tokens.perplexity is not None:
        facts.append(f"perplexity {format_decimal(tokens.perplexity)}")
    if tokens.total is not None:
        facts.append(f"log probability {format_decimal(tokens.total)}")
    told = "".join(f"<span>{fact}</span>" for fact in facts)
    scale = 'improbable<span class="limin-scale"></span>certain'
    return (
        f'<p class="limin-quiet limin-figures">{told}'
        f'<span aria-hidden="true">{scale}</span></p>'
    )


def _blocks(pieces: Sequence[TextPiece]) -> Iterator[Sequence[TextPiece]]:
    start = 0
    for end, piece in enumerate(pieces, start=1):
        if piece.text.endswith("\n") and end - start >= _PIECES_IN_A_BLOCK:
            yield pieces[start:end]
            start = end
    if start < len(pieces):
        yield pieces[start:]


def _span(piece: TextPiece, positions: Sequence[TokenPosition]) -> str:
    known = escape_controls(_description(piece, positions))
    # The mark of a line's end is the stylesheet's, so that copied text has none.
    text = html.escape(escape_controls(piece.text)).replace("\n", "<i></i>\n")
    return (
        f'<span class="{tint_class(_joint_prob(positions))}" tabindex="0"'
        f' aria-description="{html.escape(known)}">{text}</span>'
    )


def _joint_prob(positions: Sequence[TokenPosition]) -> float | None:
    """Probability of all the tokens of a piece, one after the other."""
    return joint_prob(position.sampled for position in positions)


def _description(piece: TextPiece, positions: Sequence[TokenPosition]) -> str:
    """What is known about a piece, in lines that are aligned in a fixed pitch."""
    parts = ["\n".join(_position_lines(position)) for position in positions]
    if piece.is_joined:
        joint = format_percent(_joint_prob(positions)).strip()
        parts.insert(
            0, f"{show_on_one_line(piece.text)}\n{len(parts)} tokens, together {joint}"
        )
    return "\n\n".join(parts)


def _position_lines(position: TokenPosition) -> Iterator[str]:
    sampled = position.sampled
    yield _name(sampled)
    known = "unknown" if sampled.prob is None else format_percent(sampled.prob)
    yield f"probability     {known:>10}"
    if sampled.log_prob is not None:
        yield f"log probability {format_decimal(sampled.log_prob):>8}"
    if (rank := position.rank) is not None:
        yield f"rank            {rank:>8}"
    if (entropy := position.entropy) is not None:
        yield f"entropy         {format_decimal(entropy):>8} nats"
    if position.alternatives:
        yield ""
    for one in position.alternatives:
        mark = "▸" if one.is_same_token(sampled) else " "
        yield f"{mark}{format_percent(one.prob)}  {_name(one)}"


def _name(token: TokenLogProb) -> str:
    """Return the name of *token*, cut to what fits on the screen."""
    name = name_token(token)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
