"""How far a batch is: a bar on a terminal and in a notebook, lines elsewhere."""

from __future__ import annotations

import importlib.util
import math
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Self

import attrs
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
)
from rich.text import Text

from limin.errors import LiminError
from limin.values.completion import TextCompletion
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from rich.console import RenderableType

# Log files want to know that it goes on, not each step of it.
_SECONDS_BETWEEN_LINES = 10.0

# A stream that is full, closed, or of an encoding that lacks a character is not worth
# a batch.
_BROKEN = (OSError, ValueError)

_MINUTE, _HOUR = 60, 3600
_MANY, _FEW = 100, 0.1


@attrs.frozen(kw_only=True)
class BatchState:
    """What goes on in a batch at this moment.

    Attributes:
        in_flight: Requests that were sent and are not answered.
        waits: Seconds for which the server asks to wait; 0 if it does not.
    """

    in_flight: int
    waits: float = 0.0


@attrs.define
class _Tally:
    """What came of a batch so far.

    Attributes:
        began: When the batch began, in Unix seconds: a completion that was asked for
            before is from a checkpoint, and tells nothing of how fast it goes.
    """

    total: int | None
    began: float = 0.0
    done: int = 0
    recalled: int = 0
    retried: int = 0
    tokens: int = 0
    failures: Counter[str] = attrs.field(factory=Counter[str])

    def add(self, result: object) -> None:
        self.done += 1
        if isinstance(result, LiminError):
            self.failures[excerpt(type(result).__name__)] += 1
            self.retried += max(len(result.attempts) - 1, 0)
        elif isinstance(result, TextCompletion) and result.start_time < self.began:
            self.recalled += 1
        elif isinstance(result, TextCompletion):
            self.retried += max(len(result.timing.attempts) - 1, 0)
            counted = result.usage and result.usage.completion_tokens
            self.tokens += counted or 0

    @property
    def asked(self) -> int:
        return self.done - self.recalled

    @property
    def count(self) -> str:
        return f"{self.done}/{'?' if self.total is None else self.total}"

    @property
    def failed(self) -> int:
        return self.failures.total()

    def seconds_left(self, seconds: float) -> float | None:
        """How long the rest takes, if it goes on as in the *seconds* so far."""
        if self.total is None or not self.asked or self.done >= self.total:
            return None
        return seconds * (self.total - self.done) / self.asked


class BatchProgress:
    """Shows the progress of one batch on stderr, so that stdout can be piped.

    On a terminal and in a notebook a bar; elsewhere, and for a second batch at the same
    time, a line every ten seconds, when results come. At the end one line that sums up,
    everywhere. What cannot be written is not, and the batch goes on.
    """

    def __init__(
        self,
        total: int | None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        wall_clock: Callable[[], float] = time.time,
        state: Callable[[], BatchState] | None = None,
    ) -> None:
        """Progress of *total* prompts; None shows a count alone.

        Args:
            total: How many results will come.
            console: Where it is shown.
            clock: Seconds, by a clock that never jumps.
            wall_clock: Unix seconds.
            state: What goes on; a thread that redraws the bar calls it.
        """
        self._tally = _Tally(total)
        self._console = console or PatientConsole(stderr=True)
        self._clock, self._wall_clock = clock, wall_clock
        self._state = state
        self._start = self._last_line = 0.0
        redraws = _redraws(self._console)
        self._bar = _Bar(self._console, clock, self._details) if redraws else None

    def __enter__(self) -> Self:
        """Start the clock, and show the bar."""
        self._start = self._last_line = self._clock()
        self._tally.began = self._wall_clock()
        if _SHOWN:
            self._bar = None  # Two bars would overwrite each other.
        if self._bar is not None:
            _SHOWN.append(self._bar)
            self._bar.add_task("", total=self._tally.total, count=self._tally.count)
            with suppress(*_BROKEN):
                self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put a line that sums up in the place of the bar."""
        if self._bar is not None:
            _SHOWN.remove(self._bar)
            with suppress(*_BROKEN):
                self._bar.stop()
        self._write(_summary(self._tally, self._seconds()))

    def report(self, result: object) -> None:
        """Count one result: a completion, or the error in its place."""
        self._tally.add(result)
        if self._bar is not None:
            with suppress(*_BROKEN):
                self._bar.update(
                    self._bar.task_ids[0],
                    completed=self._tally.done,
                    count=self._tally.count,
                )
        elif self._clock() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = self._clock()
            self._write(", ".join(self._line()))

    def _seconds(self) -> float:
        return max(self._clock() - self._start, 1e-9)

    def _line(self) -> Iterable[str]:
        tally, now = self._tally, self._now()
        of = "" if tally.total is None else f" of {tally.total}"
        yield f"{tally.done}{of} done"
        yield f"{tally.failed} failed"
        yield from _pace(tally, self._seconds(), now)
        yield from _wait(now)

    def _details(self) -> Text:
        """The line under the bar."""
        seconds, now = self._seconds(), self._now()
        words = [_span(seconds), *_pace(self._tally, seconds, now)]
        text = Text(" · ".join(words), style="dim")
        if self._tally.failed:
            text.append(" · ").append(f"{self._tally.failed} failed", style="not dim red")
        for wait in _wait(now):
            text.append(" · ").append(wait, style="not dim yellow")
        return text

    def _now(self) -> BatchState | None:
        return None if self._state is None else self._state()

    def _write(self, words: str) -> None:
        line = f"limin: {words}"
        with suppress(*_BROKEN):
            if _SHOWN and _SHOWN[0].console.file is self._console.file:
                _SHOWN[0].console.print(Text(line))  # Above the bar of another batch.
            else:
                print(line, file=self._console.file, flush=True)


class PatientConsole(Console):
    """A console that does not end the program when nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        """Nothing; rich would exit."""


