"""The pace of a client, and the pauses that a server demands, in virtual time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
import trio
import trio.testing
from loopback import completion

import limin
from limin import Client
from limin.calls.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_httpx import HTTPXMock

URL = "http://model.test/v1"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run on Trio, with a clock that jumps to the next moment at which something is due."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def record(
    httpx_mock: HTTPXMock, answer: Callable[[int], httpx.Response], seconds: float = 0.0
) -> list[float]:
    """Answer the n-th request with *answer(n)* after *seconds*; return when each came."""
    arrivals: list[float] = []

    async def respond(_request: httpx.Request) -> httpx.Response:
        arrivals.append(trio.current_time())
        number = len(arrivals)
        await trio.sleep(seconds)
        return answer(number)

    httpx_mock.add_callback(respond, is_reusable=True)
    return arrivals


def refuse_first(status: int, wait: str | None = None) -> Callable[[int], httpx.Response]:
    """Refuse the first request with *status* and a *wait*; answer all others."""
    headers = {} if wait is None else {"retry-after": wait}

    def answer(number: int) -> httpx.Response:
        return fine(number) if number > 1 else httpx.Response(status, headers=headers)

    return answer


def fine(_number: int) -> httpx.Response:
    """Return a response with a completion of 100 tokens."""
    usage = {"prompt_tokens": 40, "completion_tokens": 60, "total_tokens": 100}
    return httpx.Response(200, content=completion("hi", usage=usage))


async def ask(client: Client, prompts: int, n_parallel: int = 100) -> list[object]:
    """Send so many prompts, and return a completion or an error for each."""
    return list(
        await client.generate_text_completions(
            ["hello"] * prompts, n_parallel, show_progress=False, on_error="return"
        )
    )


def test_seconds_of_rest_can_be_read_outside_of_the_loop() -> None:
    """The progress bar of a batch reads them in a thread of its own."""
    rate_limiter = RateLimiter(None, None)
    assert rate_limiter.seconds_of_rest == 0.0

    async def refuse() -> None:
        rate_limiter.note_failure(
            limin.RateLimitError(429, "slower", retry_after=90.0), None
        )
        rate_limiter.note_failure(
            limin.RateLimitError(429, "slower", retry_after=30.0), None
        )
        rate_limiter.note_failure(limin.ConnectError("refused"), 50.0)

    trio.run(refuse)
    assert 60.0 < rate_limiter.seconds_of_rest <= 90.0


def test_rates_of_numpy_are_plain_numbers() -> None:
    """A clock's time keeps its digits in a sum with them."""
    rates = RateLimiter(np.float32(30.0), np.int64(4)).rates
    assert rates == (30.0, 4)
    assert [type(rate) for rate in rates] == [float, int]


async def ask_two() -> None:
    """Send one prompt, and another a moment later."""
    async with Client(URL) as client, trio.open_nursery() as tasks:
        tasks.start_soon(client.generate_text_completion, "first")
        await trio.sleep(0.01)
        tasks.start_soon(client.generate_text_completion, "second")


@pytest.mark.parametrize("status", [429, 503])
async def test_wait_of_one_request_holds_for_all(
    httpx_mock: HTTPXMock, status: int
) -> None:
    """After a refusal nothing is sent until the wait is over, and then not all at once."""
    arrivals = record(httpx_mock, refuse_first(status, "20"))
    async with Client(URL) as client:
        results = await ask(client, 40, n_parallel=1)
        assert trio.current_time() - arrivals[0] == pytest.approx(20.0, abs=3.0)
        assert arrivals[1] - arrivals[0] == pytest.approx(20.0)
    assert all(isinstance(result, limin.TextCompletion) for result in results)


async def test_waiting_requests_leave_a_few_at_a_time(httpx_mock: HTTPXMock) -> None:
    """After the pause four requests leave at once, the others later."""

    def refuse_ten(number: int) -> httpx.Response:
        if number > 10:
            return fine(number)
        return httpx.Response(429, headers={"retry-after": "10"})

    arrivals = record(httpx_mock, refuse_ten, seconds=1)
    async with Client(URL) as client:
        await ask(client, 64, n_parallel=10)
    assert len(arrivals) == 74
    assert [round(moment - arrivals[0], 3) for moment in arrivals[10:14]] == [11.0] * 4
    assert arrivals[14] - arrivals[0] > 11.1


