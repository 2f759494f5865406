"""OpenTelemetry's instrumentation of httpx: one client span, with URL and status."""

# Tools are imported at the moment that the case is about.
# ruff: noqa: PLC0415

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ecosystem.subject import Case, Report, main, open_client_with

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable


@contextmanager
def instrumentation() -> Generator[Any]:
    """Switch the instrumentation on, with an exporter in memory."""
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    yield exporter
    HTTPXClientInstrumentor().uninstrument()


def requests_in(spans: Iterable[Any]) -> list[tuple[str, str, int]]:
    """Return kind, URL and status of each span, by the old names or by the new."""
    return [
        (
            span.kind.name,
            span.attributes.get("http.url") or span.attributes.get("url.full"),
            span.attributes.get("http.status_code")
            or span.attributes.get("http.response.status_code"),
        )
        for span in spans
    ]


async def program(case: Case) -> Report:
    """Ask, and see what was exported."""
    async with open_client_with(case, instrumentation()) as (client, exporter):
        text = await client.ask()
        requests = requests_in(exporter.get_finished_spans())
    return Report(requests == [("CLIENT", case.url, 200)], str(requests), text)


if __name__ == "__main__":
    main(program)
