"""Errors: what happened, which attempts were made, and which prompts failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from limin.errors import AnswerWarningError, BatchError, LiminError
from limin.values.completion import TextCompletion
from limin.values.safe_text import escape_controls, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from limin.values.timing import Attempt

# Where errors keep what came of an answer, and the words that say so.
_KEPT = {
    "completion": "the answer came all the same",
    "partial": "a part of the answer came",
}


def failure(error: LiminError) -> Group:
    """The kind of *error*, its sentence, and what else it knows."""
    return Group(*_parts(error))


def _parts(error: LiminError) -> Iterator[RenderableType]:
    if isinstance(error, BatchError):
        failed, total = len(error.errors), len(error.results)
        yield _head(error, f"{failed} of {total} {error.noun}s failed")
        yield from _groups(error)
    elif isinstance(error, AnswerWarningError):
        first, *more = map(str, error.warnings)
        yield _head(error, first)
        for words in more:
            yield Text(f"and {words}")
    else:
        yield _head(error, str(error))
    for field, words in _KEPT.items():
        kept = getattr(error, field, None)
        if isinstance(kept, TextCompletion):
            size = f"{len(kept.message)} characters"
            yield Text(f"{words}: {size}, in `{field}`", style="dim")
    if error.attempts:
        number = len(error.attempts)
        yield Text(f"{number} attempt{'' if number == 1 else 's'}:", style="dim")
        yield _attempts(error.attempts)


def _head(error: LiminError, sentence: str) -> Text:
    name = (escape_controls(type(error).__name__), "bold red")
    return Text.assemble(name, ": ", escape_controls(sentence)) if sentence else Text(*name)


def _groups(error: BatchError) -> Iterator[RenderableType]:
    """How often each kind of error struck, and where and how it did first."""
    kinds: dict[str, list[int]] = {}
    for place, one in error.errors.items():
        kinds.setdefault(type(one).__name__, []).append(place)
    rows = _rows()
    for kind, places in sorted(kinds.items(), key=lambda group: -len(group[1])):
        first = error.noun if len(places) == 1 else f"first at {error.noun}"
        words = Text.assemble((escape_controls(kind), "bold"), f", {first} {places[0]}")
        example = error.errors[places[0]]
        if isinstance(example, LiminError):  # Any other text may hold a prompt.
            words.append("\n").append(excerpt(str(example)), style="dim")
        rows.add_row(Text(f"{len(places)}\N{MULTIPLICATION SIGN}", style="red"), words)
    if kinds:
        yield rows
    if error.stopped_by is not None:
        cause = _head(error.stopped_by, str(error.stopped_by))
        yield Text.assemble("stopped early by ", cause)


def _attempts(attempts: Sequence[Attempt]) -> Table:
    """How long each request took, how it failed, and how long the wait after it was."""
    rows = _rows()
    for number, attempt in enumerate(attempts, start=1):
        words = "answered"
        if attempt.error is not None:
            words = f"{type(attempt.error).__name__}: {attempt.error}"
        wait = f", then waited {attempt.waited:.2f} s" if attempt.waited else ""
        line = Text(f"{excerpt(words)} ({attempt.duration:.2f} s{wait})", style="dim")
        rows.add_row(Text(str(number), style="dim"), line)
    return rows


def _rows() -> Table:
    """A number, and what it is of, under the head of an error."""
    rows = Table.grid(padding=(0, 0, 0, 2))
    rows.add_column(justify="right", no_wrap=True)
    rows.add_column()
    return rows
