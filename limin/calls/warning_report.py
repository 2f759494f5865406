"""Reports of the warnings about a completion, at the line of the program that asked."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

import msgspec

from limin.errors import AnswerWarningError
from limin.values.warnings import LiminWarning

if TYPE_CHECKING:
    from types import FrameType

    from limin.values.completion import TextCompletion
    from limin.values.options import OnWarning
    from limin.values.warnings import ResponseWarning

# Packages whose frames stand between a program and limin's tasks.
_INSIDE = frozenset(
    {"limin", "anyio", "asyncio", "trio", "outcome", "contextlib", "sniffio"}
    | {"uvloop", "winloop", "nest_asyncio", "IPython", "ipykernel", "tornado"}
)


class SourceLine(msgspec.Struct, frozen=True):
    """A line of a program.

    Attributes:
        file: Name of the file.
        number: Number of the line, from 1.
        module: Name of the module.
    """

    file: str
    number: int
    module: str


def find_caller() -> SourceLine:
    """Return the line that called limin.

    A task of limin's own has no frame of the program above it, so this is called
    before tasks are started. `skip_file_prefixes` of `warnings.warn` needs Python 3.12.
    """
    # `inspect.currentframe` calls it too, and may return None.
    frame = sys._getframe(1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and _module(frame).split(".")[0] in _INSIDE:
        frame = frame.f_back
    return SourceLine(frame.f_code.co_filename, frame.f_lineno, _module(frame))


def find_line(error: BaseException) -> SourceLine:
    """Return the line that raised *error*."""
    line, traceback = find_caller(), error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        line = SourceLine(frame.f_code.co_filename, traceback.tb_lineno, _module(frame))
        traceback = traceback.tb_next
    return line


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "<unknown>"))


def report_warnings(
    completion: TextCompletion[object],
    on_warning: OnWarning,
    caller: SourceLine | None,
    only: tuple[ResponseWarning, ...] | None = None,
) -> None:
    """Report the warnings about *completion* as *on_warning* says.

    Args:
        completion: The completion.
        on_warning: Whether they are ignored, issued or raised.
        caller: The line that asked for the completion; None to take the nearest line
            above this call that is neither limin's nor an event loop's.
        only: The warnings to report; by default all.

    Raises:
        AnswerWarningError: If there are warnings, and these are to be raised.
    """
    if on_warning == "ignore":  # Reading the warnings would decode log probabilities.
        return
    problems = completion.warnings if only is None else only
    if not problems:
        return
    if on_warning == "raise":
        raise AnswerWarningError(problems, completion)
    line = caller or find_caller()
    try:
        for problem in problems:
            # Without a registry of the module, Python forgets which it has shown: each
            # answer has warnings of its own.
            warnings.warn_explicit(
                str(problem), LiminWarning, line.file, line.number, line.module, registry={}
            )
    except LiminWarning as error:  # Warnings are errors here: no answer is lost.
        raise AnswerWarningError(problems, completion) from error
