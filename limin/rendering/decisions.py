"""Decisions for a terminal: a bar for each label, the facts and the warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from limin.rendering.labels import decision_facts, describe_rest, format_bounds, label_rows
from limin.rendering.palette import check_palette
from limin.rendering.tokens import bar_style
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.style import Style

    from limin.rendering.labels import LabelRow
    from limin.values.decisions import Decision
    from limin.values.display import Palette

# More labels than these, such as a score of 0 to 100, do not fit on a screen.
MOST_ROWS = 25


def decision(decision: Decision[object], palette: Palette = "red-green") -> Group:
    """Return the labels of *decision* with their bounds, the facts and the warnings.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    check_palette(palette)
    rows = label_rows(decision, MOST_ROWS)
    facts = " · ".join(f"{name} {value}" for name, value in decision_facts(decision))
    rest = describe_rest(decision, rows)
    return Group(
        _label_table(rows, palette),
        *([] if rest is None else [Text(f"… {rest}", style="dim")]),
        *(Text(f"! {excerpt(str(warning))}", "yellow") for warning in decision.warnings),
        Text(facts, style="dim"),
    )


def _label_table(rows: list[LabelRow], palette: Palette) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(max_width=30)
    table.add_column(no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(
            # The style of a whole text would fill the cell.
            Text.assemble((row.name, "bold" if row.is_likeliest else "")),
            Text(format_bounds(row)),
            _Interval(row, bar_style(row.low, palette)),
        )
    return table


class _Interval:
    """What is sure of a label as a bar, and what is possible as a line behind it."""

    _LEAST, _MOST = 8, 40

    def __init__(self, row: LabelRow, style: Style) -> None:
        self._row, self._style = row, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, self._MOST)
        halves = round(min(self._row.low, 1.0) * width * 2)
        bar = "━" * (halves // 2) + "╸" * (halves % 2)
        line = "─" * (round(min(self._row.high, 1.0) * width) - len(bar))
        yield Text.assemble((bar, self._style), (line, "dim"))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self._LEAST, self._MOST).with_maximum(options.max_width)
