"""A real server that counts, and the table that the session prints at its end."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import attrs
import pytest
from ecosystem.answers import FROM_SERVER, MODES, body, content_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

# Whether limin's request was seen, by the tool and by the mode.
Table = defaultdict[str, dict[str, bool]]

_TABLE = pytest.StashKey[Table]()


@attrs.define
class Counting:
    """A server on loopback.

    Attributes:
        base_url: The base URL that reaches it.
        requests: How many requests it has answered.
    """

    base_url: str
    requests: int = 0


@contextmanager
def _serve() -> Iterator[Counting]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            counting.requests += 1
            size = int(self.headers["Content-Length"])
            streamed = json.loads(self.rfile.read(size)).get("stream")
            mode = "streamed" if streamed else "whole"
            answer = body(mode, FROM_SERVER)
            self.send_response(200)
            self.send_header("Content-Type", content_type(mode))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        counting = Counting(f"http://127.0.0.1:{server.server_port}/v1")
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield counting
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def serve() -> Callable[[], AbstractContextManager[Counting]]:
    """A function that starts a server, for the length of a block."""
    return _serve


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> Table:
    """The table of what was seen."""
    return request.config.stash.setdefault(_TABLE, defaultdict(dict))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print which tool saw the requests of limin's client."""
    rows = config.stash.get(_TABLE, None)
    if not rows:
        return
    words = {True: "seen", False: "not seen", None: "not tried"}
    width = max(map(len, rows))
    terminalreporter.section("Requests of limin.Client, and who sees them")
    terminalreporter.write_line(f"{'tool':{width}}  {MODES[0]:9}  {MODES[1]}")
    for tool, seen in rows.items():
        cells = "  ".join(f"{words[seen.get(mode)]:9}" for mode in MODES)
        terminalreporter.write_line(f"{tool:{width}}  {cells}".rstrip())
