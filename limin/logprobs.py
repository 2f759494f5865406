"""Log probabilities of tokens: compact, and decoded when first looked at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, TypeAlias

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Clients that send code points in the place of bytes are not believed.
Byte: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=255)]


class Entry(msgspec.Struct, gc=False):
    """One token as the wire tells it, under the wire's names.

    Source: `choices[].logprobs.content[].top_logprobs[]`.
    """

    token: str
    logprob: float | None = None
    bytes: list[Byte] | None = None
    id: int | None = None


class Position(Entry, gc=False):
    """One sampled token, and what the server thought likely in its place.

    Source: `choices[].logprobs.content[]`.
    """

    top_logprobs: list[Entry] | None = None


@attrs.frozen
class TokenLogProb:
    """A token and how likely the model found it.

    Attributes:
        token: Text of the token, as the server writes it. A token that ends
            inside a character has no text of its own; servers write an empty
            text, U+FFFD, or an escape in its place.
        log_prob: Natural logarithm of the probability, at most 0 but for
            rounding; None if the server did not tell.
        token_bytes: UTF-8 bytes of the token; None if the server did not tell.
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


class LogProbs:
    """The log probabilities of one answer, position by position.

    Holds the server's undecoded bytes until something is asked of it: an answer
    whose log probabilities nobody reads costs no more than its bytes.
    """

    __slots__ = ("_load", "_positions")

    def __init__(self, load: Callable[[], Sequence[Position]]) -> None:
        """Log probabilities that *load* brings when they are first looked at."""
        self._load = load
        self._positions: Sequence[Position] | None = None

    def __len__(self) -> int:
        """How many tokens were sampled."""
        return len(self._decoded())

    def __eq__(self, other: object) -> bool:
        """Whether both say the same of the same tokens."""
        if not isinstance(other, LogProbs):
            return NotImplemented
        return self._decoded() == other._decoded()

    __hash__ = None  # type: ignore[assignment]  # equal by lists, which have no hash

    def __repr__(self) -> str:
        """How many positions, and no token of them."""
        return f"<LogProbs of {len(self)} tokens>"

    @property
    def sampled(self) -> list[TokenLogProb]:
        """The tokens that were sampled, with their own log probabilities."""
        return [_token_log_prob(position) for position in self._decoded()]

    @property
    def alternatives(self) -> list[list[TokenLogProb]]:
        """For each position the server's most likely tokens, most likely first.

        The sampled token need not be among them.
        """
        return [
            sorted(map(_token_log_prob, position.top_logprobs or ()), key=_unlikelihood)
            for position in self._decoded()
        ]

    def _decoded(self) -> Sequence[Position]:
        if self._positions is None:
            self._positions = self._load()
        return self._positions


def _token_log_prob(entry: Entry) -> TokenLogProb:
    known = entry.bytes
    return TokenLogProb(
        entry.token, entry.logprob, None if known is None else bytes(known), entry.id
    )


def _unlikelihood(alternative: TokenLogProb) -> float:
    return math.inf if alternative.log_prob is None else -alternative.log_prob
