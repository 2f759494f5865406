"""The bounds of an expectation whose probabilities are known by their bounds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def expected_bounds(
    numbers: Sequence[float], low: Sequence[float], high: Sequence[float], slack: float
) -> tuple[float, float] | None:
    """Return the least and the greatest mean of *numbers*; None if all have no chance.

    The mean is that of each distribution, normalized, that has a probability between *low*
    and *high* for each number, and at most *slack* in all above *low*.
    """
    greatest = _greatest_mean(numbers, low, high, slack)
    if greatest is None:
        return None
    least = _greatest_mean([-number for number in numbers], low, high, slack)
    return None if least is None else (-least, greatest)


def _greatest_mean(
    numbers: Sequence[float], low: Sequence[float], high: Sequence[float], slack: float
) -> float | None:
    """Return the greatest mean: the slack goes to the greatest numbers.

    More of a number's probability raises the mean while the number is above it, and the
    greatest one raises it most.
    """
    mass = math.fsum(low)
    mean = _mean(numbers, low) if mass else -math.inf
    for number, least, most in sorted(zip(numbers, low, high, strict=True), reverse=True):
        added = min(most - least, slack)
        if number <= mean:
            break
        if added > 0.0:
            share = added / (mass + added)
            mean = number if not mass else mean + (number - mean) * share
            mass, slack = mass + added, slack - added
    return None if mean == -math.inf else mean


def _mean(numbers: Sequence[float], weights: Sequence[float]) -> float:
    total = math.fsum(weights)
    products = (n * (w / total) for n, w in zip(numbers, weights, strict=True))
    return math.fsum(products)
