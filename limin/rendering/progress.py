"""The progress of a batch: a bar on a terminal and in a notebook, lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from contextlib import suppress
from copy import copy
from typing import IO, TYPE_CHECKING, Self, cast

import attrs
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
)
from rich.text import Text

from limin.errors import NotSentError
from limin.rendering.notebook import open_output
from limin.values.completion import TextCompletion
from limin.values.progress import Effort, kept_note
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from rich.console import RenderableType

    from limin.values.progress import BatchState

# A log file should show that the batch goes on, and not each step of it. A notebook is
# sent each update, and may be far away.
SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_UPDATES = 0.5

# A file that is full, closed, or of an encoding that lacks a character must not end a
# batch.
_BROKEN = (OSError, ValueError)

# Reading the warnings about log probabilities decodes these, which takes two milliseconds
# for 100 tokens with 5 alternatives. It may take a second, and then a twentieth of the
# time; and none may keep other tasks waiting, as a body of more bytes would.
_SECONDS_OF_READING, _SHARE_OF_READING = 1.0, 0.05
_LONGEST_READ = 1 << 18
_NOT_READ = "log-probs-not-checked"

_MINUTE, _HOUR = 60, 3600
_MANY, _FEW, _SHORTEST_WAIT = 100, 0.1, 0.5


@attrs.define
class _Tally:
    """The results of a batch so far, counted.

    Attributes:
        began: When the batch began, in Unix seconds: a completion that was asked for
            before is from a checkpoint, and says nothing about the speed.
    """

    total: int | None
    began: float = 0.0
    done: int = 0
    recalled: int = 0
    retried: int = 0
    waited: float = 0.0
    tokens: int = 0
    failures: Counter[str] = attrs.field(factory=Counter[str])
    warnings: Counter[str] = attrs.field(factory=Counter[str])

    def add(self, result: object) -> None:
        """Count the *result* of one item, and its warnings about the body."""
        if isinstance(result, NotSentError):
            return
        self.done += 1
        if isinstance(result, Exception):
            self.failures[excerpt(type(result).__name__)] += 1
        effort = Effort.of(result)
        self.warnings.update(effort.warning_codes)
        if effort.is_recalled(self.began):
            self.recalled += 1
        else:
            self.retried += effort.retries
            self.waited += sum(attempt.waited for attempt in effort.attempts)
            self.tokens += effort.tokens or 0

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
        """Estimate the time for the rest, at the speed of the *seconds* so far."""
        if self.total is None or not self.asked or self.done >= self.total:
            return None
        return seconds * (self.total - self.done) / self.asked


class _LogProbWarnings:
    """Reads the codes of warnings about log probabilities, in little time.

    What is decoded for it is not kept, so that a batch takes no more memory.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._spent = clock, 0.0

    def codes(self, completion: TextCompletion[object], seconds: float) -> set[str]:
        """Return the codes of *completion*, which came when the batch took *seconds*.

        One code stands for the others if reading them would take too long.
        """
        answers = [
            choice.log_probs
            for choice in completion.choices
            if choice.log_probs is not None
        ]
        if not answers:
            return set()
        allowed = _SECONDS_OF_READING + _SHARE_OF_READING * seconds
        if len(completion.raw_bytes) > _LONGEST_READ or self._spent > allowed:
            return {_NOT_READ}
        start = self._clock()
        warnings = [warning for answer in answers for warning in copy(answer).warnings]
        self._spent += self._clock() - start
        return {str(warning.code) for warning in warnings}


