"""Retries, silence, and the deadline over them, in virtual time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio
import trio.testing
from loopback import completion
from streaming import HELLO, event_of

import limin
from limin import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pytest_httpx import HTTPXMock

URL = "http://model.test/v1"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run on Trio, with a clock that jumps to the next moment at which something is due."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each retry wait half of its longest backoff."""
    monkeypatch.setattr(random, "random", lambda: 0.5)


async def test_passing_failures_are_tried_again(httpx_mock: HTTPXMock) -> None:
    """The completion's timing lists every attempt and its wait."""
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    httpx_mock.add_response(503, content=b"busy")
    httpx_mock.add_response(429, headers={"retry-after": "33"})
    httpx_mock.add_response(content=completion("hi"))
    before = trio.current_time()
    async with Client(URL) as client:
        answer = await client.generate_text_completion("hello")
    assert answer.message == "hi"
    assert [type(attempt.error) for attempt in answer.timing.attempts] == [
        limin.ConnectError,
        limin.ServerError,
        limin.RateLimitError,
        type(None),
    ]
    waits = [attempt.waited for attempt in answer.timing.attempts]
    assert waits == [0.25, 0.5, 33.0, 0.0]
    assert trio.current_time() - before == pytest.approx(33.75)


@pytest.mark.parametrize("max_retries", [0, 2])
async def test_retries_come_to_an_end(httpx_mock: HTTPXMock, max_retries: int) -> None:
    """The last error is raised, and it holds all attempts."""
    for _ in range(1 + max_retries):
        httpx_mock.add_response(500)
    async with Client(URL) as client:
        with pytest.raises(limin.ServerError) as caught:
            await client.generate_text_completion("hello", max_retries=max_retries)
    attempts = caught.value.attempts
    assert len(attempts) == 1 + max_retries
    assert attempts[-1].error is caught.value
    assert attempts[-1].waited == 0.0


async def test_permanent_failure_is_raised_at_once(httpx_mock: HTTPXMock) -> None:
    """A wrong key is not sent a second time."""
    httpx_mock.add_response(401)
    async with Client(URL) as client:
        with pytest.raises(limin.AuthenticationError) as caught:
            await client.generate_text_completion("hello")
    assert len(caught.value.attempts) == 1


async def test_wait_beyond_the_deadline_is_not_begun(httpx_mock: HTTPXMock) -> None:
    """The error names the wait that the server demands."""
    httpx_mock.add_response(429, headers={"retry-after": "3600"})
    before = trio.current_time()
    async with Client(URL) as client:
        with pytest.raises(limin.RateLimitError, match="asks to wait 3600 seconds"):
            await client.generate_text_completion("hello")
    assert trio.current_time() == before


async def test_without_a_deadline_any_wait_is_begun(httpx_mock: HTTPXMock) -> None:
    """Without a timeout, even an hour is waited."""
    httpx_mock.add_response(429, headers={"retry-after": "3600"})
    httpx_mock.add_response(content=completion("hi"))
    async with Client(URL, timeout=None) as client:
        answer = await client.generate_text_completion("hello")
    assert answer.timing.attempts[0].waited == 3600.0


async def test_deadline_is_over_all_attempts(httpx_mock: HTTPXMock) -> None:
    """The error holds every attempt, and the last failure before it is its cause."""

    async def slow(_request: httpx.Request) -> httpx.Response:
        await trio.sleep(4)
        return httpx.Response(500)

    httpx_mock.add_callback(slow, is_reusable=True)
    async with Client(URL, timeout=10) as client:
        with pytest.raises(limin.RequestTimeoutError) as caught:
            await client.generate_text_completion("hello")
    assert caught.value.timeout == 10
    *before, cut = [attempt.error for attempt in caught.value.attempts]
    assert [type(error) for error in before] == [limin.ServerError] * 2
    assert cut is caught.value
    assert isinstance(caught.value.__cause__, limin.ServerError)


