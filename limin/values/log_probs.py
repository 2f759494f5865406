"""Log probabilities of tokens: compact, and decoded at the first access.

All logarithms are natural, so sums and entropies are in nats.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias, overload

import msgspec

from limin.values.display import NotebookDisplayed, rendering
from limin.values.tokens import TextPiece, TokenLogProb, TokenPosition

if TYPE_CHECKING:
    from rich.table import Table

    from limin.values.display import Palette
    from limin.values.warnings import ResponseWarning

# Some servers send code points instead of bytes; larger numbers are refused.
Byte: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=255)]

# Of an id or a rank: 18 digits. No vocabulary is larger, and tables hold 64 bits.
LARGEST_NUMBER = 10**18 - 1
_Number: TypeAlias = Annotated[int, msgspec.Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]


class Entry(msgspec.Struct, gc=False):
    """One token, under the names that the wire has.

    Source: `choices[].logprobs.content[].top_logprobs[]`.
    """

    token: str
    logprob: float | None = None
    bytes: list[Byte] | None = None
    id: _Number | None = None


class Position(Entry, gc=False):
    """One sampled token, and the likely alternatives at its position.

    Source: `choices[].logprobs.content[]`.
    """

    top_logprobs: list[Entry] | None = None
    rank: _Number | None = None


# The positions of an answer, and the warnings about their shape on the wire.
Loaded: TypeAlias = tuple[Sequence[Position], tuple["ResponseWarning", ...]]
Load: TypeAlias = Callable[[], Loaded]
Diagnose: TypeAlias = Callable[[Sequence[Position]], tuple["ResponseWarning", ...]]


class LogProbs(Sequence[TokenPosition], NotebookDisplayed):
    """The log probabilities of one answer, a sequence of positions.

    Holds the server's undecoded bytes until the first access: log probabilities that
    nobody reads cost no more than their bytes.
    """

    __slots__ = ("_diagnose", "_load", "_loaded")

    def __init__(self, load: Load, diagnose: Diagnose | None = None) -> None:
        """Prepare log probabilities that *load* decodes at the first access.

        Args:
            load: Returns the positions, and the warnings about their shape.
            diagnose: Returns the warnings about the numbers and texts of positions.
        """
        self._load = load
        self._diagnose = diagnose
        self._loaded: Loaded | None = None

    def __len__(self) -> int:
        """Return the number of sampled tokens."""
        return len(self._decoded())

    @overload
    def __getitem__(self, index: int) -> TokenPosition: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TokenPosition]: ...

    def __getitem__(self, index: int | slice) -> TokenPosition | Sequence[TokenPosition]:
        """Return the position at *index*, or those of a slice."""
        item = self._decoded()[index]
        if isinstance(item, Position):
            return _token_position(item)
        return [_token_position(position) for position in item]

    def __eq__(self, other: object) -> bool:
        """Return whether tokens and log probabilities are equal."""
        if not isinstance(other, LogProbs):
            return NotImplemented
        return self._decoded() == other._decoded()

    __hash__ = None  # type: ignore[assignment]  # equal by lists, which have no hash

    def __repr__(self) -> str:
        """Return the number of positions, without their tokens."""
        return f"<LogProbs of {len(self)} tokens>"

    @property
    def sampled(self) -> list[TokenLogProb]:
        """The sampled tokens with their log probabilities."""
        return [_token_log_prob(position) for position in self._decoded()]

    @property
    def alternatives(self) -> list[list[TokenLogProb]]:
        """The server's most likely tokens at each position, most likely first.

        The sampled token need not be among them.
        """
        return [_alternatives(position) for position in self._decoded()]

    @property
    def warnings(self) -> tuple[ResponseWarning, ...]:
        """Warnings about these log probabilities."""
        positions = self._decoded()
        about_shape = () if self._loaded is None else self._loaded[1]
        about_content = () if self._diagnose is None else self._diagnose(positions)
        return about_shape + about_content

    @property
    def total(self) -> float | None:
        """Log probability of the whole answer, the sum over its tokens, in nats.

        At most 0, and 0 without tokens. None if that of one token is not known.
        """
        return joint_log_prob([position.logprob for position in self._decoded()])

    @property
    def mean(self) -> float | None:
        """Mean log probability of a token, in nats; None without tokens or `total`."""
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
        """Return the text of the sampled tokens; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(utf8_bytes, self._decoded())).decode("utf-8", "replace")

    def pieces(self) -> list[TextPiece]:
        """Return the text in pieces of whole characters.

        There is one for each token; only a token that ends inside a character is
        joined with the next ones.
        """
        pieces: list[TextPiece] = []
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text, start, end, first = "", 0, 0, 0
        positions = self._decoded()
        for index, position in enumerate(positions):
            token, is_last = utf8_bytes(position), index == len(positions) - 1
            text += decoder.decode(token, is_last)
            end += len(token)
            if not decoder.getstate()[0]:
                pieces.append(
                    TextPiece(text=text, start=start, end=end, first=first, last=index)
                )
                text, start, first = "", end, index + 1
        return pieces

    def to_columns(self) -> dict[str, list[object]]:
        """Return a table with one row for each token: a list for each column's name.

        numpy, pandas and polars accept it unchanged. `start` and `end` are UTF-8 bytes
        of the piece of text that holds the token. `top_tokens` and `top_log_probs`
        describe the alternatives. The other columns are attributes of `TokenPosition`
        and `TokenLogProb`.
        """
        positions = list(self)
        spans = [
            (piece.start, piece.end)
            for piece in self.pieces()
            for _ in range(piece.first, piece.last + 1)
        ]
        sampled = [position.sampled for position in positions]
        alternatives = [position.alternatives for position in positions]
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
            "top_tokens": [[token.token for token in tokens] for tokens in alternatives],
            "top_log_probs": [
                [token.log_prob for token in tokens] for tokens in alternatives
            ],
        }

    def to_pretty_string(
        self,
        show_probabilities: bool = False,  # noqa: FBT001, FBT002 (as the completion's method)
        *,
        color: bool | None = True,
        palette: Palette = "red-green",
        width: int | None = None,
    ) -> str:
        """Return the text for a terminal, each token in the color of its probability.

        Control characters are shown as symbols, so they have no effect; line breaks
        and tabs are marked by `⏎` and `⇥`. Tokens that end inside a character are
        joined, and have the color of their joint probability.

        Args:
            show_probabilities: Put `[0.97]` behind each token.
            color: Whether the string holds colors; None follows `NO_COLOR` and
                `FORCE_COLOR`, and without them checks whether stdout is a terminal.
            palette: `red-green`, from improbable to certain, is legible on black and
                on white; `viridis` also to readers who cannot tell red from green.
            width: Columns at which the text wraps; None for no wrapping.

        Raises:
            ConfigurationError: If there is no such palette, or *width* is below 1.
        """
        return rendering().to_string(
            self,
            width=width,
            color=color,
            palette=palette,
            show_probabilities=show_probabilities,
        )

    def to_table(
        self, *, lowest: int | None = None, palette: Palette = "red-green"
    ) -> Table:
        """Return a table for `rich.print`: a row for each position, counted from 0.

        The columns are token, probability, rank, entropy in nats, and the server's
        alternatives, with the sampled token in bold. `≥4` means that only a bound of
        the rank is known. White space is shown as `␣`, `⏎` and `⇥`. A token that ends
        inside a character is shown by its bytes, after the character if it is its
        first. Below 60 columns the entropy is left out, below 48 the rank.

        Args:
            lowest: Number of rows: only the positions with the lowest probabilities,
                in their order. None for all.
            palette: See `to_pretty_string`.

        Raises:
            ConfigurationError: If *lowest* is below 1, or there is no such palette.
        """
        return rendering().table(self, lowest=lowest, palette=palette)

    def to_html(self, *, palette: Palette = "red-green") -> str:
        """Return the tokens as an HTML page; see `TextCompletion.to_html`.

        Raises:
            ConfigurationError: If there is no such palette.
        """
        return rendering().html_page(self, palette=palette)

    def _decoded(self) -> Sequence[Position]:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded[0]


