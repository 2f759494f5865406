"""The parts of log probabilities: a token, a position, a piece of text.

All logarithms are natural, so entropies are in nats.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

# Servers compute in 16 or 32 bits and print a few digits: this much is rounding.
ROUNDING = 1e-3

# The id, the text and the bytes of a token, by which it differs from others.
Identity: TypeAlias = "tuple[int | None, str, Sequence[int] | None]"


def are_same(left: Identity, right: Identity) -> bool:
    """Return whether both are the same token; see `TokenLogProb.is_same_token`."""
    left_id, left_text, left_bytes = left
    right_id, right_text, right_bytes = right
    if left_id is not None and right_id is not None:
        return left_id == right_id
    have_bytes = left_bytes is not None and right_bytes is not None
    return left_text == right_text and not (have_bytes and left_bytes != right_bytes)


def prob_of(log_prob: float | None) -> float | None:
    """Return the probability that belongs to a logarithm; None if that is not known."""
    if log_prob is None:
        return None
    try:
        return math.exp(log_prob)
    except OverflowError:  # The logarithm of a probability is never that large.
        return math.inf


@attrs.frozen
class TokenLogProb:
    """A token and its log probability.

    Attributes:
        token: Text of the token, as the server writes it. A token that ends
            inside a character has no text of its own; servers write an empty
            text, U+FFFD, or an escape instead.
        log_prob: Natural logarithm of the probability, at most 0 except for
            rounding; None if not sent.
        token_bytes: UTF-8 bytes of the token; None if not sent, never derived from
            U+FFFD.
        token_id: Index of the token in the vocabulary; None if not sent.
    """

    token: str
    log_prob: float | None
    token_bytes: bytes | None = None
    token_id: int | None = None

    @property
    def prob(self) -> float | None:
        """Probability, from 0 to 1 except for rounding; None if not known."""
        return prob_of(self.log_prob)

    def is_same_token(self, other: TokenLogProb) -> bool:
        """Return whether both are the same token of the vocabulary.

        Compares the ids if both have one, else the texts, and the bytes if both have
        some. Different tokens may share text and bytes.
        """
        return are_same(
            (self.token_id, self.token, self.token_bytes),
            (other.token_id, other.token, other.token_bytes),
        )


@attrs.frozen(kw_only=True)
class TokenPosition:
    """One position of an answer: the sampled token and the likely ones.

    Attributes:
        sampled: The sampled token.
        alternatives: The server's most likely tokens, most likely first. The
            sampled token need not be among them; duplicates stay.
        rank_sent: Rank of the sampled token as the server sent it, from 1; None if not
            sent.
    """

    sampled: TokenLogProb
    alternatives: tuple[TokenLogProb, ...] = ()
    rank_sent: int | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def is_listed(self) -> bool:
        """Whether the sampled token is among the alternatives."""
        return any(map(self.sampled.is_same_token, self.alternatives))

    @property
    def unlisted_mass(self) -> float | None:
        """Probability of all tokens that are neither sampled nor alternatives.

        From 0 to 1; None if a probability is not known.
        """
        probs = self._probs()
        return None if probs is None else min(max(1.0 - sum(probs), 0.0), 1.0)

    @property
    def entropy(self) -> float | None:
        """Entropy of the alternatives and the sampled token, in nats.

        The sum of `-p ln p` over them. It is a lower bound of the entropy of the whole
        distribution, because it leaves out the tokens that make up `unlisted_mass`.
        None if there are no alternatives, or a probability is not known.

        Source: Shannon, A Mathematical Theory of Communication (1948), 6.
        """
        probs = self._probs() if self.alternatives else None
        if probs is None:
            return None
        return sum((p * -math.log(p) for p in probs if 0.0 < p < 1.0), start=0.0)

    @property
    def margin(self) -> float | None:
        """Difference between the probabilities of the two likeliest tokens.

        From 0 (a toss-up) to 1 (certain); None if fewer than two are known.

        Source: Settles, Active Learning Literature Survey (2009), 3.1.
        """
        first, *rest = sorted(self._probs() or [], reverse=True) or [0.0]
        return first - rest[0] if rest else None

    @property
    def rank_at_least(self) -> int | None:
        """1 plus the number of alternatives that are likelier than the sampled token."""
        own = self.sampled.log_prob
        if own is None or not self.alternatives:
            return None
        log_probs = [alternative.log_prob for alternative in self.alternatives]
        return 1 + sum(value > own for value in log_probs if value is not None)

    @property
    def rank(self) -> int | None:
        """Rank of the sampled token among all tokens by probability, from 1.

        The server's own rank counts, which vLLM sends for the tokens of a prompt.
        Elsewhere it is computed, because the index in the list need not be the rank:
        vLLM cuts the list and puts the sampled token at its end. The rank is known if
        an alternative is less likely, or if `unlisted_mass` is too small for a likelier
        token; else None.
        """
        if self.rank_sent is not None:
            return self.rank_sent
        own, lower_bound = self.sampled.prob, self.rank_at_least
        mass = self.unlisted_mass
        if own is None or lower_bound is None or mass is None:
            return None
        other_probs = [
            alternative.prob
            for alternative in self.alternatives
            if alternative.prob is not None and not alternative.is_same_token(self.sampled)
        ]
        none_fits = mass + ROUNDING <= own
        is_exact = none_fits or any(prob < own for prob in other_probs)
        return lower_bound if is_exact else None

    def _probs(self) -> list[float] | None:
        """Return the probabilities of all tokens here, the sampled one counted once.

        At most 1 each: a larger value is rounding, or no probability. None if one of
        them is not known.
        """
        tokens = list(self.alternatives)
        if not self.is_listed:
            tokens.append(self.sampled)
        probs = [token.prob for token in tokens]
        numbers = [min(prob, 1.0) for prob in probs if prob is not None]
        return numbers if len(numbers) == len(probs) else None


@attrs.frozen(kw_only=True)
class TextPiece:
    """A piece of an answer's text that consists of whole characters.

    Attributes:
        text: The text of the piece.
        start: Its start in the answer, in UTF-8 bytes.
        end: Its end, in UTF-8 bytes.
        first: Position of its first token.
        last: Position of its last token; greater than `first` if a character is
            split over several tokens.
    """

    text: str
    start: int
    end: int
    first: int
    last: int

    @property
    def is_joined(self) -> bool:
        """Whether several tokens were joined, because a character is split over them."""
        return self.last > self.first
