"""A coroutine that runs in a context of its own, inside another one's task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

_Result = TypeVar("_Result")


class InContext(Generic[_Result]):
    """Awaits a coroutine, each step of which sees the context variables of a context.

    What the coroutine sets is seen by nobody else; a new task would do the same, but
    would have to be waited for and cancelled.
    """

    __slots__ = ("_context", "_coroutine")

    def __init__(self, context: Context, coroutine: Coroutine[Any, Any, _Result]) -> None:
        """Await *coroutine* in *context*."""
        self._context, self._coroutine = context, coroutine

    def __await__(self) -> Generator[Any, Any, _Result]:
        """Pass on what the coroutine and the event loop say to each other."""
        run, coroutine = self._context.run, self._coroutine
        resume: Callable[[Any], Any] = coroutine.send
        value: Any = None
        while True:
            try:
                request = run(resume, value)
            except StopIteration as stop:
                result: _Result = stop.value
                return result
            finally:
                value = None  # Else an exception and this frame would hold each other.
            try:
                value, resume = (yield request), coroutine.send
            except BaseException as error:  # noqa: BLE001 (the coroutine raises it)
                value, resume = error, coroutine.throw
