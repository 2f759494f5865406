from __future__ import annotations

import math
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import ConfigurationError
from limin.values.decisions import Decision
from limin.values.expectations import expected_bounds
from limin.values.labels.orders import average, renamed
from limin.values.warnings import ResponseWarning, WarningCode


def decision(low: dict[Any, float], slack: float = 0.0, **fields: Any) -> Decision[Any]:
    """A decision of which *slack* is not listed."""
    high = {label: bound + slack for label, bound in low.items()}
    values: dict[str, Any] = {
        "low": low,
        "high": high,
        "unfinished": 0.0,
        "ambiguous": 0.0,
        "unlisted": slack,
        "other": 1.0 - slack - math.fsum(low.values()),
    }
    return Decision(**{**values, **fields})


def test_numbers_of_a_decision() -> None:
    """Probabilities are normalised over the labels; their mass says what that hides."""
    three = decision({"a": 0.25, "b": 0.125, "c": 0.125}, 0.125)
    assert three.mass == 0.5
    assert three.probs == {"a": 0.5, "b": 0.25, "c": 0.25}
    assert three.label == "a"
    assert three.margin == 0.25
    assert three.entropy == pytest.approx(1.5 * math.log(2))
    assert not three.is_certain
    assert (three.expected, three.expected_low, three.expected_high) == (None, None, None)


def test_certain() -> None:
    """A label is certain if its sure part is above all that is possible of the others."""
    assert decision({"a": 0.5, "b": 0.25}, 0.125).is_certain
    assert not decision({"a": 0.5, "b": 0.25}, 0.25).is_certain
    assert decision({"a": 0.5}, 0.25).is_certain


def test_nothing_is_sure() -> None:
    """Without a sure label no number is made up."""
    unknown = decision({1: 0.0, 2: 0.0}, 1.0)
    assert unknown.label is None
    assert unknown.probs == {}
    assert unknown.margin is None
    assert unknown.entropy is None
    assert unknown.expected is None
    assert (unknown.expected_low, unknown.expected_high) == (1, 2)
    assert not unknown.is_certain
    assert repr(unknown) == "<limin.Decision: none of 2 labels>"


def test_no_label_is_possible() -> None:
    """If the answer is certainly no label, not even bounds of the mean are made up."""
    none = decision({1: 0.0, 2: 0.0})
    assert (none.expected_low, none.expected_high) == (None, None)


def test_one_label() -> None:
    """One label has no margin, and no doubt."""
    one = decision({"a": 0.5}, 0.25)
    assert one.margin is None
    assert one.entropy == 0.0


def test_equal_labels() -> None:
    """Of equals the first is the label."""
    assert decision({"b": 0.5, "a": 0.5}).label == "b"


def test_score() -> None:
    """The mean of a score has the bounds of the slack at its ends."""
    score = decision({1: 0.25, 3: 0.25}, 0.5)
    assert score.expected == 2.0
    assert score.expected_low == 1.5
    assert score.expected_high == 2.5


@pytest.mark.parametrize("low", [{True: 0.5}, {1: 0.5, "a": 0.5}, {None: 1.0}])
def test_labels_that_are_no_numbers(low: dict[Any, float]) -> None:
    """Flags and texts have no mean."""
    assert decision(low).expected is None


def test_repr_shows_no_label() -> None:
    """Labels are a part of the prompt, and reprs end up in logs."""
    shown = repr(decision({"x": 0.25, "secret": 0.5}, 0.125))
    assert shown == "<limin.Decision: label 2 of 2, 0.667, mass 0.750, certain>"
    shown = repr(decision({"x": 0.25, "secret": 0.5}, 0.25))
    assert shown == "<limin.Decision: label 2 of 2, 0.667, mass 0.750, uncertain>"


def test_decision_is_a_value() -> None:
    """A decision is equal to its copy, and keeps nothing of the caller's."""
    low = {"a": 0.5, "b": 0.25}
    two = decision(low)
    low["a"] = 0.0
    assert two.low == {"a": 0.5, "b": 0.25}
    assert pickle.loads(pickle.dumps(two)) == two  # noqa: S301 (our own bytes)
    assert attrs.evolve(two) == two


