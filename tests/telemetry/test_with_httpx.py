"""limin's telemetry together with OpenTelemetry's instrumentation of httpx."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest
from loopback import Request, completion, http, serve
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from spans import Memory, facts
from streaming import HELLO, serve_scripts, streamed

import limin
from limin import Client
from limin.telemetry import instrument, uninstrument

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def memory() -> Iterator[Memory]:
    """Switch both on, with exporters in memory."""
    memory = Memory()
    providers = memory.providers
    HTTPXClientInstrumentor().instrument(
        tracer_provider=providers["tracer_provider"],
        meter_provider=providers["meter_provider"],
    )
    instrument(**providers)
    yield memory
    uninstrument()
    HTTPXClientInstrumentor().uninstrument()


def below(memory: Memory) -> list[list[str]]:
    """Return the names of each span of HTTP and of those above it."""
    spans = {span.context.span_id: span for span in memory.spans.get_finished_spans()}  # type: ignore[union-attr]  # each has one
    chains: list[list[str]] = []
    for span in memory.of("POST"):
        chain = [span.name]
        while span.parent is not None:
            span = spans[span.parent.span_id]  # noqa: PLW2901 (up the tree)
            chain.append(span.name)
        chains.append(chain)
    return chains


async def test_spans_nest(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    """Each span of HTTP is below its attempt, and sends its own header."""
    sent: list[str] = []

    async def busy_once(request: Request) -> bytes:
        sent.append(request.head.decode().partition("traceparent: ")[2].split("-")[2])
        return http(b"{}", "503 No") if len(sent) == 1 else http(completion("fine"))

    async with serve(busy_once) as server, Client(server.base_url) as client:
        await client.generate_text_completion("hi", model="m")
    assert below(memory) == [["POST", "limin.attempt", "chat m"]] * 2
    assert sent == [f"{span.context.span_id:016x}" for span in memory.of("POST")]  # type: ignore[union-attr]  # each has one
    clients = [s for s in memory.spans.get_finished_spans() if s.kind.name == "CLIENT"]
    assert [span.name for span in clients] == ["POST", "POST", "chat m"]
    http_names = [n for span in memory.of("limin") for n in facts(span) if "http" in n]
    assert http_names == []
    assert "gen_ai.client.operation.duration" in {
        metric.name
        for resource in memory.reader.get_metrics_data().resource_metrics  # type: ignore[union-attr]  # there are some
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert no_faults(caplog)


async def test_streams_nest(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    """A program's own spans in the block of a stream are beside it, not below it."""
    tracer = memory.providers["tracer_provider"].get_tracer("program")
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        Client(server.base_url) as client,
    ):
        async with client.stream_text_completion("hi", model="m") as stream:
            with tracer.start_as_current_span("own"):
                await stream.until_done()
        async with (
            client.stream_text_completion("hi", model="m") as read_elsewhere,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(read_elsewhere.until_done)
    assert below(memory) == [["POST", "limin.attempt", "chat m"]] * 2
    (own,) = memory.of("own")
    assert own.parent is None
    assert no_faults(caplog)


async def test_cancellations(memory: Memory, caplog: pytest.LogCaptureFixture) -> None:
    """They end every span, and OpenTelemetry complains of nothing."""
    n_left = 2

    async def silent(_request: Request) -> bytes:
        nonlocal n_left
        n_left -= 1
        if n_left <= 0:
            scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    async with serve(silent) as server, Client(server.base_url) as client:
        with anyio.CancelScope() as scope:
            await client.generate_text_completions(["a", "b"], 2, show_progress=False)
        with anyio.CancelScope() as scope:
            async with client.stream_text_completion("hi", model="m"):
                raise AssertionError
    assert len(memory.of("chat")) == len(memory.attempts()) == 3
    assert {facts(span)["error.type"] for span in memory.of("chat")} == {"cancelled"}
    assert no_faults(caplog)


async def test_connection_that_fails(memory: Memory) -> None:
    """The error is that of limin, on the span of the attempt as on that of the call."""
    async with Client("http://127.0.0.1:9/v1", max_retries=0) as client:
        with pytest.raises(limin.ConnectError):
            await client.generate_text_completion("hi", model="m")
    for span in (memory.chat(), *memory.attempts()):
        assert facts(span)["error.type"] == "ConnectError"
    assert below(memory) == [["POST", "limin.attempt", "chat m"]]


def no_faults(caplog: pytest.LogCaptureFixture) -> bool:
    """Return whether nothing was logged as a warning or worse, as a failed detach is."""
    return not [record for record in caplog.records if record.levelno >= logging.WARNING]
