"""Errors for a terminal: kind and message, the attempts, and the failed prompts."""

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

# Fields in which an error may hold a completion, and the text that announces it.
_COMPLETION_FIELDS = {
    "completion": "the answer came all the same",
    "partial": "a part of the answer came",
}


def failure(error: LiminError) -> Group:
    """Return the kind of *error*, its message, and the facts in its fields."""
    return Group(*_parts(error))


def _parts(error: LiminError) -> Iterator[RenderableType]:
    if isinstance(error, BatchError):
        failed, total = len(error.errors), len(error.results)
        yield _headline(error, f"{failed} of {total} {error.noun}s failed")
        yield from _batch_parts(error)
    elif isinstance(error, AnswerWarningError):
        first, *more = map(str, error.warnings)
        yield _headline(error, first)
        for warning in more:
            yield Text(f"and {warning}")
    else:
        yield _headline(error, str(error))
    for note in getattr(error, "__notes__", ()):
        yield Text(escape_controls(note))
    for field, announcement in _COMPLETION_FIELDS.items():
        completion = getattr(error, field, None)
        if isinstance(completion, TextCompletion):
            size = f"{len(completion.message)} characters"
            yield Text(f"{announcement}: {size}, in `{field}`", style="dim")
    if error.attempts:
        number = len(error.attempts)
        yield Text(f"{number} attempt{'' if number == 1 else 's'}:", style="dim")
        yield _attempt_rows(error.attempts)


def _headline(error: LiminError, message: str) -> Text:
    name = (escape_controls(type(error).__name__), "bold red")
    return Text.assemble(name, ": ", escape_controls(message)) if message else Text(*name)


def _batch_parts(error: BatchError) -> Iterator[RenderableType]:
    """Yield a row for each kind of error, and the error that stopped the batch.

    The most frequent kind is first. A row has the number of the failed items, and
    the index and, if it is limin's own, the message of the first one.
    """
    indexes_by_kind: dict[str, list[int]] = {}
    for index, item_error in error.errors.items():
        indexes_by_kind.setdefault(type(item_error).__name__, []).append(index)
    rows = _numbered_rows()
    for kind, indexes in sorted(indexes_by_kind.items(), key=lambda item: -len(item[1])):
        first = error.noun if len(indexes) == 1 else f"first at {error.noun}"
        text = Text.assemble((escape_controls(kind), "bold"), f", {first} {indexes[0]}")
        example = error.errors[indexes[0]]
        if isinstance(example, LiminError):  # Any other message may hold a prompt.
            text.append("\n").append(excerpt(str(example)), style="dim")
        rows.add_row(Text(f"{len(indexes)}\N{MULTIPLICATION SIGN}", style="red"), text)
    if indexes_by_kind:
        yield rows
    if error.stopped_by is not None:
        cause = _headline(error.stopped_by, str(error.stopped_by))
        yield Text.assemble("stopped early by ", cause)


def _attempt_rows(attempts: Sequence[Attempt]) -> Table:
    """Return result and duration of each attempt, and the wait after it."""
    rows = _numbered_rows()
    for number, attempt in enumerate(attempts, start=1):
        result = "answered"
        if attempt.error is not None:
            result = f"{type(attempt.error).__name__}: {attempt.error}"
        wait = f", then waited {attempt.waited:.2f} s" if attempt.waited else ""
        line = Text(f"{excerpt(result)} ({attempt.duration:.2f} s{wait})", style="dim")
        rows.add_row(Text(str(number), style="dim"), line)
    return rows


def _numbered_rows() -> Table:
    """Return an empty table of numbers and texts."""
    rows = Table.grid(padding=(0, 0, 0, 2))
    rows.add_column(justify="right", no_wrap=True)
    rows.add_column()
    return rows
