"""`limin decide`: which label each question of a file has, and how sure that is."""

from __future__ import annotations

import argparse
import csv
import re
from functools import partial
from typing import TYPE_CHECKING, cast

from limin.cli import arguments, file_runs
from limin.cli.running import RunClient
from limin.deciding import DecisionSetting
from limin.errors import ConfigurationError
from limin.files.decisions import DecisionReader
from limin.files.questions import PromptReader
from limin.files.results import ADDED_BY_DECISIONS

if TYPE_CHECKING:
    from limin.deciding import Labels
    from limin.files.inputs import Input
    from limin.files.plan import QuestionReader
    from limin.files.run_lines import Shape
    from limin.files.templates import Template
    from limin.values.options import DecisionOptions

DESCRIPTION = """\
Let a model choose a label for each question of a file, and read how sure that is from its
log probabilities. IN, OUT and --resume are those of `limin run`. Each line of OUT has all
fields of its input, the label, the bounds of the probability of each label, and the mean of
a scale. Labels that are texts are listed under letters behind the question.
"""
EXAMPLES = """\
  limin decide tweets.txt --labels positive,neutral,negative -o labels.jsonl
  limin decide tweets.txt --labels 'yes,"no, never"'    a label with a comma
  limin decide reviews.csv --scale 1-5 -o scores.jsonl --template 'How kind is this? {text}'
  limin decide in.jsonl --labels a,b -o out.jsonl --resume
  limin decide in.txt --labels a,b --orders 2           each label in each place
  limin decide in.txt --labels yes,no | jq -r .label
"""

_FORMATS = ("lines", "jsonl", "csv", "parquet")

_SCALE = re.compile(r"(-?\d{1,9})-(-?\d{1,9})")
_LONGEST_SCALE = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to *parser*."""
    labels = parser.add_mutually_exclusive_group(required=True)
    labels.add_argument(
        "--labels", type=_labels, metavar="A,B,...", help="texts, as one row of CSV"
    )
    labels.add_argument(
        "--scale", type=_scale, dest="labels", metavar="A-B", help="the numbers from A to B"
    )
    file_runs.add_arguments(parser, _FORMATS)
    _add_style(parser)
    arguments.add_sampling(parser, temperature="0")


def _add_style(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("decision")
    group.add_argument(
        "--by",
        choices=("letter", "text"),
        default="letter",
        help="list the labels under letters, by default, or add nothing to the question",
    )
    group.add_argument(
        "--orders",
        type=arguments.positive,
        default=1,
        metavar="K",
        help="orders of the labels to ask in, one request each; 1 by default",
    )
    group.add_argument("--prefill", metavar="TEXT", help="the beginning of each answer")
    group.add_argument(
        "--continue-prefill",
        action="store_true",
        help="ask vLLM or SGLang to continue it; llama.cpp does so by itself",
    )
    group.add_argument(
        "--no-fold",
        action="store_true",
        help="let case, and marks before the answer, make a difference",
    )
    group.add_argument(
        "--fallback",
        choices=("text",),
        help="let the text of an answer decide if it has no log probabilities",
    )
    group.add_argument(
        "--alternatives",
        type=int,
        default=20,
        metavar="N",
        help="alternatives to ask for; 20 by default, or as many as the server tells",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command with the parsed *options*, and return its exit status.

    Raises:
        LiminError: If an argument is wrong; nothing was sent.
        BrokenPipeError: If nobody reads the decisions any more.
        KeyboardInterrupt: After Ctrl-C, and a line about how to go on.
    """
    setting = DecisionSetting.of(_decision_options(options), options.labels)
    prepare = partial(_prepare, options, setting)
    start = partial(RunClient.start_decisions, setting=setting)
    return file_runs.answer_file(options, prepare, start)


def _decision_options(options: argparse.Namespace) -> DecisionOptions:
    named = {
        "by": options.by,
        "orders": options.orders,
        "prefill": options.prefill,
        "continue_prefill": options.continue_prefill,
        "fold": not options.no_fold,
        "fallback": options.fallback,
        "top_log_probs": options.alternatives,
        "max_total_tokens": options.max_total_tokens,
    }
    return cast("DecisionOptions", arguments.sampling_of(options) | named)


def _prepare(
    options: argparse.Namespace,
    setting: DecisionSetting,
    source: Input,
    template: Template | None,
) -> tuple[QuestionReader, Shape]:
    """Return what reads the lines of *source*, and the shape of the output's lines."""
    if source.format == "openai":
        problem = (
            "expected prompts, messages or a table, found lines of OpenAI's Batch API, "
            "which `limin run` answers"
        )
        raise ConfigurationError(problem)
    prompts = PromptReader(
        setting.configuration,
        template=template,
        system_prompt=options.system,
        added=frozenset(options.prefix + name for name in ADDED_BY_DECISIONS),
    )
    labels = cast("Labels", setting.labels)
    return DecisionReader(prompts, setting, labels), "fields"


def _labels(text: str) -> list[str]:
    """Return the labels in *text*, a row of CSV.

    Raises:
        ArgumentTypeError: If it is none.
    """
    try:
        row = next(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error:
        problem = "expected labels as one row of CSV"
        raise argparse.ArgumentTypeError(problem) from None
    return [label.strip() for label in row]


def _scale(text: str) -> range:
    """Return the numbers that *text* names, such as `1-5`.

    Raises:
        ArgumentTypeError: If it names none, or too many.
    """
    match = _SCALE.fullmatch(text)
    if match is not None:
        numbers = range(int(match[1]), int(match[2]) + 1)
        if 1 < len(numbers) <= _LONGEST_SCALE:
            return numbers
    problem = f"expected A-B with A below B, and at most {_LONGEST_SCALE} numbers"
    raise argparse.ArgumentTypeError(problem)
