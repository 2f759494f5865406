"""Decisions of one question in several orders of its labels: renamed, and averaged.

Models prefer places. With the options in another order under the letters A to D, the
letters are renamed to the labels that they stood for, and the decisions averaged.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import attrs

from limin.values.decisions import Decision
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LabelT = TypeVar("LabelT")
NameT = TypeVar("NameT")


def renamed(decision: Decision[NameT], names: Mapping[LabelT, NameT]) -> Decision[LabelT]:
    """Return *decision* with a label in the place of each name, in the order of *names*.

    Args:
        decision: The decision, whose labels are the names.
        names: The name of each label, such as its letter.

    Raises:
        ValueError: If *names* does not have each name once.
    """
    if len(names) != len(decision.low) or set(names.values()) != set(decision.low):
        problem = "names: expected each label of the decision once"
        raise ValueError(problem)
    fields = attrs.asdict(decision, recurse=False)
    fields["low"] = {label: decision.low[name] for label, name in names.items()}
    fields["high"] = {label: decision.high[name] for label, name in names.items()}
    labels = {name: label for label, name in names.items()}
    text = decision.text_label
    fields["text_label"] = None if text is None else labels[text]
    return Decision[LabelT](**fields)


def average(decisions: Sequence[Decision[LabelT]]) -> Decision[LabelT]:
    """Return the mean of *decisions*, at least one, about the same labels.

    It is about an answer to the question in an order that is drawn by chance. Bounds are
    means of bounds, so they hold. `spread` is the largest difference between orders. What
    differs between decisions is None. The labels are in the order of the first, and the
    completion is its own. A warning says that the orders have different labels. If texts
    alone decide, the label is that of the most of them, and None if there are several.

    Raises:
        ValueError: If there are none, or their labels differ.
    """
    if not decisions or any(set(d.low) != set(decisions[0].low) for d in decisions):
        problem = "decisions: expected at least one, all about the same labels"
        raise ValueError(problem)
    first = decisions[0]
    return Decision(
        low={label: _mean(d.low[label] for d in decisions) for label in first.low},
        high={label: _mean(d.high[label] for d in decisions) for label in first.low},
        unfinished=_mean(d.unfinished for d in decisions),
        ambiguous=_mean(d.ambiguous for d in decisions),
        unlisted=_mean(d.unlisted for d in decisions),
        other=_mean(d.other for d in decisions),
        argmax_is_label=_shared(d.argmax_is_label for d in decisions),
        agrees=_shared(d.agrees for d in decisions),
        position=_shared(d.position for d in decisions),
        spread=_spread(decisions),
        completion=first.completion,
        warnings=_warnings(decisions),
        text_label=_most_frequent(d.text_label for d in decisions),
    )


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)


def _shared(values: Iterable[LabelT]) -> LabelT | None:
    """Return the value that all have; None if they differ."""
    first, *others = values
    return first if all(value == first for value in others) else None


def _most_frequent(labels: Iterable[LabelT | None]) -> LabelT | None:
    """Return the label that occurs most often; None if there are several, or none."""
    counts = Counter(label for label in labels if label is not None).most_common(2)
    (first, most), (_, next_most) = (*counts, (None, 0), (None, 0))[:2]
    return first if most > next_most else None


def _spread(decisions: Sequence[Decision[LabelT]]) -> float | None:
    """Return the largest difference of a label's probability between two orders."""
    all_probs = [decision.probs for decision in decisions if decision.probs]
    if len(all_probs) < 2:  # noqa: PLR2004 (a difference needs two)
        return None
    columns = ([probs[label] for probs in all_probs] for label in all_probs[0])
    return max(max(column) - min(column) for column in columns)


def _warnings(decisions: Sequence[Decision[LabelT]]) -> tuple[ResponseWarning, ...]:
    """Return the warnings of all orders, each code once, and that they disagree."""
    warnings: dict[WarningCode, ResponseWarning] = {}
    for warning in (warning for decision in decisions for warning in decision.warnings):
        count = warning.count
        if warning.code in warnings:
            count += warnings[warning.code].count
        first = warnings.setdefault(warning.code, warning)
        warnings[warning.code] = attrs.evolve(first, count=count)
    labels = [d.label for d in decisions if d.label is not None]
    if any(label != labels[0] for label in labels):
        code = WarningCode.ORDERS_DISAGREE
        problem = "another label is the likeliest in another order"
        path = "$.choices[0].logprobs.content"
        warnings[code] = ResponseWarning(code, path, problem)
    return tuple(warnings.values())
