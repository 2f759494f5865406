"""What is odd about log probabilities that could be read: numbers that cannot be.

Each check tells of the first position it strikes and of how many it strikes.
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
    """Checks positions against what was asked for and what was answered.

    Attributes:
        path: JSON path of the positions.
        wanted: How many alternatives were asked for; None if that is not known.
        text: The answer that the tokens should join to.
    """

    path: str
    wanted: int | None
    text: str

    def __call__(self, positions: Sequence[Position]) -> tuple[ResponseWarning, ...]:
        """What is odd about *positions*."""
        notes = Notes()
        for place, position in enumerate(positions):
            where = f"{self.path}[{place}]"
            self._check_alternatives(position, where, notes)
            _check_numbers(position, where, notes)
        for place, (before, after) in enumerate(pairwise(positions), start=1):
            if _says_something(before) and before.top_logprobs == after.top_logprobs:
                problem = "the alternatives are those of the position before"
                path = f"{self.path}[{place}]"
                notes.add(WarningCode.STALE_ALTERNATIVES, path, problem)
        self._check_text(positions, notes)
        return notes.warnings()

    def _check_alternatives(self, position: Position, where: str, notes: Notes) -> None:
        listed = position.top_logprobs or []
        if self.wanted is not None and len(listed) < self.wanted:
            problem = f"expected {self.wanted} alternatives, found fewer"
            notes.add(WarningCode.FEWER_ALTERNATIVES, where, problem)
        if not listed:
            return
        own = position.id, position.token, position.bytes
        same = [one for one in listed if are_same(own, (one.id, one.token, one.bytes))]
        if not same:
            problem = "the sampled token is not among the alternatives"
            notes.add(WarningCode.SAMPLED_NOT_LISTED, where, problem)
        elif not any(_is_close(position.logprob, entry.logprob) for entry in same):
            problem = "the sampled token is listed with another log probability"
            notes.add(WarningCode.SAMPLED_LISTED_DIFFERENTLY, where, problem)

    def _check_text(self, positions: Sequence[Position], notes: Notes) -> None:
        joined = b"".join(map(utf8_bytes, positions))
        text = self.text.encode("utf-8", "replace")
        if joined != text:
            what = "more than" if text in joined else "another text than"
            problem = f"the tokens join to {what} the answer"
            notes.add(WarningCode.TEXT_MISMATCH, self.path, problem)


def _check_numbers(position: Position, where: str, notes: Notes) -> None:
    entries: list[Entry] = [position, *(position.top_logprobs or ())]
    known = [entry.logprob for entry in entries if entry.logprob is not None]
    if len(known) < len(entries):
        problem = "a log probability is not told"
        notes.add(WarningCode.LOG_PROB_UNKNOWN, where, problem)
    if any(number > ROUNDING for number in known):
        problem = "a log probability is above 0: no logarithm of a probability"
        notes.add(WarningCode.POSITIVE_LOG_PROB, where, problem)
        return
    listed = [entry.logprob for entry in entries[1:] if entry.logprob is not None]
    if math.fsum(map(math.exp, listed)) > 1.0 + ROUNDING:
        problem = "the probabilities of the alternatives add up to more than 1"
        notes.add(WarningCode.PROBABILITIES_EXCEED_ONE, where, problem)


def _says_something(position: Position) -> bool:
    """Whether the alternatives are more than a token that was forced."""
    listed = position.top_logprobs or ()
    return any(entry.logprob not in {None, 0.0, -math.inf} for entry in listed)


def _is_close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or abs(one - other) <= ROUNDING
