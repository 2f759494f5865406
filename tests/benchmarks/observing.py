"""What observers cost, in a process of its own.

`python observing.py CASE URL` prints one line of JSON, as `clients.py` does.
"""

# A process loads what it measures, and no more.
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import anyio
from clients import Prompts
from server import ANSWER

import limin

if TYPE_CHECKING:
    from collections.abc import Callable

N_PARALLEL = 16

PLAIN = "without"
IDLE = "an observer that does nothing"


def _nobody() -> list[Any]:
    return []


def _idle() -> list[Any]:
    return [limin.Observer()]


def _records() -> list[Any]:
    """Let the logger write each completion at INFO, to nowhere."""
    logger = logging.getLogger("limin")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    return []


def _api() -> list[Any]:
    from limin.telemetry import Telemetry

    return [Telemetry()]


def _sdk() -> list[Any]:
    """Return telemetry with the real SDK, and an exporter that drops all spans."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )

    from limin.telemetry import Telemetry

    class Dropping(SpanExporter):
        """Drops all spans."""

        def export(self, spans: Any) -> SpanExportResult:
            """Drop *spans*."""
            assert all(isinstance(span, ReadableSpan) for span in spans)
            return SpanExportResult.SUCCESS

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Dropping()))
    meters = MeterProvider([InMemoryMetricReader()])
    return [Telemetry(tracer_provider=tracers, meter_provider=meters)]


CASES: dict[str, Callable[[], list[Any]]] = {
    PLAIN: _nobody,
    IDLE: _idle,
    "the logger `limin` at INFO": _records,
    "telemetry without an SDK": _api,
    "telemetry, with an exporter that drops all": _sdk,
}


async def ask(url: str, prompts: Prompts, observers: list[Any]) -> list[str]:
    """Return the texts of all answers."""
    async with limin.Client(url, "a-key", observers=observers) as client:
        completions = await client.generate_text_completions(
            iter(prompts), N_PARALLEL, show_progress=False, model="m"
        )
    return [completion.message for completion in completions]


def main(name: str, url: str) -> None:
    """Measure one case."""
    observers, prompts = CASES[name](), Prompts(N_PARALLEL)
    texts = anyio.run(ask, url, prompts, observers)
    assert set(texts) == {ANSWER}
    sys.stdout.write(json.dumps(prompts.result()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
