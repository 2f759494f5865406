"""Tools that watch or replace httpx see the requests of limin's client.

Each case is a process of its own. The same programs run with a plain
`httpx.AsyncClient`, which shows that they can see.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs
import pytest
from ecosystem.answers import FROM_MOCK, FROM_SERVER, MODES
from ecosystem.subject import ALL_INSIDE, BEFORE, INSIDE, Case, Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ecosystem.answers import Mode
    from ecosystem.conftest import Counting, Table

HERE = Path(__file__).parent

# Of each order, the words of the table.
ORDERS = {
    BEFORE: "client made before",
    INSIDE: "client made inside",
    ALL_INSIDE: "all imported inside",
}

# Of each mock, the program and its variant.
MOCKS = {
    "pytest-httpx": ("with_pytest_httpx", ""),
    "respx": ("with_respx", "httpcore"),
    'respx, using="httpx"': ("with_respx", "httpx"),
}

OBSERVERS = {
    "OpenTelemetry": "with_opentelemetry",
    "Sentry": "with_sentry",
    "logfire": "with_logfire",
}

pytestmark = [
    pytest.mark.parametrize("mode", MODES),
    pytest.mark.parametrize("subject", ["httpx", "limin"]),
]
in_every_order = pytest.mark.parametrize("order", ORDERS)


@attrs.frozen
class Result:
    """What one process did.

    Attributes:
        report: What the program reported; None if it failed.
        requests: Requests that reached the real server.
        output: All that the process printed.
    """

    report: Report | None
    requests: int
    output: str


@attrs.frozen
class Runner:
    """Runs a program with a real server beside it."""

    subject: Literal["limin", "httpx"]
    mode: Mode
    folder: Path
    serve: Callable[[], AbstractContextManager[Counting]]
    table: Table

    def run(self, program: str, *, order: str = BEFORE, variant: str = "") -> Result:
        """Run *program* in a process of its own."""
        with self.serve() as server:
            case = Case(
                subject=self.subject,
                mode=self.mode,
                order=order,
                variant=variant,
                base_url=server.base_url,
                folder=str(self.folder),
            )
            output = _output_of(program, case)
        return Result(_read_report(output), server.requests, output)

    def check(self, row: str, result: Result, *, text: str, requests: int) -> None:
        """Note *result* in the table, and assert that it is as expected.

        Args:
            row: The row of the table.
            result: The result of the program.
            text: The text that the client must have returned.
            requests: How many requests the real server must have answered.
        """
        report = result.report
        seen = (
            report is not None
            and report.seen
            and report.text == text
            and result.requests == requests
        )
        if self.subject == "limin":
            self.table[row][self.mode] = seen
        assert seen, f"the server answered {result.requests} requests\n{result.output}"


@pytest.fixture
def runner(
    subject: Literal["limin", "httpx"],
    mode: Mode,
    tmp_path: Path,
    serve: Callable[[], AbstractContextManager[Counting]],
    table: Table,
) -> Runner:
    """The runner of one case."""
    return Runner(subject, mode, tmp_path, serve, table)


def _output_of(program: str, case: Case) -> str:
    argument = json.dumps(attrs.asdict(case))
    arguments = ["-m", f"ecosystem.{program}", argument]
    if program == "with_pytest_httpx":
        arguments = ["-m", "pytest", "-qs", "--noconftest", "--no-header", "--no-summary"]
        arguments += [f"--config-file={os.devnull}", f"--rootdir={case.folder}"]
        arguments += ["-p", "no:cacheprovider", str(HERE / f"{program}.py")]
    result = subprocess.run(  # noqa: S603 (our own programs)
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(HERE.parent), "CASE": argument},
        cwd=case.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        timeout=60,
    )
    return result.stdout


def _read_report(output: str) -> Report | None:
    lines = [line for line in output.splitlines() if line.startswith('{"seen":')]
    return Report(**json.loads(lines[-1])) if lines else None


@in_every_order
@pytest.mark.parametrize("mock", MOCKS)
def test_mock_answers(runner: Runner, mock: str, order: str) -> None:
    """The mock answers in the server's place, and the real server is not asked."""
    program, variant = MOCKS[mock]
    result = runner.run(program, order=order, variant=variant)
    runner.check(f"{mock}, {ORDERS[order]}", result, text=FROM_MOCK, requests=0)


@in_every_order
def test_vcrpy_records(runner: Runner, order: str) -> None:
    """The cassette holds the request, and the real server is asked once."""
    result = runner.run("with_vcrpy", order=order, variant="once")
    row = f"vcrpy, record, {ORDERS[order]}"
    runner.check(row, result, text=FROM_SERVER, requests=1)


@in_every_order
def test_vcrpy_replays(runner: Runner, order: str) -> None:
    """Another process gets the recorded answer, and no server is asked."""
    with runner.serve() as server:
        case = Case(
            subject="httpx",
            mode=runner.mode,
            order=order,
            variant="once",
            base_url=server.base_url,
            folder=str(runner.folder),
        )
        recorded = _read_report(_output_of("with_vcrpy", case))
    assert recorded is not None
    assert recorded.seen
    output = _output_of(
        "with_vcrpy", attrs.evolve(case, subject=runner.subject, variant="none")
    )
    result = Result(_read_report(output), server.requests, output)
    runner.check(f"vcrpy, replay, {ORDERS[order]}", result, text=FROM_SERVER, requests=1)


@in_every_order
@pytest.mark.parametrize("observer", OBSERVERS)
def test_observer_sees(runner: Runner, observer: str, order: str) -> None:
    """The request is observed once, with its URL and status."""
    result = runner.run(OBSERVERS[observer], order=order)
    runner.check(f"{observer}, {ORDERS[order]}", result, text=FROM_SERVER, requests=1)


def test_event_hooks_are_called(runner: Runner) -> None:
    """Both hooks of a given client are called once."""
    result = runner.run("with_event_hooks")
    runner.check("event hooks of http_client", result, text=FROM_SERVER, requests=1)
