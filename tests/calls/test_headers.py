"""Headers of one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from loopback import Request, completion, http, serve

import limin
from limin import Client, ConfigurationError
from limin.calls.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from pathlib import Path

    from limin.calls.observer import ObservedCall

HEADERS = {"X-Tag": "of the call", "authorization": "Bearer sk-of-the-call"}


def sent(request: Request) -> dict[str, str]:
    """Return the headers of *request*, each of which came once."""
    lines = request.head.decode().rstrip().split("\r\n")[1:]
    pairs = [line.split(": ", 1) for line in lines]
    assert len({name.lower() for name, _ in pairs}) == len(pairs)
    return {name.lower(): value for name, value in pairs}


async def ask_by_function(client: Client, base_url: str, **options: Any) -> None:
    """Ask by a function that opens a client."""
    del client
    await limin.generate_text_completion("a", base_url=base_url, **options)


async def ask_by_functions_client(client: Client, base_url: str, **options: Any) -> None:
    """Ask by a function that is given a client."""
    del base_url
    await limin.generate_text_completion("a", client=client, **options)


async def stream(client: Client, base_url: str, **options: Any) -> None:
    """Read a stream."""
    del base_url
    async with client.stream_text_completion("a", **options) as deltas:
        await deltas.until_done()


async def run_batch(client: Client, base_url: str, **options: Any) -> None:
    """Ask for two completions."""
    del base_url
    await client.generate_text_completions(["a", "b"], show_progress=False, **options)


async def decide(client: Client, base_url: str, **options: Any) -> None:
    """Let the text of the answer decide."""
    del base_url
    await client.generate_decision("a", ["a", "b"], fallback="text", **options)


@pytest.mark.parametrize(
    "verb", [ask_by_function, ask_by_functions_client, stream, run_batch, decide]
)
async def test_headers_of_a_call_win(verb: Callable[..., Awaitable[None]]) -> None:
    """Every verb sends them, beside the client's others, whatever the case of names."""
    own = {"x-tag": "of the client", "X-Other": "of the client"}
    async with (
        serve() as server,
        Client(server.base_url, "sk-of-the-client", headers=own) as client,
    ):
        await verb(client, server.base_url, headers=HEADERS)
        first = sent(server.requests[0])
        await client.generate_text_completion("a")
        last = sent(server.requests[-1])
    assert first["x-tag"] == "of the call"
    assert first["authorization"] == "Bearer sk-of-the-call"
    assert first.get("x-other") == (None if verb is ask_by_function else "of the client")
    assert last["x-tag"] == last["x-other"] == "of the client"
    assert last["authorization"] == "Bearer sk-of-the-client"


async def test_headers_of_a_call_win_over_an_observers() -> None:
    """What is written at the call is meant; an observer adds the rest."""

    class Tracing(Observer):
        """Adds two headers."""

        def attempt(
            self,
            call: ObservedCall,  # noqa: ARG002 (an observer's)
            headers: MutableMapping[str, str],
        ) -> None:
            headers |= {"X-TAG": "of the trace", "Traceparent": "1"}

    async with serve() as server, Client(server.base_url) as client:
        caller = client._caller({"headers": HEADERS}, None).observed_by(Tracing())
        await caller.ask(limin.Conversation.from_prompts("a"))
    assert sent(server.requests[0])["x-tag"] == "of the call"
    assert sent(server.requests[0])["traceparent"] == "1"


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ("a: b", "headers: expected a mapping of names to values, or None, found a str"),
        ({"a b": "c"}, "headers: expected letters, digits and dashes as names"),
        ({"a": "secret\nb: c"}, "expected printable ASCII, found U+000A at character 6"),
        ({"Content-Length": "1"}, "expected none that limin itself sets"),
        ({"a": 5}, "expected a str, found an int"),
    ],
)
async def test_wrong_header_is_refused(headers: Any, problem: str) -> None:
    """They are checked as the client's are, and never shown."""
    async with Client("http://nowhere.test/v1") as client:
        with pytest.raises(ConfigurationError) as caught:
            await client.generate_text_completion("a", headers=headers)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("none", [None, {}])
async def test_no_headers(none: Any) -> None:
    """None and an empty mapping change nothing."""
    async with serve() as server, Client(server.base_url) as client:
        caller = client._caller({"headers": none}, None)
        await client.generate_text_completion("a", headers=none)
    assert caller.headers is None
    assert "x-tag" not in sent(server.requests[0])


async def test_values_are_secrets(tmp_path: Path) -> None:
    """They stand in no repr, no message and no checkpoint, and change no hash."""
    path = tmp_path / "run.jsonl"
    secret = {"X-Secret": "sesame-1234"}

    async def quote(request: Request) -> bytes:
        if request.prompt == "quote":
            return http(b'{"error": {"message": "bad sesame-1234"}}', "401 No")
        return http(completion("fine"))

    options: Any = {"show_progress": False, "checkpoint": path}
    async with serve(quote) as server, Client(server.base_url) as client:
        caller = client._caller({"headers": secret}, None)
        assert "<1 headers>" in repr(caller)
        assert "sesame" not in repr(caller)
        with pytest.raises(limin.AuthenticationError) as caught:
            await client.generate_text_completion("quote", headers=secret)
        await client.generate_text_completions(["a"], headers=secret, **options)
        await client.generate_text_completions(["a"], **options)
    assert len(server.requests) == 2
    assert "sesame" not in str(caught.value) + repr(caught.value)
    assert "with headers x-secret" in str(caught.value)
    assert "sesame" not in path.read_text()


async def test_headers_may_bring_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function without a client needs no other one, even at OpenAI."""
    monkeypatch.setattr(Client, "generate_text_completion", _answer)
    headers = {"Authorization": "Bearer sk-of-the-call"}
    assert await limin.generate_text_completion("a", headers=headers) == "fine"  # type: ignore[comparison-overlap]
    with pytest.raises(ConfigurationError, match="api_key: expected a key"):
        await limin.generate_text_completion("a")


async def _answer(_client: Client, _prompt: str, **_options: object) -> str:
    return "fine"
