"""The process of the local server, piece by piece; no model is loaded."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
import types
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from limin import local_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe, and close the ends that the test leaves open."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


@pytest.fixture
def _exit_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process survive its end."""
    monkeypatch.setattr(os, "_exit", sys.exit)


@pytest.mark.usefixtures("_exit_raises")
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_end_of_the_input_ends_the_process(
    platform: str, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every system sees the end of a parent by that of its pipe."""
    monkeypatch.setattr(sys, "platform", platform)
    reader, writer = pipe
    closed: list[int] = []

    def close() -> None:
        closed.append(writer)
        os.close(writer)

    closing = threading.Timer(0.1, close)
    closing.start()
    with pytest.raises(SystemExit):
        local_server.end_with_parent(reader, os.getppid())
    assert closed == [writer]
    closing.join()


@pytest.mark.usefixtures("_exit_raises")
def test_another_parent_ends_the_process(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if another process holds the pipe open."""
    monkeypatch.setattr(local_server, "_SECONDS_BETWEEN_LOOKS", 0.01)
    parents = iter([7, 7, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    with pytest.raises(SystemExit):
        local_server.end_with_parent(pipe[0], 7)
    assert list(parents) == []


def test_kernel_sends_the_signal(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes from the kernel, so no code of the process has to run."""
    signals: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: signals.append(number))
    monkeypatch.setattr(signal, "SIGKILL", signal.SIGUSR1)
    try:
        local_server.kill_at_end_of_input(pipe[0])
        time.sleep(0.01)
        assert signals == []
        os.close(pipe[1])
        time.sleep(0.01)
        assert signals == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("_exit_raises")
def test_input_that_ended_before_the_kernel_watched(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends, since no signal will come."""
    monkeypatch.setattr(signal, "SIGKILL", signal.SIGURG)
    os.close(pipe[1])
    with pytest.raises(SystemExit):
        local_server.kill_at_end_of_input(pipe[0])


def test_other_systems_have_no_such_signal(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, only the thread watches."""
    monkeypatch.setattr(sys, "platform", "darwin")
    os.close(pipe[1])
    local_server.kill_at_end_of_input(pipe[0])


def test_parent_that_ended_before_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded."""
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO()))
    monkeypatch.setattr(local_server, "serve", pytest.fail)
    local_server.main()


def test_watch_begins_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log goes to stderr, and the options to the server."""
    line = io.BytesIO(b'{"path": "a.gguf"}\n')
    steps: list[object] = []
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=line))
    monkeypatch.setattr(os, "dup2", lambda *ends: steps.append(ends))
    monkeypatch.setattr(local_server, "kill_at_end_of_input", steps.append)
    monkeypatch.setattr(
        local_server, "end_with_parent", lambda *watched: steps.append(watched)
    )
    monkeypatch.setattr(local_server, "serve", lambda options, _: steps.append(options))
    local_server.main()
    assert steps == [0, (0, os.getppid()), (2, 1), {"path": "a.gguf"}]


class Health(BaseHTTPRequestHandler):
    """Answers, and keeps the paths of the requests."""

    paths: list[str]

    def do_GET(self) -> None:
        """Answer that all is well."""
        self.paths.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


@pytest.mark.parametrize("n_threads", [None, 3])
def test_options_reach_the_server(
    n_threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is announced once the server has answered a request."""
    monkeypatch.setattr(Health, "paths", [], raising=False)
    made: list[types.SimpleNamespace] = []

    def make_params() -> types.SimpleNamespace:
        names = ("model", "cpuparams", "cpuparams_batch")
        return types.SimpleNamespace(**{name: types.SimpleNamespace() for name in names})

    with HTTPServer(("127.0.0.1", 0), Health) as http:
        address = f"http://127.0.0.1:{http.server_port}"

        def make_server(params: types.SimpleNamespace) -> types.SimpleNamespace:
            made.append(params)
            return types.SimpleNamespace(listening_address=address)

        stand_in = types.SimpleNamespace(CommonParams=make_params, Server=make_server)
        monkeypatch.setitem(sys.modules, "xllamacpp", stand_in)  # type: ignore[arg-type]
        answering = threading.Thread(target=http.handle_request)
        answering.start()
        announcement = io.StringIO()
        options = {"path": "/a/b.gguf", "slots": 2, "n_ctx": 512, "prefix": "/secret"}
        options["n_threads"] = n_threads
        server = local_server.serve(json.loads(json.dumps(options)), announcement)
        answering.join()
    assert server.listening_address == address
    assert announcement.getvalue() == f"{address}\n"
    assert Health.paths == ["/secret/health"]
    (params,) = made
    assert params.model.path == "/a/b.gguf"
    assert params.model_alias == {"b"}
    assert (params.n_parallel, params.n_ctx, params.port) == (2, 1024, 0)
    assert (params.hostnames, params.api_prefix) == (["127.0.0.1"], "/secret")
    assert (params.cors_origins, params.cors_credentials) == ("", False)
    expected = {} if n_threads is None else {"n_threads": 3}
    assert vars(params.cpuparams) == vars(params.cpuparams_batch) == expected
