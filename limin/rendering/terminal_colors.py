"""Colors for a probability on a terminal, as numbers; `html_tints` has those of a page.

The background of a terminal is unknown: the colors are legible on black and on white,
or bring their own background.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import attrs

from limin.rendering.palette import check_palette

if TYPE_CHECKING:
    from limin.values.display import Palette

RGB: TypeAlias = tuple[int, int, int]

# A contrast of 4.5 against black needs a relative luminance of at least 0.175, and
# against white one of at most 0.1833. Both ends have 0.179; their blue only makes them
# softer.
# Source: https://www.w3.org/TR/WCAG22/#contrast-minimum
_IMPROBABLE: RGB = (224, 45, 45)
_CERTAIN: RGB = (0, 136, 56)

_BLACK: RGB = (0, 0, 0)
_WHITE: RGB = (255, 255, 255)

# The luminance with the same contrast to black and to white.
_MIDDLE_LUMINANCE = (1.05 * 0.05) ** 0.5 - 0.05

# Every twelfth of the color map by Smith, van der Walt and Firing, from dark blue to
# yellow. It can be read in gray, and with red-green color blindness.
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
    """The colors of one token; None leaves the color of the terminal.

    Attributes:
        foreground: Red, green and blue of the text, each from 0 to 255.
        background: Red, green and blue behind the text.
    """

    foreground: RGB | None = None
    background: RGB | None = None


def colors(prob: float | None, palette: Palette = "red-green") -> Colors:
    """Return the colors of a token of probability *prob*; none if it is unknown.

    `red-green` colors the text, which is legible on black and on white. `viridis`
    colors the background, under black or white text.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    check_palette(palette)
    if prob is None or math.isnan(prob):
        return Colors()
    share = min(max(prob, 0.0), 1.0)
    if palette == "red-green":
        return Colors(foreground=_mix(_IMPROBABLE, _CERTAIN, share))
    background = _viridis(share)
    return Colors(foreground=_legible_on(background), background=background)


def _mix(low: RGB, high: RGB, share: float) -> RGB:
    """Return a mix of light, as lamps mix it: it keeps the luminance of equal ends."""
    red, green, blue = (
        _level(_light(low_level) * (1.0 - share) + _light(high_level) * share)
        for low_level, high_level in zip(low, high, strict=True)
    )
    return red, green, blue


def _viridis(share: float) -> RGB:
    steps = list(pairwise(_VIRIDIS))
    index = min(int(share * len(steps)), len(steps) - 1)
    low, high = steps[index]
    fraction = share * len(steps) - index
    red, green, blue = (
        round(low_level + (high_level - low_level) * fraction)
        for low_level, high_level in zip(low, high, strict=True)
    )
    return red, green, blue


def _legible_on(background: RGB) -> RGB:
    """Return black or white, by the better contrast, which is at least 4.5."""
    red, green, blue = map(_light, background)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return _BLACK if luminance > _MIDDLE_LUMINANCE else _WHITE


# The transfer function of sRGB and its inverse; light is from 0 to 1, a level from 0 to
# 255. Source: IEC 61966-2-1, and the corrected bound of WCAG 2.2.
def _light(level: int) -> float:
    share = level / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 (the bound)


def _level(light: float) -> int:
    share = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055  # noqa: PLR2004 (the bound)
    return round(share * 255)
