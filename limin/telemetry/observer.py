"""The observer that tells OpenTelemetry of calls."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import _logs, context, metrics, propagate, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.trace import SpanKind, Status, StatusCode

from limin.calls.observer import Observer
from limin.errors import LiminError
from limin.telemetry import content, names
from limin.telemetry.attributes import (
    describe_answer,
    describe_call,
    describe_error,
    describe_request,
    describe_server,
    find_answer,
    name_error,
)
from limin.telemetry.metrics import LatestMetrics, Metrics
from limin.telemetry.settings import find_capture, wants_latest
from limin.values.checks import check_text

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from limin.calls.observer import ObservedCall
    from limin.telemetry.attributes import Attributes, Result
    from limin.telemetry.settings import Capture
    from limin.values.completion import TextCompletion


class _OpenCall:
    """What is known of a call that has not ended."""

    __slots__ = ("attempt", "attributes", "context", "first_chunk", "span", "start")

    def __init__(self, span: Span, attributes: Attributes) -> None:
        self.span, self.attributes = span, attributes
        self.context: Context = trace.set_span_in_context(span)
        self.start = time.perf_counter()
        self.first_chunk: float | None = None
        self.attempt: Span | None = None


class Telemetry(Observer):
    """Tells OpenTelemetry of the calls of one client: `Client(observers=[Telemetry()])`.

    Each call has a span of kind CLIENT with the attributes that OpenTelemetry's
    conventions for generative AI name, from its begin to its end, waits and retries
    included. Below it each attempt has a span of kind INTERNAL, whose context is sent in
    the headers of the propagator (`traceparent`).

    Use this or `instrument`: with both, each call has two spans.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        capture_content: Capture | bool | None = None,
        provider_name: str | None = None,
    ) -> None:
        """Tell the given providers, or else those of the process.

        Args:
            tracer_provider: Takes the spans.
            meter_provider: Takes the metrics.
            logger_provider: Takes the events, which there are only with content in them.
            capture_content: Where prompts and answers are recorded: `no_content`,
                `span_only`, `event_only` or `span_and_event`, which is True; False is
                nowhere. By default as `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`
                says, and else nowhere.
            provider_name: Who serves the model (`gen_ai.provider.name`). By default it is
                told by the host, and `openai_compatible` for an unknown one.

        Raises:
            ConfigurationError: If an argument makes no sense.
        """
        self._capture = find_capture(capture_content)
        self._provider_name = (
            None if provider_name is None else check_text("provider_name", provider_name)
        )
        is_latest = wants_latest()
        schema = names.LATEST_SCHEMA if is_latest else names.SCHEMA
        self._tracer = trace.get_tracer(
            names.SCOPE, tracer_provider=tracer_provider, schema_url=schema
        )
        meter = metrics.get_meter(
            names.SCOPE, meter_provider=meter_provider, schema_url=schema
        )
        self._metrics = LatestMetrics(meter) if is_latest else Metrics(meter)
        self._logger = _logs.get_logger(
            names.SCOPE, logger_provider=logger_provider, schema_url=schema
        )
        self._open: dict[ObservedCall, _OpenCall] = {}

    def begun(self, call: ObservedCall) -> None:
        """Start the span of *call*, below the one that is current."""
        attributes = describe_call(call, self._provider_name)
        name = f"{names.CHAT} {call.configuration.model}"
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        self._open[call] = _OpenCall(span, attributes)
        if span.is_recording():
            request = describe_request(call.configuration, call.response_type)
            span.set_attributes(request)

    def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:
        """Start the span of an attempt; it is current while the request is sent."""
        state = self._open.get(call)
        if state is None:
            return
        attributes = describe_server(call.endpoint) | {names.ATTEMPT_NUMBER: call.number}
        state.attempt = self._tracer.start_span(
            names.ATTEMPT_SPAN, state.context, attributes=attributes
        )
        of_attempt = trace.set_span_in_context(state.attempt, state.context)
        # Never detached: each attempt is told in a context of its own.
        context.attach(of_attempt)
        propagate.inject(headers, of_attempt)

    def waiting(self, call: ObservedCall, seconds: float, error: LiminError) -> None:
        """End the span of the attempt that failed with *error*."""
        state = self._open.get(call)
        if state is not None and state.attempt is not None:
            state.attempt.set_attribute(names.ATTEMPT_WAIT, seconds)
            self._end_attempt(state, error)
            state.first_chunk = None

    def first_token(self, call: ObservedCall) -> None:
        """Note when the first token came."""
        state = self._open.get(call)
        if state is not None:
            state.first_chunk = time.perf_counter() - state.start

    def finished(self, call: ObservedCall, result: Result) -> None:
        """End the spans of *call*, and record its metrics."""
        state = self._open.pop(call, None)
        if state is None:
            return
        error = result if isinstance(result, BaseException) else None
        try:
            self._record(call, state, result)
        finally:
            self._end_attempt(state, error)
            self._end(state.span, error)

    def _record(self, call: ObservedCall, state: _OpenCall, result: Result) -> None:
        """Record what *result* tells, in the span of *call*, in metrics and events."""
        seconds = time.perf_counter() - state.start
        # Another replica may have taken the call, perhaps of another provider.
        state.attributes = describe_call(call, self._provider_name)
        answer = find_answer(result)
        told: Attributes = {} if answer is None else describe_answer(call, answer)
        if result is None:
            told[names.RESPONSE_FINISH_REASONS] = (names.NO_FINISH_REASON,)
        if state.first_chunk is not None:
            told[names.RESPONSE_TIME_TO_FIRST_CHUNK] = state.first_chunk
        if isinstance(result, BaseException):
            told[names.ERROR_TYPE] = name_error(result)
        self._record_metrics(call, state, told, answer, seconds)
        if state.span.is_recording():
            state.span.set_attributes(state.attributes | told)
            if self._capture.on_spans:
                shaped = _shape_content(call, answer)
                texts = {
                    name: json.dumps(value, default=str) for name, value in shaped.items()
                }
                state.span.set_attributes(texts)
        if self._capture.in_events:
            self._emit(call, state, told, answer)

    def _record_metrics(
        self,
        call: ObservedCall,
        state: _OpenCall,
        told: Attributes,
        answer: TextCompletion[object] | None,
        seconds: float,
    ) -> None:
        attributes = state.attributes
        if names.RESPONSE_MODEL in told:
            model = told[names.RESPONSE_MODEL]
            attributes = attributes | {names.RESPONSE_MODEL: model}
        usage = None if answer is None else answer.usage
        modalities = _find_modalities(call)
        self._metrics.record_tokens(usage, modalities, attributes, state.context)
        if state.first_chunk is not None:
            self._metrics.record_first_chunk(state.first_chunk, attributes, state.context)
        if names.ERROR_TYPE in told:
            attributes = attributes | {names.ERROR_TYPE: told[names.ERROR_TYPE]}
        self._metrics.record_duration(seconds, attributes, state.context)

    def _emit(
        self,
        call: ObservedCall,
        state: _OpenCall,
        told: Attributes,
        answer: TextCompletion[object] | None,
    ) -> None:
        """Emit the event with prompt and answer."""
        request = describe_request(call.configuration, call.response_type)
        facts = state.attributes | request | told | _shape_content(call, answer)
        self._logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                context=state.context,
                severity_number=SeverityNumber.INFO,
                attributes=cast("dict[str, Any]", facts),
                event_name=names.DETAILS_EVENT,
            )
        )

    def _end_attempt(self, state: _OpenCall, error: BaseException | None) -> None:
        """End the span of the attempt under way, if there is one."""
        attempt, state.attempt = state.attempt, None
        if attempt is not None:
            if error is not None:
                attempt.set_attribute(names.ERROR_TYPE, name_error(error))
            self._end(attempt, error)

    def _end(self, span: Span, error: BaseException | None) -> None:
        """End *span*; *error* makes it one that failed."""
        if error is not None:
            # limin's own messages quote no prompt, but they may quote an answer.
            may_quote = self._capture.on_spans and isinstance(error, LiminError)
            text = str(error) if may_quote else describe_error(error)
            span.set_status(Status(StatusCode.ERROR, text))
        span.end()


def _find_modalities(call: ObservedCall) -> tuple[str, str]:
    """Return what the tokens of the prompt and of the answer are, as far as is sure."""
    is_text = all(
        message.content is None or isinstance(message.content, str)
        for message in call.conversation.messages
    )
    speaks = "modalities" in (call.configuration.extra_body or {})
    return "text" if is_text else "unknown", "unknown" if speaks else "text"


def _shape_content(
    call: ObservedCall, answer: TextCompletion[object] | None
) -> dict[str, list[dict[str, object]]]:
    """Return prompt and answer in the shape of the conventions."""
    shaped = {names.INPUT_MESSAGES: content.shape_input(call.conversation.messages)}
    if answer is not None:
        shaped[names.OUTPUT_MESSAGES] = content.shape_output(answer.choices)
    if call.configuration.tools:
        shaped[names.TOOL_DEFINITIONS] = content.shape_tools(call.configuration.tools)
    return shaped
