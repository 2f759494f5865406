"""Which tokens spell an answer, and how probable they are together."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.rendering.spelling import find_span, joint_prob
from limin.values.log_probs import LogProbs, Position
from limin.values.tokens import TokenLogProb


def find_in(message: str, *tokens: str) -> tuple[int, int] | None:
    """Return where *message* stands in the text of *tokens*."""
    positions = [Position(token, -0.5) for token in tokens]
    return find_span(message, LogProbs(lambda: (positions, ())).pieces())


@pytest.mark.parametrize(
    ("message", "tokens", "start"),
    [
        ("four", ("four",), 0),
        ("four", ("fo", "ur", "<|end|>"), 0),
        ("four", (" four ", "<|end|>"), 1),
        ("4", ("<think>", " 4", "</think>", " 4", "<|end_4|>"), 18),
        ("4", ("<think>", " 4", "</think>", "<|4|>"), 8),
        ("e", ("e", "<|end|>"), 0),
        ("b", ("abc",), 1),
        ("five", ("four",), None),
        ("", ("four",), None),
        ("four", (), None),
    ],
)
def test_answer_begins_and_ends_where_tokens_do(
    message: str, tokens: tuple[str, ...], start: int | None
) -> None:
    """The last span between tokens counts, or else the last occurrence."""
    expected = None if start is None else (start, start + len(message))
    assert find_in(message, *tokens) == expected


def test_not_every_occurrence_is_tried() -> None:
    """A text of one letter does not take forever."""
    assert find_in("a" * 30_000, "b" + "a" * 50_000 + "b") == (20_001, 50_001)


@given(st.lists(st.text(min_size=1), min_size=1), st.data())
def test_any_run_of_tokens_is_found(tokens: list[str], data: st.DataObject) -> None:
    """The text of neighbouring tokens is always found."""
    first = data.draw(st.integers(0, len(tokens) - 1))
    last = data.draw(st.integers(first, len(tokens) - 1))
    message = "".join(tokens[first : last + 1]).encode("utf-8", "replace").decode()
    span = find_in(message, *tokens)
    assert span is not None
    start, end = span
    assert end - start == len(message)


def test_joint_probability() -> None:
    """The joint probability is the product; None if one is unknown or no number."""
    tokens = [TokenLogProb("a", -1.0), TokenLogProb("b", -2.0)]
    assert joint_prob(tokens) == pytest.approx(math.exp(-3))
    assert joint_prob([*tokens, TokenLogProb("c", None)]) is None
    assert joint_prob([*tokens, TokenLogProb("c", math.nan)]) is None
    assert joint_prob([TokenLogProb("a", 0.1)]) == 1.0


@pytest.mark.timed
def test_answer_that_nearly_occurs_at_every_token() -> None:
    """Searching takes time in proportion to the text."""
    size = 50_000
    message = "ab" + "a" * size
    before = time.process_time()
    assert find_in(message, *["a"] * 10_000, "a" * (2 * size - 10_000)) is None
    assert find_in("a" * size, *["a"] * size, "b", *["a"] * (size - 1)) == (0, size)
    assert time.process_time() - before < 10


def test_many_short_tries() -> None:
    """A short answer is found behind many pieces that nearly are it."""
    assert find_in("4", "x4", " 4", *["44x"] * 500) == (3, 4)
