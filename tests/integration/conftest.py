"""The real llama.cpp server, one for all tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import start_blocking_portal

from limin.local import LocalEndpoint, local_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def llama() -> Iterator[LocalEndpoint]:
    """A server that runs in an event loop of its own, beside those of the tests."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(local_endpoint()) as endpoint,
    ):
        yield endpoint


@pytest.fixture(autouse=True)
def _environment(llama: LocalEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs under test name no endpoint: the environment does."""
    monkeypatch.setenv("OPENAI_BASE_URL", llama.base_url)
