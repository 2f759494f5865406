"""When a completion was requested, and when the parts of its answer arrived.

Dates are Unix seconds, by the wall clock; durations are seconds of a monotonic clock.
Other modules read the clocks.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.errors import LiminError
    from limin.values.choice import Delta
    from limin.values.usage import Usage


@attrs.frozen(kw_only=True)
class Attempt:
    """One of the requests for a completion.

    Attributes:
        start_time: When the request was sent, in Unix seconds.
        duration: Seconds until its answer was complete, or until it failed.
        error: Why it failed; None if it succeeded. A `StreamError` holds the part of
            the answer that arrived.
        waited: Seconds between its end and the next attempt.
        endpoint: The base URL that was asked, without query and secrets; None if it is
            not known.
    """

    start_time: float
    duration: float
    error: LiminError | None = None
    waited: float = 0.0
    endpoint: str | None = None


@attrs.frozen(kw_only=True)
class Latency:
    """Summary of many durations, in seconds.

    Percentiles are interpolated linearly between neighbors, as numpy does by default.

    Attributes:
        mean: Arithmetic mean.
        median: The 50th percentile.
        percentile_95: The 95th percentile.
        percentile_99: The 99th percentile.
    """

    mean: float
    median: float
    percentile_95: float
    percentile_99: float

    @classmethod
    def of(cls, durations: Iterable[float]) -> Latency | None:
        """Return the summary of *durations*; None if there are none."""
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
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def _pack(times: Iterable[float]) -> bytes:
    return times if isinstance(times, bytes) else array("d", times).tobytes()


@attrs.frozen(kw_only=True)
class Timing:
    """When a completion was requested, and how long it took, retries included.

    Times that only a stream can show are None, or empty, for an answer that was not
    streamed. They count from when the last attempt was sent, which succeeded, in
    seconds. "Token" means a delta that brings tokens: a server may send several at
    once. The times are those at which limin read the stream. A slow consumer delays
    reading, so measure a server with `stream=True`.

    The definitions are close to those of `vllm bench serve`
    (https://docs.vllm.ai/en/latest/benchmarking/cli), which however counts the
    chunk with the role as the first token and the one with the finish reason as
    another, and to those of guidellm
    (https://github.com/vllm-project/guidellm/blob/main/docs/guides/metrics.md).

    Attributes:
        start_time: When the first request was sent, in Unix seconds.
        end_time: When the answer was complete, in Unix seconds.
        duration: Seconds between both, by a monotonic clock; need not equal the
            difference of the two dates.
        attempts: The requests for it, the successful one last. If the answer is only
            a part, the attempt that broke off is the last, without its error.
        time_to_first_byte: Seconds until status and headers were complete.
        time_to_first_token: Seconds until the first delta with text, reasoning, a
            refusal, log probabilities or a tool call; a role does not count (TTFT).
        time_to_first_reasoning: Seconds until the first delta with reasoning.
        time_to_first_text: Seconds until the first delta with text or a refusal, which
            comes after the reasoning (guidellm's TTFOT).
        inter_token_latency: Gaps between deltas with tokens of the same choice; the
            wait for the first one does not count (ITL). The gap between deltas of one
            packet is 0.
        tokens_per_second: Speed of decoding: the server's count of tokens, less the
            first of each choice, over the seconds from the first delta with tokens to
            the last. Reasoning counts if it was streamed, not if the server only
            counted it. The inverse of guidellm's mean inter-token latency; None if
            the server did not count, or counted fewer tokens than deltas brought:
            llama.cpp counts one of several choices.
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
    _delta_times: bytes = attrs.field(default=b"", converter=_pack, repr=False)

    @property
    def delta_times(self) -> tuple[float, ...]:
        """When each delta arrived, of all choices, in their order."""
        return tuple(array("d", self._delta_times))


class StreamTimes:
    """Collects the times at which the deltas of one stream arrive."""

    def __init__(self, first_byte: float) -> None:
        """Start with headers that arrived *first_byte* seconds after the request."""
        self._first_byte = first_byte
        self._deltas, self._gaps = array("d"), array("d")
        self._first_token: float | None = None
        self._last_tokens: dict[int, float] = {}  # By the index of the choice.
        self._n_tokens = 0  # At least so many came: one with each delta of tokens.
        self._first_text: float | None = None
        self._first_reasoning: float | None = None

    @property
    def has_token(self) -> bool:
        """Whether a token has arrived."""
        return self._first_token is not None

    def note(self, seconds: float, delta: Delta) -> None:
        """Record that *delta* arrived *seconds* after the request was sent."""
        self._deltas.append(seconds)
        if not delta.has_tokens:
            return
        self._n_tokens += 1
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

    def added_to(self, timing: Timing, usage: Usage | None) -> Timing:
        """Return *timing* with the times of the stream; *usage* counts its tokens."""
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
        tokens = None if usage is None else usage.completion_tokens
        if usage is None or tokens is None or self._first_token is None:
            return None
        if self._first_reasoning is None:
            tokens -= usage.reasoning_tokens or 0
        if tokens < self._n_tokens:
            return None
        later_tokens = tokens - len(self._last_tokens)
        seconds = max(self._last_tokens.values()) - self._first_token
        return later_tokens / seconds if later_tokens > 0 and seconds > 0 else None