async def test_deadline_while_the_next_attempt_waits_for_its_turn(
    httpx_mock: HTTPXMock,
) -> None:
    """The wait for the rate limiter counts towards the deadline."""
    httpx_mock.add_response(500)
    async with Client(URL, timeout=10, requests_per_minute=1) as client:
        with pytest.raises(limin.RequestTimeoutError, match="10 seconds") as caught:
            await client.generate_text_completion("hello")
    (failed,) = caught.value.attempts
    assert failed.error is caught.value.__cause__


@pytest.mark.parametrize("max_retries", [-1, 1.5, "2", None, True])
def test_retries_that_make_no_sense(max_retries: int) -> None:
    """The error is raised before anything is sent."""
    with pytest.raises(limin.ConfigurationError, match="max_retries: expected an integer"):
        Client(URL, max_retries=max_retries)


class Dripping(httpx.AsyncByteStream):
    """A body that arrives in pieces; a number is a pause in seconds."""

    def __init__(self, *steps: bytes | float) -> None:
        self.steps = steps

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self.steps:
            if isinstance(step, bytes):
                yield step
            else:
                await trio.sleep(step)


COMMENTS = (b": keep-alive\n\n", 10.0) * 12


def drip(httpx_mock: HTTPXMock, *steps: bytes | float) -> None:
    """Answer the next request with *steps*."""
    headers = {"content-type": "text/event-stream"}
    httpx_mock.add_response(headers=headers, stream=Dripping(*steps))


@pytest.mark.parametrize("noise", [COMMENTS, (b"\n", 10.0) * 12, (120.0,)])
async def test_silence_after_the_first_token_is_limited(
    httpx_mock: HTTPXMock, noise: tuple[bytes | float, ...]
) -> None:
    """Only data end the silence; keep-alive comments do not."""
    drip(httpx_mock, *HELLO[:2], 55.0, HELLO[2], *noise, *HELLO[3:])
    before = trio.current_time()
    async with Client(URL) as client, client.stream_text_completion("hello") as stream:
        with pytest.raises(limin.StreamError, match="no data within 60 seconds") as caught:
            await stream.until_done()
    assert stream.text == caught.value.partial.message == "Hello"
    assert isinstance(caught.value.cause, limin.RequestTimeoutError)
    assert caught.value.cause.timeout == 60.0
    assert trio.current_time() - before == pytest.approx(115.0)


async def test_silence_before_the_first_token_is_thinking(httpx_mock: HTTPXMock) -> None:
    """Neither keep-alive comments nor a delta with only a role start the idle timeout."""
    drip(httpx_mock, *COMMENTS, HELLO[0], *COMMENTS, *HELLO[1:])
    async with Client(URL) as client, client.stream_text_completion("hello") as stream:
        assert (await stream.until_done()).message == "Hello"


async def test_data_break_the_silence(httpx_mock: HTTPXMock) -> None:
    """An event without a delta counts too: the server is working."""
    drip(httpx_mock, *HELLO[:2], 50.0, HELLO[0], 50.0, HELLO[0], 50.0, *HELLO[2:])
    async with Client(URL) as client, client.stream_text_completion("hello") as stream:
        assert (await stream.until_done()).message == "Hello"


async def test_reader_that_takes_its_time_is_not_the_servers_silence(
    httpx_mock: HTTPXMock,
) -> None:
    """The clock runs only while limin waits for the server."""
    drip(httpx_mock, *HELLO[:2], 1.0, *HELLO[2:])
    async with Client(URL) as client, client.stream_text_completion("hello") as stream:
        async for _ in stream:
            await trio.sleep(100)
    assert stream.completion.message == "Hello"


