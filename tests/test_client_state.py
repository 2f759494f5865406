"""The state of a client, as a program reads it."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from loopback import Request, completion, http, serve

import limin
from limin import Client, ClientState


async def test_state() -> None:
    """Requests in flight, idle connections, the pause that the server wants, the end."""
    states: list[ClientState] = []

    async def answer(request: Request) -> bytes:
        states.append(client.state)
        if request.prompt == "busy":
            return http(b"{}", "429 Too Many Requests", "Retry-After: 90\r\n")
        return http(completion(request.prompt))

    async with serve(answer) as server, Client(server.base_url, max_retries=0) as client:
        states.append(client.state)
        await client.generate_text_completion("a")
        states.append(client.state)
        with pytest.raises(limin.RateLimitError):
            await client.generate_text_completion("busy")
        states.append(client.state)
    states.append(client.state)
    assert [(state.in_flight, state.idle) for state in states[:4]] == [
        (0, 0),
        (1, 0),
        (0, 1),
        (1, 0),
    ]
    assert [state.seconds_of_rest for state in states[:4]] == [0.0] * 4
    assert 80 < states[4].seconds_of_rest <= 90
    assert [state.is_closed for state in states] == [False] * 5 + [True]


async def test_pace() -> None:
    """The user's own rates, and how many calls wait because of them."""
    async with (
        serve() as server,
        Client(server.base_url, requests_per_minute=1, tokens_per_minute=1e6) as client,
        anyio.create_task_group() as tasks,
    ):
        await client.generate_text_completion("a")
        for _ in range(2):
            tasks.start_soon(client.generate_text_completion, "b")
        await anyio.wait_all_tasks_blocked()
        state, shown = client.state, repr(client)
        tasks.cancel_scope.cancel()
    assert (state.requests_per_minute, state.tokens_per_minute) == (1, 1e6)
    assert (state.queued, state.in_flight) == (2, 0)
    assert "0 in flight, 1 idle, 2 queued" in shown
    assert client.state.queued == 0


def test_state_of_a_new_client() -> None:
    """It can be asked without an event loop, and compared."""
    assert Client("http://m.test/v1").state == ClientState(
        in_flight=0,
        idle=0,
        queued=0,
        seconds_of_rest=0.0,
        replicas_resting=0,
        requests_per_minute=None,
        tokens_per_minute=None,
        is_closed=False,
    )
