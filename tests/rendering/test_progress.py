"""The progress of a batch on a terminal, in a pipe and in a notebook."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import attrs
import pytest
from builders import body_of, read
from samples import completion

from limin import StatusError
from limin.errors import AnswerWarningError, LiminError
from limin.rendering import progress as progress_room
from limin.rendering.progress import PatientConsole
from limin.values.progress import BatchState
from limin.values.timing import Attempt, Timing
from limin.values.usage import Usage
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from limin.values.completion import TextCompletion


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time now."""
        return self.now


class Screen(io.StringIO):
    """A file that is a terminal."""

    def isatty(self) -> bool:
        return True


def screen(file: io.StringIO | None = None, **options: object) -> Console:
    """Make a console that keeps its output; a terminal's if *file* is a `Screen`."""
    settings = {"width": 100, "_environ": {}, "force_jupyter": False} | options
    if isinstance(file, Screen):
        settings = {"force_terminal": True} | settings
    return PatientConsole(file=file or io.StringIO(), **settings)  # type: ignore[arg-type]


BatchProgress = functools.partial(progress_room.BatchProgress, wall_clock=lambda: 0.0)


def shown(console: Console) -> str:
    """Return the whole output of *console*."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def bar(console: Console) -> list[str]:
    """Return the two lines of the bar as they were drawn last, without colors."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(console))
    drawn = re.split(r"[\r\n]+", plain)
    last = max(index for index, line in enumerate(drawn) if "━" in line)
    return [line.strip() for line in drawn[last : last + 2]]


def answered(
    tokens: int | None = None,
    attempts: int = 1,
    warnings: tuple[ResponseWarning, ...] = (),
) -> TextCompletion:
    """Make a completion of so many tokens that took so many requests."""
    tried = (Attempt(start_time=0.0, duration=0.1),) * attempts
    timing = Timing(start_time=0.0, end_time=1.0, duration=1.0, attempts=tried)
    usage = None if tokens is None else Usage(completion_tokens=tokens)
    return attrs.evolve(completion(), usage=usage, timing=timing, body_warnings=warnings)


def failed(error: LiminError, attempts: int = 0) -> LiminError:
    """Return *error* as it is after so many requests."""
    error.attempts = (Attempt(start_time=0.0, duration=0.1),) * attempts
    return error


def test_terminal_shows_a_bar() -> None:
    """It shows done of total, speed, requests under way, time left, retries, failures."""
    console, clock = screen(Screen()), Clock()
    state = BatchState(in_flight=3)
    with BatchProgress(4, console, clock, state=lambda: state) as progress:
        clock.now += 2
        progress.finished(0, answered(tokens=300, attempts=3))
        progress.finished(0, failed(StatusError(500, "no"), attempts=2))
        assert progress._bar is not None
        progress._bar.refresh()
    above, under = bar(console)
    assert above.endswith("━ 2/4")
    assert (
        under
        == "2 s · 1.0/s · 150 tokens/s · 3 in flight · 2 s left · 3 retried · 1 failed"
    )


def test_bar_says_that_the_server_asks_to_wait() -> None:
    """A batch that pauses says why."""
    console = screen(Screen())
    state = BatchState(in_flight=0, resting=12.3)
    with BatchProgress(4, console, Clock(), state=lambda: state):
        pass
    assert bar(console)[1].endswith("0 in flight · the server asks to wait 13 s")


@pytest.mark.parametrize("width", [40, 200])
def test_bar_fits_its_terminal(width: int) -> None:
    """On a narrow terminal the bar is cut, and no number is."""
    console, clock = screen(Screen(), width=width), Clock()
    with BatchProgress(2000, console, clock) as progress:
        progress.finished(0, answered(tokens=300))
    above, _ = bar(console)
    assert above.endswith("1/2000")
    assert len(above) <= width


def test_terminal_shows_a_count_when_the_total_is_not_known() -> None:
    """A generator has no length, and no time left."""
    console, clock = screen(Screen()), Clock()
    with BatchProgress(None, console, clock) as progress:
        clock.now += 1
        progress.finished(0, object())
    above, under = bar(console)
    assert "1/?" in above
    assert under == "1 s · 1.0/s"


def test_bar_gives_way_to_a_line_that_sums_up() -> None:
    """One line stays on the screen, the same as in a log file."""
    lines = []
    for terminal in (True, False):
        console, clock = screen(Screen() if terminal else None), Clock()
        with BatchProgress(3, console, clock) as progress:
            clock.now += 2
            progress.finished(0, answered(tokens=31, attempts=2))
            for _ in range(2):
                progress.finished(0, failed(StatusError(500, "no")))
        lines.append(shown(console).splitlines()[-1].rpartition("\x1b[2K")[2])
        assert shown(console).count("limin:") == 1
    summary = "limin: 3 done in 2.0 s (1.5/s), 31 tokens (15.5/s), 1 retried, 2 failed"
    assert lines == [f"{summary}: StatusError 2"] * 2


