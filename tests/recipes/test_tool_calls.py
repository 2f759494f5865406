"""The calls of one round: threads and tasks, order, failures, what the model is told."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import math
import threading
from typing import TYPE_CHECKING, Any, NoReturn, Self

import anyio
import attrs
import numpy as np
import pydantic
import pytest
from tool_scripts import Script, call, calling, run, saying, sent, told

import limin
from limin import Tool
from limin.recipes.tool_contents import content_of, text_of_error

if TYPE_CHECKING:
    from collections.abc import Callable

PICTURE = limin.Image(b"GIF89a\x80\x02\xe0\x01")


async def test_sync_functions_run_in_threads_and_async_ones_in_the_loop() -> None:
    """A function that blocks keeps nothing else waiting."""
    threads: dict[str, threading.Thread] = {}
    let_go = threading.Event()

    def blocking() -> None:
        """Wait for the other one."""
        threads["sync"] = threading.current_thread()
        assert let_go.wait(10)

    async def freeing() -> None:
        """Let the other one go."""
        threads["async"] = threading.current_thread()
        let_go.set()

    answer = calling(call("blocking", "{}", "a"), call("freeing", "{}", "b"))
    ended = await run(Script([answer, saying()]), [blocking, freeing])
    assert [result.error for result in ended.calls] == [None, None]
    assert threads["async"] is threading.current_thread() is not threads["sync"]


async def test_calls_run_side_by_side_and_are_answered_in_their_order() -> None:
    """The last to finish may be the first in the conversation."""
    events = [anyio.Event() for _ in range(4)]
    under_way = most = 0

    async def wait(n: int) -> int:
        """Wait for the next one."""
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if n < 3:
            await events[n + 1].wait()
        events[n].set()
        under_way -= 1
        return n

    answer = calling(*(call("wait", f'{{"n":{n}}}', str(n)) for n in range(4)))
    script = Script([answer, saying()])
    await run(script, [wait], n_parallel=4)
    assert most == 4
    results = [(each["tool_call_id"], each["content"]) for each in sent(script.asked[1], 2)]
    assert results == [(str(n), str(n)) for n in range(4)]


@pytest.mark.parametrize("n_parallel", [1, 2])
async def test_no_more_calls_at_once_than_are_allowed(n_parallel: int) -> None:
    """The others wait for their turn, those in threads too."""
    lock, under_way, most = threading.Lock(), 0, 0

    def work(n: int) -> int:
        """Work."""
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        with lock:
            under_way -= 1
        return n

    answer = calling(*(call("work", f'{{"n":{n}}}', str(n)) for n in range(9)))
    ended = await run(Script([answer, saying()]), [work], n_parallel=n_parallel)
    assert [result.result for result in ended.calls] == list(range(9))
    assert 1 <= most <= n_parallel


class Adder:
    """An object that is called; it has no hash."""

    __hash__ = None  # type: ignore[assignment]  # on purpose

    def __eq__(self, other: object) -> bool:
        return self is other

    async def __call__(self, n: int) -> int:
        """Add one."""
        return n + 1


def plus(m: int, n: int) -> int:
    """Add two numbers."""
    return m + n


async def minus(m: int, n: int) -> int:
    """Subtract."""
    return n - m


def later(n: int) -> Any:
    """Return something to wait for."""
    return minus(1, n)


def untyped(n, **others):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN201 (on purpose)
    """Take anything."""
    return [n, others]


SCHEMA = {"type": "object"}


@pytest.mark.parametrize(
    ("tool", "result"),
    [
        (Tool("tool", "", SCHEMA, Adder()), "6"),
        (Tool("tool", "", SCHEMA, functools.partial(plus, m=1)), "6"),
        (Tool("tool", "", SCHEMA, functools.partial(minus, m=1)), "4"),
        (Tool("tool", "", SCHEMA, later), "4"),
        (Tool("tool", "", SCHEMA, untyped), "[5,{}]"),
        (Tool("tool", "", SCHEMA, math.factorial), "error: ToolCallError"),
    ],
)
async def test_any_kind_of_function(tool: Tool, result: str) -> None:
    """Objects, partials, and functions that return something to wait for."""
    script = Script([calling(call("tool", '{"n": 5}')), saying()])
    await run(script, [tool])
    content = str(sent(script.asked[1])[-1]["content"])
    if result.startswith("error"):
        assert content.startswith("error: the arguments do not fit: ")
    else:
        assert content == result


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("{}", "missing a required argument: 'n' at `$`"),
        ('{"n": 1, "m": [2]}', None),
        ("[1]", "Expected `object`, got `array` at `$`"),
    ],
)
async def test_arguments_for_a_function_without_annotations(
    arguments: str, problem: str | None
) -> None:
    """What Python would refuse is told as arguments that do not fit."""
    tool = Tool("tool", "", SCHEMA, untyped)
    script = Script([calling(call("tool", arguments)), saying()])
    ended = await run(script, [tool], on_error="raise")
    expected = f"error: the arguments do not fit: {problem}" if problem else '[1,{"m":[2]}]'
    assert ended.calls[0].message.text == expected


async def test_functions_whose_parameters_python_does_not_know() -> None:
    """They are called with what the model gave."""
    tool = Tool("tool", "", SCHEMA, dict)
    script = Script([calling(call("tool", '{"a": 1}')), saying()])
    await run(script, [tool])
    assert sent(script.asked[1])[-1]["content"] == '{"a":1}'


class SilentError(Exception):
    """An exception whose text cannot be told."""

    def __str__(self) -> NoReturn:
        raise KeyError


@pytest.mark.parametrize(
    ("error", "kind", "everything"),
    [
        (ValueError("secret"), "error: ValueError", "error: ValueError: secret"),
        (KeyError(), "error: KeyError", "error: KeyError"),
        (SilentError(), "error: SilentError", "error: SilentError"),
        (ValueError("\ud800"), "error: ValueError", "error: ValueError: \ufffd"),
        (StopIteration(1), "error: RuntimeError", None),
        (ExceptionGroup("a", [KeyError()]), "error: ExceptionGroup", None),
        (limin.ToolCallError("try Paris", "$.city"), "error: try Paris at `$.city`", None),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_exception_of_a_tool_is_told(
    error: Exception, kind: str, everything: str | None, *, is_async: bool
) -> None:
    """By its type, and by its text if that is wanted; a `ToolCallError` by its text."""

    def fail() -> None:
        """Fail."""
        raise error

    async def fail_in_the_loop() -> None:
        """Fail."""
        raise error

    function: Callable[..., object] = fail_in_the_loop if is_async else fail
    assert await told(function) == kind
    if everything is not None:
        assert await told(function, on_error="tell-all") == everything


async def test_failure_ends_the_other_calls() -> None:
    """They are cancelled, and those that wait for their turn do not begin."""
    begun: list[int] = []

    async def fail_or_wait(n: int) -> None:
        """Fail in the end."""
        begun.append(n)
        if n == 1:
            raise ValueError
        await anyio.sleep_forever()

    answer = calling(*(call("fail_or_wait", f'{{"n":{n}}}', str(n)) for n in range(5)))
    with pytest.raises(ValueError, match=r"^$"):
        await run(Script([answer]), [fail_or_wait], n_parallel=2, on_error="raise")
    assert begun == [0, 1]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("is_async", [False, True])
async def test_end_of_the_program_comes_out_alone(
    kind: type[BaseException], *, is_async: bool
) -> None:
    """A tool that ends the program does so, and not inside a group."""

    def end() -> None:
        """End the program."""
        raise kind

    async def end_in_the_loop() -> None:
        """End the program."""
        raise kind

    function: Callable[..., object] = end_in_the_loop if is_async else end
    with pytest.raises(kind):
        await run(Script([calling(call(function.__name__))]), [function])


async def test_interrupt_of_the_task_that_waits_comes_out_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trio raises Ctrl-C where the run waits for its tools, which a group would hold."""

    class Group:
        """A group whose task is interrupted while it waits."""

        async def __aenter__(self) -> Self:
            return self

        def start_soon(self, work: object) -> None:
            """Start nothing."""

        async def __aexit__(self, *_reason: object) -> NoReturn:
            raise BaseExceptionGroup("inner", [KeyboardInterrupt()])  # noqa: EM101 (as in trio)

    monkeypatch.setattr(anyio, "create_task_group", Group)
    with pytest.raises(KeyboardInterrupt):
        await run(Script([calling(call("plus"))]), [plus])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_tool_that_awaits_something_cancelled() -> None:
    """The model is told of a failure, and the next request has an answer for each call.

    In trio nobody but a scope cancels.
    """

    async def wait_for_another() -> None:
        """Wait for what another task has given up."""
        task = asyncio.ensure_future(asyncio.sleep(10))
        task.cancel()
        await task

    assert await told(wait_for_another) == "error: RuntimeError"


