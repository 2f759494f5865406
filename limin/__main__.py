"""The program limin: `limin`, or `python -m limin`."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from limin.cli import console, statuses
from limin.cli.commands import parse
from limin.errors import ConfigurationError, ConversationError, LiminError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the program's exit status; see `cli.statuses`.

    Raises:
        SystemExit: If the arguments are wrong, or ask for help.
    """
    console.write_every_character()
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # It is ending already.
        return statuses.INTERRUPTED
    except BrokenPipeError:
        console.give_up_stdout()
        return statuses.ANSWERED
    except (ConfigurationError, ConversationError) as error:
        console.note(str(error))
        return statuses.USAGE
    except LiminError as error:
        console.note_error(error)
        console.settle_stdout()
        return statuses.FAILED
    return status


if __name__ == "__main__":
    sys.exit(main())
