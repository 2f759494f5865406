"""The reports of a batch: how it stands, each result, and the effort that it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from limin.errors import AnswerWarningError, LiminError
from limin.values.completion import TextCompletion
from limin.values.decisions import Decision
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from limin.values.timing import Attempt


class BatchState(msgspec.Struct, frozen=True, kw_only=True):
    """How a batch stands at this moment.

    Attributes:
        in_flight: Requests that were sent and are not answered, or items of the
            user's own function that are under way.
        resting: Seconds for which the server still asks to wait; 0 if it does not.
        kept: Number of completions in the checkpoint.
        checkpoint: Path of the checkpoint; None without one.
        is_read: Whether anybody takes the results; otherwise no line sums them up.
    """

    in_flight: int
    resting: float = 0.0
    kept: int = 0
    checkpoint: str | None = None
    is_read: bool = True


def kept_note(number: int, path: str) -> str:
    """Say that the checkpoint at *path* keeps so many completions."""
    completions = "1 completion is" if number == 1 else f"{number} completions are"
    name = escape_controls(path).replace("\n", " ")
    return f"{completions} kept in {name}; the same call goes on from there"


class BatchListener(Protocol):
    """Listens to the results of one batch, as a progress bar does."""

    def finished(self, index: int, result: object) -> None:
        """Note that the item at *index* of the source has a *result*, or an error."""


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """The effort that one result of a batch took.

    Attributes:
        attempts: The requests that were sent for it; empty if they are not known.
        tokens: Tokens of the answer, as the server counted them; None if it did
            not, and for everything that is no completion.
        start_time: When the first request left, in Unix seconds; None if no
            completion came.
        warning_codes: The codes of the warnings about the answer, each once, except
            those about log probabilities.
    """

    attempts: tuple[Attempt, ...] = ()
    tokens: int | None = None
    start_time: float | None = None
    warning_codes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, result: object) -> Effort:
        """Read the effort in *result*: a completion, an error, or any other value."""
        if isinstance(result, Decision):
            result = result.completion
        if isinstance(result, TextCompletion):
            timing, usage = result.timing, result.usage
            return cls(
                attempts=timing.attempts,
                tokens=None if usage is None else usage.completion_tokens,
                start_time=timing.start_time,
                warning_codes=frozenset(
                    str(warning.code) for warning in result.body_warnings
                ),
            )
        if isinstance(result, AnswerWarningError):
            codes = frozenset(str(warning.code) for warning in result.warnings)
            return cls(attempts=result.attempts, warning_codes=codes)
        return cls(attempts=result.attempts if isinstance(result, LiminError) else ())

    @property
    def retries(self) -> int:
        """Requests after the first one."""
        return max(len(self.attempts) - 1, 0)

    def is_recalled(self, began: float) -> bool:
        """Return whether the completion is older than a batch that *began* then.

        It comes from a checkpoint, and says nothing about the speed of this batch.
        """
        return self.start_time is not None and self.start_time < began
