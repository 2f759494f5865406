"""Streamed answers: their deltas, their ends, and the parts of broken ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import httpx
import httpx2
import pytest
from builders import TIMING, body_of, capture, read_capture
from loopback import http
from streaming import (
    CHUNKED,
    CLOSE,
    DONE,
    FINISH,
    HEAD,
    HELLO,
    LAST,
    RESET,
    ROLE,
    USAGE,
    WAIT,
    chunk_of,
    chunked,
    event_of,
    serve_scripts,
    streamed,
    text_of,
)

import limin
from limin import Client, Delta, StreamError, Usage
from limin.calls.call import Call
from limin.calls.caller import Caller
from limin.calls.rate_limiter import RateLimiter
from limin.calls.server import OneServer, Server
from limin.calls.streamed_answer import StreamedAnswer
from limin.policy.retry import RetryPolicy
from limin.values.configuration import ModelConfiguration
from limin.values.conversation import Conversation
from limin.values.endpoint import Endpoint
from limin.wire.assembly import Assembly
from limin.wire.http import HttpResponse
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

PARTIAL = (ROLE, text_of("Hel"), text_of("lo"))


def client_of(base_url: str, **options: Any) -> Client:
    """Return a client that does not retry, with a timeout of 30 seconds."""
    return Client(base_url, **{"max_retries": 0, "timeout": 30, **options})


async def read_to_the_end(base_url: str, **options: Any) -> limin.CompletionStream:
    """Return the stream of the server at *base_url*, after its end."""
    async with (
        client_of(base_url) as client,
        client.stream_text_completion("hi", **options) as stream,
    ):
        await stream.until_done()
    return stream


async def break_off(base_url: str, **options: Any) -> tuple[str, StreamError]:
    """Read the stream of the server at *base_url*; return its text, and its error."""
    async with client_of(base_url) as client:
        async with client.stream_text_completion("hi", **options) as stream:
            with pytest.raises(StreamError) as caught:
                await stream.until_done()
            with pytest.raises(StreamError) as again:
                await stream.until_done()
        assert again.value is caught.value
        return stream.text, caught.value


async def test_deltas_come_and_the_completion_stands_at_the_end() -> None:
    """Each delta is there as the server sent it, with the text so far; then the whole."""
    texts: list[str] = []
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        client_of(server.base_url) as client,
        client.stream_text_completion("hi") as stream,
    ):
        assert stream.text == ""
        deltas: list[Delta] = []
        async for delta in stream:
            deltas.append(delta)
            texts.append(stream.text)
    assert deltas == [Delta("Hel"), Delta("lo"), Delta(finish_reason="stop")]
    assert texts == ["Hel", "Hello", "Hello"]
    completion = stream.completion
    assert completion.message == "Hello"
    assert completion.finish_reason == "stop"
    assert completion.usage == Usage(prompt_tokens=5, completion_tokens=2)
    assert completion.conversation == Conversation.from_prompts("hi")
    (body,) = server.bodies
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


async def test_connection_is_used_again_after_the_end() -> None:
    """A stream that was read to its end leaves a connection that can carry more."""
    async with (
        serve_scripts([CHUNKED + chunked(*HELLO), LAST]) as server,
        client_of(server.base_url) as client,
    ):
        for _ in range(3):
            async with client.stream_text_completion("hi") as stream:
                assert (await stream.until_done()).message == "Hello"
                assert await stream.until_done() is stream.completion
    assert server.connections == 1


async def test_server_that_keeps_the_body_open_after_its_end() -> None:
    """A finished stream does not wait for the connection."""
    async with serve_scripts([CHUNKED + chunked(*HELLO), WAIT]) as server:
        stream = await read_to_the_end(server.base_url)
        assert stream.completion.message == "Hello"
        await server.left.wait()


# Of the captured streams, as their servers counted them.
TOKENS = {
    ("llama.cpp-b11549", "stream"): 12,
    ("llama.cpp-b11549", "stream_no_usage"): None,
    ("vllm-0.32.0", "stream"): 8,
    ("vllm-0.32.0", "stream_no_usage"): None,
}


@pytest.mark.parametrize(("server_name", "name"), TOKENS)
async def test_captured_stream_and_its_whole_twin(server_name: str, name: str) -> None:
    """The streamed answer of a real server is the start of its longer, whole answer."""
    exchange = capture(f"{server_name}-{name}")
    whole = read_capture(f"{server_name}-plain")
    body = HEAD + b"Connection: close\r\n\r\n" + exchange["body"].encode()
    async with serve_scripts([body, CLOSE]) as server:
        completion = (await read_to_the_end(server.base_url)).completion
    chunks = [
        line[6:] for line in exchange["body"].split("\n") if line.startswith("data: {")
    ]
    choices = [choice for chunk in chunks for choice in json.loads(chunk)["choices"]]
    assert completion.message == "".join(
        choice["delta"].get("content") or "" for choice in choices
    )
    assert completion.message
    assert whole.message.startswith(completion.message)
    assert completion.finish_reason in {"length", "stop"}
    assert completion.served_model == whole.served_model
    counted = None if completion.usage is None else completion.usage.completion_tokens
    assert counted == TOKENS[server_name, name]


@pytest.mark.parametrize("server_name", ["llama.cpp-b11549", "vllm-0.32.0"])
async def test_captured_stream_with_log_probs(server_name: str) -> None:
    """Each sampled token is there, with as many alternatives as were requested."""
    body = capture(f"{server_name}-stream_logprobs")["body"].encode()
    async with serve_scripts([HEAD + b"Connection: close\r\n\r\n" + body, CLOSE]) as server:
        stream = await read_to_the_end(server.base_url, log_probs=True, top_log_probs=3)
    log_probs = stream.completion.log_probs
    assert log_probs is not None
    assert log_probs.text() == stream.completion.message
    assert {len(position.alternatives) for position in log_probs} == {3}


class Pieces:
    """A body that comes in pieces, from no network."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [*pieces]
        self.head = HttpResponse(200, {"content-type": "text/event-stream"}, b"")

    async def receive(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    async def aclose(self) -> None:
        """Nothing is open."""


def answer_of(*pieces: bytes) -> StreamedAnswer:
    """The answer in a body of *pieces*, without a deadline."""
    endpoint = Endpoint.resolve("http://model.test/v1")
    # Nothing is sent.
    server = Server.of(endpoint, None, RateLimiter(None, None))  # type: ignore[arg-type]
    caller = Caller(
        servers=OneServer(server),
        encoder=RequestEncoder.of(ModelConfiguration(stream=True)),
        model="m",
        timeout=None,
        idle_timeout=None,
        retry=RetryPolicy(attempts=1),
        on_warning="ignore",
    )
    call = Call(caller, b"", caller.context(Conversation.from_prompts("hi")))
    call.attempts.begin()
    return StreamedAnswer(call, Pieces(*pieces))


async def test_bytes_after_the_end_are_read_and_dropped() -> None:
    """The rest of the body is dropped, so that the connection may be used again."""
    answer = answer_of(b"".join(HELLO), b"data: {oops\n\n", b"more")
    while await answer.next_deltas():
        pass
    assert answer.completion.message == "Hello"
    assert answer._response.pieces == []  # type: ignore[attr-defined]  # Pieces has them


async def test_finished_or_broken_answer_stays_so_when_it_is_closed() -> None:
    """An open one becomes closed."""
    finished, broken, closed = answer_of(*HELLO), answer_of(ROLE), answer_of(*HELLO)
    assert closed.state == "open"
    while await finished.next_deltas():
        pass
    with pytest.raises(StreamError):
        await broken.next_deltas()
    for answer in (finished, broken, closed):
        await answer.aclose()
    assert [answer.state for answer in (finished, broken, closed)] == [
        "finished",
        "broken",
        "closed",
    ]


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        ((LAST, CLOSE), None),
        ((CLOSE,), limin.ProtocolError),
        ((RESET,), limin.TransportError),
        ((b"garbage that is no chunk", CLOSE), limin.ProtocolError),
        ((chunked(text_of("?"))[:-9], CLOSE), limin.ProtocolError),
        ((chunked(b"data: {oops\n\n"), WAIT), limin.ResponseError),
        ((chunked(b"data: [1]\n\n"), WAIT), limin.ResponseError),
        (
            (chunked(event_of({"error": {"code": 429, "message": "slow"}})), WAIT),
            limin.RateLimitError,
        ),
        ((chunked(event_of({"message": "no"}, "error")), WAIT), limin.StatusError),
        ((chunked(b"data: " + b"x" * 16_000_001), WAIT), limin.ResponseTooLargeError),
    ],
)
async def test_stream_that_breaks_off_keeps_what_came(
    ending: tuple[bytes | str, ...], cause: type[limin.LiminError] | None
) -> None:
    """No stream ends silently: the text is handed over, and kept in the error."""
    async with serve_scripts([CHUNKED + chunked(*PARTIAL), *ending]) as server:
        text, error = await break_off(server.base_url)
    assert text == "Hello"
    assert error.partial.message == "Hello"
    assert error.partial.finish_reason is None
    assert error.partial.timing.time_to_first_token is not None
    assert error.__cause__ is error.cause
    assert [attempt.error for attempt in error.attempts] == [error]
    assert isinstance(error.cause, cause or type(None))
    assert str(error).startswith("the stream broke off: ")


