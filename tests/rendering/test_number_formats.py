"""Numbers as a person reads them."""

import math

import pytest

from limin.rendering.number_formats import (
    format_bracketed,
    format_decimal,
    format_fraction,
    format_percent,
    format_small_fraction,
)


@pytest.mark.parametrize(
    ("prob", "fraction", "small", "percent"),
    [
        (0.0, "0.00", "0.00", "  0.00 %"),
        (0.00004, "0.00", "<.01", " <0.01 %"),
        (0.004, "0.00", "<.01", "  0.40 %"),
        (0.97, "0.97", "0.97", " 97.00 %"),
        (1.0, "1.00", "1.00", "100.00 %"),
        (148.4, "1.00", "1.00", "1.48e+04 %"),
        (math.inf, "1.00", "1.00", "inf %"),
        (math.nan, "?", "?", "     ?  "),
        (None, "?", "?", "     ?  "),
    ],
)
def test_probability(prob: float | None, fraction: str, small: str, percent: str) -> None:
    """No number is made up, and only a table and a page set small ones apart from 0."""
    assert format_fraction(prob) == fraction
    assert format_small_fraction(prob) == small
    assert format_bracketed(prob) == f"[{fraction}]"
    assert format_percent(prob) == percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.6487, "1.649"),
        (-0.5, "\N{MINUS SIGN}0.500"),
    ],
)
def test_decimal(value: float, text: str) -> None:
    """A minus sign is as wide as a plus, so that columns are aligned."""
    assert format_decimal(value) == text
