"""The exit statuses of the program."""

from __future__ import annotations

from typing import Final

ANSWERED: Final = 0
FAILED: Final = 1  # Some prompts have no answer.
USAGE: Final = 2  # The arguments or the input are wrong; argparse has the same number.
STOPPED: Final = 3  # A key, a quota, the disk or the budget ended a run early.
INTERRUPTED: Final = 130  # 128 and the number of SIGINT, as shells report it.