async def test_refusal_without_a_wait_pauses_as_long_as_the_retry(
    httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 429 that names no time pauses all requests, too."""
    monkeypatch.setattr("random.random", lambda: 0.5)

    arrivals = record(httpx_mock, refuse_first(429))
    await ask_two()
    assert arrivals[1] - arrivals[0] == pytest.approx(0.25)
    assert arrivals[2] - arrivals[0] == pytest.approx(0.25)


async def test_rate_limit_under_another_status_is_a_pause(httpx_mock: HTTPXMock) -> None:
    """GitHub Models sends 403; what it says is what counts."""
    body = b'{"error": {"message": "Rate limit exceeded. Please retry in 20 seconds."}}'

    def refuse(number: int) -> httpx.Response:
        return fine(number) if number > 1 else httpx.Response(403, content=body)

    came = record(httpx_mock, refuse)
    await ask_two()
    assert came[1] - came[0] == pytest.approx(20.0)


async def test_unavailable_server_without_a_wait_pauses_nothing(
    httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 503 that names no time may come from one machine of several."""
    monkeypatch.setattr("random.random", lambda: 0.5)

    arrivals = record(httpx_mock, refuse_first(503))
    await ask_two()
    assert arrivals[1] - arrivals[0] == pytest.approx(0.01)


async def test_exhausted_quota_is_no_rest(httpx_mock: HTTPXMock) -> None:
    """Waiting does not restore a quota, so nothing is paused."""
    body = b'{"error": {"code": "insufficient_quota", "message": "no money"}}'
    headers = {"retry-after": "100"}
    httpx_mock.add_response(429, content=body, headers=headers)
    httpx_mock.add_response(content=completion("hi"))
    async with Client(URL) as client:
        before = trio.current_time()
        with pytest.raises(limin.QuotaError):
            await client.generate_text_completion("hello")
        await client.generate_text_completion("hello")
        assert trio.current_time() == before


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", ["3600", "90000000"])
async def test_pause_that_outlasts_the_timeout_is_not_begun(
    httpx_mock: HTTPXMock, status: int, wait: str
) -> None:
    """The requests after the refused one fail at once, and say why."""
    came = record(httpx_mock, refuse_first(status, wait))
    async with Client(URL, timeout=600) as client:
        first, *others = await ask(client, 3, n_parallel=1)
        assert trio.current_time() == came[0]
    assert isinstance(first, limin.StatusError)
    for error in others:
        assert isinstance(error, limin.RequestTimeoutError)
        assert (error.timeout, error.attempts) == (600.0, ())
        assert "the server wants a pause of " in str(error)
    assert len(came) == 1


async def test_pause_that_ends_before_the_timeout_is_slept_through(
    httpx_mock: HTTPXMock,
) -> None:
    """A batch with an hour to spare sleeps through half an hour; None allows any."""
    for timeout in (3600, None):
        came = record(httpx_mock, refuse_first(429, "1800"))
        async with Client(URL, timeout=timeout) as client:
            results = await ask(client, 3, n_parallel=1)
        assert [type(one) for one in results] == [limin.TextCompletion] * 3
        assert came[1] - came[0] == 1800.0
        httpx_mock.reset()


async def test_pause_that_grows_beyond_the_timeout(httpx_mock: HTTPXMock) -> None:
    """A request that waits already is not kept beyond its own deadline."""
    came: list[float] = []

    async def refuse(request: httpx.Request) -> httpx.Response:
        came.append(trio.current_time())
        seconds, wait = (1, "10") if b"first" in request.content else (5, "90")
        await trio.sleep(seconds)
        return httpx.Response(429, headers={"retry-after": wait})

    httpx_mock.add_callback(refuse, is_reusable=True)
    client = Client(URL, timeout=30, max_retries=0)

    async def fail(prompt: str, seconds: float) -> None:
        before = trio.current_time()
        with pytest.raises(limin.LiminError):
            await client.generate_text_completion(prompt)
        assert trio.current_time() - before == pytest.approx(seconds)

    async with client, trio.open_nursery() as tasks:
        tasks.start_soon(fail, "first", 1.0)
        tasks.start_soon(fail, "second", 5.0)
        await trio.sleep(2)
        tasks.start_soon(fail, "third", 30.0)
    assert len(came) == 2


async def test_cancelled_requests_leave_no_gap(httpx_mock: HTTPXMock) -> None:
    """Their places in the queue go to those behind them."""
    came = record(httpx_mock, fine)
    async with Client(URL, requests_per_minute=60) as client:
        await client.generate_text_completion("hello")
        for _ in range(20):
            with trio.move_on_after(0.01):
                await client.generate_text_completion("hello")
        await client.generate_text_completion("hello")
    assert came[1] - came[0] == pytest.approx(1.0)


async def test_own_rates_are_in_no_deadline(httpx_mock: HTTPXMock) -> None:
    """Who asks for one request a minute, does not want the others to fail."""
    record(httpx_mock, fine)
    async with Client(URL, timeout=10, requests_per_minute=1) as client:
        results = await ask(client, 5)
    assert [type(one) for one in results] == [limin.TextCompletion] * 5


async def test_absurd_usage_costs_a_minute_at_most(httpx_mock: HTTPXMock) -> None:
    """What a server counts is not trusted beyond that."""

    def answer(_number: int) -> httpx.Response:
        usage = {"total_tokens": 10**15}
        return httpx.Response(200, content=completion("hi", usage=usage))

    came = record(httpx_mock, answer)
    async with Client(URL, tokens_per_minute=1000) as client:
        await ask(client, 3, n_parallel=1)
    assert [after - before for before, after in pairwise(came)] == pytest.approx([60.0] * 2)


@pytest.mark.parametrize("n_parallel", [1, 3])
async def test_counts_hold_no_request_longer_than_its_timeout(
    httpx_mock: HTTPXMock, n_parallel: int
) -> None:
    """Sizes alone would let these go at once, whatever a server says that they took."""

    def answer(_number: int) -> httpx.Response:
        usage = {"total_tokens": 10**12}
        return httpx.Response(200, content=completion("hi", usage=usage))

    came = record(httpx_mock, answer)
    async with Client(URL, tokens_per_minute=10**6, timeout=2) as client:
        first = await client.generate_text_completion("hello")
        results = [first, *await ask(client, 6, n_parallel)]
    assert [type(one) for one in results] == [limin.TextCompletion] * 7
    gaps = [after - before for before, after in pairwise(came)]
    by_counts = [2.0] * 6 if n_parallel == 1 else [2.0, 0.0, 0.0] * 2
    assert gaps == pytest.approx(by_counts, abs=0.02)


async def test_short_timeout_waits_behind_no_longer_one(httpx_mock: HTTPXMock) -> None:
    """The first in the queue may wait for a minute; who is behind it need not."""

    def answer(_number: int) -> httpx.Response:
        usage = {"total_tokens": 10**12}
        return httpx.Response(200, content=completion("hi", usage=usage))

    came = record(httpx_mock, answer)
    async with Client(URL, tokens_per_minute=10**6) as client:
        await client.generate_text_completion("hello")
        async with trio.open_nursery() as tasks:
            tasks.start_soon(client.generate_text_completion, "patient")
            await trio.sleep(1)
            await client.generate_text_completion("hasty", timeout=3)
            assert trio.current_time() - came[0] == pytest.approx(4.0, abs=0.02)
    assert came[2] - came[0] == pytest.approx(64.0, abs=0.02)


async def test_own_rate_of_tokens_holds_with_a_short_timeout(
    httpx_mock: HTTPXMock,
) -> None:
    """What the sizes alone demand is the user's own wish, however long it takes."""
    came = record(httpx_mock, lambda _number: httpx.Response(200, content=completion("hi")))
    async with Client(URL, tokens_per_minute=1000, timeout=1) as client:
        await client.generate_text_completions(
            ["hello"] * 3, max_tokens=999, show_progress=False
        )
    assert [after - before for before, after in pairwise(came)] == pytest.approx(
        [61.0] * 2, abs=1.0
    )


async def test_pause_that_outlasts_a_deadline_is_not_begun(httpx_mock: HTTPXMock) -> None:
    """A request that fails during a long pause raises its own error at once."""

    async def respond(request: httpx.Request) -> httpx.Response:
        if b"limited" in request.content:
            await trio.sleep(1)
            return httpx.Response(429, headers={"retry-after": "3600"})
        await trio.sleep(5)
        return httpx.Response(500)

    httpx_mock.add_callback(respond, is_reusable=True)
    async with Client(URL, timeout=60) as client:
        results = await client.generate_text_completions(
            ["limited", "slow"], on_error="return", show_progress=False
        )
    assert isinstance(results[1], limin.ServerError)
    assert len(results[1].attempts) == 1


async def test_longer_pause_holds_for_waiting_requests(httpx_mock: HTTPXMock) -> None:
    """A request that waits for the end of a pause waits for a later end as well."""

    def twice(number: int) -> httpx.Response:
        if number > 2:
            return fine(number)
        wait = "10" if number == 1 else "30"
        return httpx.Response(429, headers={"retry-after": wait})

    arrivals = record(httpx_mock, twice, seconds=5)
    async with Client(URL) as client, trio.open_nursery() as tasks:
        tasks.start_soon(client.generate_text_completion, "one")
        await trio.sleep(2)
        tasks.start_soon(client.generate_text_completion, "two")
        await trio.sleep(4)
        tasks.start_soon(client.generate_text_completion, "three")
    assert [round(moment - arrivals[0]) for moment in arrivals] == [0, 2, 37, 37, 37]


async def test_waits_are_recorded_as_they_were(httpx_mock: HTTPXMock) -> None:
    """`waited` is the time that passed, the rate limiter's wait included."""
    record(httpx_mock, refuse_first(500))
    async with Client(URL, requests_per_minute=6) as client:
        answer = await client.generate_text_completion("hello")
    assert [attempt.waited for attempt in answer.timing.attempts] == [10.0, 0.0]


async def test_requests_per_minute(httpx_mock: HTTPXMock) -> None:
    """At sixty a minute one request leaves each second, however many could run."""
    arrivals = record(httpx_mock, fine)
    async with Client(URL, requests_per_minute=60) as client:
        await ask(client, 5)
    gaps = [round(moment - arrivals[0], 3) for moment in arrivals]
    assert gaps == [0.0, 1.0, 2.0, 3.0, 4.0]


async def test_tokens_per_minute(httpx_mock: HTTPXMock) -> None:
    """Once usage is known, the gap between requests fits their tokens."""
    arrivals = record(httpx_mock, fine)
    async with Client(URL, tokens_per_minute=1000) as client:
        await ask(client, 60, n_parallel=1)
    gaps = [after - before for before, after in pairwise(arrivals[-10:])]
    assert gaps == pytest.approx([6.0] * len(gaps), rel=0.05)


async def test_usage_without_a_total_is_added_up(httpx_mock: HTTPXMock) -> None:
    """If a server leaves the total out, its parts are added up."""
    usage = {"prompt_tokens": 400, "completion_tokens": 600}

    def answer(_number: int) -> httpx.Response:
        return httpx.Response(200, content=completion("hi", usage=usage))

    arrivals = record(httpx_mock, answer)
    async with Client(URL, tokens_per_minute=1000) as client:
        await ask(client, 2, n_parallel=1)
    assert arrivals[1] - arrivals[0] == pytest.approx(60.0)


@pytest.mark.parametrize("number", [0, -1, float("nan"), float("inf"), "60", True])
@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute"])
def test_pace_that_makes_no_sense(name: str, number: object) -> None:
    """The error is raised before anything is sent."""
    with pytest.raises(limin.ConfigurationError, match=f"{name}: expected a number above"):
        Client(URL, **{name: number})  # type: ignore[arg-type]  # wrong on purpose


def test_pace_belongs_to_one_event_loop(httpx_mock: HTTPXMock) -> None:
    """The clocks of two runs are independent of each other."""
    record(httpx_mock, fine)
    client = Client(URL, requests_per_minute=1)

    async def once() -> float:
        before = trio.current_time()
        await client.generate_text_completion("hello")
        return trio.current_time() - before

    assert [trio.run(once) for _ in range(2)] == pytest.approx([0.0, 0.0], abs=0.5)
