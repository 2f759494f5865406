"""The environment of the programs under test: it names the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from limin.local import LocalEndpoint


@pytest.fixture(autouse=True)
def _environment(llama: LocalEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs under test name no endpoint: the environment does."""
    monkeypatch.setenv("OPENAI_BASE_URL", llama.base_url)
