"""A limit of time for a block, and the error when it passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from limin.errors import RequestTimeoutError


class Deadline:
    """Ends a block with an error when a moment passes."""

    __slots__ = ("_make_error", "_scope")

    def __init__(
        self, moment: float, make_error: Callable[[], RequestTimeoutError]
    ) -> None:
        """Allow the block until *moment*, by the clock of the event loop.

        Args:
            moment: Infinity for no limit.
            make_error: Returns the error to raise, with its cause.
        """
        self._scope = anyio.CancelScope(deadline=moment)
        self._make_error = make_error

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
            failure = self._make_error()
            raise failure from failure.__cause__
