"""The commands of the program, and the parser of its arguments.

The module of a command is loaded when that command is given: each of them needs other
parts of limin.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

import limin
from limin.cli import environment
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "ask": "ask one question",
    "chat": "talk in the terminal",
    "run": "answer a file of prompts",
    "decide": "choose labels for a file of questions",
    "show": "look at a run or a checkpoint",
    "convert": "write a run as OpenAI's output, CSV, parquet or JSON lines",
    "models": "list the models of the endpoint",
    "demo": "see the main job on a model on this machine",
}

_DESCRIPTION = "Ask an OpenAI-compatible endpoint: OpenAI, vLLM, llama.cpp and others."
_VARIABLES = """\
variables:
  OPENAI_API_KEY   the key; no argument takes it, since all users see arguments
  OPENAI_BASE_URL  the endpoint, unless --base-url names one
  LIMIN_MODEL      the model, unless -m names one

exit status:
  0  everything is answered       2  wrong arguments or wrong input
  1  something was not answered   3  a run was stopped early
  130  interrupted; what was answered is kept

limin COMMAND --help describes a command, with examples.
"""


class Command(Protocol):
    """The module of a command.

    Attributes:
        DESCRIPTION: What it does.
        EXAMPLES: Command lines, each after its purpose.
    """

    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to *parser*."""

    def run(self, options: argparse.Namespace) -> int:
        """Run the command, and return the exit status."""
        ...


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are harmless on a terminal, whatever was given."""

    def error(self, message: str) -> NoReturn:
        """End the program with its usage and *message*."""
        super().error(escape_controls(message))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed *arguments*, with the function `run` of their command.

    Raises:
        SystemExit: If they are wrong, or ask for help or for the version.
    """
    parser = Parser(
        prog="limin",
        description=_DESCRIPTION,
        epilog=_VARIABLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = "--version" in arguments and limin.__version__  # It is slow to find.
    parser.add_argument("--version", action="version", version=f"limin {version}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    given = next((word for word in arguments if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == given or environment.is_completing():
            _describe(subparser, name)
    if environment.is_completing():  # pragma: no cover (it ends the process at once)
        import_module("argcomplete").autocomplete(parser)
    return parser.parse_args(arguments)


def _describe(parser: argparse.ArgumentParser, name: str) -> None:
    """Describe the command *name* in its *parser*, and add its arguments."""
    command = cast("Command", import_module(f"limin.cli.{name}"))
    parser.description = command.DESCRIPTION
    parser.epilog = f"examples:\n{command.EXAMPLES}"
    command.add_arguments(parser)
    parser.set_defaults(run=command.run)
