"""Log probabilities of tokens: compact, and decoded when first looked at.

All logarithms are natural, so sums and entropies are in nats.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias, overload

import msgspec

from limin.values.tokens import TextPiece, TokenLogProb, TokenPosition

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

    from limin.rendering.palette import Palette
    from limin.values.warnings import ResponseWarning

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
        told = [position.logprob for position in self._decoded()]
        known = [one for one in told if one is not None]
        if len(known) < len(told):
            return None
        try:
            return math.fsum(known)
        except (OverflowError, ValueError):  # Of numbers that are no logarithms.
            return sum(known)

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
        return b"".join(map(utf8_bytes, self._decoded())).decode("utf-8", "replace")

    def pieces(self) -> list[TextPiece]:
        """The text in pieces of whole characters, with their place in it.

        One for each token, but for tokens that end inside a character: these are
        joined with the next ones.
        """
        pieces: list[TextPiece] = []
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text, start, end, first = "", 0, 0, 0
        positions = self._decoded()
        for place, position in enumerate(positions):
            known, is_last = utf8_bytes(position), place == len(positions) - 1
            text += decoder.decode(known, is_last)
            end += len(known)
            if not decoder.getstate()[0]:
                pieces.append(
                    TextPiece(text=text, start=start, end=end, first=first, last=place)
                )
                text, start, first = "", end, place + 1
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

    def to_pretty_string(
        self,
        show_probabilities: bool = False,  # noqa: FBT001, FBT002 (as the completion's method)
        *,
        color: bool | None = True,
        palette: Palette = "red-green",
        width: int | None = None,
    ) -> str:
        """The tokens' text for a terminal, each in the colour of its probability.

        Control characters are shown as symbols, never obeyed; line breaks and tabs
        are marked by `⏎` and `⇥`. Tokens that end inside a character are joined, and
        have the colour of their joint probability.

        Args:
            show_probabilities: Put `[0.97]` behind each token.
            color: Whether the string holds colours; None obeys `NO_COLOR` and
                `FORCE_COLOR`, and else asks whether stdout is a terminal.
            palette: `red-green`, from improbable to certain, is legible on black
                and on white; `viridis` also to whoever does not tell the two apart.
            width: Columns at which the text wraps; None for no wrapping.

        Raises:
            ConfigurationError: If there is no such palette, or *width* is below 1.
        """
        from limin.rendering import terminal, tokens  # noqa: PLC0415 (rich loads when asked)

        text = tokens.colored(self, palette, show_probabilities=show_probabilities)
        return terminal.to_string(text, width=width, color=color)

    def to_table(
        self, *, lowest: int | None = None, palette: Palette = "red-green"
    ) -> Table:
        """A table for `rich.print`: a row for each position, counted from 0.

        Token, probability, rank, entropy in nats, and the server's alternatives, the
        sampled one bold. `≥4` is the rank if only a bound is known. White space is
        shown as `␣`, `⏎` and `⇥`; a token that ends inside a character by its bytes,
        after the character if it is its first. Entropy and rank give way on a
        terminal of fewer than 60 and 48 columns.

        Args:
            lowest: Only so many positions, those of the lowest probabilities; in
                their order all the same.
            palette: See `to_pretty_string`.

        Raises:
            ConfigurationError: If *lowest* is below 1, or there is no such palette.
        """
        from limin.rendering import tables  # noqa: PLC0415 (rich loads when asked)

        return tables.table(self, lowest=lowest, palette=palette)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What `rich.print` shows: the same as `to_pretty_string`."""
        from limin.rendering import tokens  # noqa: PLC0415 (rich loads when asked)

        yield tokens.colored(self, "red-green", show_probabilities=False)

    def to_html(self, *, palette: Palette = "red-green") -> str:
        """The tokens as a page of its own, see `TextCompletion.to_html`.

        Raises:
            ConfigurationError: If there is no such palette.
        """
        from limin.rendering import html  # noqa: PLC0415 (loads when asked)

        return html.page(html.log_probs(self), title="Log probabilities", palette=palette)

    def _repr_html_(self) -> str:
        """The tokens in a notebook."""
        from limin.rendering import html  # noqa: PLC0415 (loads when asked)

        return html.fragment(html.log_probs(self))

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

    def __eq__(self, other: object) -> bool:
        """Whether both say the same of the same tokens."""
        if not isinstance(other, PromptLogProbs):
            return NotImplemented
        return self._decoded() == other._decoded()

    __hash__ = None  # type: ignore[assignment]  # equal by lists, which have no hash

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


def utf8_bytes(entry: Entry) -> bytes:
    """The bytes of a token, or else of its text."""
    known = entry.bytes
    return entry.token.encode("utf-8", "replace") if known is None else bytes(known)
