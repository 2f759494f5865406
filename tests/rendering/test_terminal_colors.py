"""The colours of a probability on a terminal, and their contrast."""

import math
from itertools import pairwise
from typing import cast

import pytest

from limin import ConfigurationError
from limin.rendering.terminal_colors import RGB, Colors, colors
from limin.values.display import Palette

PROBS = [step / 999 for step in range(1000)]


def luminance(color: RGB) -> float:
    """Return the relative luminance by WCAG 2.2, without limin's own code for it."""
    shares = [level / 255 for level in color]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: RGB, second: RGB) -> float:
    """Return the contrast ratio by WCAG 2.2."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def test_red_green_is_legible_on_black_and_on_white() -> None:
    """Every colour of red-green is legible on black and on white."""
    for prob in PROBS:
        pair = colors(prob)
        assert pair.foreground is not None
        assert pair.background is None
        assert contrast(pair.foreground, (0, 0, 0)) >= 4.5
        assert contrast(pair.foreground, (255, 255, 255)) >= 4.5


def test_viridis_is_legible_on_its_own_background() -> None:
    """The text is black or white, by the better contrast with its background."""
    for prob in PROBS:
        pair = colors(prob, "viridis")
        assert pair.background is not None
        assert pair.foreground in {(0, 0, 0), (255, 255, 255)}
        ratio = contrast(pair.foreground, pair.background)
        assert ratio >= 4.5
        assert ratio >= contrast((0, 0, 0), pair.background) - 0.01


def test_viridis_grows_brighter() -> None:
    """A likelier token has a brighter background, also in grey."""
    backgrounds = [colors(prob, "viridis").background or (0, 0, 0) for prob in PROBS[::10]]
    assert all(luminance(low) < luminance(high) for low, high in pairwise(backgrounds))


@pytest.mark.parametrize("palette", ["red-green", "viridis"])
def test_colors_are_continuous(palette: Palette) -> None:
    """Similar probabilities have similar colours."""
    pairs = [colors(prob, palette) for prob in PROBS]
    accents = [pair.background or pair.foreground or (0, 0, 0) for pair in pairs]
    for accent, next_accent in pairwise(accents):
        steps = zip(accent, next_accent, strict=True)
        assert max(abs(low - high) for low, high in steps) <= 6


@pytest.mark.parametrize(
    ("prob", "palette", "expected"),
    [
        (0.0, "red-green", Colors((224, 45, 45))),
        (1.0, "red-green", Colors((0, 136, 56))),
        (1.001, "red-green", Colors((0, 136, 56))),
        (math.inf, "red-green", Colors((0, 136, 56))),
        (-1.0, "red-green", Colors((224, 45, 45))),
        (0.0, "viridis", Colors((255, 255, 255), (68, 1, 84))),
        (0.5, "viridis", Colors((0, 0, 0), (33, 145, 140))),
        (1.0, "viridis", Colors((0, 0, 0), (253, 231, 37))),
        (None, "red-green", Colors()),
        (None, "viridis", Colors()),
        (math.nan, "viridis", Colors()),
    ],
)
def test_colors_of_a_probability(
    prob: float | None, palette: Palette, expected: Colors
) -> None:
    """The colours end at 0 and 1, and an unknown probability has none."""
    assert colors(prob, palette) == expected


def test_unknown_palette_is_refused() -> None:
    """An unknown palette is refused, whatever the probability."""
    with pytest.raises(ConfigurationError) as caught:
        colors(None, cast("Palette", "sunset"))
    assert str(caught.value) == (
        "palette: expected red-green or viridis, found another str"
    )
