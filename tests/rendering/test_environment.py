"""Colours on a terminal, in a pipe, and by the user's environment variables."""

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console
from samples import SAMPLES, completion, conversation, log_probs

from limin import ConfigurationError

COLOR_VARIABLES = ["NO_COLOR", "FORCE_COLOR", "TERM"]


class Screen(io.StringIO):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in COLOR_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")


def strings(*, color: bool | None) -> list[str]:
    """Return every string that limin makes for a terminal."""
    answer = completion()
    return [
        conversation().to_pretty_string(color=color),
        answer.to_pretty_string(color=color),
        answer.to_pretty_log_probs_string(color=color),
        log_probs().to_pretty_string(color=color),
    ]


@pytest.mark.parametrize(
    ("environment", "terminal", "colored"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": "0"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": ""}, False, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_color_is_as_the_user_wishes(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    *,
    terminal: bool,
    colored: bool,
) -> None:
    """NO_COLOR goes before FORCE_COLOR, and both go before the kind of stdout."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Screen() if terminal else io.StringIO())
    assert strings(color=None) == strings(color=colored)


# In a process of its own: rich caches the codes of a style for the first terminal.
PROGRAM = """
import io, sys
from limin.values.log_probs import LogProbs, Position
sys.stdout.isatty = lambda: True
log_probs = LogProbs(lambda: ([Position("x", -0.5)], ()))
print(ascii(log_probs.to_pretty_string(color=None)))
"""


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "38;2;"),
        ({"TERM": "xterm-256color"}, "38;5;"),
        ({"TERM": "linux"}, "33m"),
    ],
)
def test_terminal_gets_the_colors_that_it_has(
    environment: dict[str, str], code: str
) -> None:
    """The colours have the codes that `rich.print` would use."""
    done = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-c", PROGRAM],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        check=True,
        text=True,
    )
    assert code in done.stdout


def test_no_stdout_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program without a console gets strings without colours."""
    monkeypatch.setattr(sys, "stdout", None)
    assert strings(color=None) == strings(color=False)


def test_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """True always gives colours, and False never does."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert all("\x1b[" in text for text in strings(color=True))
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert all("\x1b" not in text for text in strings(color=False))


@pytest.mark.parametrize("width", [40, 200])
@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}, {"NO_COLOR": "1"}])
@pytest.mark.parametrize("name", SAMPLES)
def test_pipe_gets_no_escape(name: str, environment: dict[str, str], width: int) -> None:
    """In a file `rich.print` writes plain text, no wider than its console."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_jupyter=False, _environ=environment)
    console.print(SAMPLES[name]())
    text = file.getvalue()
    assert "\x1b" not in text
    assert all(len(line.rstrip()) <= width for line in text.splitlines())


def test_no_column_is_too_narrow() -> None:
    """A width of 0 is refused; a width of 1 works."""
    with pytest.raises(ConfigurationError) as caught:
        conversation().to_pretty_string(width=0)
    assert str(caught.value) == "width: expected at least 1, found 0"
    assert conversation().to_pretty_string(width=1)
