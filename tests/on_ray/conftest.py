"""One real Ray for the session, real and fake servers, and the table that is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

KEY = "sk-key-of-the-nodes-5ecre7"

_FAKE_SERVER = Path(__file__).with_name("fake_server.py")
_TABLE = pytest.StashKey[list[tuple[str, str]]]()
_OBJECT_STORE_BYTES = 200_000_000


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """A Ray of two CPUs; its folder of logs. The key is in the environment of its start."""
    ray = pytest.importorskip("ray")
    os.environ["OPENAI_API_KEY"] = KEY
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)  # For the actors.
    context = ray.init(
        num_cpus=2,
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
    )
    try:
        progress = ray.data.DataContext.get_current()
        progress.enable_progress_bars = False
        yield Path(context.address_info["session_dir"])
    finally:
        ray.shutdown()
        del os.environ["OPENAI_API_KEY"], os.environ["PYTHONPATH"]


class FakeServer:
    """A server whose answers take some time, in a process of its own."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def counts(self) -> dict[str, Any]:
        """Return what it did since the last call."""
        url = f"{self.base_url}/counts"
        with urllib.request.urlopen(url) as response:  # noqa: S310 (our own server)
            counts: dict[str, Any] = json.load(response)
        return counts


@contextmanager
def _fake_server(seconds: float) -> Iterator[FakeServer]:
    command = [sys.executable, str(_FAKE_SERVER), str(seconds)]
    with subprocess.Popen(  # noqa: S603 (our own program)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield FakeServer(int(process.stdout.readline()))
        finally:
            process.stdin.close()


@pytest.fixture
def fake_server() -> Callable[[float], AbstractContextManager[FakeServer]]:
    """A function that starts a fake server, whose answers take so many seconds."""
    return _fake_server


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """A function that adds a row to the table of the session."""
    rows = request.config.stash.setdefault(_TABLE, [])

    def add(name: str, value: str) -> None:
        rows.append((name, value))

    return add


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    rows = config.stash.get(_TABLE, [])
    if rows:
        width = max(len(name) for name, _ in rows)
        terminalreporter.write_line("")
        for name, value in rows:
            terminalreporter.write_line(f"{name:<{width}}  {value}")


@pytest.fixture(autouse=True)
def _clean_environment() -> None:
    """Leave the environment, which the nodes of Ray have their key from."""


@pytest.fixture
def anyio_backend() -> str:
    """Ray's event loops are asyncio's."""
    return "asyncio"