@pytest.mark.parametrize("n_choices", [1, 3])
async def test_answer_without_a_finish_reason(n_choices: int) -> None:
    """A server that says it is done has answered: one request, and a warning."""
    ending = chunked(DONE) + LAST
    async with (
        serve_scripts([CHUNKED + chunked(*PARTIAL), ending, CLOSE]) as server,
        client_of(server.base_url) as client,
    ):
        options: Any = {"extra_body": {"n": n_choices}}
        stream = client.stream_text_completion("hi", **options)
        async with stream:
            completion = await stream.until_done()
        assert len(server.bodies) == 1
    assert (completion.message, completion.finish_reason) == ("Hello", None)
    codes = [str(warning.code) for warning in completion.warnings]
    assert codes == ["fewer-choices"] * (n_choices > 1) + ["finish-reason-missing"]


async def test_stream_without_a_word_is_broken_too() -> None:
    """If nothing of an answer came, entering fails, and the partial answer is empty."""
    async with (
        serve_scripts([streamed(ROLE, DONE)]) as server,
        client_of(server.base_url) as client,
    ):
        stream = client.stream_text_completion("hi")
        with pytest.raises(StreamError, match="without a finish reason") as caught:
            await stream.__aenter__()
    assert caught.value.partial.message == ""
    assert [type(attempt.error) for attempt in caught.value.attempts] == [StreamError]