class BatchProgress:
    """Shows the progress of one batch on stderr, so that stdout can be piped.

    It is the listener of the batch: `finished` is called with each result. On a terminal
    it is a bar, and in a notebook an output of the cell that changes when results come;
    elsewhere, and for a second batch at the same time, a line every ten seconds, or as
    often as is wanted. At the end one line sums up, everywhere. If a line cannot be
    written, the batch goes on without it.
    """

    def __init__(
        self,
        total: int | None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        wall_clock: Callable[[], float] = time.time,
        state: Callable[[], BatchState] | None = None,
        seconds_between_lines: float = SECONDS_BETWEEN_LINES,
    ) -> None:
        """Prepare to show the progress of *total* items.

        Args:
            total: Number of results that will come; None shows only a count.
            console: The console to write to; stderr by default.
            clock: Returns seconds of a clock that never jumps.
            wall_clock: Returns Unix seconds.
            state: Returns the state of the batch; called by a thread that redraws the
                bar. None shows none.
            seconds_between_lines: Seconds from one line to the next where there is no bar.
        """
        self._tally, self._log_prob_warnings = _Tally(total), _LogProbWarnings(clock)
        self._console = console or PatientConsole(stderr=True)
        self._clock, self._wall_clock = clock, wall_clock
        self._state, self._seconds_between_lines = state, seconds_between_lines
        self._start = self._last_line = 0.0
        self._notebook = open_output(self._console)
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
        self._show_in_notebook()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Replace the bar by a line that sums up.

        If the batch broke off, for example by Ctrl-C, another line reports what the
        checkpoint holds.
        """
        if self._bar is not None:
            _SHOWN.remove(self._bar)
            with suppress(*_BROKEN):
                self._bar.stop()
        now = self._now()
        if now is not None and not now.is_read:
            return
        lines = [_summary(self._tally, self._seconds())]
        if kind is not None and now is not None and now.checkpoint is not None:
            lines.append(kept_note(now.kept, now.checkpoint))
        if self._notebook is not None:
            self._notebook.show([f"limin: {line}" for line in lines])
        else:
            self._write("\nlimin: ".join(lines))

    def finished(self, index: int, result: object) -> None:  # noqa: ARG002 (a listener's)
        """Count the *result* of one item: a value, or the exception in its place."""
        self._tally.add(result)
        if isinstance(result, TextCompletion) and result.start_time >= self._tally.began:
            completion = cast("TextCompletion[object]", result)
            codes = self._log_prob_warnings.codes(completion, self._seconds())
            self._tally.warnings.update(codes)
        if self._bar is not None:
            with suppress(*_BROKEN):
                self._bar.update(
                    self._bar.task_ids[0],
                    completed=self._tally.done,
                    count=self._tally.count,
                )
        elif self._notebook is not None:
            if self._clock() - self._last_line >= _SECONDS_BETWEEN_UPDATES:
                self._last_line = self._clock()
                self._show_in_notebook()
        elif self._clock() - self._last_line >= self._seconds_between_lines:
            self._last_line = self._clock()
            self._write(", ".join(self._line()))

    def _show_in_notebook(self) -> None:
        if self._notebook is not None:
            tally = self._tally
            line = f"{tally.count} · {self._details().plain}"
            self._notebook.show([line], done=tally.done, total=tally.total)

    def _seconds(self) -> float:
        return max(self._clock() - self._start, 1e-9)

    def _line(self) -> Iterable[str]:
        tally, now = self._tally, self._now()
        of = "" if tally.total is None else f" of {tally.total}"
        yield f"{tally.done}{of} done"
        yield f"{tally.failed} failed"
        yield from _pace(tally, self._seconds(), now)
        yield from _warnings(tally)
        yield from _wait(now)

    def _details(self) -> Text:
        """Return the line under the bar."""
        seconds, now = self._seconds(), self._now()
        parts = [_format_span(seconds), *_pace(self._tally, seconds, now)]
        text = Text(" · ".join(parts), style="dim")
        if self._tally.failed:
            text.append(" · ").append(f"{self._tally.failed} failed", style="not dim red")
        for alarm in (*_warnings(self._tally), *_wait(now)):
            text.append(" · ").append(alarm, style="not dim yellow")
        return text

    def _now(self) -> BatchState | None:
        return None if self._state is None else self._state()

    def _write(self, message: str) -> None:
        line = f"limin: {message}"
        with suppress(*_BROKEN):
            if _SHOWN and _SHOWN[0].console.file is self._console.file:
                _SHOWN[0].console.print(Text(line))  # Above the bar of another batch.
            else:
                print(line, file=self._console.file, flush=True)


class PatientConsole(Console):
    """A console that does not end the program when nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        """Do nothing; rich would exit."""


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
            # The program's own output belongs above the bar, but only on a screen.
            redirect_stdout=_is_screen(sys.stdout),
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the parts that rich draws, several times a second."""
        yield self.make_tasks_table(self.tasks)
        yield self._details()


# The bar of the batch that has one.
_SHOWN: list[_Bar] = []


def _redraws(console: Console) -> bool:
    """Return whether *console* is a screen that can show a bar.

    Forced colors do not make a screen of a pipe or a log file.
    """
    if console.is_jupyter:
        return False
    return _is_screen(console.file) and not console.is_dumb_terminal


def _is_screen(file: IO[str] | None) -> bool:
    with suppress(ValueError):  # Of a closed one.
        return file is not None and file.isatty()
    return False


def _pace(tally: _Tally, seconds: float, now: BatchState | None) -> Iterable[str]:
    """Yield the speed, the work under way, and the time that is left."""
    yield f"{_format_rate(tally.asked / seconds)}/s"
    if tally.tokens:
        yield f"{_format_rate(tally.tokens / seconds)} tokens/s"
    if now is not None:
        yield f"{now.in_flight} in flight"
    left = tally.seconds_left(seconds)
    if left is not None:
        yield f"{_format_span(left)} left"
    if tally.retried:
        yield f"{tally.retried} retried"
    if tally.recalled:
        yield f"{tally.recalled} from the checkpoint"


def _warnings(tally: _Tally) -> Iterable[str]:
    """Yield how many answers have a warning, for each of its codes."""
    for code, n in tally.warnings.most_common():
        yield f"{n} {code}"


def _wait(now: BatchState | None) -> Iterable[str]:
    if now is not None and now.resting > 0:
        yield f"the server asks to wait {_format_span(math.ceil(now.resting))}"


def _summary(tally: _Tally, seconds: float) -> str:
    """Return the numbers, the time, the speed, and the kinds of failure."""
    cut_short = tally.total is not None and tally.done < tally.total
    of = f" of {tally.total}" if cut_short else ""
    took = f"{seconds:.1f} s" if seconds < _MINUTE else _format_span(seconds)
    parts = [f"{tally.done}{of} done in {took} ({_format_rate(tally.asked / seconds)}/s)"]
    if tally.recalled:
        parts.append(f"{tally.recalled} from the checkpoint")
    if tally.tokens:
        parts.append(f"{tally.tokens} tokens ({_format_rate(tally.tokens / seconds)}/s)")
    if tally.retried:
        parts.append(f"{tally.retried} retried")
    if tally.waited >= _SHORTEST_WAIT:
        parts.append(f"waited {_format_span(tally.waited)} in all before retries")
    if tally.failed:
        kinds = ", ".join(f"{kind} {n}" for kind, n in tally.failures.most_common())
        parts.append(f"{tally.failed} failed: {kinds}")
    parts += _warnings(tally)
    return ", ".join(parts)


def _format_rate(a_second: float) -> str:
    if a_second >= _MANY:
        return f"{a_second:.0f}"
    return f"{a_second:.1f}" if a_second >= _FEW else f"{a_second:.1g}"


def _format_span(seconds: float) -> str:
    """Return *seconds* in the two largest units that apply."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
