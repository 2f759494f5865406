"""Background tints that stand for probabilities, as CSS for light and for dark screens.

The colours are mixed in OKLCH, whose steps look even:
https://bottosson.github.io/posts/oklab/
"""

from __future__ import annotations

import functools
import math
from typing import TypeAlias

from limin.rendering.palette import Palette, check_palette

# More steps than an eye tells apart on neighbouring words.
STEPS = 64

# Lightness from 0 to 1, chroma, and hue in degrees.
Color: TypeAlias = tuple[float, float, float]

# Tints for a light and for a dark screen, from improbable to certain. Certain tokens
# are most of an answer, so they are pale; what is improbable stands out. Those named
# after viridis follow its hues, and its lightness that only grows, which all kinds
# of colour blindness can see: https://bids.github.io/colormap/
_ANCHORS: dict[Palette, tuple[tuple[Color, ...], tuple[Color, ...]]] = {
    "red-green": (
        ((0.79, 0.125, 24), (0.86, 0.105, 58), (0.915, 0.085, 98), (0.945, 0.045, 152)),
        ((0.46, 0.135, 24), (0.43, 0.095, 55), (0.385, 0.068, 95), (0.315, 0.045, 158)),
    ),
    "viridis": (
        (
            (0.76, 0.095, 318),
            (0.80, 0.075, 266),
            (0.85, 0.065, 193),
            (0.905, 0.075, 145),
            (0.965, 0.065, 106),
        ),
        (
            (0.30, 0.11, 318),
            (0.34, 0.085, 266),
            (0.385, 0.06, 193),
            (0.425, 0.07, 145),
            (0.465, 0.065, 106),
        ),
    ),
}


def tint_class(prob: float | None) -> str:
    """The CSS class of a token of probability *prob*."""
    if prob is None or math.isnan(prob):
        return "limin-unknown"
    return f"limin-p{round(min(max(prob, 0.0), 1.0) * (STEPS - 1))}"


@functools.cache
def tint_rules(palette: Palette) -> str:
    """The CSS of all tints of *palette*, and of the legend that explains them.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    check_palette(palette)
    light, dark = _ANCHORS[palette]
    tints = [
        f"light-dark({_mixed(light, share)},{_mixed(dark, share)})"
        for share in (step / (STEPS - 1) for step in range(STEPS))
    ]
    rules = [f".limin-p{step}{{background:{tint}}}" for step, tint in enumerate(tints)]
    gradient = ",".join(tints[:: (STEPS - 1) // 7])  # The first and the last too.
    rules.append(f".limin-scale{{background:linear-gradient(90deg,{gradient})}}")
    return "\n".join(rules)


def _mixed(anchors: tuple[Color, ...], share: float) -> str:
    """The colour at *share* of the way along *anchors*, as `#rrggbb`."""
    place = share * (len(anchors) - 1)
    before = min(int(place), len(anchors) - 2)
    rest = place - before
    lightness, chroma, hue = (
        low + (high - low) * rest
        for low, high in zip(anchors[before], anchors[before + 1], strict=True)
    )
    return _srgb(lightness, chroma, math.radians(hue))


def _srgb(lightness: float, chroma: float, hue: float) -> str:
    """A colour of OKLCH as `#rrggbb`; the factors are those of OKLab's definition."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _gamma(one)):02x}" for one in linear)


def _gamma(linear: float) -> float:
    """The transfer function of sRGB, but for its straight start, which no tint needs."""
    return 1.055 * math.pow(min(max(linear, 0.0031308), 1.0), 1 / 2.4) - 0.055
