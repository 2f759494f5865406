"""What listeners hear of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from loopback import Request, completion, http, serve
from streaming import (
    CHUNKED,
    CLOSE,
    HELLO,
    chunked,
    event_of,
    serve_scripts,
    streamed,
    text_of,
)

import limin
from limin import Client
from limin.calls.observer import InFlight, Observer
from limin.calls.stream import CompletionStream
from limin.values.conversation import Conversation
from limin.wire.assembly import Assembly

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from limin.calls.call import Call
    from limin.calls.caller import Caller
    from limin.calls.observer import ObservedCall
    from limin.errors import LiminError
    from limin.values.completion import TextCompletion

HI = Conversation.from_prompts("hi")


class Listener(Observer):
    """Writes down what it hears, and adds a header to each attempt."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.results: list[object] = []

    def begun(self, call: ObservedCall) -> None:
        self.heard.append(f"begun {call.conversation.messages[-1].content}")

    def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:
        assert headers == {}
        headers["traceparent"] = f"attempt-{call.number}"
        self.heard.append("attempt")

    def waiting(self, call: ObservedCall, seconds: float, error: LiminError) -> None:
        assert cast("Call", call).attempts.failed[-1].error is error
        self.heard.append(f"waiting {seconds:g}")

    def first_token(self, call: ObservedCall) -> None:
        assert cast("Call", call).attempts.seconds() > 0
        self.heard.append("first token")

    def finished(
        self, call: ObservedCall, result: TextCompletion[object] | BaseException | None
    ) -> None:
        assert cast("Call", call).timeout == 600.0
        self.heard.append("finished")
        self.results.append(result)


def caller_of(client: Client, *observers: Observer, **options: Any) -> Caller:
    """A caller of *client* that *observers* listen to."""
    return client._caller(options).observed_by(*observers)  # type: ignore[arg-type]


async def test_call_that_succeeds_after_a_retry() -> None:
    """Each step in its order, and the headers are those of their attempt."""

    async def busy_first(request: Request) -> bytes:
        if b"attempt-1" in request.head:
            return http(b"{}", "503 Busy")
        return http(completion("hello"))

    listener = Listener()
    async with serve(busy_first) as server, Client(server.base_url) as client:
        answer = await caller_of(client, listener).ask(HI)
    assert listener.heard == ["begun hi", "attempt", "waiting 0", "attempt", "finished"]
    assert listener.results == [answer]
    heads = [request.head for request in server.requests]
    assert [b"traceparent: attempt-%d" % n in heads[n - 1] for n in (1, 2)] == [True, True]


async def test_call_that_fails() -> None:
    """Its error is its result."""

    async def refuse(_request: Request) -> bytes:
        return http(b"{}", "400 Bad Request")

    listener = Listener()
    async with serve(refuse) as server, Client(server.base_url) as client:
        with pytest.raises(limin.BadRequestError) as caught:
            await caller_of(client, listener).ask(HI)
    assert listener.heard == ["begun hi", "attempt", "finished"]
    assert listener.results == [caught.value]


async def test_call_that_is_cancelled() -> None:
    """It has ended, whatever it waited for."""

    async def silent(_request: Request) -> bytes:
        scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    listener = Listener()
    async with serve(silent) as server, Client(server.base_url) as client:
        with anyio.CancelScope() as scope:
            await caller_of(client, listener).ask(HI)
    assert listener.heard == ["begun hi", "attempt", "finished"]
    assert isinstance(listener.results[0], anyio.get_cancelled_exc_class())


async def test_warning_that_is_raised_is_the_result() -> None:
    """For an answer that comes whole, and for a stream at its end."""
    listener = Listener()
    options = {"on_warning": "raise", "log_probs": True}
    async with (
        serve_scripts([streamed(*HELLO)] * 2) as server,
        Client(server.base_url) as client,
    ):
        caller = caller_of(client, listener, stream=True, **options)
        with pytest.raises(limin.AnswerWarningError):
            await caller.ask(HI)
        async with CompletionStream(lambda: caller.stream(HI)) as stream:
            with pytest.raises(limin.AnswerWarningError):
                await stream.until_done()
    assert listener.heard == ["begun hi", "attempt", "first token", "finished"] * 2
    assert [type(result) for result in listener.results] == [limin.AnswerWarningError] * 2