def test_batch_that_is_cut_short_says_so() -> None:
    """After an interrupt the line says how many were done."""
    console, clock = screen(), Clock()
    with contextlib.suppress(KeyboardInterrupt), BatchProgress(9, console, clock) as batch:
        clock.now += 4
        batch.finished(0, answered())
        raise KeyboardInterrupt
    assert shown(console) == "limin: 1 of 9 done in 4.0 s (0.2/s)\n"


@pytest.mark.parametrize(
    ("seconds", "summary"),
    [
        (59.94, "59.9 s (1.7/s)"),
        (60, "1 min 0 s (1.7/s)"),
        (754, "12 min 34 s (0.1/s)"),
        (11520, "3 h 12 min (0.009/s)"),
        (0.5, "0.5 s (200/s)"),
    ],
)
def test_summary_shows_the_time(seconds: float, summary: str) -> None:
    """A long time is shown in minutes and hours."""
    console, clock = screen(), Clock()
    with BatchProgress(100, console, clock) as progress:
        for _ in range(100):
            progress.finished(0, object())
        clock.now += seconds
    assert shown(console) == f"limin: 100 done in {summary}\n"


def test_pipe_gets_a_line_now_and_then() -> None:
    """A log file shows that the batch goes on, and is not flooded."""
    console, clock = screen(), Clock()
    state = BatchState(in_flight=8, resting=70)
    with BatchProgress(100, console, clock, state=lambda: state) as progress:
        for _ in range(50):
            clock.now += 0.5
            progress.finished(0, answered(tokens=5))
        progress.finished(0, StatusError(500, "no"))
    pace = "2.0/s, 10.0 tokens/s, 8 in flight"
    failures = "1 failed: StatusError 1"
    wait = "the server asks to wait 1 min 10 s"
    assert shown(console).splitlines() == [
        f"limin: 20 of 100 done, 0 failed, {pace}, 40 s left, {wait}",
        f"limin: 40 of 100 done, 0 failed, {pace}, 30 s left, {wait}",
        f"limin: 51 of 100 done in 25.0 s (2.0/s), 250 tokens (10.0/s), {failures}",
    ]


def test_pipe_gets_a_count_when_the_total_is_not_known() -> None:
    """No time is estimated if the number of items is unknown."""
    console, clock = screen(), Clock()
    with BatchProgress(None, console, clock) as progress:
        clock.now += 10
        progress.finished(0, object())
    assert shown(console).splitlines() == [
        "limin: 1 done, 0 failed, 0.1/s",
        "limin: 1 done in 10.0 s (0.1/s)",
    ]


def test_name_of_an_error_is_shown() -> None:
    """The name of a class is no markup for rich, and no command for the terminal."""
    kind = type("[red]\x1b[2J", (LiminError,), {})
    console = screen()
    with BatchProgress(1, console, Clock()) as progress:
        progress.finished(0, kind())
    assert shown(console).endswith("1 failed: [red]␛[2J 1\n")


def test_dumb_terminal_gets_lines() -> None:
    """A terminal that cannot move its cursor shows no bar that redraws."""
    console = screen(Screen(), _environ={"TERM": "dumb"})
    with BatchProgress(1, console, Clock()):
        pass
    assert shown(console) == "limin: 0 of 1 done in 0.0 s (0/s)\n"


