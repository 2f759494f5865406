"""Which tokens spell an answer, and how probable they are together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from limin.values.tokens import TextPiece, TokenLogProb

# An answer of one letter may occur at every position of a long text.
_MOST_OCCURRENCES = 1000


def joint_prob(tokens: Iterable[TokenLogProb]) -> float | None:
    """Return the probability of all *tokens* in a row; None if one is unknown.

    A character that is split over several tokens is as probable as all of them
    together: no single token is the model's choice of the character.
    """
    log_probs = [token.log_prob for token in tokens]
    numbers = [value for value in log_probs if value is not None and not math.isnan(value)]
    if len(numbers) < len(log_probs):
        return None
    # A value above 0 is no logarithm of a probability.
    return math.exp(min(sum(numbers), 0.0))


def find_span(message: str, pieces: Sequence[TextPiece]) -> tuple[int, int] | None:
    """Return where *message* starts and ends in the text of *pieces*; None if nowhere.

    A short message may also occur in reasoning before the answer, or in an end token
    after it. Therefore the span starts and ends where pieces do, except for white space
    that a server has stripped; the last such span counts. If there is none, the last
    occurrence counts. At most 1000 occurrences are tried.
    """
    text = "".join(piece.text for piece in pieces)
    starts, ends, offset = set[int](), set[int](), 0
    for piece in pieces:
        end = offset + len(piece.text)
        starts |= {offset, end - len(piece.text.lstrip())}
        ends |= {end, offset + len(piece.text.rstrip())}
        offset = end
    last = start = text.rfind(message) if message else -1
    for _ in range(_MOST_OCCURRENCES):
        if start < 0 or (start in starts and start + len(message) in ends):
            break
        start = text.rfind(message, 0, start + len(message) - 1)
    if start not in starts or start + len(message) not in ends:
        start = last
    return None if start < 0 else (start, start + len(message))
