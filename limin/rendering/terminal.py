"""From what rich renders to a string, with colours or without."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from limin.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import RenderableType


def to_string(renderable: RenderableType, *, width: int | None, color: bool | None) -> str:
    """*renderable* as a terminal shows it, without the newline at its end.

    Args:
        renderable: What to render.
        width: Columns at which it wraps; None for no wrapping.
        color: Whether it holds the escape sequences of colours; None asks the
            environment and the terminal.

    Raises:
        ConfigurationError: If there is not even one column.
    """
    if width is not None and width < 1:
        problem = f"width: expected at least 1, found {width}"
        raise ConfigurationError(problem)
    colored = _wants_color() if color is None else color
    file = io.StringIO()
    # An environment of its own: COLUMNS and the like are for screens. But whoever asks
    # for the terminal's own colours gets those that it has.
    asks = color is None and not os.environ.get("FORCE_COLOR")
    screen = {name: os.environ.get(name, "") for name in ("TERM", "COLORTERM")}
    console = Console(
        file=file,
        width=sys.maxsize if width is None else width,
        color_system=("auto" if asks else "truecolor") if colored else None,
        force_terminal=colored,
        force_jupyter=False,
        legacy_windows=False,
        _environ=screen if asks else {},
    )
    console.print(renderable, soft_wrap=width is None, end="")
    text = file.getvalue()
    return text if width is None else text.removesuffix("\n")


def _wants_color() -> bool:
    """What the user wants, and else what stdout can show.

    Source: https://no-color.org, https://force-color.org
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    # Without a console Python has no stdout at all, as under pythonw.exe.
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return is_terminal and os.environ.get("TERM") != "dumb"
