"""Text from outside is seen on the terminal, and never obeyed."""

from __future__ import annotations

import io
import json
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
from limin.values.choice import Choice
from limin.values.conversation import Conversation
from limin.values.decisions import Decision
from limin.values.log_probs import Entry, LogProbs, Position
from limin.values.messages import Message
from limin.values.timing import Attempt
from limin.values.tool_runs import ToolResult, ToolRun
from limin.values.tools import ToolCall
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    import pytest
    from rich.console import RenderableType

    from limin.values.completion import TextCompletion

COLOR = re.compile(r"\x1b\[[0-9;]*m")
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


def to_utf8(text: str) -> bytes:
    """Return the bytes of *text*, with `?` for half a surrogate pair."""
    return text.encode("utf-8", "replace")


def make_completion(text: str, alternative: str) -> TextCompletion:
    """Return a completion with one of the texts in every field."""
    alternatives = [
        Entry(alternative, -1.0),
        Entry(text, None, [*to_utf8(text)]),
    ]
    positions = (
        Position(text, -0.5, None, None, alternatives),
        *(Position("", -0.1, [byte], None, alternatives) for byte in to_utf8(alternative)),
        Position(alternative, None),
    )
    log_probs = LogProbs(lambda: (positions, ()))
    warning = ResponseWarning(WarningCode.BODY_MENDED, text, alternative, count=2)
    plain = Choice(
        message=text,
        finish_reason=alternative,
        refusal=text,
        reasoning=alternative,
        tool_calls=(ToolCall(text, alternative, text), ToolCall("", text, alternative)),
    )
    colored = attrs.evolve(plain, message=log_probs.text(), log_probs=log_probs, index=1)
    return attrs.evolve(
        completion(),
        model=text,
        served_model=alternative,
        choices=(colored, plain, make_json_choice(text, alternative)),
        body_warnings=(warning,),
        id=text,
        request_id=text,
    )


def make_json_choice(text: str, other: str) -> Choice:
    """Return an answer of JSON with one of the texts wherever text can stand."""
    value = {text: other, other: [text, {"a": text, "": None}]}
    # DEL and what is above it is not escaped.
    message = json.dumps(value, ensure_ascii=False, indent=1)
    positions = tuple(Position(part, -0.5) for part in re.findall(r"\W|\w+", message))
    return Choice(message=message, log_probs=LogProbs(lambda: (positions, ())), index=2)


def make_decision(text: str, other: str) -> Decision[str]:
    """Return a decision about labels that are, begin with, and end with the texts."""
    low = dict.fromkeys((text, f"{other}x", f"x{text}"), 0.25)
    return Decision(
        low=low,
        high=dict.fromkeys(low, 0.5),
        unfinished=0.0,
        ambiguous=0.0,
        unlisted=0.25,
        other=0.0,
        warnings=(ResponseWarning(WarningCode.LABEL_MASS_LOW, text, other),),
    )


def make_errors(text: str, answer: TextCompletion) -> list[LiminError]:
    """Return errors with *text* in every field."""
    status = StatusError(500, text, text, text, text, text, to_utf8(text))
    status.attempts = (Attempt(start_time=0.0, duration=1.0, error=TransportError(text)),)
    kind = make_error_type(text)
    return [
        status,
        kind(text),
        ResponseError(text, text, text, 200, text),
        AnswerWarningError(answer.body_warnings * 2, answer),
        NotSentError(text),
        StreamError(text, answer, status),
        CheckpointError(text, text),
        BatchError([answer, status, kind(text)], NotSentError(text)),
    ]


def make_conversation(text: str, other: str) -> Conversation:
    """Return a conversation with one of the texts wherever text can stand."""
    calls = (
        ToolCall(text, other, text),
        ToolCall(other, text, json.dumps({text: other, other: [text]}, ensure_ascii=False)),
        {"id": text, "type": other, other: {"name": text, "input": other}},
        {text: other},
    )
    extra = {"refusal": text, "function_call": {"name": other, "arguments": text}}
    parts = [text, {"type": other}, {"type": "refusal", "refusal": other}, {text: other}]
    return Conversation(
        [
            Message("system", text, name=other),
            Message("user", parts, name=text),
            Message("assistant", other, tool_calls=calls, extra=extra, name=text),
            Message("tool", parts, tool_call_id=text),
            Message("tool", other, tool_call_id=other, name=text),
            Message("function", other, name=text),
        ]
    )


def make_run(text: str, other: str) -> ToolRun:
    """Return a run with one of the texts wherever text can stand."""
    conversation = make_conversation(text, other)
    message = conversation.messages[-1]
    calls = [
        ToolResult(call=ToolCall(text, other, text), message=message, error=error)
        for error in (None, make_error_type(text)(other))
    ]
    answer = make_completion(text, other)
    return ToolRun(
        conversation=conversation,
        completions=(answer,),
        calls=tuple(calls),
        ended_by="answer",
    )


