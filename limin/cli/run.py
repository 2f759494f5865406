"""`limin run`: a file of prompts, and a file of their answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from limin.cli import arguments, file_runs
from limin.cli.running import RunClient
from limin.errors import ConfigurationError
from limin.files.questions import BatchReader, PromptReader
from limin.files.results import ADDED

if TYPE_CHECKING:
    import argparse

    from limin.files.inputs import Input
    from limin.files.plan import QuestionReader
    from limin.files.run_lines import Shape
    from limin.files.templates import Template
    from limin.schemas.json_schema import JsonSchema

DESCRIPTION = """\
Answer a file of prompts: one on each line, JSON lines with `prompt` or `messages`, CSV or
parquet with a template, or the lines of OpenAI's Batch API, which are answered in the shape
of its output. All lines are checked before anything is sent. Each answer is written as soon
as it is there, in the order of finishing, with all fields of its line; so the output is the
checkpoint of the run, and --resume asks only what it has no answer to.
"""
EXAMPLES = """\
  limin run prompts.txt -o answers.jsonl            one prompt a line
  limin run prompts.txt -o answers.jsonl --resume   go on, and ask failures again
  limin run reviews.csv -o out.jsonl --template 'Is this kind? {text}'
  limin run batch.jsonl -o output.jsonl -n 64       lines of OpenAI's Batch API
  limin run in.jsonl -o out-3.jsonl --shard 3/16    every 16th line, from the third
  zcat prompts.gz | limin run - | jq -r .answer     from stdin to stdout
"""

_FORMATS = ("lines", "jsonl", "openai", "csv", "parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to *parser*."""
    file_runs.add_arguments(parser, _FORMATS)
    arguments.add_sampling(parser)
    parser.add_argument(
        "--log-probs",
        type=int,
        metavar="N",
        help="ask for log probabilities with N alternatives each",
    )
    parser.add_argument("--schema", metavar="FILE", help="JSON schema of each answer")


def run(options: argparse.Namespace) -> int:
    """Run the command with the parsed *options*, and return its exit status.

    Raises:
        LiminError: If an argument is wrong; nothing was sent.
        BrokenPipeError: If nobody reads the answers any more.
        KeyboardInterrupt: After Ctrl-C, and a line about how to go on.
    """
    schema = arguments.read_schema(options.schema)
    prepare = partial(_prepare, options, schema)
    start = partial(RunClient.start_answers, schema=schema)
    return file_runs.answer_file(options, prepare, start)


def _prepare(
    options: argparse.Namespace,
    schema: JsonSchema[object] | None,
    source: Input,
    template: Template | None,
) -> tuple[QuestionReader, Shape]:
    """Return what reads the lines of *source*, and the shape of the output's lines."""
    if source.format == "openai":
        given = arguments.given_sampling(options)
        if given:
            problem = f"expected no {', '.join(given)} for lines of OpenAI's Batch API, "
            raise ConfigurationError(problem + "which have their own parameters")
        return BatchReader(options.model, arguments.model_of(options)), "openai"
    configuration = arguments.configuration_of(options)
    added = frozenset(options.prefix + name for name in ADDED)
    prompts = PromptReader(
        configuration,
        schema,
        template=template,
        system_prompt=options.system,
        added=added,
    )
    return prompts, "fields"
