"""The palettes that a user can choose from, by their names.

`terminal_colors` has their colors for a terminal, `html_tints` those for a page.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from limin.errors import ConfigurationError

Palette: TypeAlias = Literal["red-green", "viridis"]

PALETTES: tuple[Palette, ...] = get_args(Palette)


def check_palette(palette: Palette) -> None:
    """Refuse what is no palette.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    if palette not in PALETTES:
        known = " or ".join(map(repr, PALETTES))
        problem = f"palette: expected {known}; found {palette!r}"
        raise ConfigurationError(problem)