class PromptLogProbs(Sequence[TokenPosition | None]):
    """The log probabilities of a prompt's tokens, decoded at the first access.

    The first is None, because no token comes before it. In every other position
    `sampled` is the prompt's own token, which is also among the alternatives.

    Source: vLLM's `prompt_logprobs`.
    """

    __slots__ = ("_load", "_loaded")

    def __init__(self, load: Callable[[], Sequence[Position | None]]) -> None:
        """Prepare log probabilities that *load* decodes at the first access."""
        self._load = load
        self._loaded: list[TokenPosition | None] | None = None

    def __len__(self) -> int:
        """Return the number of the prompt's tokens."""
        return len(self._decoded())

    @overload
    def __getitem__(self, index: int) -> TokenPosition | None: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TokenPosition | None]: ...

    def __getitem__(
        self, index: int | slice
    ) -> TokenPosition | Sequence[TokenPosition | None] | None:
        """Return the position at *index*, or those of a slice."""
        return self._decoded()[index]

    def __eq__(self, other: object) -> bool:
        """Return whether tokens and log probabilities are equal."""
        if not isinstance(other, PromptLogProbs):
            return NotImplemented
        return self._decoded() == other._decoded()

    __hash__ = None  # type: ignore[assignment]  # equal by lists, which have no hash

    def __repr__(self) -> str:
        """Return the number of positions, without their tokens: these are a prompt."""
        return f"<PromptLogProbs of {len(self)} tokens>"

    def _decoded(self) -> list[TokenPosition | None]:
        if self._loaded is None:
            self._loaded = [
                None if position is None else _token_position(position)
                for position in self._load()
            ]
        return self._loaded


def positions_of(log_probs: LogProbs) -> Sequence[Position]:
    """Return the positions as they are on the wire, without making values of them."""
    # The compact form has no public name.
    return log_probs._decoded()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def joint_log_prob(log_probs: Sequence[float | None]) -> float | None:
    """Return the sum of *log_probs*, in nats; None if one of them is not known."""
    numbers = [log_prob for log_prob in log_probs if log_prob is not None]
    if len(numbers) < len(log_probs):
        return None
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):  # The numbers are no log probabilities.
        return sum(numbers)


def _token_position(position: Position) -> TokenPosition:
    return TokenPosition(
        sampled=_token_log_prob(position),
        alternatives=tuple(_alternatives(position)),
        rank_sent=position.rank,
    )


def _alternatives(position: Position) -> list[TokenLogProb]:
    alternatives = map(_token_log_prob, position.top_logprobs or ())
    return sorted(alternatives, key=_unlikelihood)


def _token_log_prob(entry: Entry) -> TokenLogProb:
    token_bytes = None if entry.bytes is None else bytes(entry.bytes)
    return TokenLogProb(entry.token, entry.logprob, token_bytes, entry.id)


def _unlikelihood(alternative: TokenLogProb) -> float:
    return math.inf if alternative.log_prob is None else -alternative.log_prob


def utf8_bytes(entry: Entry) -> bytes:
    """Return the bytes of a token, or those of its text if the server sent none."""
    if entry.bytes is None:
        return entry.token.encode("utf-8", "replace")
    return bytes(entry.bytes)
