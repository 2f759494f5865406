"""Observers of a client, as a user writes them."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from loopback import Request, completion, http, serve
from streaming import CHUNKED, HELLO, WAIT, chunked, serve_scripts, streamed

import limin
from limin import Client, ConfigurationError, Observer
from limin.calls import observer as listening

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

    from limin import ObservedCall

KEY = "sk-very-secret-key-0123456789"
EVENTS = ("begun", "attempt", "waiting", "first_token", "finished")
PROMPT = "a prompt that is nobody's business"


class Listener(Observer):
    """Writes down the events with the attempt's number, and the results."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.results: list[object] = []

    def begun(self, call: ObservedCall) -> None:
        self.events.append(f"begun {call.number}")

    def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:  # noqa: ARG002 (an observer's)
        self.events.append(f"attempt {call.number}")

    def waiting(self, call: ObservedCall, seconds: float, error: limin.LiminError) -> None:  # noqa: ARG002 (an observer's)
        self.events.append(f"waiting {call.number}")

    def first_token(self, call: ObservedCall) -> None:
        self.events.append(f"first token {call.number}")

    def finished(self, call: ObservedCall, result: object) -> None:
        self.events.append(f"finished {call.number}")
        self.results.append(result)


class Raising(Observer):
    """Raises in each of its methods."""

    def __init__(self, error: BaseException, only: str | None = None) -> None:
        self.error, self.only = error, only

    def __getattribute__(self, name: str) -> Any:
        if name in EVENTS and object.__getattribute__(self, "only") in {None, name}:
            return self.fail
        return object.__getattribute__(self, name)

    def fail(self, *_facts: object) -> None:
        raise self.error


