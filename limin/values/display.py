"""The one door from values to the code that shows them.

`limin.rendering` loads rich, which takes longer than all the rest of limin, so it is
imported when a value is shown, and only here. This module imports nothing else of
limin: errors and values stand on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table

    from limin.values.log_probs import LogProbs
    from limin.values.progress import BatchListener, BatchState
    from limin.values.run_records import RunRecord
    from limin.values.summary import Summary

Palette: TypeAlias = Literal["red-green", "viridis"]


class _Rendering(Protocol):
    """The functions of `limin.rendering.show`, which describes them."""

    def renderable(self, value: object) -> RenderableType: ...

    def to_string(
        self,
        value: object,
        *,
        width: int | None,
        color: bool | None,
        palette: Palette = "red-green",
        show_probabilities: bool = False,
    ) -> str: ...

    def answer_piece(
        self, text: str, log_probs: LogProbs | None, *, reasoning: str = ""
    ) -> str: ...

    def record_string(
        self, record: RunRecord, *, lowest: int | None, width: int, color: bool | None
    ) -> str: ...

    def run_page(
        self,
        summary: Summary,
        records: Iterable[RunRecord],
        *,
        title: str,
        lowest: int | None,
    ) -> Iterator[str]: ...

    def table(
        self, log_probs: LogProbs, *, lowest: int | None, palette: Palette
    ) -> Table: ...

    def markdown_text(self, value: object) -> str: ...

    def html_page(
        self, value: object, *, palette: Palette = "red-green", images: bool = False
    ) -> str: ...

    def html_fragment(self, value: object) -> str: ...

    def batch_progress(
        self,
        total: int | None,
        state: Callable[[], BatchState],
        *,
        seconds_between_lines: float = ...,
    ) -> AbstractContextManager[BatchListener]: ...


def rendering() -> _Rendering:
    """Return the code that shows values; load it and rich the first time."""
    from limin.rendering import show  # noqa: PLC0415 (rich loads when a value is shown)

    return show


class Displayed:
    """A value that `rich.print` shows."""

    __slots__ = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the value as rich renders it."""
        yield rendering().renderable(self)


class NotebookDisplayed(Displayed):
    """A value that notebooks show as well."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """Return the value as HTML for a notebook."""
        return rendering().html_fragment(self)