@pytest.mark.parametrize("idle_timeout", [5.0, None])
async def test_idle_timeout_of_the_call_wins_over_the_clients(
    httpx_mock: HTTPXMock, idle_timeout: float | None
) -> None:
    """None is no limit."""
    drip(httpx_mock, *HELLO[:2], 20.0, *HELLO[2:])
    async with (
        Client(URL, idle_timeout=10.0) as client,
        client.stream_text_completion("hello", idle_timeout=idle_timeout) as stream,
    ):
        if idle_timeout is None:
            assert (await stream.until_done()).message == "Hello"
        else:
            with pytest.raises(limin.StreamError, match="no data within 5 seconds"):
                await stream.until_done()


@pytest.mark.parametrize("timeout", [0, -1.0, True, "60"])
def test_idle_timeout_that_makes_no_sense(timeout: Any) -> None:
    """The error is raised before anything is sent."""
    with pytest.raises(limin.ConfigurationError, match="idle_timeout: expected seconds"):
        Client(URL, idle_timeout=timeout)
    with pytest.raises(limin.ConfigurationError, match="idle_timeout: expected seconds"):
        Client(URL).stream_text_completion("hello", idle_timeout=timeout)


async def test_deadline_of_a_stream_keeps_what_came(httpx_mock: HTTPXMock) -> None:
    """The deadline covers the whole stream, reading included."""
    drip(httpx_mock, *HELLO[:2], 4.0, HELLO[2], 4.0, *HELLO[3:])
    async with (
        Client(URL, timeout=6.0) as client,
        client.stream_text_completion("hello") as stream,
    ):
        with pytest.raises(limin.StreamError, match="within 6 seconds") as caught:
            await stream.until_done()
    assert caught.value.partial.message == "Hello"
    assert caught.value.partial.timing.time_to_first_text is not None


async def test_deadline_before_the_head_of_a_stream(httpx_mock: HTTPXMock) -> None:
    """Before the first byte the error is that of any request."""

    async def slow(_request: httpx.Request) -> httpx.Response:
        await trio.sleep(20)
        return httpx.Response(200)

    httpx_mock.add_callback(slow)
    async with Client(URL, timeout=6.0) as client:
        with pytest.raises(limin.RequestTimeoutError, match="within 6 seconds"):
            await client.stream_text_completion("hello").__aenter__()


async def test_idle_stream_of_a_completion_is_retried(
    httpx_mock: HTTPXMock,
) -> None:
    """A stream whose deadline has passed is not retried, and keeps its partial answer."""
    drip(httpx_mock, *HELLO[:2], 100.0)
    drip(httpx_mock, *HELLO)
    drip(httpx_mock, *HELLO[:2], 1000.0)
    async with Client(URL) as client:
        completion = await client.generate_text_completion("hello", stream=True)
        first, _ = completion.timing.attempts
        assert isinstance(first.error, limin.StreamError)
        assert first.error.partial.message == "Hel"
        with pytest.raises(limin.StreamError, match="within 30 seconds") as caught:
            await client.generate_text_completion("hello", stream=True, timeout=30.0)
    assert caught.value.partial.message == "Hel"
    assert len(caught.value.attempts) == 1


async def test_server_may_ask_for_rest_in_mid_stream(httpx_mock: HTTPXMock) -> None:
    """The wait that it demands is kept by all requests of the client."""
    error = event_of({"error": {"code": 429, "message": "Please retry after 33 seconds"}})
    drip(httpx_mock, *HELLO[:2], error)
    drip(httpx_mock, *HELLO)
    before = trio.current_time()
    async with Client(URL) as client:
        completion = await client.generate_text_completion("hello", stream=True)
        assert completion.message == "Hello"
        assert trio.current_time() - before == pytest.approx(33.0)
        drip(httpx_mock, *HELLO[:2], error)
        drip(httpx_mock, *HELLO)
        async with client.stream_text_completion("hello") as stream:
            with pytest.raises(limin.StreamError):
                await stream.until_done()
        await client.generate_text_completion("hello", stream=True)
    assert trio.current_time() - before == pytest.approx(66.0)
