"""The metrics of calls: durations, first chunks, tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram, Meter

    from limin.telemetry.attributes import Attributes
    from limin.values.usage import Usage

# The modality of tokens that are no text, or may be.
_UNKNOWN = "unknown"


class Metrics:
    """Durations, first chunks and tokens of calls, by the names of 1.41.0."""

    def __init__(self, meter: Meter) -> None:
        """Make the instruments of *meter*."""
        self._duration = _histogram(meter, names.DURATION, names.SECONDS)
        self._first_chunk = _histogram(meter, names.FIRST_CHUNK, names.SECONDS)
        self._tokens = _histogram(meter, names.TOKEN_USAGE, names.TOKENS)

    def record_duration(
        self, seconds: float, attributes: Attributes, context: Context
    ) -> None:
        """Record how long a call took."""
        self._duration.record(seconds, attributes, context)

    def record_first_chunk(
        self, seconds: float, attributes: Attributes, context: Context
    ) -> None:
        """Record how long the first chunk of a stream took."""
        self._first_chunk.record(seconds, attributes, context)

    def record_tokens(
        self,
        usage: Usage | None,
        modalities: tuple[str, str],
        attributes: Attributes,
        context: Context,
    ) -> None:
        """Record the tokens of a call, as far as the server counted them.

        Args:
            usage: The counts; None if there are none.
            modalities: What the tokens of the prompt and of the answer are.
            attributes: The attributes of the call.
            context: The context with its span.
        """
        del modalities  # Which 1.41.0 does not know.
        counts = (
            (None, None)
            if usage is None
            else (usage.prompt_tokens, usage.completion_tokens)
        )
        for kind, count in zip(("input", "output"), counts, strict=True):
            if count is not None:
                self._tokens.record(count, attributes | {names.TOKEN_TYPE: kind}, context)


class LatestMetrics(Metrics):
    """The same by the latest names, with counters and histograms of tokens."""

    def __init__(self, meter: Meter) -> None:
        """Make the instruments of *meter*."""
        self._duration = _histogram(meter, names.LATEST_DURATION, names.SECONDS)
        self._first_chunk = _histogram(meter, names.LATEST_FIRST_CHUNK, names.SECONDS)
        self._input = _counter(meter, names.LATEST_INPUT)
        self._output = _counter(meter, names.LATEST_OUTPUT)
        self._cached = _counter(meter, names.LATEST_CACHED)
        self._reasoning = _counter(meter, names.LATEST_REASONING)
        self._input_of_call = _histogram(meter, names.LATEST_INPUT_OF_CALL, names.TOKENS)
        self._output_of_call = _histogram(meter, names.LATEST_OUTPUT_OF_CALL, names.TOKENS)

    def record_tokens(
        self,
        usage: Usage | None,
        modalities: tuple[str, str],
        attributes: Attributes,
        context: Context,
    ) -> None:
        """Record the tokens of a call; 0 if the server counted none, as it is advised."""
        if usage is None:
            modalities = _UNKNOWN, _UNKNOWN
        asked, answered = (
            attributes | {names.TOKEN_MODALITY: modality} for modality in modalities
        )
        n_input = (usage and usage.prompt_tokens) or 0
        n_output = (usage and usage.completion_tokens) or 0
        self._input.add(n_input, asked, context)
        self._output.add(n_output, answered, context)
        self._cached.add((usage and usage.cached_tokens) or 0, asked, context)
        self._reasoning.add((usage and usage.reasoning_tokens) or 0, answered, context)
        self._input_of_call.record(n_input, attributes, context)
        self._output_of_call.record(n_output, attributes, context)


def _histogram(meter: Meter, metric: names.Metric, bounds: tuple[float, ...]) -> Histogram:
    return meter.create_histogram(*metric, explicit_bucket_boundaries_advisory=list(bounds))


def _counter(meter: Meter, metric: names.Metric) -> Counter:
    return meter.create_counter(*metric)
