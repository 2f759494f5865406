"""Event hooks of an `httpx.AsyncClient` that is given as `http_client=`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from ecosystem.subject import Case, Report, main, open_client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def program(case: Case) -> Report:
    """Ask, and see what the hooks were called with."""
    calls: list[tuple[str, str, int | None]] = []

    async def on_request(request: httpx.Request) -> None:
        calls.append((request.method, str(request.url), None))

    async def on_response(response: httpx.Response) -> None:
        request = response.request
        calls.append((request.method, str(request.url), response.status_code))

    hooks: dict[str, list[Callable[..., Awaitable[None]]]] = {
        "request": [on_request],
        "response": [on_response],
    }
    async with (
        httpx.AsyncClient(event_hooks=hooks) as http_client,
        open_client(case, http_client) as client,
    ):
        text = await client.ask()
    seen = calls == [("POST", case.url, None), ("POST", case.url, 200)]
    return Report(seen, str(calls), text)


if __name__ == "__main__":
    main(program)