class Bare:
    """Has an observer's methods, no base class, and no room for a weak reference."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        if name not in EVENTS:
            raise AttributeError(name)
        return self.hear

    def hear(self, *_facts: object) -> None:
        self._count += 1
        raise LookupError


async def busy_once(request: Request) -> bytes:
    """Refuse the first attempt of each prompt."""
    if b"x-attempt: 1" in request.head.lower():
        return http(b"{}", "503 Busy")
    return http(completion("hello"))


class Numbering(Observer):
    """Adds the number of the attempt."""

    def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:
        headers["X-Attempt"] = str(call.number)


async def test_client_has_observers() -> None:
    """They are told in order, each of every step."""
    first, second = Listener(), Listener()
    second.events = first.events
    observers = [first, Numbering(), second]
    async with (
        serve(busy_once) as server,
        Client(server.base_url, observers=observers) as client,
    ):
        answer = await client.generate_text_completion("hi")
    steps = ["begun 0", "attempt 1", "waiting 1", "attempt 2", "finished 2"]
    assert first.events == [step for step in steps for _ in range(2)]
    assert first.results == second.results == [answer]


async def test_what_a_call_tells() -> None:
    """What is sent, how, and where to, without the key."""
    calls: list[ObservedCall] = []

    class Keeping(Observer):
        def begun(self, call: ObservedCall) -> None:
            calls.append(call)

    async def answer(_request: Request) -> bytes:
        return http(completion('{"value": 5}'))

    async with (
        serve(answer) as server,
        Client(server.base_url, KEY, observers=[Keeping()]) as client,
    ):
        await client.generate_text_completion("hi", model="m", response_type=int)
        async with client.stream_text_completion("you") as stream:
            await stream.until_done()
    typed, streamed_call = calls
    assert typed.conversation.messages[-1].content == "hi"
    assert (typed.configuration.model, typed.configuration.stream) == ("m", False)
    assert (typed.response_type, streamed_call.response_type) == (int, None)
    assert streamed_call.configuration.stream
    assert typed.endpoint.base_url == server.base_url
    assert KEY not in repr(typed) + repr(typed.endpoint)
    assert len({*calls}) == 2


async def test_each_request_is_a_call(tmp_path: Path) -> None:
    """In a batch, when it is asked again, and not if the checkpoint has the answer."""
    listener = Listener()
    options: Any = {"show_progress": False, "checkpoint": tmp_path / "run.jsonl"}

    async def answer(request: Request) -> bytes:
        is_first = b"no number" not in request.body
        return http(completion("no number" if is_first else '{"value": 5}'))

    async with (
        serve(answer) as server,
        Client(server.base_url, observers=[listener]) as client,
    ):
        await client.generate_text_completions(["a", "b"], **options)
        assert listener.events.count("finished 1") == 2
        await client.generate_text_completions(["a", "b"], **options)
        assert listener.events.count("begun 0") == 2
        await client.generate_text_completion("number", response_type=int, reask=1)
    assert listener.events.count("begun 0") == 4


@pytest.mark.parametrize("make", [lambda: Raising(KeyError(PROMPT)), Bare])
async def test_fault_of_an_observer(make: Any) -> None:
    """It costs one warning in the process, which quotes nothing, and no completion."""
    faulty, listener = make(), Listener()
    async with serve_scripts([streamed(*HELLO)] * 2) as server:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                observers = [faulty, listener]
                async with Client(server.base_url, observers=observers) as client:
                    answer = await client.generate_text_completion(PROMPT, stream=True)
                    assert answer.message == "Hello"
    assert listener.events.count("finished 1") == 2
    (warning,) = caught
    text = str(warning.message)
    assert warning.category is RuntimeWarning
    assert text.endswith("in begun; limin tells no more of its faults")
    assert f"{__name__}.{type(faulty).__name__} raised" in text
    assert PROMPT not in text
    assert warning.filename == __file__


async def test_fault_where_warnings_are_errors(caplog: pytest.LogCaptureFixture) -> None:
    """The warning is logged instead, and the completion is there."""
    observers = [Raising(KeyError(PROMPT))]
    async with serve() as server, Client(server.base_url, observers=observers) as client:
        assert (await client.generate_text_completion(PROMPT)).message == PROMPT
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("limin", logging.WARNING)
    assert "Raising raised KeyError in begun" in record.getMessage()


@pytest.mark.parametrize("event", EVENTS)
async def test_interrupt_passes(event: str) -> None:
    """KeyboardInterrupt ends the call, and the others are told that it has ended."""
    before, after = Listener(), Listener()
    interrupt = Raising(KeyboardInterrupt(), event)
    observers = [before, Numbering(), interrupt, after]
    scripts = [http(b"{}", "503 Busy"), streamed(*HELLO)]
    async with (
        serve_scripts(*([script] for script in scripts)) as server,
        Client(server.base_url, observers=observers) as client,
    ):
        with pytest.raises(KeyboardInterrupt):
            await client.generate_text_completion("hi", stream=True)
    for listener in (before, after):
        assert [type(result) for result in listener.results] == (
            [limin.TextCompletion] if event == "finished" else [KeyboardInterrupt]
        )


async def test_interrupt_at_the_end_of_a_stream() -> None:
    """It comes out of the stream, whose completion is there."""
    listener = Listener()
    observers = [Raising(KeyboardInterrupt(), "finished"), listener]
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        Client(server.base_url, observers=observers) as client,
        client.stream_text_completion("hi") as stream,
    ):
        with pytest.raises(KeyboardInterrupt):
            await stream.until_done()
        assert listener.results == [stream.completion]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-length", "1"),
        ("X-Bad\r\nX-Worse", "1"),
        ("x-value", "1\r\nX-Worse: 1"),
        ("x-value", b"1"),
        (5, "1"),
    ],
)
async def test_header_that_cannot_be_sent(name: Any, value: Any) -> None:
    """It is left out with a warning that does not show it; the others are sent."""

    class Adding(Observer):
        def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:  # noqa: ARG002 (an observer's)
            headers[name] = value
            headers["X-Good"] = "yes"

    async with (
        serve() as server,
        Client(server.base_url, observers=[Adding()]) as client,
    ):
        with pytest.warns(RuntimeWarning, match="put in a header that is not sent") as seen:
            await client.generate_text_completion("hi")
    head = server.requests[0].head.lower()
    assert b"x-good: yes" in head
    assert b"worse" not in head
    assert head.count(b"content-length") == 1
    assert "orse" not in str(seen[0].message)


async def test_header_is_a_secret() -> None:
    """A server that quotes it is masked."""

    class Adding(Observer):
        def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:  # noqa: ARG002 (an observer's)
            headers["X-Pass"] = "open-sesame-1234"

    async def quote(_request: Request) -> bytes:
        return http(b'{"error": {"message": "bad open-sesame-1234"}}', "400 No")

    async with (
        serve(quote) as server,
        Client(server.base_url, observers=[Adding()]) as client,
    ):
        with pytest.raises(limin.BadRequestError) as caught:
            await client.generate_text_completion("hi")
    assert "bad ***" in str(caught.value)


VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="none")


class Setting(Observer):
    """Sets a context variable at each attempt, and sees which value it has at the end."""

    def __init__(self) -> None:
        self.at_the_end = ""

    def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:  # noqa: ARG002 (an observer's)
        VARIABLE.set(f"attempt {call.number}")

    def finished(self, call: ObservedCall, result: object) -> None:  # noqa: ARG002 (an observer's)
        self.at_the_end = VARIABLE.get()


@pytest.mark.parametrize("is_stream", [False, True])
async def test_context_of_an_attempt(*, is_stream: bool) -> None:
    """A context variable holds while the request is sent, and nowhere else."""
    seen: list[str] = []

    async def respond(_request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        seen.append(VARIABLE.get())
        if len(seen) == 1:
            return httpx.Response(503)
        return httpx.Response(200, content=completion("hello"))

    observer = Setting()
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http_client,
        Client("http://m.test/v1", http_client=http_client, observers=[observer]) as client,
    ):
        if is_stream:
            async with client.stream_text_completion("hi") as stream:
                assert VARIABLE.get() == "none"
                await stream.until_done()
        else:
            await client.generate_text_completion("hi")
    assert seen == ["attempt 1", "attempt 2"]
    assert VARIABLE.get() == observer.at_the_end == "none"


async def test_error_in_the_context_of_an_attempt() -> None:
    """What goes wrong while it is sent comes out as ever."""
    listener = Listener()
    async with Client(
        "http://127.0.0.1:9/v1", max_retries=0, observers=[listener]
    ) as client:
        with pytest.raises(limin.ConnectError) as caught:
            await client.generate_text_completion("hi")
    assert listener.results == [caught.value]


async def test_stream_that_is_cancelled() -> None:
    """Its result is what cancelled it."""
    listener = Listener()
    async with (
        serve_scripts([CHUNKED + chunked(*HELLO[:3]), WAIT]) as server,
        Client(server.base_url, observers=[listener]) as client,
    ):
        with anyio.CancelScope() as scope:
            async with client.stream_text_completion("hi") as stream:
                await anext(stream)
                scope.cancel()
                await stream.until_done()
    assert len(listener.results) == 1
    assert isinstance(listener.results[0], anyio.get_cancelled_exc_class())


async def test_stream_that_is_left_by_an_exception() -> None:
    """The exception is the program's own, and no result."""
    listener = Listener()
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        Client(server.base_url, observers=[listener]) as client,
    ):
        with suppress(ZeroDivisionError):
            async with client.stream_text_completion("hi"):
                raise ZeroDivisionError
    assert listener.results == [None]


