"""How the tokens of an answer spell it: which of them, and how likely together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from limin.values.tokens import TextPiece, TokenLogProb

# A text of one letter occurs at each place; nobody looks at all of them.
_TRIES = 1000


def joint_prob(tokens: Iterable[TokenLogProb]) -> float | None:
    """Probability of all *tokens*, one after the other; None if one is not known.

    A character that is split over several tokens is as likely as all of them
    together: none of them alone is the model's choice of it.
    """
    told = [token.log_prob for token in tokens]
    known = [one for one in told if one is not None and not math.isnan(one)]
    if len(known) < len(told):
        return None
    # Above 0 there is no logarithm of a probability.
    return math.exp(min(sum(known), 0.0))


def find_span(message: str, pieces: Sequence[TextPiece]) -> tuple[int, int] | None:
    """Where *message* begins and ends in the text of *pieces*; None if nowhere.

    Tokens of reasoning stand before it, and of an end after it, in which a short
    message may occur as well: so it begins and ends where pieces do, if it can, but
    for white space that a server has stripped. The last such place counts.
    """
    text = "".join(piece.text for piece in pieces)
    starts, ends, place = set[int](), set[int](), 0
    for piece in pieces:
        end = place + len(piece.text)
        starts |= {place, end - len(piece.text.lstrip())}
        ends |= {end, place + len(piece.text.rstrip())}
        place = end
    last = found = text.rfind(message) if message else -1
    for _ in range(_TRIES):
        if found < 0 or (found in starts and found + len(message) in ends):
            break
        found = text.rfind(message, 0, found + len(message) - 1)
    start = found if found in starts and found + len(message) in ends else last
    return None if start < 0 else (start, start + len(message))
