"""A scripted endpoint, as the code under test and the test see it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
import trio
import trio.testing

import limin
from limin import Client, generate_text_completion, generate_text_completions
from limin.testing import (
    Answer,
    Garbage,
    Refusal,
    Request,
    ScriptedEndpoint,
    Silence,
    Stream,
    scripted_endpoint,
)
from limin.testing.requests import read_request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from limin.testing import Reply

KEY = "sk-very-secret-key-0123456789"


@asynccontextmanager
async def failing_endpoint(script: Any, problem: str) -> AsyncGenerator[ScriptedEndpoint]:
    """Run an endpoint whose test fails because of *problem*."""
    failure = (AssertionError, limin.ConfigurationError)
    with pytest.raises(failure, match=problem):
        async with scripted_endpoint(script) as endpoint:
            yield endpoint


async def test_answers_come_in_their_order() -> None:
    """Each request takes the next answer, and can be looked at."""
    script = [Answer("Paris."), Answer("Rome.", usage={"total_tokens": 9})]
    async with (
        scripted_endpoint(script) as endpoint,
        Client(endpoint.base_url, KEY) as client,
    ):
        first = await client.generate_text_completion("France?", temperature=0)
        second = await client.generate_text_completion("Italy?", stream=True)
    assert (first.message, second.message) == ("Paris.", "Rome.")
    assert second.usage == limin.Usage(total_tokens=9)
    asked, _ = endpoint.requests
    assert asked.messages == [{"role": "user", "content": "France?"}]
    assert asked.parameters == {"model": "gpt-4o", "temperature": 0}
    assert json.loads(asked.body)["messages"] == asked.messages
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["authorization"] == "Bearer ***"
    assert repr(endpoint) == f"<ScriptedEndpoint {endpoint.base_url}, 2 requests>"


async def test_typed_answer_and_tools() -> None:
    """A value is read back as it was scripted, and a called tool is called."""

    def get_weather(city: str) -> str:
        """Get the weather in a city."""
        return f"sunny in {city}"

    call = limin.ToolCall("call_1", "get_weather", '{"city": "Paris"}')
    script = [Answer({"Paris": 3}), Answer(None, tool_calls=[call]), Answer("Sunny.")]
    async with (
        scripted_endpoint(script) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        typed = await client.generate_text_completion("?", response_type=dict[str, int])
        run = await client.run_tools("Weather?", [get_weather])
    assert typed.value == {"Paris": 3}
    assert run.completion.message == "Sunny."
    assert endpoint.requests[2].messages[-1]["content"] == "sunny in Paris"


async def test_log_probs_arrive_whole_and_streamed() -> None:
    """What the script says of the tokens is what the completion tells."""
    tokens = [("Par", -0.25, {"Lon": -2.0}), ("is", -0.5, {"": -3.0})]
    script = [Answer("Paris", log_probs=tokens)] * 2
    async with (
        scripted_endpoint(script) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        answers = [
            await client.generate_text_completion(
                "?", log_probs=True, top_log_probs=2, stream=stream
            )
            for stream in (False, True)
        ]
    for answer in answers:
        assert answer.log_probs is not None
        assert answer.log_probs.total == -0.75
        alternatives = answer.log_probs.alternatives[0]
        assert [(a.token, a.log_prob) for a in alternatives] == [
            ("Par", -0.25),
            ("Lon", -2.0),
        ]
        assert answer.warnings == ()


async def test_refusal_is_retried_after_its_wait() -> None:
    """Status and Retry-After act as a server's do."""
    script = [Refusal(429, "slower", retry_after=0.001), Answer("Paris.")]
    async with scripted_endpoint(script) as endpoint:
        answer = await generate_text_completion("?", base_url=endpoint.base_url)
    assert answer.message == "Paris."
    assert len(endpoint.requests) == 2
    error = answer.timing.attempts[0].error
    assert isinstance(error, limin.RateLimitError)
    assert (error.reason, error.retry_after) == ("slower", 0.001)


async def test_stream_that_breaks_off_keeps_its_start() -> None:
    """A cut is one for the client, too."""
    script = [Stream(["Par", "is"], cut_after=1), Stream(["Par", "is"], cut_after=1)]
    async with (
        scripted_endpoint(script) as endpoint,
        Client(endpoint.base_url, max_retries=0) as client,
    ):
        with pytest.raises(limin.StreamError) as caught:
            async with client.stream_text_completion("?") as stream:
                await stream.until_done()
        with pytest.raises(limin.ProtocolError):
            await client.generate_text_completion("?")
    assert caught.value.partial.message == "Par"


async def test_function_of_the_request() -> None:
    """A function sees what is asked, and there is no end to its answers."""

    def echo(request: Request) -> Answer:
        return Answer(request.messages[-1]["content"])

    async def later(request: Request) -> Answer:
        await anyio.lowlevel.checkpoint()
        return echo(request)

    for function in (echo, later):
        async with scripted_endpoint(function) as endpoint:
            answers = await generate_text_completions(
                map(str, range(10)),
                base_url=endpoint.base_url,
                show_progress=False,
            )
        assert [answer.message for answer in answers] == list(map(str, range(10)))
        assert len(endpoint.requests) == 10


