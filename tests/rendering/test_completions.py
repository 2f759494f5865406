"""Completions on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
from samples import choices, completion, log_probs, position

from limin.values.choice import Choice
from limin.values.log_probs import LogProbs, Position
from limin.values.timing import Timing
from limin.values.usage import Usage

if TYPE_CHECKING:
    from limin.values.display import Palette


def show(*choice: Choice, width: int = 80, color: bool = False, **fields: object) -> str:
    """Return a completion of *choices*, as a terminal without colours shows it."""
    bare: dict[str, object] = {
        "body_warnings": (),
        "usage": None,
        "served_model": None,
        "timing": make_timing(1),
    }
    answer = attrs.evolve(completion(), choices=choice, **(bare | fields))
    return answer.to_pretty_string(width=width, color=color)


def make_timing(seconds: float) -> Timing:
    """Return a timing of *seconds* without facts about attempts."""
    return Timing(start_time=0.0, end_time=seconds, duration=seconds)


def is_colored(answer: str, *positions: Position) -> bool:
    """Return whether *answer* is shown in the colours of *positions*."""
    choice = Choice(message=answer, log_probs=LogProbs(lambda: (positions, ())))
    return "\x1b[38;2;" in show(choice, color=True)


def test_unknown_facts_are_left_out() -> None:
    """A fact that is None is shown neither as zero nor as a question mark."""
    assert show(Choice(message="Paris.")) == "Paris.\ngpt-4o · 1.00 s"


@pytest.mark.parametrize(
    ("tokens", "seconds", "facts"),
    [
        (31, 0.5, "31 tokens · 0.50 s · 62 tokens/s"),
        (1, 2.0, "1 token · 2.00 s · 0.5 tokens/s"),
        (31, 0.0, "31 tokens · 0.00 s"),
        (0, 2.0, "0 tokens · 2.00 s"),
        (None, 2.0, "2.00 s"),
    ],
)
def test_footer_has_tokens_and_time(tokens: int | None, seconds: float, facts: str) -> None:
    """The speed is shown if both are known."""
    choice = Choice(message="x", finish_reason="stop")
    usage = Usage(completion_tokens=tokens)
    text = show(choice, usage=usage, timing=make_timing(seconds), served_model="m-1")
    assert text == f"x\nm-1 · stop · {facts}"


def test_footer_has_the_time_to_the_first_token_of_a_stream() -> None:
    """Only a stream has the time to the first token."""
    streamed = attrs.evolve(make_timing(2.0), time_to_first_token=0.25)
    text = show(Choice(message="x"), timing=streamed)
    assert text == "x\ngpt-4o · 2.00 s · first token 0.25 s"
    fast = attrs.evolve(streamed, tokens_per_second=118.4)
    assert show(Choice(message="x"), timing=fast).endswith("0.25 s · 118 tokens/s")


@pytest.mark.parametrize(
    ("reasoning", "lines"),
    [
        ("one", ["│ one"]),
        ("one\ntwo\n", ["│ one", "│ two"]),
        ("one\ntwo\nthree", ["│ one", "│ two", "│ … 1 more line"]),
        ("one two three four five", ["│ one two three", "│ four five"]),
        ("1\n2\n3\n4", ["│ 1", "│ 2", "│ … 2 more lines"]),
    ],
)
def test_reasoning_is_folded(reasoning: str, lines: list[str]) -> None:
    """Its first two lines are shown, and the number of the others."""
    text = show(Choice(message="Yes.", reasoning=reasoning), width=17)
    footer = ["gpt-4o · 1.00 s"]
    assert [line.rstrip() for line in text.split("\n")] == [*lines, "", "Yes.", *footer]


def test_blank_reasoning_is_not_shown() -> None:
    """Reasoning of white space is not shown."""
    assert show(Choice(message="Yes.", reasoning=" \n")).startswith("Yes.\n")


def test_refusal_is_marked() -> None:
    """A refusal does not look like an answer."""
    assert show(Choice(refusal="I cannot.")).startswith("refused: I cannot.\n")


def test_choices_stand_under_rules() -> None:
    """Each choice has its own finish reason, which the footer leaves out."""
    assert choices().to_pretty_string(width=22, color=False).split("\n") == [
        "choice 0 · stop ──────",
        "Paris.",
        "choice 1 · length ────",
        "The capital of France ",
        "is",
        "choice 2 · stop ──────",
        "refused: I cannot help",
        "with that.",
        "llama-3 · 2.25 s",
    ]


def test_answer_has_the_colors_of_its_tokens() -> None:
    """Reasoning before the answer and an end token after it are not part of it."""
    answer = [position(" Par", 0.9), position("is", 0.4)]
    assert is_colored(" Paris", *answer)
    reasoning, end = position("Hm: Paris?", 0.9), position("<|end|>", 0.9)
    assert is_colored(" Paris", reasoning, *answer, end)


def test_stripped_answer_has_the_colors_of_its_tokens() -> None:
    """A token still belongs to the answer if the server has stripped its white space."""
    tokens = [position(" Par", 1.0), position("is \n", 1e-9)]
    choice = Choice(message="Paris", log_probs=LogProbs(lambda: (tokens, ())))
    assert show(choice, color=True).startswith(
        "\x1b[38;2;0;136;56mPar\x1b[0m\x1b[38;2;224;45;45mis\x1b[0m\n"
    )


def test_tokens_of_another_text_color_nothing() -> None:
    """An answer is shown unchanged if its tokens do not spell it."""
    assert not is_colored("Paris", position("London", 0.9))
    assert not is_colored("\ud83e", Position("\ud83e", -0.1))
    assert not is_colored("Paris")


@pytest.mark.parametrize("palette", ["red-green", "viridis"])
def test_only_log_probs(palette: Palette) -> None:
    """A completion's string is the string of its log probabilities."""
    answer = completion()
    assert answer.to_pretty_log_probs_string(
        show_probabilities=True, palette=palette, width=30
    ) == log_probs().to_pretty_string(show_probabilities=True, palette=palette, width=30)
    bare = attrs.evolve(answer, choices=(Choice(),))
    assert bare.to_pretty_log_probs_string() == "No token log probabilities available."
