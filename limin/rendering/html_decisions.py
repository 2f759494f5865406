"""Decisions as HTML: a row for each label, its bounds, and a bar that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.rendering.html_elements import escape_text, render_facts, render_warnings
from limin.rendering.labels import decision_facts, describe_rest, format_bounds, label_rows

if TYPE_CHECKING:
    from limin.rendering.labels import LabelRow
    from limin.values.decisions import Decision

_MOST_ROWS = 100


def render_decision(decision: Decision[object]) -> str:
    """Return the labels, the warnings and the facts of *decision*."""
    rows = label_rows(decision, _MOST_ROWS)
    head = '<tr><th scope="col">Label</th><th scope="col">Probability</th></tr>'
    table = f"<table>{head}{''.join(map(_render_row, rows))}</table>"
    rest = describe_rest(decision, rows)
    more = "" if rest is None else f'<p class="limin-quiet">… {escape_text(rest)}</p>'
    facts = [(name.capitalize(), value) for name, value in decision_facts(decision)]
    return (
        f'<section class="limin-labels" aria-label="Labels">{table}{more}</section>'
        f"{render_warnings(decision.warnings)}<footer>{render_facts(facts)}</footer>"
    )


def _render_row(row: LabelRow) -> str:
    name = escape_text(row.name)
    shown = f"<b>{name}</b>" if row.is_likeliest else name
    return (
        f'<tr><th scope="row" lang="" dir="auto">{shown}</th>'
        f"<td>{escape_text(format_bounds(row))}</td><td>{_render_bar(row)}</td></tr>"
    )


def _render_bar(row: LabelRow) -> str:
    """Return a bar without a style attribute, which the policy of a page forbids."""
    low = min(row.low, 1.0)
    possible = max(min(row.high, 1.0) - low, 0.0)
    return (
        '<svg class="limin-bar" aria-hidden="true">'
        f'<rect width="{low:.2%}" height="100%"></rect>'
        f'<rect class="limin-possible" x="{low:.2%}" width="{possible:.2%}" height="100%">'
        "</rect></svg>"
    )
