"""The environment of the programs under test, with the endpoint of the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from limin.local import LocalEndpoint


@pytest.fixture(autouse=True)
def _environment(llama: LocalEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the endpoint in the environment, since the programs under test name none."""
    monkeypatch.setenv("OPENAI_BASE_URL", llama.base_url)
