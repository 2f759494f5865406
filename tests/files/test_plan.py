"""What a run asks: checked lines, parts, and what is answered already."""

from __future__ import annotations

import argparse
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from limin import ModelConfiguration
from limin.files.input_lines import InputLine
from limin.files.inputs import Input
from limin.files.plan import Plan, Shard, WrongInputError
from limin.files.questions import PromptReader
from limin.files.run_file import Answered
from limin.files.run_lines import Mark
from limin.files.templates import WrongFieldsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READER = PromptReader(ModelConfiguration(model="m"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of an input."""
    return tmp_path / "in.jsonl"


def numbers(path: Path, shard: Shard) -> list[int]:
    """Return the lines that a part of the input has, which are counted, too."""
    with Input.open(str(path), "auto", None) as source:
        plan = Plan(source, READER, "fields", shard)
        plan.check(None)
        asked = [question.line.number for question in plan.questions()]
    assert plan.n_lines == len(asked)
    return asked


@pytest.mark.parametrize("count", [1, 2, 3, 7, 11])
def test_parts_cover_each_line_once(path: Path, count: int) -> None:
    """The parts together are the input, and blank lines belong to none."""
    path.write_text("\n".join('{"prompt":"a"}' if n % 4 else "" for n in range(1, 20)))
    parts = [numbers(path, Shard(index, count)) for index in range(1, count + 1)]
    assert sorted(chain.from_iterable(parts)) == [n for n in range(1, 20) if n % 4]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    "text", ["3", "0/3", "4/3", "a/3", "1/", "/3", "-1/3", "1/3/2", "¹/3"]
)
def test_part_that_is_none(text: str) -> None:
    """Parts are counted from 1."""
    with pytest.raises(argparse.ArgumentTypeError, match="expected I/N with I from 1 to N"):
        Shard.parse(text)


def test_part_of_a_text() -> None:
    """A part is named as it is given."""
    assert Shard.parse("3/16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"


def problems(path: Path, text: str) -> list[str]:
    """Return what is wrong with an input of *text*."""
    path.write_text(text)
    with Input.open(str(path), "jsonl", None) as source:
        plan = Plan(source, READER, "fields", Shard(2, 2))
        with pytest.raises(WrongInputError) as caught:
            plan.check(None)
    return caught.value.problems


def test_all_wrong_lines_are_told_at_once(path: Path) -> None:
    """Each kind of problem has one sentence with the numbers of its lines."""
    text = '{"prompt":"a"}\nx\nx\n{"prompt":3}\nx\n{"prompt":"a"}\n'
    assert problems(path, text) == [
        "lines 2-3, 5: expected a JSON object, found none",
        "line 4: expected a text in prompt, found another value",
    ]


def test_many_wrong_lines(path: Path) -> None:
    """A message is no page."""
    text = '{"prompt":"a"}\nx\n' * 30
    places = ", ".join(str(2 * n) for n in range(1, 21))
    problem = "expected a JSON object, found none"
    assert problems(path, text) == [f"lines {places} and 10 more places: {problem}"]


def test_answered_lines_are_left_out(path: Path) -> None:
    """A plan that goes on with an output asks for the rest."""
    path.write_text("".join(f'{{"prompt":"{n}"}}\n' for n in range(4)))
    with Input.open(str(path), "auto", None) as source:
        plan = Plan(source, READER, "fields", Shard(2, 2))
        answered = Answered()
        question = READER.read(InputLine(2, {"prompt": "1"}))
        mark = Mark(
            number=2, request=question.hash(), shape="fields", failed=False, time=1.0
        )
        answered.note(mark, None, 0)
        plan.check(answered)
        assert (plan.n_lines, plan.n_answered) == (2, 1)
        assert [question.line.number for question in plan.questions()] == [4]


def test_input_that_changed(path: Path) -> None:
    """A line that is wrong when it is sent is never sent."""
    path.write_text('{"prompt":"a"}\n')
    with Input.open(str(path), "auto", None) as source:
        plan = Plan(source, READER, "fields", Shard())
        plan.check(None)
        path.write_text('{"prompt":3}\n')
        questions: Iterator[object] = plan.questions()
        with pytest.raises(WrongFieldsError):
            next(questions)
