"""What a position of an answer says about the next token: each token once, and the rest.

Servers differ. vLLM puts the sampled token among the alternatives, others need not.
llama.cpp gives control tokens an id and no text; vLLM sends no text and no id for a
token that ends inside a character, and puts the whole character into the token that
completes it. llama.cpp joins such tokens, and loses all log probabilities but the last.
It also holds text back that may become a `stop` text, and moves it to the next token.
"""

from __future__ import annotations

import enum
import math
import re
from typing import TYPE_CHECKING, TypeAlias

import attrs

from limin.values.tokens import ROUNDING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from limin.values.tokens import TokenLogProb, TokenPosition


class NoText(enum.Enum):
    """Why the text of a token is not known."""

    END = enum.auto()
    """It is a control token, which has no text and ends the answer."""

    SILENT = enum.auto()
    """It ends inside a character; the token that completes it has the text."""

    UNKNOWN = enum.auto()
    """The server did not send it."""


# The bytes of a token, or why they are not known.
Content: TypeAlias = bytes | NoText

# Texts that stand for bytes: U+FFFD, `\xf0`, `<0xF0>`, `token_id:5`.
_STAND_IN = re.compile("\ufffd|\\\\x[0-9A-Fa-f]{2}|<0x[0-9A-Fa-f]{2}>|^token_id:")
_REPLACEMENT = "\ufffd".encode()


@attrs.frozen
class ListedTokens:
    """The distribution of the next token, as far as the server told it.

    The probabilities add up to 1 with `unlisted`.

    Attributes:
        sampled: The sampled token.
        sampled_prob: Its probability; 0 if it is not known.
        others: The other tokens and their probabilities.
        unlisted: The probability of all tokens whose own is not known.
    """

    sampled: Content
    sampled_prob: float
    others: list[tuple[Content, float]]
    unlisted: float


class SampledPath:
    """The positions along the sampled tokens, read in their order.

    Attributes:
        positions: The positions that were read.
    """

    __slots__ = ("_held_back", "_log_probs", "positions")

    def __init__(self, log_probs: Sequence[TokenPosition], start: int) -> None:
        """Begin at position *start* of *log_probs*; the one before may be repeated."""
        self._log_probs = log_probs
        self._held_back = b""
        before = log_probs[start - 1] if 0 < start <= len(log_probs) else None
        self.positions: list[TokenPosition | None] = [None] * start
        if before is not None:
            self.positions[-1] = before

    def position(self, index: int) -> TokenPosition:
        """Return the position at *index*, decoded once."""
        while len(self.positions) <= index:
            self.positions.append(self._log_probs[len(self.positions)])
        position = self.positions[index]
        assert position is not None  # noqa: S101 (only those before the start are None)
        return position

    def own_content(self, index: int) -> Content:
        """Return the sampled token at *index* as it stands in the answer."""
        position = self.position(index)
        is_last = index == len(self._log_probs) - 1
        return _sampled_content(position, content_of(position.sampled), is_last=is_last)

    def listed(self, index: int, *, is_inside: bool) -> ListedTokens | None:
        """Return what the position at *index* says about its token.

        None if it says nothing: the numbers are no probabilities, or they are those
        behind tokens that are not there.

        Args:
            index: The position; each is read once, in their order.
            is_inside: Whether it follows a part of a character.
        """
        position = self.position(index)
        sampled = self._sampled(index)
        tokens = (position.sampled, *self._alternatives(index))
        if sampled is None or _may_hide_tokens(position, sampled, is_inside=is_inside):
            return None
        probs = _probs(tokens)
        if probs is None:
            return None
        (_, sampled_prob), *others = probs
        total = math.fsum(prob for _, prob in probs)
        if total > 1.0:  # Rounding, since more is refused.
            sampled_prob /= total
            others = [(token, prob / total) for token, prob in others]
        contents = [(_listed_content(token), prob) for token, prob in others]
        return ListedTokens(sampled, sampled_prob, contents, max(1.0 - total, 0.0))

    def _alternatives(self, index: int) -> tuple[TokenLogProb, ...]:
        """Return the alternatives at *index*, unless they are those of the one before.

        Source: SGLang sends those of the first token for each token of a chunk.
        """
        alternatives = self.position(index).alternatives
        before = self.positions[index - 1] if index else None
        is_choice = any(
            token.log_prob not in {None, 0.0, -math.inf} for token in alternatives
        )
        is_stale = before is not None and is_choice and before.alternatives == alternatives
        return () if is_stale else alternatives

    def _sampled(self, index: int) -> Content | None:
        """Return the sampled token, by the text of the listed one with the same id.

        None if the server joined it with tokens whose log probabilities are lost.
        """
        position, own = self.position(index), self.own_content(index)
        twin = _twin(position)
        if twin is None or not (twin.token_bytes or twin.token):
            return own
        listed = content_of(twin)
        if not isinstance(listed, bytes) or own == listed:
            self._held_back = b""
            return own
        if not position.sampled.token and not position.sampled.token_bytes:
            self._held_back += listed
            return listed
        is_moved = own == self._held_back + listed
        self._held_back = b""
        return listed if is_moved else None