class Cell:
    """Stands for IPython: the outputs of a cell, and each state of them."""

    def __init__(self, error: Exception | None = None) -> None:
        self.outputs: list[list[dict[str, str]]] = []
        self.error = error

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool) -> object:
        """Show *data* as a new output, and return what changes it."""
        if self.error is not None:
            raise self.error
        assert (raw, display_id) == (True, True)
        self.outputs.append([data])
        states = self.outputs[-1]

        def update(data: dict[str, str], *, raw: bool) -> None:
            assert raw
            states.append(data)

        return SimpleNamespace(update=update)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let it be what `import IPython.display` finds."""
        monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
        module = SimpleNamespace(display=self.display)
        monkeypatch.setitem(sys.modules, "IPython.display", module)


def test_notebook_shows_one_output_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar with its numbers stands in the cell; at the end the line that sums up."""
    cell, clock = Cell(), Clock()
    cell.install(monkeypatch)
    console = screen(force_jupyter=True)
    state = BatchState(in_flight=2, resting=3.0)
    with BatchProgress(4, console, clock, state=lambda: state) as progress:
        for index in range(3):  # Two within half a second are one update.
            clock.now += 0.3
            progress.finished(index, KeyError() if index else "a value")
    ((first, second, last),) = cell.outputs
    assert first["text/plain"].startswith("0/4 · 0 s · ")
    assert second["text/plain"] == (
        "2/4 · 1 s · 3.3/s · 2 in flight · 1 s left · 1 failed · "
        "the server asks to wait 3 s"
    )
    assert second["text/html"].startswith(
        '<div><progress value="2" max="4"></progress> 2/4 · '
    )
    summary = "limin: 3 of 4 done in 0.9 s (3.3/s), 2 failed: KeyError 2"
    assert last == {"text/plain": summary, "text/html": f"<div>{summary}</div>"}
    assert shown(console) == ""


def test_notebook_is_told_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interruption the output says where the answers are, without markup."""
    cell = Cell()
    cell.install(monkeypatch)
    state = BatchState(in_flight=0, kept=2, checkpoint="<b>.jsonl")
    with (
        pytest.raises(KeyboardInterrupt),
        BatchProgress(None, screen(force_jupyter=True), Clock(), state=lambda: state),
    ):
        raise KeyboardInterrupt
    ((first, last),) = cell.outputs
    assert first["text/html"].startswith("<div><progress></progress> 0/? · ")
    assert last["text/plain"].splitlines() == [
        "limin: 0 done in 0.0 s (0/s)",
        "limin: 2 completions are kept in <b>.jsonl; the same call goes on from there",
    ]
    assert "<br>limin: 2 completions are kept in &lt;b&gt;.jsonl" in last["text/html"]


def test_two_batches_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has an output of its own."""
    cell = Cell()
    cell.install(monkeypatch)
    with (
        BatchProgress(1, screen(force_jupyter=True), Clock()),
        BatchProgress(2, screen(force_jupyter=True), Clock()),
    ):
        pass
    ends = [states[-1]["text/plain"] for states in cell.outputs]
    assert ends == [
        "limin: 0 of 1 done in 0.0 s (0/s)",
        "limin: 0 of 2 done in 0.0 s (0/s)",
    ]


def test_notebook_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch goes on, whatever is wrong with the output."""
    Cell(RuntimeError("closed")).install(monkeypatch)
    clock = Clock()
    with BatchProgress(1, screen(force_jupyter=True), clock) as progress:
        clock.now += 1
        progress.finished(0, "a value")


def test_notebook_without_ipython_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only says that it is a notebook gets what a pipe gets."""
    monkeypatch.setitem(sys.modules, "IPython", None)
    console = screen(force_jupyter=True)
    with BatchProgress(1, console, Clock()) as progress:
        progress.finished(0, "a value")
    assert shown(console).startswith("limin: 1 done in ")


class Broken(io.StringIO):
    """A file that cannot be written."""

    def __init__(self, error: Exception, *, is_terminal: bool) -> None:
        super().__init__()
        self.error, self.is_terminal = error, is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, _text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(32, "Broken pipe"),
        OSError(28, "No space left on device"),
        ValueError("I/O operation on closed file"),
        UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"),
    ],
)
@pytest.mark.parametrize("is_terminal", [True, False])
def test_file_that_cannot_be_written_ends_no_batch(
    error: Exception, *, is_terminal: bool
) -> None:
    """The reader of the progress may leave; the batch goes on."""
    clock = Clock()
    file = Broken(error, is_terminal=is_terminal)
    with BatchProgress(2, screen(file, force_terminal=is_terminal), clock) as progress:
        for _ in range(2):
            clock.now += 20
            progress.finished(0, answered())
    assert progress._tally.done == 2
    file.close()
    with BatchProgress(1, screen(file, force_terminal=is_terminal), clock):
        pass


def test_second_batch_has_no_bar() -> None:
    """Its lines stand above the bar of the first, which stays."""
    console, clock = screen(Screen()), Clock()
    with BatchProgress(3, console, clock) as first:
        with BatchProgress(8, console, clock) as second:
            clock.now += 2
            second.finished(0, answered())
        assert second._bar is None
        first.finished(0, answered())
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(console))
    lines = [line for line in re.split(r"[\r\n]+", plain) if line.startswith("limin")]
    assert lines == [
        "limin: 1 of 8 done in 2.0 s (0.5/s)",
        "limin: 1 of 3 done in 2.0 s (0.5/s)",
    ]
    with BatchProgress(1, console, clock) as third:
        assert third._bar is not None


