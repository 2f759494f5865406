"""Fixtures of all tests: both event loops, one local model, and no secrets."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import settings

import limin
from limin.local import LocalEndpoint, local_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

# Speed is measured by the benchmarks; a busy machine is no failure. Each run of the tests
# tries other inputs, and `nox -s thorough` tries many.
settings.register_profile("limin", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("limin")

# Tests that run beside each other keep every core busy. Then one thread of llama.cpp,
# which waits for no other, is as fast as two, and its speed varies less.
os.environ.setdefault("OMP_THREAD_LIMIT", "1")

# httpx reads the certificates of all authorities for each new client, which takes longer
# than most tests.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "data" / "authority.pem")

_SHARED = pytest.StashKey[dict[str, Any]]()
_NAME_FOR_WORKERS = "limin_local_server"


def _start_server(resources: ExitStack) -> LocalEndpoint:
    """Start llama.cpp's server in an event loop of its own; *resources* ends it.

    Its context is short: examples that set no `max_tokens` get short answers.
    """
    portal = resources.enter_context(start_blocking_portal())
    server = portal.wrap_async_context_manager(local_endpoint(n_ctx=256))
    return resources.enter_context(server)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give all workers of pytest-xdist one server, which ends with the session."""
    config: pytest.Config = node.config
    if _SHARED not in config.stash:
        resources = ExitStack()
        config.add_cleanup(resources.close)
        try:
            config.stash[_SHARED] = attrs.asdict(_start_server(resources))
        except limin.LiminError:
            # The tests that need it start one themselves, and say why that fails.
            config.stash[_SHARED] = {}
    node.workerinput[_NAME_FOR_WORKERS] = config.stash[_SHARED]


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Put the tests that ask the model first: it answers while other tests compute."""
    items.sort(key=lambda item: "llama" not in item.fixturenames)


@pytest.fixture(scope="session")
def llama(request: pytest.FixtureRequest) -> Iterator[LocalEndpoint]:
    """Return the endpoint of the real llama.cpp server; the session has one."""
    shared = getattr(request.config, "workerinput", {}).get(_NAME_FOR_WORKERS)
    with ExitStack() as resources:
        yield LocalEndpoint(**shared) if shared else _start_server(resources)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Return the name of an event loop; every async test runs on both."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the random part of each backoff to 0, so that no test waits for a retry."""
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the developer's key, endpoint and proxy from the environment."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LIMIN_LOCAL_MODEL", "LIMIN_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
