"""One token, one position, one piece of text: what log probabilities are made of.

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


# What tells a token from others: its id, its text, its bytes.
Identity: TypeAlias = "tuple[int | None, str, Sequence[int] | None]"


def are_same(one: Identity, other: Identity) -> bool:
    """Whether both are the same token, see `TokenLogProb.is_same_token`."""
    one_id, one_text, one_bytes = one
    other_id, other_text, other_bytes = other
    if one_id is not None and other_id is not None:
        return one_id == other_id
    known = one_bytes is not None and other_bytes is not None
    return one_text == other_text and not (known and one_bytes != other_bytes)


@attrs.frozen
class TokenLogProb:
    """A token and how likely the model found it.

    Attributes:
        token: Text of the token, as the server writes it. A token that ends
            inside a character has no text of its own; servers write an empty
            text, U+FFFD, or an escape in its place.
        log_prob: Natural logarithm of the probability, at most 0 but for
            rounding; None if the server did not tell.
        token_bytes: UTF-8 bytes of the token; None if the server did not tell,
            never made from U+FFFD.
        token_id: Number of the token in the vocabulary; None if the server did
            not tell.
    """

    token: str
    log_prob: float | None
    token_bytes: bytes | None = None
    token_id: int | None = None

    @property
    def prob(self) -> float | None:
        """The probability, from 0 to 1 but for rounding; None if not known."""
        if self.log_prob is None:
            return None
        try:
            return math.exp(self.log_prob)
        except OverflowError:  # No logarithm of a probability is that large.
            return math.inf

    def is_same_token(self, other: TokenLogProb) -> bool:
        """Whether both are the same token of the vocabulary.

        By their ids if both have one; else by text, and by bytes if both have
        some: different tokens may share them.
        """
        return are_same(
            (self.token_id, self.token, self.token_bytes),
            (other.token_id, other.token, other.token_bytes),
        )


@attrs.frozen(kw_only=True)
class TokenPosition:
    """One position of an answer: the sampled token, and the likely ones.

    Attributes:
        sampled: The token that was sampled.
        alternatives: The server's most likely tokens, most likely first. The
            sampled one need not be among them; duplicates stay.
    """

    sampled: TokenLogProb
    alternatives: tuple[TokenLogProb, ...] = ()

    @property
    def is_listed(self) -> bool:
        """Whether the sampled token is among the alternatives."""
        return any(map(self.sampled.is_same_token, self.alternatives))

    @property
    def unlisted_mass(self) -> float | None:
        """Probability of all tokens that are neither sampled nor listed.

        From 0 to 1; None if a probability is not known.
        """
        known = self._probs()
        return None if known is None else min(max(1.0 - sum(known), 0.0), 1.0)

    @property
    def entropy(self) -> float | None:
        """Entropy of the tokens that are known here, in nats.

        The sum of `-p ln p` over the alternatives and the sampled token: a lower
        bound of the entropy of the whole distribution, since tokens that make up
        `unlisted_mass` are left out. None if nothing is listed, or a probability
        is not known.

        Source: Shannon, A Mathematical Theory of Communication (1948), 6.
        """
        known = self._probs() if self.alternatives else None
        if known is None:
            return None
        return sum((p * -math.log(p) for p in known if 0.0 < p < 1.0), start=0.0)

    @property
    def margin(self) -> float | None:
        """Probability of the likeliest known token less that of the next one.

        From 0 (a toss-up) to 1 (certain); None if fewer than two are known.

        Source: Settles, Active Learning Literature Survey (2009), 3.1.
        """
        known = self._probs() or []
        first, *rest = sorted(known, reverse=True) or [0.0]
        return first - rest[0] if rest else None

    @property
    def rank_at_least(self) -> int | None:
        """1 plus how many listed tokens are more likely than the sampled one."""
        own = self.sampled.log_prob
        if own is None or not self.alternatives:
            return None
        known = [one.log_prob for one in self.alternatives if one.log_prob is not None]
        return 1 + sum(value > own for value in known)

    @property
    def rank(self) -> int | None:
        """Place of the sampled token among all tokens by probability, from 1.

        Computed, not assumed: a list whose last entry is the sampled token may
        have been cut to make room for it, as vLLM does, so its place in the list
        is not its rank. Known if a listed token is less likely, or if too little
        probability is left for an unlisted token to be more likely; else None.
        """
        own, least = self.sampled.prob, self.rank_at_least
        left = self.unlisted_mass
        if own is None or least is None or left is None:
            return None
        others = [
            one.prob
            for one in self.alternatives
            if one.prob is not None and not one.is_same_token(self.sampled)
        ]
        none_fits = left + ROUNDING <= own
        return least if none_fits or any(prob < own for prob in others) else None

    def _probs(self) -> list[float] | None:
        """The probabilities of the known tokens, the sampled one counted once.

        At most 1 each: what is above is rounding, or no probability.
        """
        tokens = list(self.alternatives)
        if not self.is_listed:
            tokens.append(self.sampled)
        probs = [token.prob for token in tokens]
        known = [min(prob, 1.0) for prob in probs if prob is not None]
        return known if len(known) == len(probs) else None


@attrs.frozen(kw_only=True)
class TextPiece:
    """A piece of an answer's text that can be shown: whole characters.

    Attributes:
        text: The piece.
        start: Where it begins in the answer, in UTF-8 bytes.
        end: Where it ends, in UTF-8 bytes.
        first: Position of its first token.
        last: Position of its last token; later than `first` if its characters
            are split over several tokens.
    """

    text: str
    start: int
    end: int
    first: int
    last: int

    @property
    def is_joined(self) -> bool:
        """Whether several tokens were joined, since none is whole characters."""
        return self.last > self.first
