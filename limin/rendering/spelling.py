"""Which tokens spell an answer, and how probable they are together."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from limin.values.tokens import TextPiece, TokenLogProb

# Each try costs at most as much as comparing the whole answer, so long answers have
# fewer: all tries together compare the text this often.
_MOST_COMPARISONS = 16


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
    occurrence counts. The time grows with the length of the text: of a long answer that
    nearly occurs at many pieces, only the last ones are tried.
    """
    text = "".join(piece.text for piece in pieces)
    if not message:
        return None
    # The search from the left is linear, that from the right is not.
    last = len(text) - len(message) - text[::-1].find(message[::-1])
    if last > len(text) - len(message):
        return None
    starts, ends, offset = set[int](), set[int](), 0
    for piece in pieces:
        end = offset + len(piece.text)
        starts |= {offset, end - len(piece.text.lstrip())}
        ends |= {end, offset + len(piece.text.rstrip())}
        offset = end
    candidates = (end - len(message) for end in sorted(ends, reverse=True))
    tries = _MOST_COMPARISONS * (len(text) // len(message) + 1)
    likely = islice((start for start in candidates if start in starts), tries)
    start = next((start for start in likely if text.startswith(message, start)), last)
    return start, start + len(message)