async def test_part_that_cannot_be_read_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the stream is raised all the same."""
    read = Assembly.completion

    def completion(assembly: Assembly, *how: Any) -> limin.TextCompletion:
        if assembly._choices:
            problem = "nested too deeply"
            raise limin.ResponseError(problem)
        return read(assembly, *how)

    monkeypatch.setattr(Assembly, "completion", completion)
    async with serve_scripts([CHUNKED + chunked(text_of("x")), CLOSE]) as server:
        text, error = await break_off(server.base_url)
    assert text == "x"
    assert error.partial.message == ""


@pytest.mark.parametrize(
    "ending", [(CLOSE,), (RESET,), (chunked(DONE), CLOSE), (chunked(DONE), RESET)]
)
async def test_whole_answer_may_lose_its_end(ending: tuple[bytes | str, ...]) -> None:
    """If all choices are finished and the usage is there, nothing can be missing."""
    events = chunked(*PARTIAL, FINISH, USAGE)
    async with serve_scripts([CHUNKED + events, *ending]) as server:
        stream = await read_to_the_end(server.base_url)
    assert stream.completion.message == "Hello"
    assert stream.completion.finish_reason == "stop"


async def test_answer_that_says_it_is_done_may_lose_its_end() -> None:
    """A server that says it is done has no usage to lose."""
    events = chunked(*PARTIAL, FINISH, DONE)
    async with serve_scripts([CHUNKED + events, RESET]) as server:
        stream = await read_to_the_end(server.base_url)
    assert stream.completion.message == "Hello"
    assert stream.completion.usage is None


async def test_end_inside_the_last_word_of_a_whole_answer() -> None:
    """Only the end of the last event is missing."""
    body = b"".join((*PARTIAL, FINISH, USAGE)) + b"data: [DO"
    async with serve_scripts([HEAD + b"Connection: close\r\n\r\n" + body, CLOSE]) as server:
        stream = await read_to_the_end(server.base_url)
    assert stream.completion.message == "Hello"


async def test_last_event_may_lack_its_blank_line() -> None:
    """Proxies and some servers end a stream so."""
    body = b"".join((*PARTIAL, FINISH)).rstrip(b"\n")
    async with serve_scripts([HEAD + b"Connection: close\r\n\r\n" + body, CLOSE]) as server:
        stream = await read_to_the_end(server.base_url)
    assert stream.completion.finish_reason == "stop"


async def test_choice_that_never_came_is_missed() -> None:
    """Two were requested, and the server did not say that it was done."""
    async with serve_scripts([CHUNKED + chunked(*PARTIAL, FINISH, USAGE), CLOSE]) as server:
        _, error = await break_off(server.base_url, extra_body={"n": 2})
    assert error.partial.message == "Hello"


async def test_usage_that_is_lost_is_an_error() -> None:
    """The usage was requested, and the server did not say that it was done."""
    events = chunked(*PARTIAL, FINISH)
    async with serve_scripts([CHUNKED + events, CLOSE]) as server:
        _, error = await break_off(server.base_url)
    assert error.partial.finish_reason == "stop"


async def test_stream_is_asked_for_again_until_its_first_delta() -> None:
    """Refusals, garbage and ends before it are attempts, and the timing has them."""
    refused = http(b'{"error":{"message":"busy"}}', "503 Busy")
    scripts = [
        [refused],
        [CHUNKED + chunked(ROLE), CLOSE],
        [streamed(b"data: {oops\n\n")],
        [streamed(event_of({"error": {"code": 429, "message": "slow"}}))],
        [streamed(*HELLO)],
    ]
    async with (
        serve_scripts(*scripts) as server,
        client_of(server.base_url, max_retries=4) as client,
        client.stream_text_completion("hi") as stream,
    ):
        completion = await stream.until_done()
    assert completion.message == "Hello"
    kinds = [type(attempt.error) for attempt in completion.timing.attempts]
    assert kinds == [limin.ServerError, *[StreamError] * 3, type(None)]


async def test_stream_that_has_begun_is_never_asked_for_again() -> None:
    """A delta that was handed over cannot be taken back."""
    async with (
        serve_scripts([CHUNKED + chunked(*PARTIAL), CLOSE]) as server,
        client_of(server.base_url, max_retries=4) as client,
        client.stream_text_completion("hi") as stream,
    ):
        with pytest.raises(StreamError):
            await stream.until_done()
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "answer_bytes",
    [
        http(b'{"error":{"message":"no such key"}}', "401 No"),
        http(b'{"error":{"message":"no such key","code":401}}', "200 OK"),
    ],
)
async def test_error_is_raised_where_the_block_is_entered(answer_bytes: bytes) -> None:
    """The error is the same as for an answer that is not streamed."""
    async with (
        serve_scripts([answer_bytes]) as server,
        client_of(server.base_url) as client,
    ):
        stream = client.stream_text_completion("hi")
        with pytest.raises(limin.StatusError, match="no such key") as caught:
            await stream.__aenter__()
    assert len(caught.value.attempts) == 1


@pytest.mark.parametrize("events_before_leaving", range(5))
async def test_leaving_early_closes_the_connection_at_once(
    events_before_leaving: int,
) -> None:
    """The connection is closed at once, so that the server stops."""
    sent = CHUNKED + chunked(*HELLO[: events_before_leaving + 2])
    async with (
        serve_scripts([sent, WAIT]) as server,
        client_of(server.base_url) as client,
    ):
        async with client.stream_text_completion("hi") as stream:
            for _ in range(min(events_before_leaving, 3)):
                await anext(stream)
        with anyio.fail_after(5):
            await server.left.wait()
        with pytest.raises(RuntimeError, match="not read to its end"):
            _ = stream.completion
        with pytest.raises(RuntimeError, match="inside its `async with` block"):
            await stream.until_done()


@pytest.mark.parametrize("sent", [b"", CHUNKED, CHUNKED + chunked(ROLE)])
async def test_cancelled_before_the_first_delta(sent: bytes) -> None:
    """Cancelling closes the connection, and hands over no delta."""
    async with (
        serve_scripts([sent or b"HTTP/1.1", WAIT]) as server,
        client_of(server.base_url) as client,
    ):
        with anyio.move_on_after(0.05):
            async with client.stream_text_completion("hi"):
                pytest.fail("there is no delta")
        with anyio.fail_after(5):
            await server.left.wait()


async def test_cancelled_while_it_waits_for_a_delta() -> None:
    """Cancelling leaves the block, and closes the connection."""
    async with (
        serve_scripts([CHUNKED + chunked(*PARTIAL), WAIT]) as server,
        client_of(server.base_url) as client,
    ):
        with anyio.move_on_after(0.05):
            async with client.stream_text_completion("hi") as stream:
                await stream.until_done()
        assert stream.text == "Hello"
        with anyio.fail_after(5):
            await server.left.wait()


@pytest.mark.parametrize("package", [httpx, httpx2], ids=lambda it: it.__name__)
@pytest.mark.parametrize("deltas_before_leaving", [0, 1, 2])
async def test_leaving_early_through_the_users_client(
    package: ModuleType, deltas_before_leaving: int
) -> None:
    """The connection of a given client is closed at once too, without a warning."""
    sent = CHUNKED + chunked(*PARTIAL)
    async with (
        serve_scripts([sent, WAIT]) as server,
        package.AsyncClient() as http_client,
        client_of(server.base_url, http_client=http_client) as client,
    ):
        async with client.stream_text_completion("hi") as stream:
            for _ in range(deltas_before_leaving):
                await anext(stream)
        with anyio.fail_after(5):
            await server.left.wait()


@pytest.mark.parametrize("package", [httpx, httpx2], ids=lambda it: it.__name__)
async def test_stream_through_the_users_client(package: ModuleType) -> None:
    """The deltas and the completion are the same, and the connection is kept."""
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        package.AsyncClient() as http_client,
        client_of(server.base_url, http_client=http_client) as client,
    ):
        for _ in range(2):
            async with client.stream_text_completion("hi") as stream:
                assert [delta.text async for delta in stream] == ["Hel", "lo", ""]
    assert server.connections == 1


async def test_wait_that_was_cancelled_can_go_on() -> None:
    """A cancelled wait loses no delta, and doubles none."""
    go_on = anyio.Event()
    steps = [CHUNKED + chunked(*HELLO[:2]), go_on, chunked(*HELLO[2:]) + LAST]
    async with (
        serve_scripts(steps) as server,
        client_of(server.base_url) as client,
        client.stream_text_completion("hi") as stream,
    ):
        assert (await anext(stream)).text == "Hel"
        with anyio.move_on_after(0.02) as scope:
            await anext(stream)
        assert scope.cancelled_caught
        go_on.set()
        assert (await stream.until_done()).message == "Hello"


@pytest.mark.parametrize("package", [httpx, httpx2], ids=lambda it: it.__name__)
async def test_wait_that_was_cancelled_ends_the_users_clients_answer(
    package: ModuleType,
) -> None:
    """It is an error, and is not taken for the end."""
    sent = CHUNKED + chunked(*PARTIAL, FINISH)
    async with (
        serve_scripts([sent, WAIT]) as server,
        package.AsyncClient() as http_client,
        client_of(server.base_url, http_client=http_client) as client,
        client.stream_text_completion("hi") as stream,
    ):
        for _ in range(3):
            await anext(stream)
        with anyio.move_on_after(0.02) as scope:
            await anext(stream)
        assert scope.cancelled_caught
        with pytest.raises(StreamError, match="since a wait was cancelled"):
            await anext(stream)


class Endless(httpx.AsyncByteStream):
    """A body that never ends and never waits, and may not be closed."""

    def __init__(self, closing: Exception | None = None) -> None:
        self.closing = closing
        self.pieces = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.pieces += 1
            yield text_of("x")

    async def aclose(self) -> None:
        if self.closing is not None:
            raise self.closing


@pytest.mark.parametrize("closing", [None, httpx.CloseError("no")])
async def test_transport_that_never_waits_can_be_left(closing: Exception | None) -> None:
    """The stream can be left, and an error of closing it changes nothing."""
    body = Endless(closing)
    headers = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers=headers, stream=body)
    )
    async with (
        httpx.AsyncClient(transport=transport) as http_client,
        Client("http://model.test/v1", http_client=http_client, timeout=0.2) as client,
    ):
        async with client.stream_text_completion("hi") as stream:
            await anext(stream)
        assert body.pieces < 50_000
        with pytest.raises(StreamError, match=r"within 0\.2 seconds"):
            await client.generate_text_completion("hi", stream=True)


@pytest.mark.parametrize("ending", [(CLOSE,), (b"no chunk", CLOSE)])
@pytest.mark.parametrize("package", [httpx, httpx2], ids=lambda it: it.__name__)
async def test_stream_that_breaks_in_the_users_client(
    package: ModuleType, ending: tuple[bytes | str, ...]
) -> None:
    """The exceptions of the client become limin's own."""
    async with (
        serve_scripts([CHUNKED + chunked(*PARTIAL), *ending]) as server,
        package.AsyncClient() as http_client,
        client_of(server.base_url, http_client=http_client) as client,
        client.stream_text_completion("hi") as stream,
    ):
        with pytest.raises(StreamError) as caught:
            await stream.until_done()
    assert isinstance(caught.value.cause, limin.ProtocolError)
    assert caught.value.partial.message == "Hello"


