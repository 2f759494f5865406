"""The colours of a probability on a terminal, as numbers; `html_tints` has a page's."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import attrs

from limin.rendering.palette import check_palette

if TYPE_CHECKING:
    from limin.rendering.palette import Palette

RGB: TypeAlias = tuple[int, int, int]

# Contrast of at least 4.5 against black needs a relative luminance of 0.175 at
# least, and against white one of 0.1833 at most. Both ends have 0.179, the blue
# only makes them softer.
# Source: https://www.w3.org/TR/WCAG22/#contrast-minimum
_IMPROBABLE: RGB = (224, 45, 45)
_CERTAIN: RGB = (0, 136, 56)

_BLACK: RGB = (0, 0, 0)
_WHITE: RGB = (255, 255, 255)

# The luminance that has the same contrast to black as to white.
_HALF_WAY = (1.05 * 0.05) ** 0.5 - 0.05

# Every twelfth of the colour map of Smith, van der Walt and Firing, from dark
# blue to yellow; legible in grey, and to whoever does not tell red from green.
# Source: https://bids.github.io/colormap/
_VIRIDIS: tuple[RGB, ...] = (
    (68, 1, 84),
    (72, 31, 112),
    (68, 57, 131),
    (59, 82, 139),
    (49, 104, 142),
    (40, 124, 142),
    (33, 145, 140),
    (32, 164, 134),
    (53, 183, 121),
    (94, 201, 98),
    (144, 215, 67),
    (200, 224, 32),
    (253, 231, 37),
)


@attrs.frozen
class Colors:
    """The colours of one token; None leaves the screen's own.

    Attributes:
        foreground: Red, green and blue of the text, each from 0 to 255.
        background: The same of what is behind it.
    """

    foreground: RGB | None = None
    background: RGB | None = None


def colors(prob: float | None, palette: Palette = "red-green") -> Colors:
    """The colours of a token with the probability *prob*; none if it is not known.

    `red-green` colours the text, which is legible on black and on white alike;
    `viridis` what is behind the text, which is black or white.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    check_palette(palette)
    if prob is None or math.isnan(prob):
        return Colors()
    share = min(max(prob, 0.0), 1.0)
    if palette == "red-green":
        return Colors(foreground=_between(_IMPROBABLE, _CERTAIN, share))
    behind = _viridis(share)
    return Colors(foreground=_legible_on(behind), background=behind)


def _between(low: RGB, high: RGB, share: float) -> RGB:
    """A mix of light, as lamps mix it: two of one luminance keep it."""
    red, green, blue = (
        _level(_light(one) * (1.0 - share) + _light(other) * share)
        for one, other in zip(low, high, strict=True)
    )
    return red, green, blue


def _viridis(share: float) -> RGB:
    steps = list(pairwise(_VIRIDIS))
    place = min(int(share * len(steps)), len(steps) - 1)
    low, high = steps[place]
    within = share * len(steps) - place
    red, green, blue = (
        round(one + (other - one) * within) for one, other in zip(low, high, strict=True)
    )
    return red, green, blue


def _legible_on(behind: RGB) -> RGB:
    """Black or white, whichever has the better contrast; it has at least 4.5."""
    red, green, blue = map(_light, behind)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return _BLACK if luminance > _HALF_WAY else _WHITE


# What a level of sRGB gives of light, and back, both of 0 to 1.
# Source: IEC 61966-2-1, and the corrected bound of WCAG 2.2.
def _light(level: int) -> float:
    share = level / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 (the bound)


def _level(light: float) -> int:
    share = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055  # noqa: PLR2004 (the bound)
    return round(share * 255)