def content_of(token: TokenLogProb) -> Content:
    """Return the bytes of *token*; SILENT if it has none."""
    own, text = token.token_bytes, token.token
    if own:
        return NoText.UNKNOWN if _REPLACEMENT in own else own
    if not text:
        return NoText.UNKNOWN if own is None else NoText.SILENT
    if _STAND_IN.search(text):
        return NoText.UNKNOWN
    try:
        return text.encode()
    except UnicodeEncodeError:  # Half of a surrogate pair.
        return NoText.UNKNOWN


def _listed_content(token: TokenLogProb) -> Content:
    """Return the content of an alternative; an id without a text is a control token's."""
    content = content_of(token)
    is_control = content is NoText.SILENT and token.token_id is not None
    return NoText.END if is_control else content


def _sampled_content(position: TokenPosition, own: Content, *, is_last: bool) -> Content:
    """Return the content of a sampled token, given its *own*.

    Without a text it is a control token if it is listed as one, or if it is the last one
    on a server whose alternatives have ids. Behind any other there is more text.
    """
    if own is not NoText.SILENT:
        return own
    has_ids = any(token.token_id is not None for token in position.alternatives)
    if position.sampled.token_id is None or not has_ids:
        return NoText.SILENT
    twin = _twin(position)
    if twin is None:
        return NoText.END if is_last else NoText.UNKNOWN
    return NoText.END if content_of(twin) is NoText.SILENT else NoText.SILENT


def _twin(position: TokenPosition) -> TokenLogProb | None:
    """Return the alternative that has the id of the sampled token."""
    own_id = position.sampled.token_id
    if own_id is None:
        return None
    return next((t for t in position.alternatives if t.token_id == own_id), None)


def _may_hide_tokens(position: TokenPosition, sampled: Content, *, is_inside: bool) -> bool:
    """Return whether the position may follow a part of a character that is not there.

    llama.cpp, whose tokens have ids, joins the tokens of a character. If the last of them
    is not listed, nothing shows whether a character beyond ASCII was one token. Without
    ids, alternatives that begin inside a character show it.
    """
    if is_inside or not isinstance(sampled, bytes) or sampled.isascii():
        return False
    if position.is_listed:
        return False
    contents = map(content_of, position.alternatives)
    are_inside = (isinstance(c, bytes) and 0x80 <= c[0] < 0xC0 for c in contents)  # noqa: PLR2004 (UTF-8)
    return position.sampled.token_id is not None or any(are_inside)


def _probs(tokens: Iterable[TokenLogProb]) -> list[tuple[TokenLogProb, float]] | None:
    """Return each token once, with the least of its probabilities; None if they are none.

    One that is not known is 0: its probability stays with the unlisted tokens.
    """
    distinct: list[tuple[TokenLogProb, float]] = []
    ids: dict[int, int] = {}
    spellings: dict[bytes, int] = {}  # Of all tokens.
    spellings_without_id: dict[bytes, int] = {}
    for token in tokens:
        prob = _prob(token)
        if prob is None:
            return None
        spelling, own_id = _spelling(token), token.token_id
        if own_id is None:
            index = spellings.get(spelling)
        else:
            index = ids.get(own_id, spellings_without_id.get(spelling))
        if index is None:
            index = len(distinct)
            distinct.append((token, prob))
        elif own_id is not None or isinstance(content_of(token), bytes):
            distinct[index] = _merged(distinct[index], (token, prob))
        spellings.setdefault(spelling, index)
        if own_id is None:
            spellings_without_id.setdefault(spelling, index)
        else:
            ids.setdefault(own_id, index)
    total = math.fsum(prob for _, prob in distinct)
    return distinct if total <= 1.0 + ROUNDING else None


def _merged(
    first: tuple[TokenLogProb, float], second: tuple[TokenLogProb, float]
) -> tuple[TokenLogProb, float]:
    """Return the first of two entries of one token, with the lesser probability known."""
    (token, prob), (other, other_prob) = first, second
    if other.log_prob is None:
        return first
    return (other, other_prob) if token.log_prob is None else (token, min(prob, other_prob))


def _prob(token: TokenLogProb) -> float | None:
    """Return the probability of *token*, 0 if it is not known; None for another number."""
    log_prob = token.log_prob
    if log_prob is None or math.isnan(log_prob):
        return 0.0
    return None if log_prob > ROUNDING else math.exp(min(log_prob, 0.0))


def _spelling(token: TokenLogProb) -> bytes:
    return token.token_bytes or token.token.encode("utf-8", "surrogatepass")