@pytest.mark.parametrize("streams", [False, True])
async def test_body_beyond_its_limit(*, streams: bool) -> None:
    """A stream may cost no more than any other answer."""
    limits = limin.Limits(body_bytes=1000)
    body = streamed(*PARTIAL, *[text_of("x" * 100)] * 20)
    async with (
        serve_scripts([body]) as server,
        client_of(server.base_url, limits=limits) as client,
    ):
        with pytest.raises(limin.LiminError) as caught:
            await client.generate_text_completion("hi", stream=streams)
    error = caught.value
    cause = error.cause if isinstance(error, StreamError) else error
    assert isinstance(cause, limin.ResponseTooLargeError)


async def test_server_that_ignores_the_wish_for_a_stream() -> None:
    """Its whole answer is one delta."""
    body = json.dumps(body_of("4", finish_reason="stop")).encode()
    async with serve_scripts([http(body)]) as server, client_of(server.base_url) as client:
        async with client.stream_text_completion("hi") as stream:
            deltas = [delta async for delta in stream]
        whole = await client.generate_text_completion("hi")
    assert deltas == [Delta("4", finish_reason="stop")]
    assert stream.text == "4"
    assert attrs.evolve(stream.completion, timing=TIMING) == attrs.evolve(
        whole, timing=TIMING
    )
    assert stream.completion.raw_bytes == body
    assert stream.completion.timing.time_to_first_token is None


