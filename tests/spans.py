"""OpenTelemetry's real SDK with exporters in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope


@attrs.define
class Memory:
    """Providers, and what was exported by them."""

    spans: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = attrs.field(factory=InMemoryMetricReader)
    logs: InMemoryLogRecordExporter = attrs.field(factory=InMemoryLogRecordExporter)
    providers: dict[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        tracers, loggers = TracerProvider(), LoggerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self.logs))
        self.providers = {
            "tracer_provider": tracers,
            "meter_provider": MeterProvider([self.reader], shutdown_on_exit=False),
            "logger_provider": loggers,
        }

    def of(self, name: str) -> list[ReadableSpan]:
        """Return the ended spans whose name begins with *name*, in their order."""
        spans = self.spans.get_finished_spans()
        return [span for span in spans if span.name.startswith(name)]

    def chat(self) -> ReadableSpan:
        """Return the one span of a call."""
        (span,) = self.of("chat ")
        return span

    def chat_scope(self) -> InstrumentationScope:
        """Return the scope of the spans of calls."""
        scope = self.of("chat ")[0].instrumentation_scope
        assert scope is not None
        return scope

    def attempts(self) -> list[ReadableSpan]:
        """Return the spans of attempts."""
        return self.of("limin.attempt")

    def metrics(self) -> dict[str, Any]:
        """Return the metrics by their names."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: metric for metric in scope.metrics}

    def points(self, name: str) -> list[Any]:
        """Return the points of the metric *name*."""
        return list(self.metrics()[name].data.data_points)


def facts(span: ReadableSpan) -> dict[str, Any]:
    """Return the attributes of *span*."""
    return dict(span.attributes or {})
