"""The service of the guide on services, in memory, with a scripted model behind it."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from loopback import serve_streams
from pages import PROGRAMS

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import SocketStream

DELTA = b'data: {"id": "c", "choices": [{"index": 0, "delta": {"content": "word "}}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},  # That of uvicorn.
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/events",
    "query_string": b"question=Tell+me+a+story.",
    "headers": [],
}


@pytest.fixture
def app(tmp_path: Path) -> Any:
    """The guide's `app.py`, imported."""
    (program,) = (text for text in PROGRAMS if text.startswith("# app.py\n"))
    path = tmp_path / "app.py"
    path.write_text(program)
    spec = importlib.util.spec_from_file_location("app", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


async def test_generation_stops_when_the_browser_goes_away(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's server loses its connection, even while it sends nothing."""
    model_was_left, has_read = anyio.Event(), anyio.Event()
    events: list[bytes] = []

    async def talk(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(HEAD + 2 * DELTA)
        try:
            await stream.receive()
        finally:
            model_was_left.set()

    async def receive() -> dict[str, object]:
        await has_read.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message.get("body"):
            events.append(message["body"])
        if len(events) == 2:
            has_read.set()

    async with serve_streams(talk) as port:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
        with anyio.fail_after(10):
            async with app.router.lifespan_context(app):
                await app(SCOPE, receive, send)
            await model_was_left.wait()
    assert events == [b'data: "word "\n\n'] * 2
