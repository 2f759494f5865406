"""When requests leave, on a clock that is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.policy.rate_limits import CoolDown, Pacer

SECONDS = st.floats(0.0, 1e6)


def test_without_a_pace_everything_leaves_at_once() -> None:
    """Who sets no limit waits for nothing."""
    pacer = Pacer()
    assert [pacer.reserve(5.0, 1e9) for _ in range(3)] == [5.0, 5.0, 5.0]


def test_requests_leave_evenly() -> None:
    """Sixty a minute is one each second, also for those that ask at once."""
    pacer = Pacer(requests_per_minute=60)
    assert [pacer.reserve(10.0, 0) for _ in range(4)] == [10.0, 11.0, 12.0, 13.0]


def test_a_pause_is_no_credit() -> None:
    """Who was silent for an hour does not send an hour's requests at once."""
    pacer = Pacer(requests_per_minute=60)
    pacer.reserve(0.0, 0)
    assert [pacer.reserve(3600.0, 0) for _ in range(2)] == [3600.0, 3601.0]


def test_large_request_keeps_the_next_one_waiting() -> None:
    """Half of a minute's tokens are half a minute."""
    pacer = Pacer(tokens_per_minute=1000)
    assert pacer.reserve(0.0, 500) == 0.0
    assert pacer.reserve(0.0, 10) == pytest.approx(30.0)


@pytest.mark.parametrize(("actual", "moment"), [(100, 6.0), (500, 30.0), (900, 54.0)])
def test_estimate_is_corrected(actual: int, moment: float) -> None:
    """The tokens that the server counted replace the estimate."""
    pacer = Pacer(tokens_per_minute=1000)
    pacer.reserve(0.0, 500)
    pacer.correct(500, actual)
    assert pacer.reserve(0.0, 10) == pytest.approx(moment)


def test_estimate_learns() -> None:
    """Answers that are shorter than they may be make the next estimates smaller."""
    pacer = Pacer(tokens_per_minute=1000)
    first = pacer.estimate(400, 899)
    assert first == 1000.0
    for _ in range(50):
        pacer.correct(pacer.estimate(400, 899), 200)
    assert pacer.estimate(400, 899) == pytest.approx(200, rel=0.05)
    assert pacer.estimate(400, None) < pacer.estimate(400, 899)


@given(
    requests=st.floats(1, 1e5),
    tokens=st.floats(1, 1e7),
    requests_sent=st.lists(st.tuples(st.floats(0, 30), st.floats(1, 1e5)), min_size=1),
)
def test_no_minute_holds_more(
    requests: float, tokens: float, requests_sent: list[tuple[float, float]]
) -> None:
    """However they come, never early, in their order, and never too many."""
    pacer, now, moments = Pacer(requests, tokens), 0.0, []
    for pause, size in requests_sent:
        now += pause
        moment = pacer.reserve(now, size)
        assert moment >= now
        moments.append((moment, size))
    assert moments == sorted(moments, key=lambda pair: pair[0])
    for start, (moment, _) in enumerate(moments):
        within = [size for time, size in moments[start:] if time < moment + 59.999]
        assert len(within) <= requests + 1
        assert sum(within[:-1]) <= tokens * 1.001


@given(st.lists(st.tuples(st.floats(1e-3, 1e6), st.integers(0, 10**9))))
def test_estimates_stay_sane(answers: list[tuple[float, int]]) -> None:
    """However absurd the counts, the next estimate is above 0 and finite."""
    pacer = Pacer(tokens_per_minute=1000)
    for estimated, actual in answers:
        pacer.correct(estimated, actual)
    assert 0.0 < pacer.estimate(100, 100) < 1e6


def test_nobody_leaves_during_the_rest() -> None:
    """A wait of one request is the wait of all."""
    cool_down = CoolDown()
    assert cool_down.reserve(1.0) == 1.0
    cool_down.rest(2.0, 10.0)
    assert cool_down.reserve(3.0) == 12.0


def test_longest_rest_counts() -> None:
    """A second answer that asks for less does not shorten the first one's wish."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 10.0)
    cool_down.rest(1.0, 2.0)
    assert cool_down.until == 10.0


def test_a_few_at_a_time() -> None:
    """Four leave at once, then twice as many in all with each half a second."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 10.0)
    moments = [cool_down.reserve(0.0) for _ in range(64)]
    assert moments[:4] == [10.0] * 4
    assert moments[7] == 10.5
    assert moments[15] == 11.0
    assert moments[63] == 12.0
    assert moments == sorted(moments)


def test_herd_of_a_thousand_is_gone_in_some_seconds() -> None:
    """The rest costs little more than the server asked for."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 1.0)
    assert max(cool_down.reserve(0.0) for _ in range(1000)) < 6.0


def test_afterwards_nobody_waits() -> None:
    """A minute after the rest everything is as before."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 1.0)
    assert [cool_down.reserve(61.0) for _ in range(10_000)] == [61.0] * 10_000


def test_absurd_wish_is_bounded() -> None:
    """A server that asks for a year gets a day."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 1e9)
    assert cool_down.until == 86_400.0


@given(st.lists(st.tuples(SECONDS, st.none() | SECONDS)))
def test_never_early(steps: list[tuple[float, float | None]]) -> None:
    """Whoever leaves does so neither in the past nor during the rest."""
    cool_down, now = CoolDown(), 0.0
    for pause, wait in steps:
        now += pause
        if wait is not None:
            cool_down.rest(now, wait)
        assert now <= cool_down.reserve(now) < now + 86_400.0 + 60.0
        assert cool_down.reserve(now) >= cool_down.until