async def test_models_are_listed() -> None:
    """The list of models is no request of the script."""
    async with (
        scripted_endpoint([]) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        assert await client.models() == ["scripted"]
    assert endpoint.requests == []


async def test_answer_that_was_not_asked_for_fails_the_test() -> None:
    """A test whose code asks too seldom cannot pass."""
    with pytest.raises(AssertionError) as caught:
        async with scripted_endpoint([Answer("a"), Answer("b"), Refusal(500)]) as endpoint:
            await generate_text_completion("?", base_url=endpoint.base_url)
    problem = "limin.testing: 2 of 3 answers not asked for: Answer, Refusal"
    assert str(caught.value) == problem


async def test_request_beyond_the_script_fails_the_test() -> None:
    """The code under test gets an error at once, and so does the test at the end."""
    problem = "request 2 has no answer: the script has 1 answer"
    async with failing_endpoint([Answer("a")], problem) as endpoint:
        await generate_text_completion("?", base_url=endpoint.base_url)
        with pytest.raises(limin.BadRequestError, match=problem):
            await generate_text_completion("?", base_url=endpoint.base_url)
    assert len(endpoint.requests) == 2


async def test_error_of_the_block_is_not_hidden() -> None:
    """The first error is the one that counts, and it is not wrapped."""
    with pytest.raises(ValueError, match="own"):
        async with scripted_endpoint([Answer("a")]):
            raise ValueError("own")  # noqa: EM101 (a prop)


async def test_error_of_the_block_tells_what_was_off_the_script() -> None:
    """Its notes say why the code under test may have failed."""
    with pytest.raises(limin.BadRequestError) as caught:
        async with scripted_endpoint([]) as endpoint:
            await generate_text_completion("?", base_url=endpoint.base_url)
    notes = ["limin.testing: request 1 has no answer: the script has 0 answers"]
    assert caught.value.__notes__ == notes


async def test_error_of_the_function_fails_the_test() -> None:
    """An assertion about the request may stand in the function."""

    def check(request: Request) -> Answer:
        assert request.parameters["temperature"] == 0
        raise NotImplementedError  # pragma: no cover (the assertion comes first)

    async with failing_endpoint(check, r"0\.7 == 0") as endpoint:
        with pytest.raises(limin.BadRequestError, match="function raised an error"):
            await generate_text_completion("?", base_url=endpoint.base_url)
    with pytest.raises(limin.BadRequestError) as caught:
        async with scripted_endpoint(check) as endpoint:
            await generate_text_completion("?", base_url=endpoint.base_url)
    assert "the script's function raised AssertionError" in caught.value.__notes__[0]


@pytest.mark.parametrize("outcome", [pytest.fail, pytest.skip])
async def test_outcome_of_pytest_in_the_function(outcome: Any) -> None:
    """`pytest.fail` and `pytest.skip` do as in a test, though they raise no Exception."""
    with pytest.raises(outcome.Exception, match="not that"):
        await _ask_in_vain(lambda _: outcome("not that"), limin.BadRequestError)


async def test_notes_of_what_pytest_raised() -> None:
    """The hint at the script is there, too, if the test's own check has failed."""
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE") as caught:
        await _ask_in_vain([Answer("a")], KeyError, after=send_get)
    assert "expected a request to" in caught.value.__notes__[0]


async def _ask_in_vain(script: Any, error: type[Exception], after: Any = None) -> None:
    async with scripted_endpoint(script) as endpoint:
        if after is not None:
            await after(endpoint.base_url)
        with pytest.raises(error):
            await generate_text_completion("?", base_url=endpoint.base_url)


async def send_get(url: str) -> None:
    """Send a request that is off every script."""
    async with httpx.AsyncClient(transport=limin.AsyncHTTPTransport()) as client:
        await client.get(url)


async def test_function_that_is_left_waiting() -> None:
    """Its cancellation at the end of the block is no error of the test."""
    asked = anyio.Event()

    async def wait(_request: Request) -> Answer:
        asked.set()
        await anyio.sleep_forever()
        raise NotImplementedError  # pragma: no cover (it is cancelled)

    async with anyio.create_task_group() as tasks, scripted_endpoint(wait) as endpoint:
        tasks.start_soon(_ask_and_fail, endpoint.base_url)
        await asked.wait()


async def test_function_without_an_answer_fails_the_test() -> None:
    """What it returned is told by its type."""
    script: Any = lambda _: "Paris."  # noqa: E731 (a prop)
    async with failing_endpoint(script, r"or Quirk, found a str") as endpoint:
        with pytest.raises(limin.BadRequestError):
            await generate_text_completion("?", base_url=endpoint.base_url)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (Answer("a"), "expected a list of answers or a function of the request, found an"),
        ("Paris", "expected a list of answers or a function of the request, found a str"),
        ([Answer("a"), "b"], r"script\[1\]: expected an Answer, .* Quirk, found a str"),
    ],
)
async def test_script_that_is_none_is_refused(script: Any, message: str) -> None:
    """A mistake in the script shows before anything is asked."""
    with pytest.raises(limin.ConfigurationError, match=message):
        async with scripted_endpoint(script):
            raise AssertionError  # pragma: no cover (not reached)