def make_error_type(name: str) -> type[LiminError]:
    """Return a class of this *name*, as far as one may have it."""
    name = name.replace("\0", "").encode("utf-8", "replace").decode()
    return type(name, (LiminError,), {})


def make_console(*, color: bool) -> Console:
    """Return the console of a terminal with all colours, or of a pipe."""
    return Console(
        file=io.StringIO(),
        width=40,
        force_terminal=color,
        color_system="truecolor" if color else None,
        force_jupyter=False,
        _environ={},
    )


def print_to_string(value: RenderableType, *, color: bool) -> str:
    """Return the output of `rich.print`."""
    screen = make_console(color=color)
    screen.print(value)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def assert_harmless(text: str, *, color: bool = True) -> None:
    """Check that a terminal obeys nothing in *text* but colours and line breaks."""
    assert ACTING.search(COLOR.sub("", text) if color else text) is None


@settings(max_examples=10)  # each renders everything twice
@given(text=HOSTILE, alternative=HOSTILE)
@example(text="".join(ATTACKS), alternative="".join(ATTACKS))
@example(text="\u0301\x1b[31m", alternative="\x9b")
def test_nothing_from_outside_acts(text: str, alternative: str) -> None:
    """The terminal obeys only limin, whatever text the fields hold."""
    answer = make_completion(text, alternative)
    conversation, run = make_conversation(text, alternative), make_run(text, alternative)
    assert answer.log_probs is not None
    for color in (True, False):
        for value in (
            conversation,
            *conversation.messages,
            run,
            answer,
            answer.log_probs,
            answer.log_probs.to_table(),
            answer.log_probs.to_table(lowest=2, palette="viridis"),
            make_decision(text, alternative),
            *make_errors(text, answer),
        ):
            assert_harmless(print_to_string(value, color=color), color=color)
        for output in (
            conversation.to_pretty_string(width=20, color=color),
            run.to_pretty_string(width=20, color=color),
            answer.to_pretty_string(width=20, color=color),
            make_decision(text, alternative).to_pretty_string(width=20, color=color),
            answer.to_pretty_log_probs_string(color=color),
            answer.to_pretty_log_probs_string(
                show_probabilities=True, color=color, palette="viridis", width=20
            ),
        ):
            assert_harmless(output, color=color)


@given(text=HOSTILE, other=HOSTILE)
@example(text="".join(ATTACKS), other="[red]x")
def test_no_markdown_acts(text: str, other: str) -> None:
    """Markdown is harmless on a terminal as well; a tab may stay."""
    shown = make_conversation(text, other).to_markdown().replace("\t", " ")
    assert_harmless(shown, color=False)


@given(text=HOSTILE)
@example(text="".join(ATTACKS))
def test_no_message_acts(text: str) -> None:
    """Text for `print` and for a traceback is harmless too; a tab may stay."""
    answer = make_completion(text, text)
    for value in (*make_errors(text, answer), *answer.body_warnings):
        assert_harmless(str(value).replace("\t", " "), color=False)


@given(text=HOSTILE)
@example(text="".join(ATTACKS))
def test_no_progress_acts(text: str) -> None:
    """The progress bar and the line that replaces it are harmless."""
    answer = make_completion(text, text)
    for color in (True, False):
        screen = make_console(color=color)
        screen.width = 80
        with BatchProgress(9, screen, lambda: 0.0) as progress:
            for result in (answer, *make_errors(text, answer)):
                progress.finished(0, result)
            details = progress._details()
        assert_harmless(print_to_string(details, color=color), color=color)
        assert isinstance(screen.file, io.StringIO)
        summary = screen.file.getvalue().rpartition("limin:")[2]
        assert_harmless(summary, color=False)


def test_rich_print_shows_values(capsys: pytest.CaptureFixture[str]) -> None:
    """`rich.print` shows a value without further arguments."""
    rich.print(Message("user", "[red]hello"), NotSentError("[red]no"))
    out = capsys.readouterr().out
    assert "[red]hello" in out
    assert "NotSentError: not sent: [red]no" in out


def test_impossible_probabilities_are_shown() -> None:
    """Impossible numbers are shown without an error."""
    values = [math.inf, -math.inf, 1e300, 0.0, -1e-320]
    positions = tuple(
        Position("x", value, None, None, [Entry("x", value)]) for value in values
    )
    log_probs = LogProbs(lambda: (positions, ()))
    for palette in ("red-green", "viridis"):
        assert "1.00" in print_to_string(log_probs.to_table(palette=palette), color=False)  # type: ignore[arg-type]  # a palette