async def test_stream() -> None:
    """A stream that is read has a first token, and ends with its completion."""
    listener = Listener()
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        Client(server.base_url) as client,
    ):
        caller = caller_of(client, listener, stream=True)
        async with CompletionStream(lambda: caller.stream(HI)) as stream:
            assert listener.heard == ["begun hi", "attempt", "first token"]
            answer = await stream.until_done()
    assert listener.heard[-1] == "finished"
    assert listener.results == [answer]


async def test_stream_that_is_left() -> None:
    """It has ended without a result."""
    listener = Listener()
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        Client(server.base_url) as client,
    ):
        caller = caller_of(client, listener, stream=True)
        async with CompletionStream(lambda: caller.stream(HI)):
            pass
    assert listener.heard[-1] == "finished"
    assert listener.results == [None]


async def test_stream_that_breaks_off() -> None:
    """Its error is its result; nothing is asked again once it was handed over."""
    listener = Listener()
    script = [CHUNKED + chunked(*HELLO[:3]), CLOSE]
    async with serve_scripts(script) as server, Client(server.base_url) as client:
        caller = caller_of(client, listener, stream=True)
        async with CompletionStream(lambda: caller.stream(HI)) as stream:
            with pytest.raises(limin.StreamError) as caught:
                await stream.until_done()
    assert listener.heard == ["begun hi", "attempt", "first token", "finished"]
    assert listener.results == [caught.value]


ERROR = event_of({"error": {"message": "overloaded", "code": 503}})


@pytest.mark.parametrize("is_later", [False, True])
async def test_error_of_a_stream_is_told_whichever_packet_brings_it(
    *, is_later: bool
) -> None:
    """Its reader, who gets the text before it first, is not the only one to hear of it."""
    listener, has_text = Listener(), anyio.Event()
    packets = [text_of("Hel"), ERROR] if is_later else [text_of("Hel") + ERROR]
    script: list[Any] = [
        CHUNKED + chunked(packets[0]),
        has_text,
        chunked(*packets[1:]),
        CLOSE,
    ]
    async with serve_scripts(script) as server, Client(server.base_url) as client:
        caller = caller_of(client, listener, stream=True)
        async with CompletionStream(lambda: caller.stream(HI)) as stream:
            assert (await anext(stream)).text == "Hel"
            has_text.set()
            with pytest.raises(limin.StreamError, match="overloaded") as caught:
                await stream.until_done()
    assert listener.heard == ["begun hi", "attempt", "first token", "finished"]
    assert listener.results == [caught.value]
    assert caught.value.conversation == HI


async def test_stream_without_a_readable_end_is_told_as_its_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is no stream that was left, and stays broken."""

    def refuse(*_how: object) -> None:
        problem = "nested too deeply"
        raise limin.ResponseError(problem)

    monkeypatch.setattr(Assembly, "completion", refuse)
    listener = Listener()
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        Client(server.base_url) as client,
    ):
        caller = caller_of(client, listener, stream=True)
        async with CompletionStream(lambda: caller.stream(HI)) as stream:
            for _ in range(2):
                with pytest.raises(limin.ResponseError, match="deeply") as caught:
                    await stream.until_done()
            assert repr(stream) == "<limin.CompletionStream: 3 deltas, broken>"
    assert listener.heard == ["begun hi", "attempt", "first token", "finished"]
    assert listener.results == [caught.value]
    assert [attempt.error for attempt in caught.value.attempts] == [caught.value]


async def test_calls_are_counted() -> None:
    """Those that were sent, those that wait, and none of those that ended."""
    calls = InFlight()
    counts: list[tuple[int, int]] = []

    class Counting(Observer):
        """Looks at the counts when a call waits, and when it has ended."""

        def waiting(self, *_event: object) -> None:
            counts.append((calls.under_way, calls.resting))

        def finished(self, *_event: object) -> None:
            counts.append((calls.under_way, calls.resting))

    async def answer(_request: Request) -> bytes:
        counts.append((calls.under_way, calls.resting))
        busy = len(counts) == 1
        return http(b"{}", "503 Busy") if busy else http(completion("hello"))

    async with serve(answer) as server, Client(server.base_url) as client:
        await caller_of(client, calls, Counting()).ask(HI)
    assert counts == [(1, 0), (0, 1), (1, 0), (0, 0)]


async def test_nobody_has_to_listen_to_everything() -> None:
    """The methods of an observer do nothing by themselves."""
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        Client(server.base_url) as client,
    ):
        caller = caller_of(client, Observer(), stream=True)
        assert (await caller.ask(HI)).message == "Hello"
