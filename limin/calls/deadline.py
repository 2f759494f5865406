"""A limit of time for a block, and the error when it passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from types import TracebackType

    from limin.errors import RequestTimeoutError


class Limited(Protocol):
    """The owner of a block that takes a limited time."""

    def timeout_error(self) -> RequestTimeoutError:
        """Return the error to raise when the time is over, with its cause."""
        ...


class Deadline:
    """Ends a block with an error when a moment passes."""

    __slots__ = ("_owner", "_scope")

    def __init__(self, moment: float, owner: Limited) -> None:
        """Allow the block until *moment*, by the clock of the event loop.

        Args:
            moment: Infinity for no limit.
            owner: Makes the error.
        """
        self._scope = anyio.CancelScope(deadline=moment)
        self._owner = owner

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            failure = self._owner.timeout_error()
            raise failure from failure.__cause__
