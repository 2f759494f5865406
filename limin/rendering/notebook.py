"""A place in the output of a notebook's cell that is written over, as a bar is.

It needs IPython, which every notebook has, and no widgets.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from limin.rendering.html_elements import escape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


class _Handle(Protocol):
    """What `IPython.display.display` returns for an output that may change."""

    def update(self, obj: object, **options: object) -> None: ...


class NotebookOutput:
    """One output of a cell. Whatever is wrong with it, the batch goes on without it."""

    def __init__(self, display: Any) -> None:  # noqa: ANN401 (IPython may not be installed)
        """Show by *display*, IPython's function of this name."""
        self._display = display
        self._handle: _Handle | None = None

    def show(
        self, lines: Sequence[str], *, done: int | None = None, total: int | None = None
    ) -> None:
        """Replace what is shown by *lines*, and by a bar if *done* is a number.

        Args:
            lines: Texts without markup.
            done: How much of *total* is done; None shows no bar.
            total: All that there is; None shows a bar that only moves.
        """
        shown = "<br>".join(map(escape_text, lines))
        if done is not None:
            share = "" if total is None else f' value="{done}" max="{total}"'
            shown = f"<progress{share}></progress> {shown}"
        data = {"text/plain": "\n".join(lines), "text/html": f"<div>{shown}</div>"}
        with suppress(Exception):  # Of a connection that is not limin's.
            if self._handle is None:
                self._handle = self._display(data, raw=True, display_id=True)
            else:
                self._handle.update(data, raw=True)


def open_output(console: Console) -> NotebookOutput | None:
    """Return an output if *console* is that of a notebook; else None."""
    if not console.is_jupyter:
        return None
    try:
        module = importlib.import_module("IPython.display")
    except ImportError:
        return None
    return NotebookOutput(module.display)
