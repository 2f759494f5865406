"""Log probabilities of tokens: compact, and decoded when first looked at.

All logarithms are natural, so sums and entropies are in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias, overload

import attrs
import msgspec

if TYPE_CHECKING:
    from limin.diagnostics import ResponseWarning

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


# What a reading of the wire brings: positions, and what was odd about them.
Loaded: TypeAlias = tuple[Sequence[Position], tuple["ResponseWarning", ...]]
Load: TypeAlias = Callable[[], Loaded]
Diagnose: TypeAlias = Callable[[Sequence[Position]], tuple["ResponseWarning", ...]]


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

        By their ids if both have one; else by text and bytes, which different
        tokens may share.
        """
        if self.token_id is not None and other.token_id is not None:
            return self.token_id == other.token_id
        return (self.token, self.token_bytes) == (other.token, other.token_bytes)


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
        return None if known is None else -sum(p * math.log(p) for p in known if p > 0.0)

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
        return 1 + sum(one.log_prob > own for one in self.alternatives if one.log_prob)

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
        return least if left <= own or any(prob < own for prob in others) else None

    def _probs(self) -> list[float] | None:
        """The probabilities of the known tokens, the sampled one counted once."""
        tokens = list(self.alternatives)
        if not self.is_listed:
            tokens.append(self.sampled)
        probs = [token.prob for token in tokens]
        known = [prob for prob in probs if prob is not None]
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


