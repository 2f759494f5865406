"""`limin convert`: a run in the order of its input, in the format that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.cli import console, statuses, stored_runs
from limin.errors import ConfigurationError
from limin.files.new_file import new_file
from limin.files.run_file import STANDARD_OUTPUT
from limin.files.run_tables import write_csv, write_parquet

if TYPE_CHECKING:
    import argparse

    from limin.files.new_file import Writable
    from limin.files.stored_run import StoredRun

DESCRIPTION = """\
Write a run in the order of its input. Of each input line the newest line counts, so a
failure that --resume asked for again is there once. CSV and parquet have a column for each
field, but no log probabilities; texts stand there as they are. A run that is not finished
is written as far as it got.
"""
EXAMPLES = """\
  limin convert answers.jsonl --to csv -o answers.csv
  limin convert answers.jsonl --to jsonl | jq -r .answer
  limin convert answers.jsonl --to parquet -o answers.parquet --overwrite
  limin convert checkpoint.jsonl --to openai -o output.jsonl
"""

_FORMATS = ("openai", "csv", "parquet", "jsonl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to *parser*."""
    stored_runs.add_arguments(parser)
    parser.add_argument(
        "--to",
        required=True,
        choices=_FORMATS,
        help="what is written; openai: the output of OpenAI's Batch API",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        default=STANDARD_OUTPUT,
        help="the file that is written; - for stdout, as by default",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command with the parsed *options*, and return its exit status.

    Raises:
        LiminError: If the run cannot be read, or the output cannot be written.
        BrokenPipeError: If nobody reads it any more.
    """
    to_terminal = options.output == STANDARD_OUTPUT and console.is_terminal()
    if options.to == "parquet" and to_terminal:
        problem = "parquet is not for a terminal: expected -o with a file, found none"
        raise ConfigurationError(problem)
    with (
        stored_runs.open_run(options.source) as source,
        new_file(options.output, options.source, overwrites=options.overwrite) as file,
    ):
        _write(source, options.to, file)
    return statuses.ANSWERED


def _write(source: StoredRun, form: str, file: Writable) -> None:
    if form == "csv":
        write_csv(source.lines, file)
    elif form == "parquet":
        write_parquet(source.lines, file)
    else:
        for line in source.lines():
            data = line.to_json() if form == "jsonl" else line.to_batch_output()
            file.write(data + b"\n")
