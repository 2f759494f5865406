"""Listeners to calls: one channel for whatever wants to know what calls do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limin.calls.call import Call
    from limin.errors import LiminError
    from limin.values.completion import TextCompletion


class Observer:
    """A listener to calls. Its methods do nothing; override those that matter.

    A call begins, makes one attempt or more with waits between them, and finishes. An
    attempt ends with `waiting` or `finished`. Methods are called in the call's own
    task; they must be quick, and must not raise.
    """

    def begun(self, call: Call) -> None:
        """*call* was made; it may wait for its turn before its first attempt."""

    def attempt(self, call: Call, headers: dict[str, str]) -> None:
        """A request of *call* is about to be sent, with *headers* beside its own.

        *headers* is empty at first: those that are put in are added to this attempt.
        """

    def waiting(self, call: Call, seconds: float, error: LiminError) -> None:
        """An attempt failed with *error*; the next one follows in about *seconds*."""

    def first_token(self, call: Call) -> None:
        """The first token of a streamed answer came."""

    def finished(
        self, call: Call, result: TextCompletion[object] | BaseException | None
    ) -> None:
        """*call* has ended.

        *result* is its completion, or the exception that ended it; None if a stream was
        left before its end.
        """


class InFlight(Observer):
    """Counts the calls that it observes."""

    def __init__(self) -> None:
        """Start at none."""
        self._sent: set[Call] = set()
        self._waiting: set[Call] = set()

    @property
    def under_way(self) -> int:
        """How many requests were sent and are not answered."""
        return len(self._sent)

    @property
    def resting(self) -> int:
        """How many calls wait before their next attempt."""
        return len(self._waiting)

    def attempt(self, call: Call, headers: dict[str, str]) -> None:  # noqa: ARG002 (an observer's signature)
        """Count *call* as under way; its *headers* stay as they are."""
        self._waiting.discard(call)
        self._sent.add(call)

    def waiting(self, call: Call, seconds: float, error: LiminError) -> None:  # noqa: ARG002 (an observer's signature)
        """Count *call* as waiting, whatever the *seconds* and the *error*."""
        self._sent.discard(call)
        self._waiting.add(call)

    def finished(
        self,
        call: Call,
        result: TextCompletion[object] | BaseException | None,  # noqa: ARG002 (an observer's signature)
    ) -> None:
        """Count *call* no more, whatever its *result*."""
        self._waiting.discard(call)
        self._sent.discard(call)
