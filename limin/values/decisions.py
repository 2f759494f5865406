"""Decisions: which label an answer is, how sure that is, and what cannot be known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import attrs

from limin.errors import ConfigurationError
from limin.values.display import NotebookDisplayed, rendering
from limin.values.expectations import expected_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limin.values.completion import TextCompletion
    from limin.values.display import Palette
    from limin.values.warnings import ResponseWarning

LabelT = TypeVar("LabelT")


def _copied(bounds: Mapping[LabelT, float]) -> Mapping[LabelT, float]:
    return dict(bounds)


@attrs.frozen(kw_only=True, repr=False)
class Decision(NotebookDisplayed, Generic[LabelT]):
    """A distribution over labels, read from the log probabilities of an answer.

    Servers list the likeliest tokens only, so the probability that the answer is a label
    is known by its bounds. `low` is sure, and `high` is possible. All mappings have the
    labels in the order in which they were given; labels that are numbers are the keys
    themselves.

    The sum of `low`, `unfinished`, `ambiguous`, `unlisted` and `other` is 1, within
    rounding. The repr shows no label, because reprs end up in logs. `rich.print` and
    notebooks show all.

    Attributes:
        low: The probability that is sure to be the label's.
        high: The probability that can be the label's at most. It is `low`, and all of
            `unfinished` and `ambiguous` that may become this label, and `unlisted`.
        unfinished: The probability of answers that begin one label, and may become
            something else.
        ambiguous: The probability of answers that may become one of several labels.
        unlisted: The probability of answers of which the server told nothing.
        other: The probability of answers that are certainly no label.
        argmax_is_label: Whether the likeliest token where the answer begins is or begins a
            label; None if that is not known.
        agrees: Whether the answer's text is `label`; None if it ended too soon to tell, or
            there is no `label`.
        position: Index of the token with which the answer begins; None if none does.
        spread: The largest difference that the order of the labels makes to one of
            `probs`; None if there was one order.
        completion: The completion that was read, the first of several; None if only log
            probabilities were.
        warnings: Warnings about the decision.
        text_label: The label that the answer's text begins with, if the text alone
            decides, because no log probabilities came; else None. Then nothing is known
            of any probability.

    Raises:
        ConfigurationError: If `low` and `high` have different labels, or none.
    """

    low: Mapping[LabelT, float] = attrs.field(converter=_copied)
    high: Mapping[LabelT, float] = attrs.field(converter=_copied)
    unfinished: float
    ambiguous: float
    unlisted: float
    other: float
    argmax_is_label: bool | None = None
    agrees: bool | None = None
    position: int | None = None
    spread: float | None = None
    completion: TextCompletion[object] | None = None
    warnings: tuple[ResponseWarning, ...] = ()
    text_label: LabelT | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse bounds of different labels, and of none."""
        if not self.low or list(self.low) != list(self.high):
            problem = "low, high: expected the same labels in both, at least one"
            raise ConfigurationError(problem)

    def __repr__(self) -> str:
        """Return the place of the label among all, its probability, and the mass."""
        labels = list(self.low)
        if self.label is None:
            return f"<limin.Decision: none of {len(labels)} labels>"
        place = f"label {labels.index(self.label) + 1} of {len(labels)}"
        if not self.mass:
            return f"<limin.Decision: {place}, by its text alone>"
        facts = f"{self.probs[self.label]:.3f}, mass {self.mass:.3f}"
        certainty = "certain" if self.is_certain else "uncertain"
        return f"<limin.Decision: {place}, {facts}, {certainty}>"

    @property
    def mass(self) -> float:
        """The probability that is sure to be a label's, the sum of `low`."""
        return min(math.fsum(self.low.values()), 1.0)

    @property
    def probs(self) -> Mapping[LabelT, float]:
        """The probability of each label among the labels, which is `low` over `mass`.

        It is empty if nothing is sure of any label.
        """
        mass = math.fsum(self.low.values())
        if not mass:
            return {}
        return {label: low / mass for label, low in self.low.items()}

    @property
    def label(self) -> LabelT | None:
        """The likeliest label, of equals the first; None if nothing is sure of any.

        If the text alone decides, it is the label in the text.
        """
        best = max(self.low, key=self.low.__getitem__)
        return best if self.low[best] else self.text_label

    @property
    def is_certain(self) -> bool:
        """Whether no other label can be likelier, as its `low` is above every `high`.

        It is False if the text alone decides, even if there is but one label.
        """
        label = self.label
        if label is None or not self.low[label]:
            return False
        others = (high for other, high in self.high.items() if other != label)
        return all(self.low[label] > high for high in others)

    @property
    def margin(self) -> float | None:
        """The difference between the two largest `probs`; None if there are no two."""
        first, *rest = sorted(self.probs.values(), reverse=True) or [0.0]
        return first - rest[0] if rest else None

    @property
    def entropy(self) -> float | None:
        """The entropy of `probs`, in nats; None if they are empty."""
        probs = self.probs.values()
        return sum((p * -math.log(p) for p in probs if p), start=0.0) if probs else None

    @property
    def expected(self) -> float | None:
        """The mean by `probs`; None if the labels are no numbers, or none is sure."""
        numbers, probs = self._numbers, self.probs
        if numbers is None or not probs:
            return None
        return math.fsum(n * p for n, p in zip(numbers, probs.values(), strict=True))

    @property
    def expected_low(self) -> float | None:
        """The least mean that the true distribution over the labels can have.

        The true distribution has a probability between `low` and `high` for each label,
        and at most `mass`, `unfinished`, `ambiguous` and `unlisted` in all. Normalized
        over the labels, it has a mean from `expected_low` to `expected_high`. None if the
        labels are no numbers, or none is possible.
        """
        bounds = self._expected_bounds
        return None if bounds is None else bounds[0]

    @property
    def expected_high(self) -> float | None:
        """The greatest mean that the true distribution can have; see `expected_low`."""
        bounds = self._expected_bounds
        return None if bounds is None else bounds[1]

    def to_pretty_string(
        self,
        *,
        width: int = 80,
        color: bool | None = True,
        palette: Palette = "red-green",
    ) -> str:
        """Return the decision for a terminal: a bar and the bounds of each label.

        What is sure of a label is a bar, what is possible a line behind it. The likeliest
        label is bold. Of more than 25 labels the likeliest are shown. Control characters
        are shown as symbols, so they have no effect.

        Args:
            width: Columns at which lines wrap.
            color: Whether the string holds colors; None follows `NO_COLOR` and
                `FORCE_COLOR`, and without them checks whether stdout is a terminal.
            palette: See `LogProbs.to_pretty_string`.

        Raises:
            ConfigurationError: If there is no such palette, or *width* is below 1.
        """
        return rendering().to_string(self, width=width, color=color, palette=palette)

    def to_html(self) -> str:
        """Return the decision as an HTML page without scripts or external resources."""
        return rendering().html_page(self)

    @property
    def _expected_bounds(self) -> tuple[float, float] | None:
        if self._numbers is None:
            return None
        slack = self.unfinished + self.ambiguous + self.unlisted
        low, high = self.low.values(), self.high.values()
        return expected_bounds(self._numbers, list(low), list(high), slack)

    @property
    def _numbers(self) -> list[float] | None:
        """The labels, if all of them are numbers."""
        labels = list(self.low)
        are_numbers = all(isinstance(label, int | float) for label in labels)
        are_flags = any(isinstance(label, bool) for label in labels)
        return cast("list[float]", labels) if are_numbers and not are_flags else None
