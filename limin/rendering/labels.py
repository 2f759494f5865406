"""Decisions as rows: a name for each label, the bounds, and the facts beside them.

Every output shares the names, the choice of rows, and the words of the facts.
"""

from __future__ import annotations

import heapq
import json
import math
from typing import TYPE_CHECKING, TypeVar

import attrs

from limin.rendering.number_formats import format_small_fraction
from limin.rendering.symbols import EMPTY, mark_breaks
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from limin.values.decisions import Decision

LabelT = TypeVar("LabelT")

_DASH = "\N{EN DASH}"
_LONGEST_NAME = 60


@attrs.frozen
class LabelRow:
    """One label of a decision.

    Attributes:
        label: The label itself.
        name: The label, harmless and on one line.
        low: The probability that is sure.
        high: The probability that is possible.
        is_likeliest: Whether it is the decision's label.
    """

    label: object
    name: str
    low: float
    high: float
    is_likeliest: bool


def label_rows(decision: Decision[LabelT], most: int) -> list[LabelRow]:
    """Return the *most* likeliest labels of *decision*, in the order of all labels."""
    labels = list(decision.low)
    has_texts_only = all(isinstance(label, str) for label in labels)
    bounds = ((decision.low[label], decision.high[label]) for label in labels)
    ranked = zip(bounds, range(0, -len(labels), -1), strict=True)
    indexes = sorted(-index for _, index in heapq.nlargest(most, ranked))
    likeliest = None if decision.label is None else labels.index(decision.label)
    return [
        LabelRow(
            labels[index],
            name_label(labels[index], quotes=not has_texts_only),
            decision.low[labels[index]],
            decision.high[labels[index]],
            is_likeliest=index == likeliest,
        )
        for index in indexes
    ]


def name_label(label: object, *, quotes: bool) -> str:
    """Return *label* as JSON spells it, harmless; a text in quotes only if *quotes*."""
    if isinstance(label, str) and not quotes:
        text = label
    else:
        text = json.dumps(label, ensure_ascii=False, default=str)
    name = mark_breaks(escape_controls(text[:_LONGEST_NAME])) or EMPTY
    return name + "…" if len(text) > _LONGEST_NAME else name


def describe_rest(decision: Decision[LabelT], rows: Iterable[LabelRow]) -> str | None:
    """Return how many labels are not among *rows*, and what is sure of them together."""
    shown = list(rows)
    n_hidden = len(decision.low) - len(shown)
    if not n_hidden:
        return None
    # Exact: a difference of sums loses what is far smaller than they are.
    low = math.fsum((*decision.low.values(), *(-row.low for row in shown)))
    noun = "label" if n_hidden == 1 else "labels"
    return f"{n_hidden:,} more {noun}, together {format_small_fraction(low)}"


def format_bounds(row: LabelRow) -> str:
    """Return both bounds with a dash, or one number if both are shown alike."""
    low, high = format_small_fraction(row.low), format_small_fraction(row.high)
    return low if low == high else f"{low}{_DASH}{high}"


def decision_facts(decision: Decision[LabelT]) -> Iterator[tuple[str, str]]:
    """Yield names and values: the mass, where the rest of it is, and what follows."""
    masses = {
        "mass": decision.mass,
        "unfinished": decision.unfinished or None,
        "ambiguous": decision.ambiguous or None,
        "unlisted": decision.unlisted,
        "other": decision.other,
        "spread": decision.spread,
    }
    for name, value in masses.items():
        if value is not None:
            yield name, format_small_fraction(value)
    bounds = decision.expected_low, decision.expected_high
    if decision.expected is not None:
        low, high = (f"{bound:.2f}" for bound in bounds if bound is not None)
        yield "expected", f"{decision.expected:.2f} ({low}{_DASH}{high})"
    certainty = "certain" if decision.is_certain else "uncertain"
    yield "likeliest label", "none" if decision.label is None else certainty
