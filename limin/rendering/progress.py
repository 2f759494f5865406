"""How far a batch is: a bar on a terminal and in a notebook, lines elsewhere."""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from limin.errors import LiminError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# Log files want to know that it goes on, not each step of it.
_SECONDS_BETWEEN_LINES = 10.0


class BatchProgress:
    """Shows the progress of one batch on stderr, so that stdout can be piped.

    On a terminal and in a notebook: done of total, failures, completions a
    second, time left. Elsewhere: a line now and then, and one at the end.
    """

    def __init__(
        self,
        total: int | None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Progress of *total* prompts; None shows a count alone."""
        self._total = total
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._done = self._failed = 0
        self._start = self._last_line = 0.0
        redraws = _redraws(self._console)
        self._bar = _bar(self._console, clock, total) if redraws else None

    def __enter__(self) -> Self:
        """Start the clock, and show the bar."""
        self._start = self._last_line = self._clock()
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task("", total=self._total, failed="", rate="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        if self._bar is not None:
            self._bar.stop()
        else:
            self._write_line()

    def report(self, result: object) -> None:
        """Count one result: a completion, or the error in its place."""
        self._done += 1
        self._failed += isinstance(result, LiminError)
        if self._bar is not None:
            failed = f"[red]{self._failed} failed" if self._failed else ""
            rate = f"{self._rate():.1f}/s"
            self._bar.update(
                self._bar.task_ids[0], completed=self._done, failed=failed, rate=rate
            )
        elif self._clock() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._write_line()

    def _rate(self) -> float:
        """Completions a second since the start."""
        return self._done / max(self._clock() - self._start, 1e-9)

    def _write_line(self) -> None:
        self._last_line = self._clock()
        of = "" if self._total is None else f" of {self._total}"
        line = f"limin: {self._done}{of} done, {self._failed} failed, {self._rate():.1f}/s"
        if self._total is not None and 0 < self._done < self._total:
            line += f", {(self._total - self._done) / self._rate():.0f} s left"
        print(line, file=self._console.file, flush=True)


def _redraws(console: Console) -> bool:
    """Whether *console* can show a bar; rich needs ipywidgets in a notebook."""
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return console.is_terminal and not console.is_dumb_terminal


def _bar(console: Console, clock: Callable[[], float], total: int | None) -> Progress:
    left = [] if total is None else [TimeRemainingColumn()]
    return Progress(
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        *left,
        console=console,
        get_time=clock,
    )
