"""How far a batch is, as it is seen on a terminal, in a pipe and in a notebook."""

from __future__ import annotations

import importlib.util
import io

import pytest
from rich.console import Console

from limin import StatusError
from limin.rendering.progress import BatchProgress


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        """The time now."""
        return self.now


def screen(**options: object) -> Console:
    """A console that keeps what it shows."""
    settings = {"width": 100, "_environ": {}, "force_jupyter": False} | options
    return Console(file=io.StringIO(), **settings)  # type: ignore[arg-type]


def shown(console: Console) -> str:
    """All that *console* showed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def last_bar(console: Console) -> str:
    """The bar as it stays on the screen, above the cursor that comes back."""
    return shown(console).splitlines()[-2]


def test_terminal_shows_a_bar() -> None:
    """Done of total, failures, completions a second, time left."""
    console, clock = screen(force_terminal=True), Clock()
    with BatchProgress(4, console, clock) as progress:
        clock.now += 2
        progress.report(object())
        progress.report(StatusError(500, "no"))
    last = last_bar(console)
    assert "2/4" in last
    assert "1 failed" in last
    assert "1.0/s" in last
    assert "0:00:02" in last


def test_terminal_shows_a_count_when_the_total_is_not_known() -> None:
    """A generator has no length, and no time left."""
    console, clock = screen(force_terminal=True), Clock()
    with BatchProgress(None, console, clock) as progress:
        clock.now += 1
        progress.report(object())
    assert "1/?" in last_bar(console)


def test_pipe_gets_a_line_now_and_then() -> None:
    """A log file tells that it goes on, and is not flooded."""
    console, clock = screen(), Clock()
    with BatchProgress(100, console, clock) as progress:
        for _ in range(50):
            clock.now += 0.5
            progress.report(object())
        progress.report(StatusError(500, "no"))
    assert shown(console).splitlines() == [
        "limin: 20 of 100 done, 0 failed, 2.0/s, 40 s left",
        "limin: 40 of 100 done, 0 failed, 2.0/s, 30 s left",
        "limin: 51 of 100 done, 1 failed, 2.0/s, 24 s left",
    ]


def test_pipe_gets_a_count_when_the_total_is_not_known() -> None:
    """Nothing is said of an end that nobody knows."""
    console, clock = screen(), Clock()
    with BatchProgress(None, console, clock) as progress:
        clock.now += 1
        progress.report(object())
    assert shown(console) == "limin: 1 done, 0 failed, 1.0/s\n"


def test_dumb_terminal_gets_lines() -> None:
    """A terminal that cannot move its cursor shows no bar that redraws."""
    console = screen(force_terminal=True, _environ={"TERM": "dumb"})
    with BatchProgress(1, console, Clock()):
        pass
    assert shown(console) == "limin: 0 of 1 done, 0 failed, 0.0/s\n"


@pytest.mark.parametrize("widgets", [True, False])
def test_notebook_shows_a_bar_if_it_can(
    monkeypatch: pytest.MonkeyPatch, *, widgets: bool
) -> None:
    """Rich redraws in a notebook by ipywidgets; without them there are lines."""
    found = importlib.util.find_spec("json") if widgets else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: found)
    console = screen(force_jupyter=True)
    assert (BatchProgress(1, console)._bar is not None) is widgets
