"""Fixtures of all tests: both event loops, and an environment without secrets."""

import random

import pytest
from hypothesis import settings

# Speed is measured by the benchmarks; a busy machine is no failure.
settings.register_profile("limin", deadline=None)
settings.load_profile("limin")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both event loops."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance always draws the shortest wait before a retry: none."""
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, endpoint or proxy of the developer's reaches a test."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LIMIN_LOCAL_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
