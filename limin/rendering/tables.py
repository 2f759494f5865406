"""Log probabilities as a table for a terminal, with a row for each position."""

from __future__ import annotations

import copy
import heapq
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from limin.rendering import tokens
from limin.rendering.number_formats import format_small_fraction
from limin.rendering.palette import check_palette
from limin.rendering.symbols import name_token, show_on_one_line
from limin.values.checks import check_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.style import Style
    from rich.table import Column

    from limin.values.display import Palette
    from limin.values.log_probs import LogProbs
    from limin.values.tokens import TokenPosition

# The width of the terminal below which a column is hidden.
_LEAST_WIDTHS = {"entropy": 60, "rank": 48}
# A terminal below this width is narrow; other columns have these widths at most there.
_NARROW = 80
_NARROW_WIDTHS = {"token": 14, "probability": 11}
_NARROWEST_TOKEN = 10


class TokenTable(Table):
    """A table that hides its less important columns on a narrow terminal."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render as many columns as fit."""
        narrowed = copy.copy(self)
        narrowed.columns = [
            replace(column, _index=index)
            for index, column in enumerate(self._fitting_columns(options))
        ]
        if options.max_width < _NARROW:
            narrowed.padding = (0, 1, 0, 0)
            widths = dict(_NARROW_WIDTHS)
            if options.max_width < _LEAST_WIDTHS["rank"]:
                widths["token"] = _NARROWEST_TOKEN
            for column in narrowed.columns:
                column.max_width = widths.get(str(column.header), column.max_width)
        yield from Table.__rich_console__(narrowed, console, options)

    def _fitting_columns(self, options: ConsoleOptions) -> list[Column]:
        return [
            column
            for column in self.columns
            if options.max_width >= _LEAST_WIDTHS.get(str(column.header), 0)
        ]


def table(log_probs: LogProbs, *, lowest: int | None, palette: Palette) -> Table:
    """Return a row for each position, or only for the *lowest* least probable ones.

    Raises:
        ConfigurationError: If *lowest* is below 1, or there is no such palette.
    """
    lowest = check_length("lowest", lowest)
    check_palette(palette)
    result = _empty_table()
    split_characters = _split_characters(log_probs)
    for index in row_indexes(log_probs, lowest):
        position = log_probs[index]
        prob, entropy = position.sampled.prob, position.entropy
        result.add_row(
            str(index),
            _color_token(position, split_characters.get(index), palette),
            _Bar(prob, tokens.bar_style(prob, palette)),
            _format_rank(position),
            "" if entropy is None else f"{entropy:.2f}",
            _Flow(list(_alternatives(position))),
        )
    return result


def _empty_table() -> TokenTable:
    result = TokenTable(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    result.add_column("#", justify="right", style="dim", no_wrap=True)
    result.add_column("token", no_wrap=True, max_width=16)
    result.add_column("probability", no_wrap=True)
    result.add_column("rank", justify="right", no_wrap=True)
    result.add_column("entropy", justify="right", no_wrap=True)
    result.add_column("alternatives")
    return result


def row_indexes(log_probs: LogProbs, lowest: int | None) -> list[int]:
    """Return the indexes of all positions, or of the *lowest* least probable ones."""
    values = [token.log_prob for token in log_probs.sampled]
    if lowest is None:
        return list(range(len(values)))
    pairs = [(value, index) for index, value in enumerate(values) if value is not None]
    return sorted(index for _, index in heapq.nsmallest(lowest, pairs))


def _split_characters(log_probs: LogProbs) -> dict[int, str]:
    """Return the characters that are split over tokens, by the index of the first."""
    return {
        piece.first: show_on_one_line(piece.text)
        for piece in log_probs.pieces()
        if piece.is_joined
    }


def _color_token(position: TokenPosition, character: str | None, palette: Palette) -> Text:
    """Return the token in its colors, after the *character* whose first part it is."""
    style = tokens.token_style(position.sampled.prob, palette)
    # Only the name has the style: the style of a whole text would fill the cell.
    name = (name_token(position.sampled), style)
    return Text.assemble(name) if character is None else Text.assemble(character, " ", name)


def _format_rank(position: TokenPosition) -> str:
    if position.rank is not None:
        return str(position.rank)
    return "" if position.rank_at_least is None else f"≥{position.rank_at_least}"


def _alternatives(position: TokenPosition) -> Iterator[Text]:
    """Yield the listed tokens with their probabilities, the sampled one bold."""
    for token in position.alternatives:
        style = "bold" if token.is_same_token(position.sampled) else ""
        yield Text.assemble(
            (name_token(token), style), (f" {format_small_fraction(token.prob)}", "dim")
        )


class _Bar:
    """A probability in digits, and as a bar in the rest of the cell."""

    # Widths of the narrowest and the widest cell, and of the digits with their space.
    _LEAST, _MOST, _DIGITS = 11, 15, 5

    def __init__(self, prob: float | None, style: Style) -> None:
        self._prob = prob
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bar_width = min(options.max_width, self._MOST) - self._DIGITS
        share = 0.0 if self._prob is None or math.isnan(self._prob) else self._prob
        halves = round(min(max(share, 0.0), 1.0) * bar_width * 2)
        bar = "━" * (halves // 2) + "╸" * (halves % 2)
        yield Text.assemble(
            f"{format_small_fraction(self._prob):<{self._DIGITS}}", (bar, self._style)
        )

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self._LEAST, self._MOST).with_maximum(options.max_width)


class _Flow:
    """Texts beside each other; none is broken if it fits into a line."""

    def __init__(self, texts: list[Text]) -> None:
        self._texts = texts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Text()
        for text in self._texts:
            gap = "  " if line else ""
            if line and line.cell_len + len(gap) + text.cell_len > options.max_width:
                yield line
                line, gap = Text(), ""
            line.append(gap).append_text(text)
        yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        widths = [text.cell_len for text in self._texts] or [0]
        one_line = sum(widths) + 2 * (len(widths) - 1)
        return Measurement(max(widths), one_line).with_maximum(options.max_width)
