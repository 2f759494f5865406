"""Background tints for probabilities on a page, as CSS for light and for dark screens.

They are paler than `terminal_colors`, since the page's own ink has to be legible on
each. The colors are mixed in OKLCH, whose steps look even:
https://bottosson.github.io/posts/oklab/
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, TypeAlias

from limin.rendering.palette import check_palette

if TYPE_CHECKING:
    from limin.values.display import Palette

# More steps than an eye can distinguish on neighboring words.
STEPS = 64

# Lightness from 0 to 1, chroma, and hue in degrees.
_OKLCH: TypeAlias = tuple[float, float, float]

# Tints for a light and for a dark screen, from improbable to certain. Most tokens of an
# answer are certain, so their tint is pale, and improbable ones stand out. The tints of
# viridis follow its hues, and their lightness only grows, as its own does: it can be
# seen with every kind of color blindness. Source: https://bids.github.io/colormap/
_ANCHORS: dict[Palette, tuple[tuple[_OKLCH, ...], tuple[_OKLCH, ...]]] = {
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
    """Return the CSS class of a token of probability *prob*."""
    if prob is None or math.isnan(prob):
        return "limin-unknown"
    return f"limin-p{round(min(max(prob, 0.0), 1.0) * (STEPS - 1))}"


@functools.cache
def tint_rules(palette: Palette) -> str:
    """Return the CSS of all tints of *palette*, and of their legend.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    check_palette(palette)
    light, dark = _ANCHORS[palette]
    tints = [
        f"light-dark({_mix(light, share)},{_mix(dark, share)})"
        for share in (step / (STEPS - 1) for step in range(STEPS))
    ]
    rules = [f".limin-p{step}{{background:{tint}}}" for step, tint in enumerate(tints)]
    gradient = ",".join(tints[:: (STEPS - 1) // 7])  # Includes the first and the last.
    rules.append(f".limin-scale{{background:linear-gradient(90deg,{gradient})}}")
    return "\n".join(rules)


def _mix(anchors: tuple[_OKLCH, ...], share: float) -> str:
    """Return the color at *share* of the way along *anchors*, as `#rrggbb`."""
    position = share * (len(anchors) - 1)
    index = min(int(position), len(anchors) - 2)
    fraction = position - index
    lightness, chroma, hue = (
        low + (high - low) * fraction
        for low, high in zip(anchors[index], anchors[index + 1], strict=True)
    )
    return _srgb(lightness, chroma, math.radians(hue))


def _srgb(lightness: float, chroma: float, hue: float) -> str:
    """Return a color of OKLCH as `#rrggbb`; the factors are from OKLab's definition."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _gamma(light)):02x}" for light in linear)


def _gamma(linear: float) -> float:
    """Return the level of sRGB for a light; no tint needs its straight start."""
    return 1.055 * math.pow(min(max(linear, 0.0031308), 1.0), 1 / 2.4) - 0.055