async def test_completion_is_the_same_by_streaming() -> None:
    """`stream=True` changes how an answer is fetched, and adds times to its timing."""
    async with serve_scripts([streamed(*HELLO)]) as server:
        options: dict[str, Any] = {"base_url": server.base_url, "stream": True}
        single = await limin.generate_text_completion("hi", **options)
        batch = await limin.generate_text_completions(
            ["hi"] * 5, show_progress=False, **options
        )
        async with limin.iter_text_completions(["hi"], **options) as results:
            finished = [result async for _, result in results]
    for completion in [single, *batch, *finished]:
        assert isinstance(completion, limin.TextCompletion)
        assert completion.message == "Hello"
        assert len(completion.timing.delta_times) == 3


async def test_broken_stream_of_a_completion_is_asked_for_again() -> None:
    """Nothing was handed over yet; the part that came is kept with its attempt."""
    scripts = [
        [CHUNKED + chunked(*PARTIAL), CLOSE],
        [streamed(*PARTIAL)],
        [streamed(*PARTIAL, b"data: {oops\n\n")],
        [streamed(*HELLO)],
    ]
    async with (
        serve_scripts(*scripts) as server,
        client_of(server.base_url, max_retries=4) as client,
    ):
        completion = await client.generate_text_completion("hi", stream=True)
    assert completion.message == "Hello"
    *broken, last = completion.timing.attempts
    assert last.error is None
    for attempt in broken:
        assert isinstance(attempt.error, StreamError)
        assert attempt.error.partial.message == "Hello"
        assert attempt.error.partial.finish_reason is None


