"""The program limin: `python -m limin`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from limin.cli import demo
from limin.errors import LiminError

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = {"demo": demo}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the program's exit status: 0, or 1 after an error."""
    parser = argparse.ArgumentParser(prog="python -m limin")
    commands = parser.add_subparsers(required=True)
    for name, command in _COMMANDS.items():
        subparser = commands.add_parser(
            name, help=command.SUMMARY, description=command.DESCRIPTION
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except LiminError as error:
        sys.stderr.write(f"limin: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