def test_second_batch_elsewhere_keeps_to_its_own_file() -> None:
    """A log file gets its lines, whatever a screen shows."""
    log = screen()
    with BatchProgress(3, screen(Screen()), Clock()), BatchProgress(8, log, Clock()):
        pass
    assert shown(log) == "limin: 0 of 8 done in 0.0 s (0/s)\n"


@pytest.mark.parametrize("is_screen", [True, False])
def test_what_the_program_prints_goes_where_it_belongs(
    monkeypatch: pytest.MonkeyPatch, *, is_screen: bool
) -> None:
    """Output goes above a bar on the same screen, and otherwise into its pipe."""
    console, out = screen(Screen()), Screen() if is_screen else io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    with BatchProgress(1, console, Clock()):
        print("a result")  # noqa: T201 (what a program does)
    assert ("a result" in shown(console)) is is_screen
    assert ("a result" in out.getvalue()) is not is_screen


def test_program_without_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some programs have none, and some have closed it."""
    closed = io.StringIO()
    closed.close()
    for stdout in (None, closed):
        monkeypatch.setattr("sys.stdout", stdout)
        with BatchProgress(1, screen(Screen()), Clock()) as progress:
            assert progress._bar is not None


def test_forced_colors_make_no_screen_of_a_pipe() -> None:
    """Continuous integration forces them, and gets lines."""
    console = screen(force_terminal=True, _environ={"FORCE_COLOR": "1"})
    with BatchProgress(1, console, Clock()):
        pass
    assert shown(console) == "limin: 0 of 1 done in 0.0 s (0/s)\n"


def test_completions_from_a_checkpoint_do_not_count_for_the_speed() -> None:
    """They were asked for before the batch began."""
    console, clock = screen(), Clock()
    batch = progress_room.BatchProgress(48, console, clock, wall_clock=lambda: 1000.0)
    with batch as progress:
        for _ in range(40):
            progress.finished(0, answered(tokens=10, attempts=3))
        clock.now += 10
        now = attrs.evolve(answered().timing, start_time=1001.0)
        progress.finished(0, attrs.evolve(answered(tokens=10), timing=now))
    pace = "0.1/s, 1.0 tokens/s, 1 min 10 s left, 40 from the checkpoint"
    assert shown(console).splitlines() == [
        f"limin: 41 of 48 done, 0 failed, {pace}",
        "limin: 41 of 48 done in 10.0 s (0.1/s), 40 from the checkpoint, 10 tokens (1.0/s)",
    ]


MISSING = ResponseWarning(WarningCode.LOG_PROBS_MISSING, "$.choices[0]", "none came", 3)
MENDED = ResponseWarning(WarningCode.BODY_MENDED, "$.id", "expected text")


def test_warnings_are_counted_by_code() -> None:
    """Each answer counts once for a code, and one from the checkpoint counts, too."""
    console, clock = screen(), Clock()
    batch = progress_room.BatchProgress(4, console, clock, wall_clock=lambda: 1000.0)
    with batch as progress:
        progress.finished(0, answered(warnings=(MISSING, MENDED, MENDED)))
        progress.finished(1, answered(warnings=(MISSING,)))
        progress.finished(2, failed(StatusError(500, "no")))
        clock.now += 10
        progress.finished(3, answered())
    kinds = "2 log-probs-missing, 1 body-mended"
    assert shown(console).splitlines() == [
        f"limin: 4 of 4 done, 1 failed, 0.1/s, 3 from the checkpoint, {kinds}",
        (
            "limin: 4 done in 10.0 s (0.1/s), 3 from the checkpoint, "
            f"1 failed: StatusError 1, {kinds}"
        ),
    ]


def odd_log_probs(size: int = 0) -> TextCompletion:
    """Read an answer of at least *size* bytes with a log probability above 0."""
    positions = [{"token": "hi", "logprob": 0.5}]
    body = body_of("hi", logprobs={"content": positions}) | {"padding": "x" * size}
    return read(body, asks_log_probs=True)


def test_warnings_about_log_probs_are_counted_too() -> None:
    """They are decoded to be counted, and the decoded ones are not kept."""
    console, answer = screen(), odd_log_probs()
    with BatchProgress(2, console, Clock()) as progress:
        progress.finished(0, answer)
        progress.finished(1, answered())
    assert shown(console).endswith(", 1 positive-log-prob\n")
    assert answer.log_probs is not None
    assert answer.log_probs._loaded is None


def test_log_probs_of_a_checkpoint_are_not_checked_again() -> None:
    """A file of many answers is resumed as fast as without a bar."""
    console = screen()
    batch = progress_room.BatchProgress(1, console, Clock(), wall_clock=lambda: 1e12)
    with batch as progress:
        progress.finished(0, odd_log_probs())
    assert shown(console).endswith(", 1 from the checkpoint\n")


def test_log_probs_of_a_long_answer_are_not_checked() -> None:
    """One answer keeps no other task waiting."""
    console = screen()
    with BatchProgress(1, console, Clock()) as progress:
        progress.finished(0, odd_log_probs(300_000))
    assert shown(console).endswith(", 1 log-probs-not-checked\n")


def test_checking_log_probs_takes_little_of_the_time() -> None:
    """After a second it takes a twentieth of the time, and what is left out is counted."""
    console, times = screen(), itertools.count()
    with BatchProgress(9, console, lambda: float(next(times))) as progress:
        for index in range(9):
            progress.finished(index, odd_log_probs())
    assert shown(console).endswith(", 6 log-probs-not-checked, 3 positive-log-prob\n")


def test_warnings_that_are_raised_are_counted_too() -> None:
    """An answer that `on_warning="raise"` refuses is a failure with a reason."""
    console = screen()
    with BatchProgress(1, console, Clock()) as progress:
        progress.finished(0, AnswerWarningError((MISSING, MENDED), answered()))
    assert ", 1 failed: AnswerWarningError 1, 1 " in shown(console)
    assert {"1 log-probs-missing", "1 body-mended"} < set(shown(console)[:-1].split(", "))


def test_bar_shows_warnings() -> None:
    """A wrong server is seen while the batch runs."""
    console, clock = screen(Screen()), Clock()
    with BatchProgress(4, console, clock) as progress:
        clock.now += 2
        progress.finished(0, answered(warnings=(MISSING,)))
        assert progress._bar is not None
        progress._bar.refresh()
    assert bar(console)[1] == "2 s · 0.5/s · 6 s left · 1 log-probs-missing"


@pytest.mark.parametrize(
    ("kept", "completions"), [(1, "1 completion is"), (57, "57 completions are")]
)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_batch_that_breaks_off_reports_its_checkpoint(
    kept: int, completions: str, kind: type[BaseException]
) -> None:
    """Whoever interrupts a run learns that nothing was lost."""
    console = screen()
    state = BatchState(in_flight=3, kept=kept, checkpoint="my\x1b  run\n.jsonl")

    def run() -> None:
        with BatchProgress(100, console, Clock(), state=lambda: state):
            raise kind

    with pytest.raises(kind):
        run()
    path = "my\N{SYMBOL FOR ESCAPE}  run .jsonl"
    _, line = shown(console).splitlines()
    assert line == (
        f"limin: {completions} kept in {path}; the same call goes on from there"
    )


@pytest.mark.parametrize("state", [None, lambda: BatchState(in_flight=3)])
def test_batch_without_checkpoint_reports_none(state: Callable[[], BatchState]) -> None:
    """There is nothing to go on from."""
    console = screen()
    progress = BatchProgress(100, console, Clock(), state=state)
    with contextlib.suppress(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert len(shown(console).splitlines()) == 1


def test_lines_come_as_often_as_is_wanted() -> None:
    """The log of a run of hours can be short."""
    console, clock = screen(), Clock()
    with BatchProgress(9, console, clock, seconds_between_lines=60.0) as progress:
        for _ in range(4):
            clock.now += 20
            progress.finished(0, answered())
    lines = shown(console).splitlines()
    assert [line[:14] for line in lines] == ["limin: 3 of 9 ", "limin: 4 of 9 "]


def test_summary_says_how_long_the_server_made_us_wait() -> None:
    """The waits before retries are added up."""
    console = screen()
    error = failed(LiminError("no"))
    error.attempts = (
        Attempt(start_time=0.0, duration=0.1, waited=50.0),
        Attempt(start_time=0.0, duration=0.1, waited=20.0),
        Attempt(start_time=0.0, duration=0.1),
    )
    with BatchProgress(1, console, Clock()) as progress:
        progress.finished(0, error)
    assert "2 retried, waited 1 min 10 s in all before retries, 1 failed" in shown(console)


def test_results_that_nobody_reads_are_not_summed_up() -> None:
    """A pipe that was closed is no reason for a word."""
    console = screen()
    state = BatchState(in_flight=0, is_read=False)
    with BatchProgress(1, console, Clock(), state=lambda: state) as progress:
        progress.finished(0, answered())
    assert shown(console) == ""