async def test_stream_that_stays_broken_is_that_prompts_error() -> None:
    """The error has the last part that came, and all attempts."""
    async with (
        serve_scripts([CHUNKED + chunked(*PARTIAL), CLOSE]) as server,
        client_of(server.base_url, max_retries=2) as client,
    ):
        (error,) = await client.generate_text_completions(
            ["hi"], stream=True, on_error="return", show_progress=False
        )
    assert isinstance(error, StreamError)
    assert len(error.attempts) == 3


@pytest.mark.parametrize("on_warning", ["raise", "warn"])
async def test_warnings_of_a_stream_come_at_its_end(on_warning: Any) -> None:
    """A warning comes after every delta, and the completion is there all the same."""
    odd = event_of(chunk_of({"content": "Hel", "refusal": 5}))
    async with (
        serve_scripts([streamed(odd, FINISH, USAGE, DONE)]) as server,
        client_of(server.base_url) as client,
        client.stream_text_completion("hi", on_warning=on_warning) as stream,
    ):
        assert [await anext(stream), await anext(stream)][0].text == "Hel"
        with pytest.raises(limin.AnswerWarningError) as caught:
            await anext(stream)
        assert stream.completion is caught.value.completion


async def test_stream_function_opens_a_client_for_its_call() -> None:
    """The function closes its own client, however the block is left."""
    async with serve_scripts([CHUNKED + chunked(*PARTIAL), WAIT]) as server:
        async with limin.stream_text_completion(
            "hi", system_prompt="be brief", base_url=server.base_url
        ) as stream:
            assert (await anext(stream)).text == "Hel"
        with anyio.fail_after(5):
            await server.left.wait()
    assert [message["role"] for message in server.bodies[0]["messages"]] == [
        "system",
        "user",
    ]
    with pytest.raises(limin.ConnectError):
        async with limin.stream_text_completion(
            "hi", base_url=server.base_url, max_retries=0
        ):
            pytest.fail("the server is gone")


