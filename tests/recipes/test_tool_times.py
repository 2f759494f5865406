"""Limits of time for a run and for a tool, in virtual time."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest
import trio
import trio.testing
from tool_scripts import Script, call, calling, run, saying, told

import limin
from limin import Conversation, Message, ToolCall


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run on Trio, with a clock that jumps to the next moment at which something is due."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def rest(seconds: float) -> float:
    """Rest for some seconds."""
    await anyio.sleep(seconds)
    return seconds


def resting(*seconds: float) -> Any:
    """Return an answer with calls of `rest`."""
    calls = (call("rest", f'{{"seconds":{each}}}', str(each)) for each in seconds)
    return calling(*calls)


async def test_duration_of_a_call() -> None:
    """Each has its own, and calls beside each other take no longer than the longest."""
    before = trio.current_time()
    ended = await run(Script([resting(1, 3, 2), saying()]), [rest])
    assert [result.duration for result in ended.calls] == [1, 3, 2]
    assert trio.current_time() - before == 3


async def test_deadline_in_a_tool_keeps_the_results_that_came() -> None:
    """They are in the order of their calls; the call that was cancelled has none."""
    script = Script([resting(1, 9, 2)])
    ended = await run(script, [rest], max_seconds=5)
    assert ended.ended_by == "deadline"
    assert [result.result for result in ended.calls] == [1, 2]
    ids = [message.tool_call_id for message in ended.conversation.messages[2:]]
    assert ids == ["1", "2"]
    assert trio.current_time() == pytest.approx(5, abs=1)


async def test_deadline_in_a_request_keeps_what_came() -> None:
    """The answers before it, and all results."""

    async def slow() -> Any:
        await anyio.sleep(9)

    ended = await run(Script([resting(1), slow]), [rest], max_seconds=5)
    assert (ended.ended_by, len(ended.completions), len(ended.calls)) == ("deadline", 1, 1)


async def test_deadline_before_any_answer_keeps_results() -> None:
    """Calls that were open at the start may have been run."""
    calls = [ToolCall(str(n), "rest", f'{{"seconds":{n}}}') for n in (1, 9)]
    start = Conversation([Message("assistant", None, tool_calls=calls)])
    with pytest.raises(limin.RequestTimeoutError) as raised:
        await run(Script([]), [rest], start, max_seconds=5)
    before = raised.value.tool_run
    assert before is not None
    assert [result.result for result in before.calls] == [1]
    assert (before.completions, before.usage, str(before)) == ((), None, "")
    assert before.to_pretty_string(color=False).endswith("ended by error")
    assert "<dd>error</dd>" in before.to_html()
    with pytest.raises(IndexError):
        _ = before.completion


async def test_tool_that_takes_too_long() -> None:
    """The model is told, and the others are not disturbed."""
    ended = await run(Script([resting(1, 9), saying()]), [rest], tool_timeout=5)
    assert [result.message.text for result in ended.calls] == ["1.0", "error: TimeoutError"]
    assert str(ended.calls[1].error) == "no result within 5 seconds"
    assert ended.calls[1].duration == 5
    with pytest.raises(TimeoutError, match=r"^no result within 5 seconds$"):
        await run(Script([resting(9)]), [rest], tool_timeout=5, on_error="raise")
    text = await told(rest, '{"seconds": 9}', tool_timeout=5, on_error="tell-all")
    assert text == "error: TimeoutError: no result within 5 seconds"


@pytest.mark.parametrize("limits", [{"tool_timeout": 5}, {"max_seconds": 5}])
async def test_thread_is_not_waited_for(limits: dict[str, Any]) -> None:
    """It cannot be ended; the run goes on without it, and so do the next calls."""
    let_go, begun = threading.Event(), []

    def block(n: int) -> None:
        """Block."""
        begun.append(n)
        assert let_go.wait(10)

    answer = calling(*(call("block", f'{{"n":{n}}}', str(n)) for n in range(2)))
    try:
        ended = await run(Script([answer, saying()]), [block], n_parallel=1, **limits)
    finally:
        let_go.set()
    if "tool_timeout" in limits:
        assert [result.duration for result in ended.calls] == [5, 5]
        assert ended.ended_by == "answer"
    else:
        assert (ended.ended_by, ended.calls) == ("deadline", ())


async def test_tool_that_fails_while_it_is_cancelled() -> None:
    """The deadline ends the run all the same."""

    async def fail_at_the_end() -> None:
        """Fail when cancelled."""
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError

    answer = calling(*(call("fail_at_the_end", "{}", str(n)) for n in range(3)))
    ended = await run(Script([answer]), [fail_at_the_end], n_parallel=1, max_seconds=5)
    assert ended.ended_by == "deadline"
