"""Formats of numbers: fractions and percentages for probabilities, and decimals.

There are two scales. A terminal shows a fraction of two digits, as `prob` has it: four
columns leave room for a bar and for many alternatives. A page shows one token at a
time, so its percentages have room for two more digits.
"""

from __future__ import annotations

import math

# Half of the last digit of a percentage: a smaller value would be rounded to 0.
_SMALLEST_PERCENTAGE = 0.00005
_SMALLEST_FRACTION = 0.01

# Some servers send raw logits as logarithms: then the "probability" has any size.
_TOO_WIDE_FROM = 10.0


def format_fraction(prob: float | None) -> str:
    """Return *prob* with two decimals, `0.97`, or `?` if it is unknown."""
    if prob is None or math.isnan(prob):
        return "?"
    return f"{min(prob, 1.0):.2f}"


def format_small_fraction(prob: float | None) -> str:
    """Return the same as `format_fraction`, but `<.01` between 0 and 0.01."""
    is_small = prob is not None and 0.0 < prob < _SMALLEST_FRACTION
    return "<.01" if is_small else format_fraction(prob)


def format_bracketed(prob: float | None) -> str:
    """Return `[0.97]`, to stand behind a token, or `[?]` if *prob* is unknown.

    There are always two decimals, so that a program can read them.
    """
    return f"[{format_fraction(prob)}]"


def format_percent(prob: float | None) -> str:
    """Return *prob* as ` 97.00 %`, 8 characters wide if it is at most 1."""
    if prob is None or math.isnan(prob):
        return "     ?  "
    if 0.0 < prob < _SMALLEST_PERCENTAGE:
        return "<0.01 %".rjust(8)
    digits = f"{100 * prob:6.2f}" if prob < _TOO_WIDE_FROM else f"{100 * prob:.3g}"
    return f"{digits} %"


def format_decimal(value: float) -> str:
    """Return *value* with three decimals, and a minus sign as wide as a plus."""
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")