async def test_stream_function_closes_its_client_after_the_end() -> None:
    """The client is closed, even if its connection could carry more or nothing began."""
    for script in (
        [streamed(*HELLO)],
        [http(b'{"error":{"message":"no such key"}}', "401 No")],
    ):
        async with serve_scripts(script) as server:
            stream = limin.stream_text_completion(
                "hi", base_url=server.base_url, max_retries=0
            )
            if script[0].startswith(b"HTTP/1.1 200"):
                async with stream:
                    await stream.until_done()
            else:
                with pytest.raises(limin.AuthenticationError):
                    await stream.__aenter__()
            with anyio.fail_after(5):
                await server.gone.wait()


@pytest.mark.parametrize(
    ("indices", "text"), [([0, 1], "ac"), ([1, 0], "bd"), ([1, 1], "abcd")]
)
async def test_text_is_that_of_the_first_choice(indices: list[int], text: str) -> None:
    """The text is the one of the choice with the lowest index."""
    events = [
        event_of(chunk_of({"content": letter}, index=indices[position % 2]))
        for position, letter in enumerate("abcd")
    ]
    ends = [event_of(chunk_of({}, index=n, finish_reason="stop")) for n in {*indices}]
    async with serve_scripts([streamed(*events, *ends, USAGE, DONE)]) as server:
        stream = await read_to_the_end(server.base_url, extra_body={"n": len({*indices})})
    assert stream.text == stream.completion.message == text