async def test_silence_lasts_until_the_client_gives_up() -> None:
    """Its connection ends, and the next request is answered."""
    scope = anyio.CancelScope()

    def answer_second(_request: Request) -> Answer | Silence:
        if len(endpoint.requests) == 1:
            scope.cancel()
            return Silence()
        return Answer("a")

    async with scripted_endpoint(answer_second) as endpoint:
        with scope:
            await generate_text_completion("?", base_url=endpoint.base_url)
        assert scope.cancelled_caught
        answer = await generate_text_completion("?", base_url=endpoint.base_url)
    assert answer.message == "a"


async def test_block_can_be_cancelled_and_left_in_mid_answer() -> None:
    """Neither leaves a task, a socket or an exception group behind."""
    with anyio.move_on_after(0.02) as scope:
        async with scripted_endpoint([Silence()]) as endpoint:
            await generate_text_completion("?", base_url=endpoint.base_url)
    assert scope.cancelled_caught
    asked = anyio.Event()

    async def never(_request: Request) -> Answer:
        asked.set()
        return Answer("a", delay=3600)

    async with anyio.create_task_group() as tasks, scripted_endpoint(never) as endpoint:
        tasks.start_soon(_ask_and_fail, endpoint.base_url)
        await asked.wait()


async def _ask_and_fail(base_url: str) -> None:
    with pytest.raises(limin.TransportError):
        await generate_text_completion("?", base_url=base_url, max_retries=0)


@pytest.mark.parametrize("reply", [Garbage(b"\x00\xff"), Garbage(b"")])
async def test_garbage_is_no_http(reply: Reply) -> None:
    """Bytes come as they are, and then the connection is closed."""
    async with scripted_endpoint([reply]) as endpoint:
        with pytest.raises(limin.ProtocolError):
            await generate_text_completion("?", base_url=endpoint.base_url, max_retries=0)


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "problem"),
    [
        ("GET", "/chat/completions", b"", 405, "expected a POST"),
        ("POST", "/embeddings", b"{}", 404, r"expected a request to \.\.\./chat"),
        ("POST", "/chat/completions", b"{", 400, "expected a JSON object with messages"),
        ("POST", "/chat/completions", b"[]", 400, "expected a JSON object with"),
        ("POST", "/chat/completions", b"{}", 400, "expected a JSON object with"),
        ("POST", "/chat/completions", b'{"messages": ["a"]}', 400, "expected a JSON"),
    ],
)
async def test_other_requests_fail_the_test(
    method: str, path: str, content: bytes, status: int, problem: str
) -> None:
    """Only questions belong to a script."""
    async with (
        failing_endpoint([], problem) as endpoint,
        httpx.AsyncClient(transport=limin.AsyncHTTPTransport()) as client,
    ):
        url = endpoint.base_url + path
        response = await client.request(method, url, content=content)
    assert response.status_code == status
    assert "limin.testing" in response.json()["error"]["message"]


def test_keys_are_masked() -> None:
    """No header that may hold a key is shown, but the test sees that there was one."""
    headers = [
        ("Authorization", f"Bearer {KEY}"),
        ("authorization", KEY),
        ("X-Api-Key", KEY),
        ("Cookie", f"session={KEY}"),
        ("User-Agent", "me"),
    ]
    request = read_request(b'{"messages": [{"content": "hello"}], "stop": "x"}', headers)
    assert request is not None
    assert request.headers == {
        "authorization": "Bearer ***, ***",
        "x-api-key": "***",
        "cookie": "***",
        "user-agent": "me",
    }
    assert KEY not in repr(request)
    assert "hello" not in repr(request)
    assert "parameters=['stop']" in repr(request)


class TestVirtualTime:
    """Delays and pauses are those of the event loop."""

    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, object]]:
        """Run on Trio, with a clock that jumps to what is due next."""
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}

    async def test_hours_pass_at_once(self) -> None:
        """A slow server takes no time of the test."""
        script = [Answer("a", delay=3600), Stream(["b", "c", "d"], pause=600)]
        async with (
            scripted_endpoint(script) as endpoint,
            Client(endpoint.base_url, timeout=None) as client,
        ):
            start = trio.current_time()
            await client.generate_text_completion("?")
            assert trio.current_time() - start == pytest.approx(3600)
            async with client.stream_text_completion("?", idle_timeout=None) as stream:
                times = [trio.current_time() - start async for d in stream if d.text]
        assert times == pytest.approx([3600, 4200, 4800])

    async def test_deadline_passes_in_silence(self) -> None:
        """A timeout is tested without waiting for it."""
        async with scripted_endpoint([Silence()]) as endpoint:
            with pytest.raises(limin.RequestTimeoutError):
                await generate_text_completion("?", base_url=endpoint.base_url, timeout=60)