class _Bar(Progress):
    """A bar, and under it a line of *details*; both vanish at the end."""

    def __init__(
        self, console: Console, clock: Callable[[], float], details: Callable[[], Text]
    ) -> None:
        self._details = details
        super().__init__(
            SpinnerColumn(style="cyan"),
            BarColumn(complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.fields[count]}", style="none", markup=False),
            console=console,
            get_time=clock,
            transient=True,
            # What the program prints belongs above the bar on a screen alone.
            redirect_stdout=_is_screen(sys.stdout),
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """What rich draws, several times a second."""
        yield self.make_tasks_table(self.tasks)
        yield self._details()


# The bar of the batch that has one.
_SHOWN: list[_Bar] = []


def _redraws(console: Console) -> bool:
    """Whether *console* can show a bar; rich needs ipywidgets in a notebook.

    Colours that are forced upon a pipe or a log file make no screen of it.
    """
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return _is_screen(console.file) and not console.is_dumb_terminal


def _is_screen(file: IO[str] | None) -> bool:
    with suppress(ValueError):  # Of a closed one.
        return file is not None and file.isatty()
    return False


def _pace(tally: _Tally, seconds: float, now: BatchState | None) -> Iterable[str]:
    """How fast it goes, what goes on, and how long it will."""
    yield f"{_rate(tally.asked / seconds)}/s"
    if tally.tokens:
        yield f"{_rate(tally.tokens / seconds)} tokens/s"
    if now is not None:
        yield f"{now.in_flight} in flight"
    left = tally.seconds_left(seconds)
    if left is not None:
        yield f"{_span(left)} left"
    if tally.retried:
        yield f"{tally.retried} retried"
    if tally.recalled:
        yield f"{tally.recalled} from the checkpoint"


def _wait(now: BatchState | None) -> Iterable[str]:
    if now is not None and now.waits > 0:
        yield f"the server asks to wait {_span(math.ceil(now.waits))}"


def _summary(tally: _Tally, seconds: float) -> str:
    """How many, how long, how fast, and how they failed."""
    cut_short = tally.total is not None and tally.done < tally.total
    of = f" of {tally.total}" if cut_short else ""
    took = f"{seconds:.1f} s" if seconds < _MINUTE else _span(seconds)
    words = [f"{tally.done}{of} done in {took} ({_rate(tally.asked / seconds)}/s)"]
    if tally.recalled:
        words.append(f"{tally.recalled} from the checkpoint")
    if tally.tokens:
        words.append(f"{tally.tokens} tokens ({_rate(tally.tokens / seconds)}/s)")
    if tally.retried:
        words.append(f"{tally.retried} retried")
    if tally.failed:
        kinds = ", ".join(f"{kind} {n}" for kind, n in tally.failures.most_common())
        words.append(f"{tally.failed} failed: {kinds}")
    return ", ".join(words)


def _rate(a_second: float) -> str:
    if a_second >= _MANY:
        return f"{a_second:.0f}"
    return f"{a_second:.1f}" if a_second >= _FEW else f"{a_second:.1g}"


def _span(seconds: float) -> str:
    """*seconds* in the two largest units that it has."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
