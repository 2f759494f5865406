"""What a run will ask: the lines of its input, less those that have an answer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Protocol, Self

import attrs

from limin.batch.shards import shard
from limin.files.input_lines import WrongLine
from limin.files.templates import WrongFieldsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from limin.files.input_lines import InputLine
    from limin.files.inputs import Input
    from limin.files.questions import Question
    from limin.files.run_file import Answered
    from limin.files.run_lines import Shape

# Spans of line numbers that a message holds.
_MOST_SPANS = 20


class WrongInputError(Exception):
    """Lines of an input are wrong; nothing was sent.

    Attributes:
        problems: A sentence for each kind of problem, with the numbers of its lines.
    """

    def __init__(self, problems: list[str]) -> None:
        """Hold *problems*."""
        super().__init__(*problems)
        self.problems = problems


@attrs.frozen
class Shard:
    """A part of an input: every `count`-th line.

    Attributes:
        index: Number of the part, from 1.
        count: Number of parts.
    """

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the part that *text* names, such as `3/16`.

        Raises:
            ArgumentTypeError: If it names none.
        """
        index, _, count = text.partition("/")
        if index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count):
            return cls(int(index), int(count))
        problem = "expected I/N with I from 1 to N"
        raise argparse.ArgumentTypeError(problem)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


class QuestionReader(Protocol):
    """Reads a line of an input as the request that it stands for."""

    def read(self, line: InputLine) -> Question:
        """Return the request, or raise a `WrongFieldsError`."""
        ...


class _Spans:
    """Numbers of lines, in their order, as few spans."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        self.size = 0

    def add(self, number: int) -> None:
        self.size += 1
        if self._spans and self._spans[-1][1] == number - 1:
            self._spans[-1] = self._spans[-1][0], number
        else:
            self._spans.append((number, number))

    def __str__(self) -> str:
        spans = [
            str(first) if first == last else f"{first}-{last}"
            for first, last in self._spans[:_MOST_SPANS]
        ]
        more = len(self._spans) - _MOST_SPANS
        text = ", ".join(spans) + (f" and {more} more places" if more > 0 else "")
        return f"line {text}" if self.size == 1 else f"lines {text}"


class Plan:
    """The questions of one run.

    Attributes:
        source: The input.
        shape: The shape of the output's lines.
        shard: The part of the input.
        n_lines: Number of its lines, once it was checked.
        n_answered: Number of those that have an answer already.
        served_models: How the server called each model that answered.
    """

    def __init__(
        self, source: Input, reader: QuestionReader, shape: Shape, shard: Shard
    ) -> None:
        """Plan to ask for the lines of *source*, as *reader* reads them."""
        self.source, self.shard = source, shard
        self.shape: Shape = shape
        self.n_lines = self.n_answered = 0
        self.served_models: Mapping[str, str] = {}
        self._reader = reader
        self._answered: Answered | None = None

    def check(self, answered: Answered | None) -> None:
        """Read all lines of the input, and match them with what is *answered*.

        Raises:
            WrongInputError: If any line is wrong, in whatever part.
        """
        problems: dict[str, _Spans] = {}
        self._answered, index = answered, 0
        for line in self.source:
            try:
                question = self._read(line)
            except WrongFieldsError as error:
                problems.setdefault(str(error), _Spans()).add(line.number)
                continue
            if self._is_mine(index):
                self.n_lines += 1
                if answered is not None:
                    answered.match(question, question.hash())
            index += 1
        if problems:
            raise WrongInputError([f"{at}: {text}" for text, at in problems.items()])
        if answered is not None:
            self.n_answered = answered.match_others()

    def questions(self) -> Iterator[Question]:
        """Yield the questions that have no answer yet, in the order of the input.

        Raises:
            WrongFieldsError: If the input has changed since it was checked.
        """
        for line in shard(self.source, self.shard.index - 1, self.shard.count):
            question = self._read(line)
            if self._answered is None or not self._answered.take(question, question.hash()):
                yield question

    def _is_mine(self, index: int) -> bool:
        return index % self.shard.count == self.shard.index - 1

    def _read(self, line: InputLine | WrongLine) -> Question:
        if isinstance(line, WrongLine):
            raise WrongFieldsError(line.problem)
        return self._reader.read(line)
