"""pytest-httpx: its mock answers, and keeps the request. A file for pytest.

The case is in the environment, as `CASE`, and the report is printed.
"""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from ecosystem.answers import FROM_MOCK, body, content_type
from ecosystem.subject import (
    BEFORE,
    INSIDE,
    Asks,
    Case,
    Report,
    open_client,
    print_report,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pytest_httpx import HTTPXMock

CASE = Case(**json.loads(os.environ["CASE"]))


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio."""
    return "asyncio"


@pytest.fixture
async def early_client() -> AsyncGenerator[Asks | None]:
    """A client that is made before the mock is switched on, if the case wants one."""
    if CASE.order == INSIDE:
        async with open_client(CASE):
            """Load limin and httpx."""
    async with open_client(CASE) if CASE.order == BEFORE else nullcontext() as client:
        yield client


@pytest.mark.httpx_mock(assert_all_responses_were_requested=False)
@pytest.mark.anyio
async def test_case(early_client: Asks | None, httpx_mock: HTTPXMock) -> None:
    """Ask, and see who answered."""
    httpx_mock.add_response(
        url=CASE.url,
        content=body(CASE.mode, FROM_MOCK),
        headers={"Content-Type": content_type(CASE.mode)},
    )
    if early_client is not None:
        text = await early_client.ask()
    else:
        async with open_client(CASE) as client:
            text = await client.ask()
    requests = [(request.method, str(request.url)) for request in httpx_mock.get_requests()]
    seen = requests == [("POST", CASE.url)] and text == FROM_MOCK
    print_report(Report(seen, str(requests), text))