@pytest.fixture
def observer_of_process() -> Iterator[Listener]:
    """Return an observer of all clients, as long as the test lasts."""
    listener = Listener()
    listening.set_observers_of_process((listener,))
    yield listener
    listening.set_observers_of_process(())


async def test_observer_of_every_client(observer_of_process: Listener) -> None:
    """It comes before the client's own."""
    own = Listener()
    own.events = observer_of_process.events
    async with serve() as server:
        await limin.generate_text_completion("hi", base_url=server.base_url)
        assert own.events == ["begun 0", "attempt 1", "finished 1"]
        async with Client(server.base_url, observers=[own]) as client:
            await client.generate_text_completion("hi")
    assert own.events[3:5] == ["begun 0"] * 2


@pytest.mark.parametrize(
    ("observers", "problem"),
    [
        (Observer(), "observers: expected a sequence of limin.Observer, found an Observer"),
        ([Observer], "found the class Observer itself"),
        ([Observer(), 5], r"observers\[1\]: .* found an int without begun, attempt, wait"),
        (
            [SimpleNamespace(**dict.fromkeys(EVENTS[:4], print))],
            "SimpleNamespace without finished",
        ),
    ],
)
def test_what_is_no_observer(observers: Any, problem: str) -> None:
    """It is refused when the client is made, and what is missing is named."""
    with pytest.raises(ConfigurationError, match=problem):
        Client("http://m.test/v1", observers=observers)


def test_async_method() -> None:
    """Nobody would wait for it."""

    class Waiting(Observer):
        async def finished(self, call: object, result: object) -> None:  # type: ignore[override]  # the mistake itself
            """Wait for something."""

    with pytest.raises(ConfigurationError, match="a Waiting with async finished"):
        Client("http://m.test/v1", observers=[Waiting()])
