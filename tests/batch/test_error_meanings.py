"""An error of one prompt stops a batch if it means every prompt, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import trio.testing
from error_bodies import ROWS, WRONG_MODEL
from loopback import completion

from limin import Client, NotSentError, StatusError, TextCompletion

PROMPTS = ["first", "refused", "third", "last"]


async def run(status: int, body: Any, max_retries: int) -> tuple[list[Any], list[str]]:
    """Ask all prompts, of which one is refused.

    Returns:
        The results, and the prompts of the requests.
    """
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        prompt = json.loads(request.content)["messages"][-1]["content"]
        asked.append(prompt)
        if prompt != "refused":
            return httpx.Response(200, content=completion(prompt))
        content = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(status, content=content.encode())

    http_client = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    async with (
        http_client,
        Client(
            "http://localhost/v1",
            http_client=http_client,
            max_retries=max_retries,
            timeout=None,
        ) as client,
    ):
        results = await client.generate_text_completions(
            PROMPTS, 1, on_error="return", show_progress=False
        )
    return results, asked


@pytest.mark.parametrize(("kind", "stops", "again", "status", "body"), ROWS)
def test_who_is_asked_after_an_error(
    *, kind: type[StatusError], stops: bool, again: bool | None, status: int, body: Any
) -> None:
    """The refused prompt has the error, and the others have what its meaning says.

    One that a time cures is waited for, by the clock of the test.
    """
    clock = trio.testing.MockClock(autojump_threshold=0)
    max_retries = 0 if again is None else 1
    results, asked = trio.run(run, status, body, max_retries, clock=clock)
    first, refused, *others = results
    assert type(refused) is kind
    assert first.message == "first"
    stopped = stops or body is WRONG_MODEL
    kinds = {NotSentError} if stopped else {TextCompletion}
    assert {type(result) for result in others} == kinds
    requests = ["refused", "refused"] if again else ["refused"]
    assert asked == ["first", *requests, *([] if stopped else PROMPTS[2:])]
