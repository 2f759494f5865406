"""Retries and the deadline over them, in virtual time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
import trio.testing
from loopback import completion

import limin
from limin import Client

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock

URL = "http://model.test/v1"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Trio, whose clock jumps to the next moment at which something is due."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the longest wait, always."""
    monkeypatch.setattr(random, "random", lambda: 0.5)


async def test_passing_failures_are_tried_again(httpx_mock: HTTPXMock) -> None:
    """The answer comes, and tells of what it took."""
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
    """The last error is told, with all attempts on it."""
    for _ in range(1 + max_retries):
        httpx_mock.add_response(500)
    async with Client(URL) as client:
        with pytest.raises(limin.ServerError) as caught:
            await client.generate_text_completion("hello", max_retries=max_retries)
    attempts = caught.value.attempts
    assert len(attempts) == 1 + max_retries
    assert attempts[-1].error is caught.value
    assert attempts[-1].waited == 0.0


async def test_failure_that_stays_is_told_at_once(httpx_mock: HTTPXMock) -> None:
    """A wrong key is as wrong the next time."""
    httpx_mock.add_response(401)
    async with Client(URL) as client:
        with pytest.raises(limin.AuthenticationError) as caught:
            await client.generate_text_completion("hello")
    assert len(caught.value.attempts) == 1


async def test_wait_beyond_the_deadline_is_not_begun(httpx_mock: HTTPXMock) -> None:
    """The error says how long the server asked for."""
    httpx_mock.add_response(429, headers={"retry-after": "3600"})
    before = trio.current_time()
    async with Client(URL) as client:
        with pytest.raises(limin.RateLimitError, match="asks to wait 3600 seconds"):
            await client.generate_text_completion("hello")
    assert trio.current_time() == before


async def test_without_a_deadline_any_wait_is_begun(httpx_mock: HTTPXMock) -> None:
    """Whoever has all night waits an hour."""
    httpx_mock.add_response(429, headers={"retry-after": "3600"})
    httpx_mock.add_response(content=completion("hi"))
    async with Client(URL, timeout=None) as client:
        answer = await client.generate_text_completion("hello")
    assert answer.timing.attempts[0].waited == 3600.0


async def test_deadline_is_over_all_attempts(httpx_mock: HTTPXMock) -> None:
    """What was tried before is told; the last of it is the cause."""

    async def slow(_request: httpx.Request) -> httpx.Response:
        await trio.sleep(4)
        return httpx.Response(500)

    httpx_mock.add_callback(slow, is_reusable=True)
    async with Client(URL, timeout=10) as client:
        with pytest.raises(limin.RequestTimeoutError) as caught:
            await client.generate_text_completion("hello")
    assert caught.value.timeout == 10
    assert len(caught.value.attempts) == 2
    assert isinstance(caught.value.__cause__, limin.ServerError)


@pytest.mark.parametrize("max_retries", [-1, 1.5, "2", None, True])
def test_retries_that_make_no_sense(max_retries: int) -> None:
    """Told before anything is sent."""
    with pytest.raises(limin.ConfigurationError, match="max_retries: expected an integer"):
        Client(URL, max_retries=max_retries)
