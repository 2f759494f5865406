"""The one-call functions: a client for the call, or the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from loopback import serve

import limin
from limin import Client, Conversation

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock

ANSWER = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}


async def test_environment_names_the_endpoint(
    httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program of the README needs no argument."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://env.test/v1")
    httpx_mock.add_response(json=ANSWER)
    completion = await limin.generate_text_completion("hello")
    sent = httpx_mock.get_request()
    assert completion.message == "hi"
    assert sent is not None
    assert sent.url == "http://env.test/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer sk-from-the-environment"


async def test_arguments_win_over_the_environment(
    httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments of the call win."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://env.test/v1")
    httpx_mock.add_response(json=ANSWER)
    await limin.generate_text_completion(
        "hello", base_url="http://call.test/v1", api_key="sk-from-the-call"
    )
    sent = httpx_mock.get_request()
    assert sent is not None
    assert sent.url.host == "call.test"
    assert sent.headers["authorization"] == "Bearer sk-from-the-call"


async def test_openai_without_a_key_names_the_variable() -> None:
    """The first mistake of every newcomer has a clear answer."""
    with pytest.raises(limin.ConfigurationError, match="OPENAI_API_KEY"):
        await limin.generate_text_completion("hello")


async def test_given_client_is_used_and_left_open() -> None:
    """Two calls over one client use one connection."""
    conversation = Conversation.from_prompts("a")
    async with serve() as server, Client(server.base_url) as client:
        first = await limin.generate_text_completion("a", client=client)
        second = await limin.generate_text_completion_for_conversation(
            conversation, client=client
        )
        prompts = await limin.generate_text_completions(
            ["a"], client=client, show_progress=False
        )
        conversations = await limin.generate_text_completions_for_conversations(
            [conversation], client=client, show_progress=False
        )
    completions = [first, second, *prompts, *conversations]
    assert [completion.message for completion in completions] == ["a"] * 4
    assert server.connections == 1


@pytest.mark.parametrize("own", [{"base_url": "http://x.test"}, {"api_key": "k" * 9}])
async def test_client_brings_its_own_endpoint(own: dict[str, str]) -> None:
    """Two endpoints in one call contradict each other."""
    async with Client("http://model.test/v1") as client:
        with pytest.raises(limin.ConfigurationError, match="client: expected no base_url"):
            await limin.generate_text_completion("hello", client=client, **own)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", [name for name in limin.__all__ if "_text_completion" in name]
)
def test_every_function_names_itself(name: str) -> None:
    """A function refuses an option that it does not have by its own name, with a hint."""
    function = getattr(limin, name)

    async def ask() -> None:
        result = function([] if "completions" in name else "a", logprobs=True)
        await result

    with pytest.raises(TypeError) as caught:
        anyio.run(ask)
    assert str(caught.value) == (
        f"{name}() got an unexpected keyword argument: 'logprobs' (did you mean log_probs?)"
    )


@pytest.mark.parametrize(
    ("client", "found"), [("gpt-4o", "a str"), (5, "an int"), (httpx, "a module")]
)
async def test_client_of_another_type(client: Any, found: str) -> None:
    """What cannot ask is no client, and the refusal says what it is."""
    with pytest.raises(limin.ConfigurationError) as caught:
        await limin.generate_text_completion("hello", client=client)
    assert str(caught.value) == f"client: expected a limin.Client or None, found {found}"
