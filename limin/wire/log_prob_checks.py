"""Checks of log probabilities: numbers that could be read, but cannot be right.

A warning has the first position that fails a check, and the number of all of them.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from limin.values.log_probs import utf8_bytes
from limin.values.tokens import ROUNDING, are_same
from limin.values.warnings import WarningCode
from limin.wire.notes import Notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.values.log_probs import Entry, Position
    from limin.values.warnings import ResponseWarning


@attrs.frozen
class Diagnosis:
    """Checks positions against the request and the text of the answer.

    Attributes:
        path: JSON path of the positions.
        requested: Number of alternatives that were requested; None if it is not known.
        text: The answer, to which the tokens should join.
    """

    path: str
    requested: int | None
    text: str

    def __call__(self, positions: Sequence[Position]) -> tuple[ResponseWarning, ...]:
        """Return a warning for each kind of problem in *positions*."""
        notes = Notes()
        for index, position in enumerate(positions):
            path = f"{self.path}[{index}]"
            self._check_alternatives(position, path, notes)
            _check_numbers(position, path, notes)
        for index, (before, after) in enumerate(pairwise(positions), start=1):
            if _has_choice(before) and before.top_logprobs == after.top_logprobs:
                problem = "the alternatives are those of the position before"
                path = f"{self.path}[{index}]"
                notes.add(WarningCode.STALE_ALTERNATIVES, path, problem)
        self._check_text(positions, notes)
        return notes.warnings()

    def _check_alternatives(self, position: Position, path: str, notes: Notes) -> None:
        entries = position.top_logprobs or []
        if self.requested is not None and len(entries) < self.requested:
            problem = f"expected {self.requested} alternatives, found fewer"
            notes.add(WarningCode.FEWER_ALTERNATIVES, path, problem)
        if not entries:
            return
        sampled = position.id, position.token, position.bytes
        same = [
            entry
            for entry in entries
            if are_same(sampled, (entry.id, entry.token, entry.bytes))
        ]
        if not same:
            problem = "the sampled token is not among the alternatives"
            notes.add(WarningCode.SAMPLED_NOT_LISTED, path, problem)
        elif not any(_is_close(position.logprob, entry.logprob) for entry in same):
            problem = "the sampled token is listed with another log probability"
            notes.add(WarningCode.SAMPLED_LISTED_DIFFERENTLY, path, problem)

    def _check_text(self, positions: Sequence[Position], notes: Notes) -> None:
        joined = b"".join(map(utf8_bytes, positions))
        text = self.text.encode("utf-8", "replace")
        if joined != text:
            difference = "more than" if text in joined else "another text than"
            problem = f"the tokens join to {difference} the answer"
            notes.add(WarningCode.TEXT_MISMATCH, self.path, problem)


def _check_numbers(position: Position, path: str, notes: Notes) -> None:
    entries: list[Entry] = [position, *(position.top_logprobs or ())]
    numbers = [entry.logprob for entry in entries if entry.logprob is not None]
    if len(numbers) < len(entries):
        problem = "a log probability is missing"
        notes.add(WarningCode.LOG_PROB_UNKNOWN, path, problem)
    if any(number > ROUNDING for number in numbers):
        problem = "a log probability is above 0: no logarithm of a probability"
        notes.add(WarningCode.POSITIVE_LOG_PROB, path, problem)
        return
    alternatives = [entry.logprob for entry in entries[1:] if entry.logprob is not None]
    if math.fsum(map(math.exp, alternatives)) > 1.0 + ROUNDING:
        problem = "the probabilities of the alternatives add up to more than 1"
        notes.add(WarningCode.PROBABILITIES_EXCEED_ONE, path, problem)


def _has_choice(position: Position) -> bool:
    """Return whether the alternatives are more than a token that was forced."""
    entries = position.top_logprobs or ()
    return any(entry.logprob not in {None, 0.0, -math.inf} for entry in entries)


def _is_close(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return first == second or abs(first - second) <= ROUNDING
