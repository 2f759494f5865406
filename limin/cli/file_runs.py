"""Commands that answer a file: their arguments, and the way from the input to the output.

What is sent for a line, and how its answer is read, is each command's own.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeAlias

import anyio

from limin.cli import arguments, console, statuses
from limin.cli.dry_run import show_plan
from limin.cli.running import Run, RunClient, RunSettings
from limin.errors import CheckpointError, ConfigurationError
from limin.files.inputs import Input
from limin.files.plan import Plan, Shard, WrongInputError
from limin.files.run_file import (
    STANDARD_OUTPUT,
    RunFile,
    check_output,
    is_stream,
    open_stream,
    read_answered,
)
from limin.files.run_lines import PREFIX
from limin.files.stored_run import read_served_models
from limin.files.templates import Template, WrongFieldsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from limin.cli.running import Start
    from limin.files.plan import QuestionReader
    from limin.files.run_file import Output
    from limin.files.run_lines import Shape

    # Returns what reads the lines of an input with a template, and the output's shape.
    Prepare: TypeAlias = Callable[[Input, Template | None], tuple[QuestionReader, Shape]]


def add_arguments(parser: argparse.ArgumentParser, formats: Sequence[str]) -> None:
    """Add the arguments of a run over a file to *parser*; *formats* may be given."""
    _add_files(parser, formats)
    parser.add_argument(
        "-n", type=_parallel, default=32, help="requests at once, or `auto`; 32 by default"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with OUT, and ask failures again"
    )
    parser.add_argument(
        "--shard", type=Shard.parse, metavar="I/N", help="answer part I of N, from 1"
    )
    parser.add_argument(
        "--on-error",
        choices=("keep", "stop"),
        default="keep",
        help="go on after a failure, or send nothing more; a wrong key always stops",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show the first request, and send nothing"
    )
    _add_limits(parser)
    arguments.add_endpoint(parser)


def _add_files(parser: argparse.ArgumentParser, formats: Sequence[str]) -> None:
    """Add the arguments about the input and the output."""
    parser.add_argument("input", metavar="IN", help="the file of prompts; - for stdin")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        default=STANDARD_OUTPUT,
        help="the file of answers; - for stdout, as by default",
    )
    parser.add_argument(
        "--format",
        choices=("auto", *formats),
        default="auto",
        help="what IN is; by default the first lines tell",
    )
    parser.add_argument(
        "--template",
        metavar="TEXT",
        help="the prompt, with {column} for a field of the line",
    )
    parser.add_argument(
        "--prefix",
        default="",
        help="what stands before the names of the output's own fields",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    group.add_argument("--rpm", type=float, metavar="N", help="requests a minute at most")
    group.add_argument("--tpm", type=float, metavar="N", help="tokens a minute at most")
    group.add_argument(
        "--max-total-tokens",
        type=arguments.positive,
        metavar="N",
        help="send nothing more once the answers have used them",
    )


def answer_file(options: argparse.Namespace, prepare: Prepare, start: Start) -> int:
    """Answer the file that *options* name, and return the exit status.

    Args:
        options: The arguments above, parsed.
        prepare: Returns what reads the lines of the input.
        start: Returns workers that ask the questions of the run.

    Raises:
        LiminError: If an argument is wrong; nothing was sent.
        BrokenPipeError: If nobody reads the answers any more.
        KeyboardInterrupt: After Ctrl-C, and a line about how to go on.
    """
    template = None if options.template is None else Template.parse(options.template)
    if PREFIX.fullmatch(options.prefix) is None:
        problem = "--prefix: expected letters, digits, _, . and -, at most 64"
        raise ConfigurationError(problem)
    resumes = check_output(options.output, resume=options.resume)
    with ExitStack() as stack:
        source = stack.enter_context(Input.open(options.input, options.format, template))
        if source.is_same_file(options.output):
            problem = "expected an output that is not the input"
            raise ConfigurationError(problem)
        plan = Plan(source, *prepare(source, template), options.shard or Shard())
        try:
            if options.dry_run:
                return _show(plan, options, resumes=resumes)
            client = _make_client(options)
            output = _open(plan, options, resumes=resumes)
        except WrongInputError as error:
            for problem in error.problems:
                console.note(problem)
            return statuses.USAGE
        except CheckpointError as error:
            console.note(str(error))
            return statuses.USAGE
        stack.callback(output.close)
        return _answer(plan, output, client, start, options)


def _make_client(options: argparse.Namespace) -> RunClient:
    """Return the client of a run, which sends nothing yet.

    Raises:
        ConfigurationError: If there is no key, for example; then there is no output yet.
    """
    rates = {"requests_per_minute": options.rpm, "tokens_per_minute": options.tpm}
    return RunClient(**arguments.client_options(options), **rates)


def _show(plan: Plan, options: argparse.Namespace, *, resumes: bool) -> int:
    answered = None
    if resumes:
        answered, _ = read_answered(options.output, plan.shape, options.prefix)
    plan.check(answered)
    show_plan(plan, options.base_url)
    return statuses.ANSWERED


def _open(plan: Plan, options: argparse.Namespace, *, resumes: bool) -> Output:
    """Check the input of *plan*, and return its output; a new one only if all is fine."""
    path = options.output
    if not resumes:
        plan.check(None)
    if path == STANDARD_OUTPUT or is_stream(path):
        return open_stream(path)
    output = RunFile.open(path, resume=options.resume)
    if resumes:
        try:
            answered = output.read(plan.shape, options.prefix)
            plan.check(answered)
            plan.served_models = read_served_models(path, answered.first_answers)
        except BaseException:
            output.close()
            raise
    return output


def _answer(
    plan: Plan,
    output: Output,
    client: RunClient,
    start: Start,
    options: argparse.Namespace,
) -> int:
    """Ask the questions of *plan*, and return the exit status."""
    settings = RunSettings(
        n_parallel=options.n,
        prefix=options.prefix,
        stops_on_error=options.on_error == "stop",
        max_total_tokens=options.max_total_tokens,
    )
    if plan.n_answered:
        console.note(f"{plan.n_answered} of {plan.n_lines} lines have an answer already")

    run = Run(plan, output, settings)

    async def ask() -> None:
        async with client:
            await run.ask(client, start)

    try:
        if len(run):
            anyio.run(ask)
    except KeyboardInterrupt:
        console.note(f"interrupted; {_way_on(options)}")
        raise
    except CheckpointError as error:  # The disk is full, for example.
        console.note(f"stopped early: {error}; {_way_on(options)}")
        console.settle_stdout()
        return statuses.STOPPED
    except WrongFieldsError:
        console.note(f"stopped early: the input has changed; {_way_on(options)}")
        return statuses.STOPPED
    if run.stopped_by is not None:
        console.note(f"stopped early: {run.stopped_by}; {_way_on(options)}")
        return statuses.STOPPED
    return statuses.FAILED if run.n_failed else statuses.ANSWERED


def _way_on(options: argparse.Namespace) -> str:
    """Return how to go on with the run."""
    if options.output == STANDARD_OUTPUT or is_stream(options.output):
        return "what was written is all that there is"
    return f"all answers are in {options.output}; the same command with --resume goes on"


def _parallel(text: str) -> int | str:
    return text if text == "auto" else arguments.positive(text)
