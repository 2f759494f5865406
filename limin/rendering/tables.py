"""Log probabilities as a table: a row for each position."""

from __future__ import annotations

import copy
import heapq
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from limin.errors import ConfigurationError
from limin.rendering import tokens
from limin.rendering.number_formats import format_small_fraction
from limin.rendering.palette import check_palette
from limin.rendering.symbols import name_token, show_on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.style import Style
    from rich.table import Column

    from limin.rendering.palette import Palette
    from limin.values.log_probs import LogProbs
    from limin.values.tokens import TokenPosition

# Columns of the screen below which a column of the table gives way.
_ROOM = {"entropy": 60, "rank": 48}
# Below which a screen is narrow, and how wide other columns are on it at most.
_NARROW = 80
_NARROW_WIDTHS = {"token": 14, "probability": 11}
_NARROWEST_TOKEN = 10


class TokenTable(Table):
    """A table whose lesser columns give way on a narrow screen."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As many columns as can be read."""
        shown = copy.copy(self)
        shown.columns = [
            replace(column, _index=place)
            for place, column in enumerate(self._kept(options))
        ]
        if options.max_width < _NARROW:
            shown.padding = (0, 1, 0, 0)
            widths = dict(_NARROW_WIDTHS)
            if options.max_width < _ROOM["rank"]:
                widths["token"] = _NARROWEST_TOKEN
            for column in shown.columns:
                column.max_width = widths.get(str(column.header), column.max_width)
        yield from Table.__rich_console__(shown, console, options)

    def _kept(self, options: ConsoleOptions) -> list[Column]:
        return [
            column
            for column in self.columns
            if options.max_width >= _ROOM.get(str(column.header), 0)
        ]


def table(log_probs: LogProbs, *, lowest: int | None, palette: Palette) -> Table:
    """A row for each position, or for the *lowest* least probable ones.

    Raises:
        ConfigurationError: If *lowest* is below 1, or there is no such palette.
    """
    if lowest is not None and lowest < 1:
        problem = f"lowest: expected at least 1, found {lowest}"
        raise ConfigurationError(problem)
    check_palette(palette)
    made = TokenTable(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    made.add_column("#", justify="right", style="dim", no_wrap=True)
    made.add_column("token", no_wrap=True, max_width=16)
    made.add_column("probability", no_wrap=True)
    made.add_column("rank", justify="right", no_wrap=True)
    made.add_column("entropy", justify="right", no_wrap=True)
    made.add_column("alternatives")
    pieces = _pieces(log_probs)
    for place in _places(log_probs, lowest):
        position = log_probs[place]
        prob, entropy = position.sampled.prob, position.entropy
        made.add_row(
            str(place),
            _token(position, pieces.pop(place, None), palette),
            _Bar(prob, tokens.bar_style(prob, palette)),
            _rank(position),
            "" if entropy is None else f"{entropy:.2f}",
            _Flow(list(_alternatives(position))),
        )
    return made


def _places(log_probs: LogProbs, lowest: int | None) -> list[int]:
    told = [token.log_prob for token in log_probs.sampled]
    if lowest is None:
        return list(range(len(told)))
    known = [(one, place) for place, one in enumerate(told) if one is not None]
    return sorted(place for _, place in heapq.nsmallest(lowest, known))


def _pieces(log_probs: LogProbs) -> dict[int, str]:
    """The characters that are split over tokens, by the position of the first."""
    return {
        piece.first: show_on_one_line(piece.text)
        for piece in log_probs.pieces()
        if piece.is_joined
    }


def _token(position: TokenPosition, whole: str | None, palette: Palette) -> Text:
    """The token in its colours, after the *whole* that it begins."""
    style = tokens.token_style(position.sampled.prob, palette)
    # The style is the name's alone: a text's own fills the cell to its end.
    name = (name_token(position.sampled), style)
    return Text.assemble(name) if whole is None else Text.assemble(whole, " ", name)


def _rank(position: TokenPosition) -> str:
    if position.rank is not None:
        return str(position.rank)
    return "" if position.rank_at_least is None else f"≥{position.rank_at_least}"


def _alternatives(position: TokenPosition) -> Iterator[Text]:
    """The listed tokens with their probabilities, the sampled one bold."""
    for one in position.alternatives:
        style = "bold" if one.is_same_token(position.sampled) else ""
        yield Text.assemble(
            (name_token(one), style), (f" {format_small_fraction(one.prob)}", "dim")
        )


class _Bar:
    """A probability in digits, and as a bar of what room is left."""

    LEAST, MOST, _DIGITS = 11, 15, 5

    def __init__(self, prob: float | None, style: Style) -> None:
        self._prob = prob
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = min(options.max_width, self.MOST) - self._DIGITS
        share = 0.0 if self._prob is None or math.isnan(self._prob) else self._prob
        halves = round(min(max(share, 0.0), 1.0) * room * 2)
        bar = "━" * (halves // 2) + "╸" * (halves % 2)
        yield Text.assemble(
            f"{format_small_fraction(self._prob):<{self._DIGITS}}", (bar, self._style)
        )

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.LEAST, self.MOST).with_maximum(options.max_width)


class _Flow:
    """Pieces of text beside each other, none of them broken where one fits."""

    def __init__(self, pieces: list[Text]) -> None:
        self._pieces = pieces

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Text()
        for piece in self._pieces:
            gap = "  " if line else ""
            if line and line.cell_len + len(gap) + piece.cell_len > options.max_width:
                yield line
                line, gap = Text(), ""
            line.append(gap).append_text(piece)
        yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        widths = [piece.cell_len for piece in self._pieces] or [0]
        whole = sum(widths) + 2 * (len(widths) - 1)
        return Measurement(max(widths), whole).with_maximum(options.max_width)
