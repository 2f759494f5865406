"""A coroutine in a context of its own, driven by hand as an event loop drives it."""

from __future__ import annotations

import gc
import types
import weakref
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from limin.calls.contexts import InContext

if TYPE_CHECKING:
    from collections.abc import Generator

VARIABLE: ContextVar[int] = ContextVar("VARIABLE", default=0)


@types.coroutine
def trap(request: str) -> Generator[str, Any, Any]:
    """Say *request* to the event loop, and return what it answers."""
    return (yield request)


async def counting(ended: list[str]) -> str:
    """Count in a context variable, and say what came."""
    try:
        said = ""
        for _ in range(2):
            VARIABLE.set(VARIABLE.get() + 1)
            said += await trap(f"request {VARIABLE.get()}")
    except KeyError:
        said = "caught"
    finally:
        ended.append(f"at {VARIABLE.get()}")
    return said


def test_steps_see_the_context() -> None:
    """Requests come out, answers go in, and the variable outside stays as it was."""
    ended: list[str] = []
    steps = InContext(copy_context(), counting(ended)).__await__()
    assert steps.send(None) == "request 1"
    assert VARIABLE.get() == 0
    assert steps.send("a") == "request 2"
    with pytest.raises(StopIteration) as stop:
        steps.send("b")
    assert stop.value.value == "ab"
    assert (ended, VARIABLE.get()) == (["at 2"], 0)


def test_exception_goes_in() -> None:
    """As a cancellation does."""
    ended: list[str] = []
    steps = InContext(copy_context(), counting(ended)).__await__()
    steps.send(None)
    with pytest.raises(StopIteration) as stop:
        steps.throw(KeyError())
    assert (stop.value.value, ended) == ("caught", ["at 1"])


def test_closing_it_closes_the_coroutine() -> None:
    """Nothing waits for the garbage collector, and nothing is kept."""
    ended: list[str] = []
    coroutine = counting(ended)
    steps = InContext(copy_context(), coroutine).__await__()
    steps.send(None)
    steps.close()
    assert ended == ["at 1"]
    gone = weakref.ref(coroutine)
    gc.disable()
    del coroutine, steps
    gc.enable()
    assert gone() is None
