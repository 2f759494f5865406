"""`limin show`: a run or a checkpoint, for the eye."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import attrs

from limin.cli import arguments, console, statuses, stored_runs
from limin.files.new_file import new_file
from limin.files.run_summary import summarize
from limin.files.stored_lines import ids_of
from limin.values.display import rendering
from limin.values.warnings import WarningCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from limin.files.stored_lines import StoredLine
    from limin.files.stored_run import StoredRun
    from limin.values.run_records import RunRecord

DESCRIPTION = """\
Show a run: first what it came to, and then each line in the order of the input, with the
fields of its input, its answer in the colors of its probabilities if they are known, and
what was odd. Of each input line the newest line counts. A run that is still writing is
shown as far as it got.
"""
EXAMPLES = """\
  limin show answers.jsonl | less -R                 FORCE_COLOR=1 keeps the colors
  limin show answers.jsonl --failed                  what has no answer, and why
  limin show answers.jsonl --where 17 --lowest 6     the least probable tokens of a line
  limin show answers.jsonl --warning served-model-changed
  limin show checkpoint.jsonl --html answers.html    a page
"""

_CODES = tuple(code.value for code in WarningCode)
_WIDTH = (80, 24)


@attrs.frozen(kw_only=True)
class Selection:
    """Which lines are shown.

    Attributes:
        failed: Whether only failures are.
        with_warnings: Codes of warnings, one of which a line must have, if there are any.
        without_warnings: Codes of warnings that a line must not have.
    """

    failed: bool
    with_warnings: frozenset[str]
    without_warnings: frozenset[str]

    def has(self, record: RunRecord) -> bool:
        """Return whether *record* is shown."""
        codes = set(record.warnings)
        return (
            (record.failed or not self.failed)
            and (not self.with_warnings or bool(self.with_warnings & codes))
            and not self.without_warnings & codes
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to *parser*."""
    stored_runs.add_arguments(parser)
    parser.add_argument("--failed", action="store_true", help="show failures alone")
    parser.add_argument(
        "--where",
        metavar="ID",
        help="show the line whose custom_id or id is ID, or else whose number is",
    )
    _add_warnings(parser, "--warning", "show only lines that have this warning")
    _add_warnings(parser, "--without-warning", "leave out lines that have this warning")
    parser.add_argument(
        "--lowest",
        type=arguments.positive,
        metavar="N",
        help="list the N least probable tokens of each answer",
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write a page that needs nothing else; - for stdout"
    )


def _add_warnings(parser: argparse.ArgumentParser, flag: str, purpose: str) -> None:
    parser.add_argument(
        flag,
        action="append",
        default=[],
        choices=_CODES,
        metavar="CODE",
        help=f"{purpose}; again for more",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command with the parsed *options*, and return its exit status.

    Raises:
        LiminError: If the run cannot be read, or the page cannot be written.
        BrokenPipeError: If nobody reads it any more.
    """
    with stored_runs.open_run(options.source) as source:
        shown = _Shown(source, options)
        if options.html is None:
            _show(source, shown, options.lowest)
        else:
            _write_page(source, shown, options)
    if not shown.number and (options.where is not None or options.warning):
        console.note("no line is as asked for")
        return statuses.FAILED
    return statuses.ANSWERED


class _Shown:
    """The lines that are shown, as they are iterated.

    Attributes:
        number: Number of lines so far.
        needs_summary: Whether what the run came to is shown, and not only named lines.
    """

    def __init__(self, source: StoredRun, options: argparse.Namespace) -> None:
        self.number, self.needs_summary = 0, options.where is None
        self._source, self._where = source, options.where
        self._selection = Selection(
            failed=options.failed,
            with_warnings=frozenset(options.warning),
            without_warnings=frozenset(options.without_warning),
        )

    def __iter__(self) -> Iterator[RunRecord]:
        for line in self._lines():
            record = line.record()
            if self._selection.has(record):
                self.number += 1
                yield record

    def _lines(self) -> Iterator[StoredLine]:
        """Yield all lines, or those that are named: by an id, or else by the number."""
        if self._where is None:
            yield from self._source.lines()
            return
        has_id = False
        for line in self._source.lines():
            if self._where in ids_of(line):
                has_id = True
                yield line
        if not has_id:
            lines = self._source.lines()
            yield from (line for line in lines if str(line.number) == self._where)


def _show(source: StoredRun, shown: _Shown, lowest: int | None) -> None:
    """Write the summary of *source*, and the lines that are *shown*, to stdout."""
    width = shutil.get_terminal_size(_WIDTH).columns
    if shown.needs_summary:
        summary = summarize(line.record() for line in source.lines())
        text = rendering().to_string(summary, width=width, color=None)
        console.write_styled(f"{text}\n\n")
    for record in shown:
        text = rendering().record_string(record, lowest=lowest, width=width, color=None)
        console.write_styled(f"{text}\n\n")


def _write_page(source: StoredRun, shown: _Shown, options: argparse.Namespace) -> None:
    """Write a page of what `_show` would write."""
    path = options.html
    with new_file(path, options.source, overwrites=options.overwrite) as file:
        summary = summarize(line.record() for line in source.lines())
        parts = rendering().run_page(
            summary, shown, title=f"Run {options.source}", lowest=options.lowest
        )
        for part in parts:
            file.write(part.encode(errors="replace"))
