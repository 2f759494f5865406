"""Names of the palettes that a user can choose from.

A palette has two sets of colors: `terminal_colors` has those of a terminal, whose
background is unknown, and `html_tints` those of a page, which brings its own.
"""

from __future__ import annotations

from typing import get_args

from limin.values.checks import check_choice
from limin.values.display import Palette

PALETTES: tuple[Palette, ...] = get_args(Palette)


def check_palette(palette: Palette) -> None:
    """Refuse an unknown palette.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    check_choice("palette", palette, PALETTES)
