"""Functions whose annotations are strings, as the future import makes them."""

from __future__ import annotations

import attrs


@attrs.frozen
class Place:
    """A place."""

    x: int


def look(place: Place, *, again: bool = False) -> None:
    """Look."""


class Camera:
    """A camera."""

    def shoot(self, place: Place) -> None:
        """Shoot."""
