import statistics

import attrs
import pytest
from builders import TIMING
from hypothesis import given
from hypothesis import strategies as st

from limin.values.choice import Delta
from limin.values.log_probs import LogProbs
from limin.values.timing import Latency, StreamTimes, Timing
from limin.values.tools import ToolCallDelta
from limin.values.usage import Usage

SECONDS = st.floats(0, 1e6)


def timing_of(*deltas: tuple[float, Delta], usage: Usage | None = None) -> Timing:
    """The timing of a stream of *deltas* whose headers arrived at 0.5 seconds."""
    times = StreamTimes(0.5)
    for seconds, delta in deltas:
        times.note(seconds, delta)
    return times.added_to(TIMING, usage)


def test_answer_that_came_whole_has_no_such_times() -> None:
    """Times that only a stream can show are None, never zero."""
    assert TIMING.delta_times == ()
    names = {*attrs.fields_dict(Timing)} - {*["start_time", "end_time", "duration"]}
    assert {getattr(TIMING, name) for name in names} == {(), None, b""}


def test_first_times_are_distinguished() -> None:
    """Headers, role, reasoning and text: each has its own first time."""
    timing = timing_of(
        (1.0, Delta(finish_reason=None)),
        (2.0, Delta(reasoning="hm")),
        (3.0, Delta("4")),
        (4.0, Delta(finish_reason="stop")),
    )
    assert timing.time_to_first_byte == 0.5
    assert timing.time_to_first_token == timing.time_to_first_reasoning == 2.0
    assert timing.time_to_first_text == 3.0
    assert timing.delta_times == (1.0, 2.0, 3.0, 4.0)
    assert timing.start_time == TIMING.start_time
    assert attrs.evolve(timing, start_time=0.0).delta_times == timing.delta_times


@pytest.mark.parametrize(
    "delta",
    [
        Delta("a"),
        Delta(refusal="no"),
        Delta(log_probs=LogProbs(lambda: ([], ()))),
        Delta(tool_calls=(ToolCallDelta(arguments="{"),)),
    ],
)
def test_what_a_token_is(delta: Delta) -> None:
    """A server may send a token before its text."""
    assert timing_of((1.0, delta)).time_to_first_token == 1.0
    first_text = timing_of((1.0, delta)).time_to_first_text
    assert first_text == (1.0 if delta.text or delta.refusal else None)


def test_gaps_are_those_between_tokens() -> None:
    """The wait for the first token is no gap, and a finish reason is no token."""
    timing = timing_of(
        (7.0, Delta("a")),
        (8.0, Delta("b")),
        (8.5, Delta("c")),
        (10.5, Delta("d")),
        (99.0, Delta(finish_reason="stop")),
    )
    latency = timing.inter_token_latency
    assert latency is not None
    assert latency.mean == pytest.approx(3.5 / 3)
    assert latency.median == 1.0
    assert latency.percentile_95 == pytest.approx(1.9)
    assert latency.percentile_99 == pytest.approx(1.98)


def test_choices_have_their_own_gaps() -> None:
    """Choices are decoded in parallel, one token of each at a time."""
    timing = timing_of(
        *(
            (second + choice / 10, Delta("a", choice=choice))
            for second in (1.0, 2.0, 3.0)
            for choice in (0, 1)
        ),
        usage=Usage(completion_tokens=6),
    )
    assert timing.inter_token_latency is not None
    assert timing.inter_token_latency.median == pytest.approx(1.0)
    assert timing.inter_token_latency.mean == pytest.approx(1.0)
    assert timing.tokens_per_second == pytest.approx(4 / 2.1)


def test_one_token_has_no_gap() -> None:
    """Without durations there is no summary."""
    assert timing_of((1.0, Delta("a"))).inter_token_latency is None
    assert timing_of((1.0, Delta())).inter_token_latency is None


@given(st.lists(SECONDS, min_size=2, max_size=50))
def test_percentiles_are_the_standard_librarys(durations: list[float]) -> None:
    """Percentiles follow the inclusive method, which is numpy's default."""
    latency = Latency.of(durations)
    assert latency is not None
    expected = statistics.quantiles(durations, n=100, method="inclusive")
    assert latency.median == pytest.approx(statistics.median(durations))
    assert latency.percentile_95 == pytest.approx(expected[94])
    assert latency.percentile_99 == pytest.approx(expected[98])


def test_rate_is_that_of_decoding() -> None:
    """The tokens after the first, as the server counted them: a delta may bring two."""
    came = [(2.0, Delta("a")), (3.0, Delta("bc")), (4.0, Delta("d"))]
    counted = timing_of(*came, usage=Usage(completion_tokens=5))
    assert counted.tokens_per_second == 2.0
    assert timing_of(*came).tokens_per_second is None
    assert timing_of(*came, usage=Usage()).tokens_per_second is None


def test_reasoning_that_is_only_counted_is_not_decoded_text() -> None:
    """Reasoning counts if it was streamed, and not if it was only counted."""
    usage = Usage(completion_tokens=105, reasoning_tokens=100)
    text = [(2.0, Delta("a")), (4.0, Delta("b"))]
    assert timing_of(*text, usage=usage).tokens_per_second == 2.0
    shown = timing_of((1.0, Delta(reasoning="hm")), *text, usage=usage)
    assert shown.tokens_per_second == pytest.approx(104 / 3)


@pytest.mark.parametrize("tokens", [0, 1, 5])
def test_no_rate_of_what_came_at_once(tokens: int) -> None:
    """Without two tokens at different times there is no speed."""
    usage = Usage(completion_tokens=tokens)
    assert timing_of((2.0, Delta("a")), usage=usage).tokens_per_second is None
    assert timing_of(usage=usage).tokens_per_second is None
    timing = timing_of(
        (2.0, Delta("a")), (3.0, Delta("b")), usage=Usage(completion_tokens=1)
    )
    assert timing.tokens_per_second is None


@pytest.mark.parametrize(
    ("n_counted", "rate"), [(None, None), (5, None), (14, None), (15, 12.0), (18, 15.0)]
)
def test_count_of_fewer_tokens_than_came(n_counted: int | None, rate: float | None) -> None:
    """llama.cpp counts one choice of three, and no rate follows from that."""
    times = StreamTimes(0.0)
    for index in range(15):
        times.note(index / 14, Delta("x", choice=index % 3))
    usage = Usage(completion_tokens=n_counted)
    timing = times.added_to(Timing(start_time=0.0, end_time=1.0, duration=1.0), usage)
    assert timing.tokens_per_second == (None if rate is None else pytest.approx(rate))
