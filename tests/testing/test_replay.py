"""Answers out of a recording, and recordings made by a test."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import limin
from limin import Client, Conversation, Image, Message, generate_text_completion
from limin.testing import (
    Answer,
    Garbage,
    Refusal,
    Request,
    Stream,
    replay_endpoint,
    scripted_endpoint,
)

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-very-secret-key-0123456789"
TOKENS = [("Par", -0.25, {"Lon": -2.0}), ("is", -0.5, {"": -3.0})]
QUIET: Any = {"show_progress": False}


def echo(request: Request) -> Answer:
    """Answer with the last message, and count the requests."""
    return Answer(request.messages[-1]["content"], usage={"total_tokens": 1})


async def record(path: Path, script: Any, *prompts: Any, **options: Any) -> None:
    """Write a run's answers to *prompts* into the checkpoint at *path*."""
    async with scripted_endpoint(script) as endpoint, Client(endpoint.base_url) as client:
        await client.generate_text_completions(
            prompts, 1, checkpoint=path, **QUIET, **options
        )


def contents(path: Path) -> bytes:
    """Return what is in the file at *path*."""
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    """Replace what is in the file at *path*."""
    path.write_bytes(content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a file that does not exist."""
    return tmp_path / "run.jsonl"


async def test_recorded_run_is_replayed(path: Path) -> None:
    """Prompts get their answers in any order, and the file stays as it was."""
    await record(path, echo, "a", "b", "c")
    before = contents(path)
    async with replay_endpoint(path) as endpoint, Client(endpoint.base_url) as client:
        answers = [await client.generate_text_completion(text) for text in "cab"]
    assert [answer.message for answer in answers] == ["c", "a", "b"]
    assert len(endpoint.requests) == 3
    assert contents(path) == before


async def test_recording_is_shared_by_tests(path: Path) -> None:
    """Several tests, and a run, may have it open; not all need ask for all of it."""
    await record(path, echo, "a", "b")
    async with (
        replay_endpoint(path) as one,
        replay_endpoint(str(path)) as two,
        scripted_endpoint(echo) as running,
        Client(running.base_url) as client,
    ):
        await client.generate_text_completions(["a"], checkpoint=path, **QUIET)
        for endpoint in (one, two):
            answer = await generate_text_completion("a", base_url=endpoint.base_url)
            assert answer.message == "a"


async def test_equal_requests_get_different_answers(path: Path) -> None:
    """Each sample is told once; the first request beyond them fails the test."""
    problem = "request 3 has no answer: it is recorded 2 times, and was asked for once more"
    await record(path, [Answer("1"), Answer("2")], "a", "a")
    with pytest.raises(AssertionError, match=problem):  # noqa: PT012 (the end is what fails)
        async with replay_endpoint(path) as endpoint:
            for expected in ("1", "2"):
                answer = await generate_text_completion("a", base_url=endpoint.base_url)
                assert answer.message == expected
            with pytest.raises(limin.BadRequestError, match=problem):
                await generate_text_completion("a", base_url=endpoint.base_url)


@pytest.mark.parametrize(
    ("prompt", "options", "problem"),
    [
        ("b", {}, "request 1 has no answer: it is not recorded"),
        ("a", {"temperature": 0, "seed": 1}, "recorded with another seed, temperature"),
    ],
)
async def test_request_that_is_not_recorded_fails_the_test(
    path: Path, prompt: str, options: Any, problem: str
) -> None:
    """What differs is named, and no text of it is shown."""
    await record(path, echo, "a")
    with pytest.raises(AssertionError, match=problem):  # noqa: PT012 (the end is what fails)
        async with replay_endpoint(path) as endpoint:
            with pytest.raises(limin.BadRequestError, match=problem):
                await generate_text_completion(
                    prompt, base_url=endpoint.base_url, **options
                )


async def test_only_the_first_missing_request_is_explained(path: Path) -> None:
    """A batch of a thousand does not read the file a thousand times."""
    await record(path, echo, "a")
    problem = "request 1 has no answer: it is not recorded; request 2 has no"
    with pytest.raises(AssertionError, match=problem):  # noqa: PT012 (the end is what fails)
        async with replay_endpoint(path) as endpoint:
            for text in "bc":
                with pytest.raises(limin.BadRequestError, match="recorded"):
                    await generate_text_completion(text, base_url=endpoint.base_url)


@pytest.mark.parametrize("top_log_probs", [0, 1, 2])
async def test_whole_and_streamed_are_the_same_answer(
    path: Path, top_log_probs: int
) -> None:
    """A recording answers whole and streamed, whichever way it was made."""
    tool = limin.Tool("f", "Do it.", {"type": "object"})
    call = limin.ToolCall("call_1", "f", '{"a": 1}')
    answer = Answer(
        "Paris",
        log_probs=TOKENS,
        reasoning="Which city?",
        tool_calls=[call],
        usage={"total_tokens": 7},
    )
    options: Any = {
        "log_probs": True,
        "top_log_probs": top_log_probs,
        "tools": [tool],
        "on_warning": "ignore",
    }
    await record(path, [answer], "a", **options)
    await record(path, [answer], "a", "a", stream=True, **options)
    async with replay_endpoint(path) as endpoint, Client(endpoint.base_url) as client:
        first, second = [
            await client.generate_text_completion("a", stream=stream, **options)
            for stream in (False, True)
        ]
    assert first.choices == second.choices
    assert first.usage == second.usage == limin.Usage(total_tokens=7)
    assert first.log_probs == second.log_probs
    assert first.tool_calls == (call,)
    assert second.timing.time_to_first_token is not None


async def test_recorded_body_is_sent_as_it_came(path: Path) -> None:
    """A whole answer is the server's, to the byte, and has its id."""
    body = b'{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}'
    head = b"HTTP/1.1 200 OK\r\nX-Request-Id: r1\r\nContent-Length: %d\r\n\r\n"
    await record(path, [Garbage(head % (len(body)) + body)], "a")
    async with replay_endpoint(path) as endpoint:
        answer = await generate_text_completion("a", base_url=endpoint.base_url)
    assert (answer.message, answer.request_id) == ("a", "r1")
    assert answer.raw_bytes == body


async def test_pictures_are_part_of_the_request(path: Path) -> None:
    """The recording knows them by their hash."""
    conversation = Conversation(
        [Message("user", ["What is it?", Image(b"\x89PNG\r\n\x1a\n" + bytes(9000))])]
    )
    other = Conversation([Message("user", [Image(b"\x89PNG\r\n\x1a\n" + bytes(9001))])])
    await record(path, [Answer("A cat.")], conversation)
    assert base64.b64encode(bytes(300)) not in contents(path)
    with pytest.raises(AssertionError, match="not recorded"):  # noqa: PT012 (the end is what fails)
        async with replay_endpoint(path) as endpoint, Client(endpoint.base_url) as client:
            ask = client.generate_text_completion_for_conversation
            assert (await ask(conversation)).message == "A cat."
            with pytest.raises(limin.BadRequestError):
                await ask(other)


async def test_any_client_is_answered(path: Path) -> None:
    """A request is known by what it says, not by how its JSON is written."""
    await record(path, echo, "hé")
    fields = {
        "temperature": 0.7,
        "stream": True,
        "model": "gpt-4o",
        "messages": [{"content": "hé", "role": "user"}],
    }
    async with replay_endpoint(path) as endpoint:
        transport = limin.AsyncHTTPTransport()
        async with httpx.AsyncClient(transport=transport) as client:
            url = f"{endpoint.base_url}/chat/completions"
            response = await client.post(url, content=json.dumps(fields, indent=2))
    assert response.text.endswith("data: [DONE]\n\n")


async def test_missing_answers_are_recorded(path: Path) -> None:
    """The real endpoint is asked once, with the key, and then the file answers."""
    options: Any = {"log_probs": True, "top_log_probs": 0, "on_warning": "ignore"}
    script = [Answer("1", log_probs=TOKENS), Answer("2", log_probs=TOKENS)]
    async with scripted_endpoint(script) as real:
        for stream in (False, True):
            async with (
                replay_endpoint(
                    path,
                    missing="record",
                    base_url=real.base_url,
                    api_key=KEY,
                    headers={"X-Team": "blue"},
                ) as endpoint,
                Client(endpoint.base_url, "another key") as client,
            ):
                for text in ("a", "b"):
                    await client.generate_text_completion(text, stream=stream, **options)
            assert "secret-" not in repr(endpoint)
    asked = real.requests[0]
    assert asked.headers["authorization"] == "Bearer ***"
    assert asked.headers["x-team"] == "blue"
    assert "stream" not in asked.parameters
    async with replay_endpoint(path) as replayed:
        answer = await generate_text_completion("a", base_url=replayed.base_url, **options)
    assert answer.message == "1"
    completions = list(limin.read_checkpoint(path))
    assert [completion.message for completion in completions] == ["1", "2"]
    assert completions[0].timing.attempts[0].error is None
    assert KEY.encode() not in contents(path)


async def test_path_of_a_recording_endpoint_is_secret(path: Path) -> None:
    """Nobody else on the machine asks with the user's key."""
    with pytest.raises(AssertionError, match=r"expected a request to"):  # noqa: PT012 (the end is what fails)
        async with replay_endpoint(path, missing="record", base_url="http://x/v1") as e:
            port = httpx.URL(e.base_url).port
            with pytest.raises(limin.NotFoundError):
                await generate_text_completion("a", base_url=f"http://127.0.0.1:{port}/v1")


async def test_error_of_the_real_endpoint_is_passed_on(path: Path) -> None:
    """It is not recorded, and its key is not quoted."""
    script = [
        Refusal(429, "slower", retry_after=0.001),
        Answer("a"),
        Refusal(401, f'Incorrect API key: "{KEY}"', headers={"x-request-id": KEY}),
        Stream(["a", "b"], cut_after=1),
    ]
    async with (
        scripted_endpoint(script) as real,
        replay_endpoint(
            path, missing="record", base_url=real.base_url, api_key=KEY
        ) as endpoint,
        Client(endpoint.base_url, max_retries=1) as client,
    ):
        answer = await client.generate_text_completion("a")
        with pytest.raises(limin.AuthenticationError) as caught:
            await client.generate_text_completion("b")
        with pytest.raises(limin.ServerError, match="in the middle of its answer"):
            await client.generate_text_completion("c", max_retries=0)
    assert [type(attempt.error) for attempt in answer.timing.attempts] == [
        limin.RateLimitError,
        type(None),
    ]
    assert KEY.encode() not in caught.value.body
    assert caught.value.reason == 'Incorrect API key: "***"'
    assert caught.value.request_id == "***"
    assert len(list(limin.read_checkpoint(path))) == 1


@pytest.mark.parametrize("content", [b"no checkpoint\n", None])
async def test_file_that_is_no_recording(path: Path, content: bytes | None) -> None:
    """It is told at the start."""
    if content is not None:
        write(path, content)
    with pytest.raises(limin.CheckpointError):
        async with replay_endpoint(path):
            raise AssertionError  # pragma: no cover (not reached)


async def test_line_that_is_damaged_meanwhile(path: Path) -> None:
    """Nothing is answered that was not recorded."""
    await record(path, echo, "a")
    with pytest.raises(limin.CheckpointError, match="damaged"):  # noqa: PT012 (the end is what fails)
        async with replay_endpoint(path) as endpoint:
            write(path, contents(path).replace(b'"gpt-4o"', b'"gpt-4x"'))
            with pytest.raises(limin.BadRequestError):
                await generate_text_completion("a", base_url=endpoint.base_url)


async def test_wrong_arguments(path: Path) -> None:
    """A mistake is told before anything is asked."""
    missing: Any = "ask"
    for arguments, options in (((path,), {"missing": missing}), ((5,), {})):
        with pytest.raises(limin.ConfigurationError):
            async with replay_endpoint(*arguments, **options):
                raise AssertionError  # pragma: no cover (not reached)
