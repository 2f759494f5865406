"""Nothing that comes from outside reaches the terminal but to be seen."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING

import attrs
import rich
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from samples import completion

from limin.errors import (
    AnswerWarningError,
    BatchError,
    CheckpointError,
    LiminError,
    NotSentError,
    ResponseError,
    StatusError,
    StreamError,
    TransportError,
)
from limin.rendering.progress import BatchProgress
from limin.values.completion import Choice, TextCompletion
from limin.values.conversation import Conversation, Message
from limin.values.log_probs import Entry, LogProbs, Position
from limin.values.timing import Attempt
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    import pytest
    from rich.console import RenderableType

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ACTING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069]"
)
ATTACKS = [
    "\x1b[2J\x1b]0;title\x07\x1bP1$r\x1b\\",
    "\x9b2J\x9d0;title\x9c\x90q\x9c",
    "[bold]x[/bold][/b][link=http://x]:smile:[@click=f()]",
    "\u202e\u2066\u200b\u200d\u200f\ufeff\U000e0041",
    "\t\r\n\x0b\x0c\x85\u2028\x08\x7f",
    "\ud83e\ud83d \u0301\ufe0f👨\u200d👩\u200d👧 北京",
    "",
]
PIECES = st.one_of(
    st.characters(),
    st.characters(codec=None, categories=["Cs", "Cc", "Cf", "Mn", "Zl", "Zp", "Zs"]),
    st.sampled_from(ATTACKS),
)
HOSTILE = st.lists(PIECES, max_size=12).map("".join)


def utf8(text: str) -> bytes:
    """The bytes of *text*, with `?` for half a surrogate."""
    return text.encode("utf-8", "replace")


def completion_of(text: str, listed: str) -> TextCompletion:
    """A completion with *text* wherever a server may write, *listed* as bytes, too."""
    alternatives = [
        Entry(listed, -1.0),
        Entry(text, None, [*utf8(text)]),
    ]
    positions = (
        Position(text, -0.5, None, None, alternatives),
        *(Position("", -0.1, [byte], None, alternatives) for byte in utf8(listed)),
        Position(listed, None),
    )
    found = LogProbs(lambda: (positions, ()))
    warning = ResponseWarning(WarningCode.BODY_MENDED, text, listed, count=2)
    plain = Choice(message=text, finish_reason=listed, refusal=text, reasoning=listed)
    coloured = attrs.evolve(plain, message=found.text(), log_probs=found, index=1)
    return attrs.evolve(
        completion(),
        model=text,
        served_model=listed,
        choices=(coloured, plain),
        body_warnings=(warning,),
        id=text,
        request_id=text,
    )


def errors_of(text: str, answered: TextCompletion) -> list[LiminError]:
    """Errors with *text* wherever one may stand."""
    status = StatusError(500, text, text, text, text, text, utf8(text))
    status.attempts = (Attempt(start_time=0.0, duration=1.0, error=TransportError(text)),)
    kind = type(
        text.replace("\0", "").encode("utf-8", "replace").decode(), (LiminError,), {}
    )
    return [
        status,
        kind(text),
        ResponseError(text, text, text, 200, text),
        AnswerWarningError(answered.body_warnings * 2, answered),
        NotSentError(text),
        StreamError(text, answered, status),
        CheckpointError(text, text),
        BatchError([answered, status, kind(text)], NotSentError(text)),
    ]


def console(*, colour: bool) -> Console:
    """A terminal of every colour, or a pipe."""
    return Console(
        file=io.StringIO(),
        width=40,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
        force_jupyter=False,
        _environ={},
    )


def printed(value: RenderableType, *, colour: bool) -> str:
    """What `rich.print` writes."""
    screen = console(colour=colour)
    screen.print(value)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def assert_harmless(shown: str, *, colour: bool = True) -> None:
    """*shown* holds colours and lines, and nothing else that a terminal obeys."""
    assert ACTING.search(COLOUR.sub("", shown) if colour else shown) is None


@settings(max_examples=40)  # each shows everything twice
@given(text=HOSTILE, listed=HOSTILE)
@example(text="".join(ATTACKS), listed="".join(ATTACKS))
@example(text="\u0301\x1b[31m", listed="\x9b")
def test_nothing_from_outside_acts(text: str, listed: str) -> None:
    """Whatever is in whatever place, the terminal obeys limin alone."""
    answered = completion_of(text, listed)
    conversation = Conversation([Message("system", text), Message("user", listed)])
    assert answered.log_probs is not None
    for colour in (True, False):
        for value in (
            conversation,
            conversation.messages[0],
            answered,
            answered.log_probs,
            answered.log_probs.to_table(),
            answered.log_probs.to_table(lowest=2, palette="viridis"),
            *errors_of(text, answered),
        ):
            assert_harmless(printed(value, colour=colour), colour=colour)
        for shown in (
            conversation.to_pretty_string(width=20, color=colour),
            answered.to_pretty_string(width=20, color=colour),
            answered.to_pretty_log_probs_string(color=colour),
            answered.to_pretty_log_probs_string(
                show_probabilities=True, color=colour, palette="viridis", width=20
            ),
        ):
            assert_harmless(shown, colour=colour)


@given(text=HOSTILE)
@example(text="".join(ATTACKS))
def test_no_sentence_acts(text: str) -> None:
    """What `print` and a traceback show is harmless as well; a tab may stay."""
    answered = completion_of(text, text)
    for one in (*errors_of(text, answered), *answered.body_warnings):
        assert_harmless(str(one).replace("\t", " "), colour=False)


@given(text=HOSTILE)
@example(text="".join(ATTACKS))
def test_no_progress_acts(text: str) -> None:
    """Nor does the bar, or the line in its place."""
    answered = completion_of(text, text)
    for colour in (True, False):
        screen = console(colour=colour)
        screen.width = 80
        with BatchProgress(9, screen, lambda: 0.0) as progress:
            for result in (answered, *errors_of(text, answered)):
                progress.finished(0, result)
            details = progress._details()
        assert_harmless(printed(details, colour=colour), colour=colour)
        assert isinstance(screen.file, io.StringIO)
        summary = screen.file.getvalue().rpartition("limin:")[2]
        assert_harmless(summary, colour=False)


def test_rich_print_shows_values(capsys: pytest.CaptureFixture[str]) -> None:
    """`rich.print` needs no more than the value."""
    rich.print(Message("user", "[red]hello"), NotSentError("[red]no"))
    out = capsys.readouterr().out
    assert "[red]hello" in out
    assert "NotSentError: not sent: [red]no" in out


def test_probabilities_that_are_none_are_shown() -> None:
    """Numbers that no model gives make no picture fail."""
    odd = [math.inf, -math.inf, 1e300, 0.0, -1e-320]
    positions = tuple(Position("x", one, None, None, [Entry("x", one)]) for one in odd)
    found = LogProbs(lambda: (positions, ()))
    for palette in ("red-green", "viridis"):
        assert "1.00" in printed(found.to_table(palette=palette), colour=False)  # type: ignore[arg-type]  # a palette
