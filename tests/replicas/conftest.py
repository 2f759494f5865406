"""Real servers, each a process of its own, and the tables that the session prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlsplit

import attrs
import pytest

import limin.local

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = pytest.StashKey[list[str]]()

_PROGRAM = limin.local._SERVER


@attrs.define
class ReplicaProcess:
    """A llama.cpp server, which can be killed, stopped, and started anew at its port.

    Attributes:
        prefix: Begin of each path.
        port: Its port; 0 before the first start.
    """

    prefix: str
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """The URL to pass as `base_url`."""
        return f"http://127.0.0.1:{self.port}{self.prefix}/v1"

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        self._process = subprocess.Popen(  # noqa: S603 (our own Python, and our own program)
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | limin.local._WAITING,
        )
        options = {
            "path": str(limin.local.find_model()),
            "slots": 4,
            "n_ctx": 256,
            "n_threads": 1,
            "prefix": self.prefix,
            "port": self.port,
        }
        standard_input = cast("IO[bytes]", self._process.stdin)
        standard_input.write(f"{json.dumps(options)}\n".encode())
        standard_input.flush()
        address = cast("IO[bytes]", self._process.stdout).readline().decode().strip()
        self.port = urlsplit(address).port or 0

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self) -> None:
        """Kill the process, and wait for its end."""
        if self._process is not None:
            self.send_signal(signal.SIGKILL)
            self._process.communicate()
            self._process = None


@pytest.fixture
def tables(request: pytest.FixtureRequest) -> list[str]:
    """Return the tables to print at the end."""
    return request.config.stash.setdefault(TABLES, [])


@pytest.fixture(scope="session")
def processes() -> Iterator[list[ReplicaProcess]]:
    """Run three servers."""
    running = [ReplicaProcess(f"/replica-{number}") for number in range(3)]
    try:
        for each in running:
            each.start()
        yield running
    finally:
        for each in running:
            each.end()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the tables."""
    for table in config.stash.get(TABLES, []):
        terminalreporter.write(f"\n{table}\n")
