"""logfire: a span for the request, which is sent nowhere."""

# Tools are imported at the moment that the case is about.
# ruff: noqa: PLC0415

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ecosystem.subject import Case, Report, main, open_client_with
from ecosystem.with_opentelemetry import requests_in

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def instrumentation() -> Generator[Any]:
    """Switch logfire on, with an exporter in memory."""
    import logfire
    from logfire.testing import TestExporter
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter = TestExporter()
    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[SimpleSpanProcessor(exporter)],
    )
    logfire.instrument_httpx()
    yield exporter
    logfire.shutdown()


async def program(case: Case) -> Report:
    """Ask, and see what was exported."""
    async with open_client_with(case, instrumentation()) as (client, exporter):
        text = await client.ask()
        # logfire exports each span twice: when it starts, and when it has ended.
        requests = requests_in(
            span
            for span in exporter.exported_spans
            if span.attributes["logfire.span_type"] != "pending_span"
        )
    return Report(requests == [("CLIENT", case.url, 200)], str(requests), text)


if __name__ == "__main__":
    main(program)
