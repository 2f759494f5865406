"""Checks of log probabilities: numbers that could be read, but cannot be right.

A warning has the first position that fails a check, and the number of all of them.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from limin.values.tokens import ROUNDING, are_same
from limin.values.warnings import WarningCode
from limin.wire.notes import Notes
from limin.wire.token_texts import AnswerText, find_lost_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.values.log_probs import Entry, Position
    from limin.values.warnings import ResponseWarning
    from limin.wire.sampling import Sampling


# vLLM's number for its whole vocabulary.
_WHOLE_VOCABULARY = -1

_CONSTRAINED = {
    WarningCode.CONSTRAINED_BEFORE_MASK: "the log probabilities are those before the "
    "constraint on the answer",
    WarningCode.CONSTRAINED_AFTER_MASK: "the log probabilities are those under the "
    "constraint on the answer",
    WarningCode.CONSTRAINED_UNKNOWN: "the log probabilities may be those before or under "
    "the constraint on the answer",
}


@attrs.frozen
class Diagnosis:
    """Checks positions against the request and the text of the answer.

    Under a constraint one warning says which probabilities the server sent, before the
    grammar masked tokens (llama.cpp) or after it (vLLM). It stands for all warnings that
    follow from the constraint.

    Attributes:
        path: JSON path of the positions.
        requested: Number of alternatives that were requested, -1 for all; None if it
            is not known.
        answer: The text to which the tokens should join.
        sampling: How the tokens were to be chosen.
    """

    path: str
    requested: int | None
    answer: AnswerText
    sampling: Sampling

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
        if self.sampling.is_constrained and positions:
            code = self._constraint(positions)
            notes.add(code, self.path, _CONSTRAINED[code])
        return notes.warnings()

    def _check_alternatives(self, position: Position, path: str, notes: Notes) -> None:
        entries = position.top_logprobs or []
        if len(entries) < self._expected:
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
        if not same and not self._may_be_unlisted:
            problem = "the sampled token is not among the alternatives"
            notes.add(WarningCode.SAMPLED_NOT_LISTED, path, problem)
        elif same and not any(_is_close(position.logprob, entry.logprob) for entry in same):
            problem = "the sampled token is listed with another log probability"
            notes.add(WarningCode.SAMPLED_LISTED_DIFFERENTLY, path, problem)

    @property
    def _expected(self) -> int:
        """Number of alternatives that must be there."""
        sampling = self.sampling
        if sampling.is_constrained or sampling.names_alternatives:
            return 0
        return self.requested or 0

    @property
    def _may_be_unlisted(self) -> bool:
        """Whether the sampled token need not be among the alternatives."""
        sampling = self.sampling
        if sampling.is_constrained or sampling.names_alternatives:
            return True
        return not sampling.is_greedy and self.requested != _WHOLE_VOCABULARY

    def _check_text(self, positions: Sequence[Position], notes: Notes) -> None:
        if not self.answer.is_spelled_by(positions, self.sampling):
            is_more = self.answer.is_inside(positions)
            difference = "more than" if is_more else "another text than"
            problem = f"the tokens join to {difference} the answer"
            notes.add(WarningCode.TEXT_MISMATCH, self.path, problem)
        if self.sampling.stops:
            for index in find_lost_tokens(positions):
                problem = "text of other tokens, whose log probabilities are lost"
                notes.add(WarningCode.TOKENS_LOST, f"{self.path}[{index}]", problem)

    def _constraint(self, positions: Sequence[Position]) -> WarningCode:
        """Return the code of the constraint: which probabilities the numbers are."""
        if any(self._is_masked(position) for position in positions):
            return WarningCode.CONSTRAINED_AFTER_MASK
        if self.sampling.is_greedy and any(map(_is_beaten, positions)):
            return WarningCode.CONSTRAINED_BEFORE_MASK
        return WarningCode.CONSTRAINED_UNKNOWN

    def _is_masked(self, position: Position) -> bool:
        """Return whether the listed tokens have all the probability, and others none.

        No model gives the other tokens of its vocabulary no probability at all.
        """
        entries = position.top_logprobs or ()
        numbers = [entry.logprob for entry in entries if entry.logprob is not None]
        is_cut = -math.inf in numbers or len(entries) < (self.requested or 0)
        total = math.fsum(math.exp(number) for number in numbers if number <= ROUNDING)
        return is_cut and abs(total - 1.0) <= ROUNDING


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


def _is_beaten(position: Position) -> bool:
    """Return whether an alternative is likelier than the sampled token."""
    entries, own = position.top_logprobs or (), position.logprob
    numbers = [entry.logprob for entry in entries if entry.logprob is not None]
    return own is not None and any(number > own + ROUNDING for number in numbers)


def _has_choice(position: Position) -> bool:
    """Return whether the alternatives are more than a token that was forced."""
    entries = position.top_logprobs or ()
    return any(entry.logprob not in {None, 0.0, -math.inf} for entry in entries)


def _is_close(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return first == second or abs(first - second) <= ROUNDING