@attrs.frozen
class Place:
    name: str


class City(pydantic.BaseModel):
    name: str
    places: list[int] = []


class Odd:
    def __str__(self) -> str:
        return "an odd object"


@pytest.mark.parametrize(
    ("result", "content"),
    [
        ("text", "text"),
        ("", ""),
        ("\ud83d\ude00 \ud800", "\U0001f600 \ufffd"),
        (np.str_("text"), "text"),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (math.nan, "null"),
        (2**70, "1180591620717411303424"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ({1: "a", (2, 3): "b"}, '{"1":"a","(2, 3)":"b"}'),
        ({"a": "\ud800"}, '{"a":"\ufffd"}'),
        ({"a": ["\ud800", Odd(), {5: City(name="b")}]}, None),
        (Place("Paris"), '{"name":"Paris"}'),
        (City(name="Paris"), '{"name":"Paris","places":[]}'),
        ([City(name="Paris")], '[{"name":"Paris","places":[]}]'),
        (City, "<class 'test_tool_calls.City'>"),
        (np.arange(3), "[0,1,2]"),
        (np.float64(0.5), "0.5"),
        ([np.int64(3)], "[3]"),
        (Odd(), '"an odd object"'),
        ({"odd": Odd()}, '{"odd":"an odd object"}'),
        (b"abc", '"YWJj"'),
        ((), "[]"),
    ],
)
def test_result_of_any_type(result: object, content: str | None) -> None:
    """Text stays text, the rest is JSON, and no result makes a request impossible."""
    found = content_of(result)
    assert isinstance(found, str)
    found.encode()
    if content is not None and result is not City:
        assert found == content


def test_pictures_stay_pictures() -> None:
    """Alone and in a list; what stands beside them becomes text or stays a part."""
    part = {"type": "video_url", "video_url": {"url": "https://a.test"}}
    assert content_of(PICTURE) == [PICTURE]
    assert content_of([PICTURE, "a \ud800"]) == [PICTURE, "a \ufffd"]
    mixed = (5, PICTURE, part, {"width": 2}, None)
    assert content_of(mixed) == ["5", PICTURE, part, '{"width":2}', "null"]


def test_error_without_a_text() -> None:
    """An exception that raises another one is told by its type."""
    assert text_of_error(SilentError()) == ""


async def test_picture_is_told() -> None:
    """The message of the tool has parts."""

    def draw() -> limin.Image:
        """Draw."""
        return PICTURE

    (part,) = await told(draw)
    assert part["type"] == "image_url"


async def test_result_that_cannot_be_told() -> None:
    """The model is told that it failed, and the result is kept."""
    loop: list[object] = []
    loop.append(loop)

    async def circle() -> list[object]:
        """Return a list that holds itself."""
        return loop

    ended = await run(Script([calling(call("circle")), saying()]), [circle])
    assert ended.calls[0].message.text == "error: RecursionError"
    assert ended.calls[0].result is loop
    assert isinstance(ended.calls[0].error, RecursionError)


async def test_context_of_the_caller_reaches_the_tools() -> None:
    """Loggers and tracers see the run that a call belongs to."""
    variable = contextvars.ContextVar("variable", default="none")

    def look() -> str:
        """Look."""
        return variable.get()

    variable.set("set")
    assert await told(look) == "set"
