"""When a completion was asked for, and when the parts of its answer came.

Dates are Unix seconds, by the wall clock; durations are seconds of a clock that
never jumps. Both are read elsewhere.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.errors import LiminError
    from limin.values.completion import Delta, Usage


@attrs.frozen(kw_only=True)
class Attempt:
    """One request of those that a completion took.

    Attributes:
        start_time: When it left, in Unix seconds.
        duration: Seconds until its answer, or its failure.
        error: Why it failed; None for the one that succeeded. A `StreamError`
            holds the part of the answer that came.
        waited: Seconds waited after it, before the next one.
    """

    start_time: float
    duration: float
    error: LiminError | None = None
    waited: float = 0.0


@attrs.frozen(kw_only=True)
class Latency:
    """Many durations in four numbers, each in seconds.

    Percentiles lie on a straight line between the two durations next to them, as
    numpy's do by default.

    Attributes:
        mean: The sum over the count.
        median: Half of the durations are shorter.
        percentile_95: 95 of 100 are shorter.
        percentile_99: 99 of 100 are shorter.
    """

    mean: float
    median: float
    percentile_95: float
    percentile_99: float

    @classmethod
    def of(cls, durations: Iterable[float]) -> Latency | None:
        """The summary of *durations*; None without any."""
        ordered = sorted(durations)
        if not ordered:
            return None
        return cls(
            mean=math.fsum(ordered) / len(ordered),
            median=_quantile(ordered, 0.5),
            percentile_95=_quantile(ordered, 0.95),
            percentile_99=_quantile(ordered, 0.99),
        )


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _packed(times: Iterable[float]) -> bytes:
    return times if isinstance(times, bytes) else array("d", times).tobytes()


@attrs.frozen(kw_only=True)
class Timing:
    """When a completion was asked for, and how long it took, retries included.

    What only a stream can show is None, or empty, for an answer that came whole.
    Its times count from when the request left that succeeded, the last attempt,
    in seconds. "Token" means a delta that brings some: a server may send several at
    once. The times are those at which limin read: a reader of a stream who takes his
    time shows in them, so measure a server by `stream=True`.

    The definitions are close to those of `vllm bench serve`
    (https://docs.vllm.ai/en/latest/benchmarking/cli), which however counts the
    chunk with the role as the first token and that with the finish reason as one
    more, and of guidellm
    (https://github.com/vllm-project/guidellm/blob/main/docs/guides/metrics.md).

    Attributes:
        start_time: When the first request left, in Unix seconds.
        end_time: When the answer was whole, in Unix seconds.
        duration: Seconds between, by a clock that never jumps; it need not
            equal the difference of the two dates.
        attempts: The requests that it took, the successful one last; of the part of
            an answer the one that broke off is the last, without its error.
        time_to_first_byte: Until the head of the answer was there.
        time_to_first_token: Until the first delta with text, reasoning, a refusal,
            log probabilities or a call of a tool; one with a role alone is none (TTFT).
        time_to_first_reasoning: Until the first delta with reasoning.
        time_to_first_text: Until the first delta with text or a refusal, which
            comes after the reasoning (guidellm's TTFOT).
        inter_token_latency: Of the gaps between one delta that brings tokens and
            the next of the same choice, the wait for the first left out (ITL). Deltas
            that one packet brought have none between them.
        tokens_per_second: While decoding: the tokens after the first of each choice,
            as the server counted them, over the seconds from the first delta with
            tokens to the last one. Reasoning counts if it came in the stream, and not
            if it was only counted. The inverse of guidellm's mean inter-token
            latency; None if the server did not count.
    """

    start_time: float
    end_time: float
    duration: float
    attempts: tuple[Attempt, ...] = ()
    time_to_first_byte: float | None = None
    time_to_first_token: float | None = None
    time_to_first_reasoning: float | None = None
    time_to_first_text: float | None = None
    inter_token_latency: Latency | None = None
    tokens_per_second: float | None = None
    _delta_times: bytes = attrs.field(default=b"", converter=_packed, repr=False)

    @property
    def delta_times(self) -> tuple[float, ...]:
        """When each delta came, of all choices, in their order."""
        return tuple(array("d", self._delta_times))


class StreamTimes:
    """Collects when the deltas of one streamed answer come."""

    def __init__(self, first_byte: float) -> None:
        """The head came *first_byte* seconds after the request had left."""
        self._first_byte = first_byte
        self._deltas, self._gaps = array("d"), array("d")
        self._first_token: float | None = None
        self._last_tokens: dict[int, float] = {}  # Of each choice.
        self._first_text: float | None = None
        self._first_reasoning: float | None = None

    @property
    def has_token(self) -> bool:
        """Whether a token came."""
        return self._first_token is not None

    def note(self, seconds: float, delta: Delta) -> None:
        """*delta* came *seconds* after the request had left."""
        self._deltas.append(seconds)
        if not delta.has_tokens:
            return
        before = self._last_tokens.get(delta.choice)
        self._last_tokens[delta.choice] = seconds
        if before is not None:
            self._gaps.append(seconds - before)
        if self._first_token is None:
            self._first_token = seconds
        if self._first_text is None and (delta.text or delta.refusal):
            self._first_text = seconds
        if self._first_reasoning is None and delta.reasoning:
            self._first_reasoning = seconds

    def told(self, timing: Timing, usage: Usage | None) -> Timing:
        """*timing* with what the stream has shown; *usage* counts its tokens."""
        return attrs.evolve(
            timing,
            time_to_first_byte=self._first_byte,
            time_to_first_token=self._first_token,
            time_to_first_reasoning=self._first_reasoning,
            time_to_first_text=self._first_text,
            inter_token_latency=Latency.of(self._gaps),
            tokens_per_second=self._rate(usage),
            delta_times=self._deltas,
        )

    def _rate(self, usage: Usage | None) -> float | None:
        counted = None if usage is None else usage.completion_tokens
        if usage is None or counted is None or self._first_token is None:
            return None
        if self._first_reasoning is None:
            counted -= usage.reasoning_tokens or 0
        later = counted - len(self._last_tokens)
        span = max(self._last_tokens.values()) - self._first_token
        return later / span if later > 0 and span > 0 else None
