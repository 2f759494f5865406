"""Everything that rich can render, as a string with or without colors."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console, detect_legacy_windows

from limin.values.checks import check_length

if TYPE_CHECKING:
    from rich.console import RenderableType


def to_string(renderable: RenderableType, *, width: int | None, color: bool | None) -> str:
    """Return *renderable* as a terminal shows it, without the final newline.

    Args:
        renderable: Any value that rich can render.
        width: Columns at which lines wrap; None for no wrapping.
        color: Whether the string holds escape sequences of colors; None asks the
            environment and the terminal.

    Raises:
        ConfigurationError: If *width* is below 1.
    """
    width = check_length("width", width)
    is_colored = _wants_color() if color is None else color
    file = io.StringIO()
    # COLUMNS and similar variables are meant for screens, so this console does not see
    # them. Only with color=None it may ask how many colors the terminal has.
    asks_terminal = color is None and not os.environ.get("FORCE_COLOR")
    terminal = {name: os.environ.get(name, "") for name in ("TERM", "COLORTERM")}
    console = Console(
        file=file,
        width=sys.maxsize if width is None else width,
        color_system=("auto" if asks_terminal else "truecolor") if is_colored else None,
        force_terminal=is_colored,
        force_jupyter=False,
        legacy_windows=False,
        _environ=terminal if asks_terminal else {},
    )
    console.print(renderable, soft_wrap=width is None, end="")
    text = file.getvalue()
    return text if width is None else text.removesuffix("\n")


def _wants_color() -> bool:
    """Return whether the user wants colors, or else whether stdout can show them.

    Source: https://no-color.org, https://force-color.org
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    # A program without a console has no stdout at all, for example under pythonw.exe.
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    is_dumb = os.environ.get("TERM") == "dumb" or detect_legacy_windows()
    return is_terminal and not is_dumb