@pytest.mark.parametrize("low", [{}, {"a": 0.5, "b": 0.5}])
def test_bounds_of_other_labels(low: dict[Any, float]) -> None:
    """Both bounds are about the same labels."""
    with pytest.raises(ConfigurationError, match="low, high: expected the same labels"):
        decision(low, high={"b": 0.5} if low else {})


@given(
    rows=st.lists(
        st.tuples(
            st.integers(-9, 9), st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0, 1)
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda row: row[0],
    ),
    slack=st.floats(0, 1),
)
def test_bounds_of_a_mean(
    rows: list[tuple[int, float, float, float]], slack: float
) -> None:
    """Every distribution between the bounds has its mean between those of the mean."""
    numbers = [number for number, _, _, _ in rows]
    low = [least for _, least, _, _ in rows]
    high = [least + width for _, least, width, _ in rows]
    total = sum(width * share for _, _, width, share in rows)
    scale = min(1.0, slack / total) if total else 0.0
    true = [least + width * share * scale for _, least, width, share in rows]
    bounds = expected_bounds(numbers, low, high, slack)
    if sum(true) > 1e-6:
        mean = sum(n * p for n, p in zip(numbers, true, strict=True)) / sum(true)
        assert bounds is not None
        assert bounds[0] - 1e-6 <= mean <= bounds[1] + 1e-6


WARNING = ResponseWarning(WarningCode.LABEL_MASS_LOW, "$.here", "too low")


def test_average_of_orders() -> None:
    """Orders are averaged by their bounds; the spread is what they make of a label."""
    first = decision(
        {"a": 0.5, "b": 0.25}, 0.125, agrees=True, argmax_is_label=True, position=0
    )
    second = decision(
        {"b": 0.5, "a": 0.25}, 0.25, agrees=False, argmax_is_label=True, warnings=(WARNING,)
    )
    both = average([first, second])
    assert both.low == {"a": 0.375, "b": 0.375}
    assert list(both.low) == ["a", "b"]
    assert both.high == {"a": 0.5625, "b": 0.5625}
    assert both.unlisted == 0.1875
    assert both.other == 0.0625
    assert both.spread == pytest.approx(1 / 3)
    assert (both.agrees, both.argmax_is_label, both.position) == (None, True, None)
    codes = [warning.code for warning in both.warnings]
    assert codes == [WarningCode.LABEL_MASS_LOW, WarningCode.ORDERS_DISAGREE]


def test_average_of_one() -> None:
    """One order has no spread."""
    one = decision({"a": 0.5, "b": 0.25}, agrees=True, warnings=(WARNING,))
    assert average([one]) == one


def test_average_with_an_order_that_is_not_known() -> None:
    """An order without a sure label has no probabilities that could differ."""
    one, none = decision({"a": 0.5}, warnings=(WARNING,)), decision({"a": 0.0}, 1.0)
    both = average([one, none, attrs.evolve(none, warnings=(WARNING,))])
    assert both.spread is None
    assert both.warnings == (attrs.evolve(WARNING, count=2),)


@pytest.mark.parametrize("decisions", [[], [decision({"a": 1.0}), decision({"b": 1.0})]])
def test_average_of_other_labels(decisions: list[Decision[Any]]) -> None:
    """Only decisions about the same labels have an average."""
    with pytest.raises(ValueError, match="decisions: expected at least one"):
        average(decisions)


def test_renamed() -> None:
    """Letters become the labels that they stood for, in the order of the labels."""
    letters = decision({"A": 0.25, "B": 0.5}, 0.125, agrees=True)
    names = renamed(letters, {"yes": "B", "no": "A"})
    assert list(names.low.items()) == [("yes", 0.5), ("no", 0.25)]
    assert list(names.high.items()) == [("yes", 0.625), ("no", 0.375)]
    assert names.agrees is True
    assert names.label == "yes"


@pytest.mark.parametrize("names", [{}, {"x": "A"}, {"x": "A", "y": "A"}])
def test_renamed_by_other_names(names: dict[str, str]) -> None:
    """Each name stands for one label."""
    with pytest.raises(ValueError, match="names: expected each label of the decision once"):
        renamed(decision({"A": 0.5, "B": 0.5}), names)