async def test_stream_function_uses_the_client_that_it_is_given() -> None:
    """The function leaves the client of its caller open."""
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        Client(server.base_url) as client,
    ):
        for _ in range(2):
            async with limin.stream_text_completion_for_conversation(
                Conversation.from_prompts("hi"), client=client
            ) as stream:
                assert (await stream.until_done()).message == "Hello"
    assert server.connections == 1


async def test_stream_is_used_as_it_should_be() -> None:
    """A stream is read inside its block, and entered once."""
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        Client(server.base_url) as client,
    ):
        stream = client.stream_text_completion("hi")
        with pytest.raises(RuntimeError, match="inside its `async with` block"):
            await anext(stream)
        async with stream:
            with pytest.raises(RuntimeError, match="not read to its end"):
                _ = stream.completion
            with pytest.raises(RuntimeError, match="entered once"):
                await stream.__aenter__()
        options: Any = {"stream": False}
        with pytest.raises(TypeError, match="unexpected keyword argument: 'stream'"):
            client.stream_text_completion("hi", **options)


async def test_repr_shows_the_state_and_no_text() -> None:
    """How many deltas were handed over, and whether more can come."""
    go_on = anyio.Event()
    steps = [CHUNKED, go_on, chunked(*HELLO[:2]), chunked(*HELLO[2:]) + LAST]
    async with serve_scripts(steps) as server, Client(server.base_url) as client:
        stream = client.stream_text_completion("hi")
        assert repr(stream) == "<limin.CompletionStream: not entered>"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.__aenter__)
            await anyio.wait_all_tasks_blocked()
            assert repr(stream) == "<limin.CompletionStream: 0 deltas, waiting>"
            go_on.set()
        await anext(stream)
        assert repr(stream) == "<limin.CompletionStream: 1 delta, open>"
        await stream.until_done()
        await stream.__aexit__(None, None, None)
    assert repr(stream) == "<limin.CompletionStream: 3 deltas, finished>"


@pytest.mark.parametrize(
    ("ending", "state"), [(CLOSE, "2 deltas, broken"), (WAIT, "2 deltas, closed")]
)
async def test_repr_of_a_stream_without_an_end(ending: str, state: str) -> None:
    """An error broke it, or its reader left."""
    async with (
        serve_scripts([CHUNKED + chunked(*PARTIAL), ending]) as server,
        client_of(server.base_url) as client,
        client.stream_text_completion("hi") as stream,
    ):
        await anext(stream)
        await anext(stream)
        if ending == CLOSE:
            with pytest.raises(StreamError):
                await anext(stream)
    assert repr(stream) == f"<limin.CompletionStream: {state}>"


async def test_repr_of_a_stream_that_never_began() -> None:
    """The error was raised where it was entered."""
    async with (
        serve_scripts([http(b"", "401 No")]) as server,
        client_of(server.base_url) as client,
    ):
        stream = client.stream_text_completion("hi")
        with pytest.raises(limin.AuthenticationError):
            await stream.__aenter__()
    assert repr(stream) == "<limin.CompletionStream: 0 deltas, broken>"


async def test_option_that_leaves_out_what_a_server_refuses() -> None:
    """The request asks for no usage then, and none is missed."""
    async with serve_scripts([streamed(*PARTIAL, FINISH)]) as server:
        stream = await read_to_the_end(
            server.base_url, extra_body={"stream_options": None, "min_p": 0.1}
        )
    assert stream.completion.usage is None
    assert "stream_options" not in server.bodies[0]
    assert server.bodies[0]["min_p"] == 0.1