class LogProbs(Sequence[TokenPosition]):
    """The log probabilities of one answer, a sequence of positions.

    Holds the server's undecoded bytes until something is asked of it: an answer
    whose log probabilities nobody reads costs no more than its bytes.
    """

    __slots__ = ("_diagnose", "_load", "_loaded")

    def __init__(self, load: Load, diagnose: Diagnose | None = None) -> None:
        """Log probabilities that *load* brings when they are first looked at.

        Args:
            load: Brings the positions, and what had to be mended.
            diagnose: Tells what is odd about positions.
        """
        self._load = load
        self._diagnose = diagnose
        self._loaded: Loaded | None = None

    def __len__(self) -> int:
        """How many tokens were sampled."""
        return len(self._decoded())

    @overload
    def __getitem__(self, index: int) -> TokenPosition: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TokenPosition]: ...

    def __getitem__(self, index: int | slice) -> TokenPosition | Sequence[TokenPosition]:
        """The position at *index*, or those of a slice."""
        found = self._decoded()[index]
        if isinstance(found, Position):
            return _token_position(found)
        return [_token_position(position) for position in found]

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
        return [_alternatives(position) for position in self._decoded()]

    @property
    def warnings(self) -> tuple[ResponseWarning, ...]:
        """What is odd about these log probabilities."""
        positions = self._decoded()
        mended = () if self._loaded is None else self._loaded[1]
        found = () if self._diagnose is None else self._diagnose(positions)
        return mended + found

    @property
    def total(self) -> float | None:
        """Log probability of the whole answer, the sum over its tokens, in nats.

        At most 0, and 0 without tokens. None if one of them is not known.
        """
        known = [position.logprob for position in self._decoded()]
        return None if None in known else math.fsum(one for one in known if one is not None)

    @property
    def mean(self) -> float | None:
        """Log probability per token, in nats; None without tokens or if not known."""
        total = self.total
        return None if total is None or not len(self) else total / len(self)

    @property
    def perplexity(self) -> float | None:
        """The exponential of minus the mean, at least 1; None as for `mean`.

        Source: Jurafsky and Martin, Speech and Language Processing, 3.3.
        """
        mean = self.mean
        if mean is None:
            return None
        try:
            return math.exp(-mean)
        except OverflowError:
            return math.inf

    def text(self) -> str:
        """What the sampled tokens join to; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(_utf8, self._decoded())).decode("utf-8", "replace")

    def pieces(self) -> list[TextPiece]:
        """The text in pieces of whole characters, with their place in it.

        One for each token, but for tokens that end inside a character: these are
        joined with the next ones.
        """
        pieces: list[TextPiece] = []
        held, start, first = b"", 0, 0
        positions = self._decoded()
        for place, position in enumerate(positions):
            if not held:
                first = place
            held += _utf8(position)
            text = _whole(held, is_last=place == len(positions) - 1)
            if text is not None:
                end = start + len(held)
                pieces.append(
                    TextPiece(text=text, start=start, end=end, first=first, last=place)
                )
                held, start = b"", end
        return pieces

    def to_columns(self) -> dict[str, list[object]]:
        """A table with one row for each token, as lists by the names of columns.

        numpy, pandas and polars take it as it is. `start` and `end` are UTF-8
        bytes of the piece of text that the token is in; the other columns are
        those of `TokenPosition` and `TokenLogProb`, `top_tokens` and
        `top_log_probs` those of the alternatives.
        """
        positions = list(self)
        spans = [
            (piece.start, piece.end)
            for piece in self.pieces()
            for _ in range(piece.first, piece.last + 1)
        ]
        sampled = [position.sampled for position in positions]
        listed = [position.alternatives for position in positions]
        return {
            "position": list(range(len(positions))),
            "token": [token.token for token in sampled],
            "token_bytes": [token.token_bytes for token in sampled],
            "token_id": [token.token_id for token in sampled],
            "log_prob": [token.log_prob for token in sampled],
            "prob": [token.prob for token in sampled],
            "start": [start for start, _ in spans],
            "end": [end for _, end in spans],
            "rank": [position.rank for position in positions],
            "margin": [position.margin for position in positions],
            "entropy": [position.entropy for position in positions],
            "unlisted_mass": [position.unlisted_mass for position in positions],
            "top_tokens": [[one.token for one in tokens] for tokens in listed],
            "top_log_probs": [[one.log_prob for one in tokens] for tokens in listed],
        }

    def _decoded(self) -> Sequence[Position]:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded[0]


class PromptLogProbs(Sequence[TokenPosition | None]):
    """The log probabilities of a prompt's tokens, decoded when first looked at.

    The first is None, since nothing stands before it. At each other one
    `sampled` is the prompt's own token, which the server lists too.

    Source: vLLM's `prompt_logprobs`.
    """

    __slots__ = ("_load", "_loaded")

    def __init__(self, load: Callable[[], Sequence[Position | None]]) -> None:
        """Log probabilities that *load* brings when they are first looked at."""
        self._load = load
        self._loaded: list[TokenPosition | None] | None = None

    def __len__(self) -> int:
        """How many tokens the prompt has."""
        return len(self._decoded())

    @overload
    def __getitem__(self, index: int) -> TokenPosition | None: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TokenPosition | None]: ...

    def __getitem__(
        self, index: int | slice
    ) -> TokenPosition | Sequence[TokenPosition | None] | None:
        """The position at *index*, or those of a slice."""
        return self._decoded()[index]

    def __repr__(self) -> str:
        """How many positions, and no token of them: it is a prompt."""
        return f"<PromptLogProbs of {len(self)} tokens>"

    def _decoded(self) -> list[TokenPosition | None]:
        if self._loaded is None:
            self._loaded = [
                None if position is None else _token_position(position)
                for position in self._load()
            ]
        return self._loaded


def _token_position(position: Position) -> TokenPosition:
    return TokenPosition(
        sampled=_token_log_prob(position), alternatives=tuple(_alternatives(position))
    )


def _alternatives(position: Position) -> list[TokenLogProb]:
    listed = map(_token_log_prob, position.top_logprobs or ())
    return sorted(listed, key=_unlikelihood)


def _token_log_prob(entry: Entry) -> TokenLogProb:
    known = entry.bytes
    return TokenLogProb(
        entry.token, entry.logprob, None if known is None else bytes(known), entry.id
    )


def _unlikelihood(alternative: TokenLogProb) -> float:
    return math.inf if alternative.log_prob is None else -alternative.log_prob


def _utf8(entry: Entry) -> bytes:
    """The bytes of a token, or else of its text."""
    known = entry.bytes
    return entry.token.encode("utf-8", "replace") if known is None else bytes(known)


def _whole(held: bytes, *, is_last: bool) -> str | None:
    """The text of *held* if it is whole characters, or can become no more whole."""
    try:
        return held.decode()
    except UnicodeDecodeError as error:
        # At the end of the data, a character may still go on in the next token.
        goes_on = error.end == len(held) and error.reason == "unexpected end of data"
        return None if goes_on and not is_last else held.decode("utf-8", "replace")
