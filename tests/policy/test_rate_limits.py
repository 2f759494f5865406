"""When requests leave, on a clock that is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.policy.rate_limits import CoolDown, Pacer

SECONDS = st.floats(0.0, 1e6)


def test_without_a_pace_everything_leaves_at_once() -> None:
    """Without a limit requests leave at once."""
    pacer = Pacer()
    assert [pacer.reserve(5.0, 1e9) for _ in range(3)] == [5.0, 5.0, 5.0]


def test_requests_leave_evenly() -> None:
    """Sixty a minute is one each second, even if all ask at once."""
    pacer = Pacer(requests_per_minute=60)
    assert [pacer.reserve(10.0, 0) for _ in range(4)] == [10.0, 11.0, 12.0, 13.0]


def test_a_pause_is_no_credit() -> None:
    """An idle hour does not let an hour's requests leave at once."""
    pacer = Pacer(requests_per_minute=60)
    pacer.reserve(0.0, 0)
    assert [pacer.reserve(3600.0, 0) for _ in range(2)] == [3600.0, 3601.0]


def test_large_request_keeps_the_next_one_waiting() -> None:
    """A request with half of a minute's tokens keeps the next one waiting half a minute."""
    pacer = Pacer(tokens_per_minute=1000)
    assert pacer.reserve(0.0, 500) == 0.0
    assert pacer.reserve(0.0, 10) == pytest.approx(30.0)


@pytest.mark.parametrize(("actual", "moment"), [(100, 6.0), (500, 30.0), (900, 54.0)])
def test_estimate_is_corrected(actual: int, moment: float) -> None:
    """The tokens that the server counted replace the estimate."""
    pacer = Pacer(tokens_per_minute=1000)
    pacer.reserve(0.0, 500)
    pacer.correct(0.0, 500, actual)
    assert pacer.reserve(0.0, 10) == pytest.approx(moment)


def test_moment_by_sizes_knows_no_counts() -> None:
    """It follows the sizes that the client itself sends and allows."""
    pacer = Pacer(tokens_per_minute=60)
    pacer.reserve(0.0, 2)
    pacer.correct(0.0, 2, 10**12)
    assert [pacer.enqueue(0.0, 4, None) for _ in range(3)] == [0.0, 2.0, 4.0]
    assert pacer.enqueue(1.0, 4, 58) == 6.0
    assert pacer.enqueue(1.0, 4, None) == 66.0
    assert pacer.next_moment(0.0) == 60.0


def test_early_leave_does_not_add_up() -> None:
    """Those that leave early let nobody wait for their sum."""
    pacer = Pacer(tokens_per_minute=60)
    pacer.reserve(0.0, 1)
    pacer.correct(0.0, 1, 10**12)
    before = pacer.next_moment(0.0)
    for _ in range(9):
        pacer.leave_early(1.0, 2)
    assert pacer.next_moment(0.0) == before
    pacer.leave_early(before, 2)
    assert pacer.next_moment(0.0) == before + 2.0


def test_estimate_learns() -> None:
    """Answers that are shorter than allowed make later estimates smaller."""
    pacer = Pacer(tokens_per_minute=1000)
    first = pacer.estimate(400, 899)
    assert first == 1000.0
    for _ in range(50):
        pacer.correct(0.0, pacer.estimate(400, 899), 200)
    assert pacer.estimate(400, 899) == pytest.approx(200, rel=0.05)
    assert pacer.estimate(400, None) < pacer.estimate(400, 899)


@given(st.floats(1, 1e6), st.lists(st.integers(0, 10**18), min_size=1))
def test_absurd_counts_cost_a_minute_at_most(tokens: float, counts: list[int]) -> None:
    """Whatever a server counts, the next request waits for no longer."""
    pacer = Pacer(tokens_per_minute=tokens)
    pacer.reserve(0.0, pacer.estimate(0, None))
    own = pacer.next_moment(0.0)
    for count in counts:
        pacer.correct(5.0, pacer.estimate(0, None), count)
    assert pacer.next_moment(0.0) <= max(own, 65.0)
    now = pacer.reserve(70.0, pacer.estimate(0, None))
    assert pacer.next_moment(now) <= now + max(own, 60.0) * 1.001


@given(
    requests=st.floats(1, 1e5),
    tokens=st.floats(1, 1e7),
    requests_sent=st.lists(st.tuples(st.floats(0, 30), st.floats(1, 1e5)), min_size=1),
)
def test_no_minute_holds_more(
    requests: float, tokens: float, requests_sent: list[tuple[float, float]]
) -> None:
    """Requests never leave early, keep their order, and are never too many in a minute."""
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
    """The next estimate is above 0 and finite, even after absurd counts."""
    pacer = Pacer(tokens_per_minute=1000)
    for estimated, actual in answers:
        pacer.correct(0.0, estimated, actual)
    assert 0.0 < pacer.estimate(100, 100) < 1e6


def test_nobody_leaves_during_the_rest() -> None:
    """A pause holds all requests back."""
    cool_down = CoolDown()
    assert cool_down.reserve(1.0) == 1.0
    cool_down.rest(2.0, 10.0)
    assert cool_down.reserve(3.0) == 12.0


def test_longest_rest_counts() -> None:
    """A shorter pause does not shorten a longer one that is under way."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 10.0)
    cool_down.rest(1.0, 2.0)
    assert cool_down.until == 10.0


def test_a_few_at_a_time() -> None:
    """After a pause four leave at once, then the total doubles every half second."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 10.0)
    moments = [cool_down.reserve(0.0) for _ in range(64)]
    assert moments[:4] == [10.0] * 4
    assert moments[7] == 10.5
    assert moments[15] == 11.0
    assert moments[63] == 12.0
    assert moments == sorted(moments)


def test_herd_of_a_thousand_is_gone_in_some_seconds() -> None:
    """A pause for all costs little more than the server asked for."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 1.0)
    assert max(cool_down.reserve(0.0) for _ in range(1000)) < 6.0


def test_afterwards_nobody_waits() -> None:
    """A minute after a pause requests leave at once again."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 1.0)
    assert [cool_down.reserve(61.0) for _ in range(10_000)] == [61.0] * 10_000


def test_moment_that_is_not_needed_can_be_given_back() -> None:
    """Requests that are cancelled during a pause do not slow what comes after it."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 10.0)
    for _ in range(1000):
        cool_down.reserve(0.0)
        cool_down.give_back()
    assert cool_down.reserve(0.0) == 10.0


def test_absurd_wish_is_bounded() -> None:
    """A pause is at most a day long."""
    cool_down = CoolDown()
    cool_down.rest(0.0, 1e9)
    assert cool_down.until == 86_400.0


@given(st.lists(st.tuples(SECONDS, st.none() | SECONDS)))
def test_never_early(steps: list[tuple[float, float | None]]) -> None:
    """No request leaves in the past or during a pause."""
    cool_down, now = CoolDown(), 0.0
    for pause, wait in steps:
        now += pause
        if wait is not None:
            cool_down.rest(now, wait)
        assert now <= cool_down.reserve(now) < now + 86_400.0 + 60.0
        assert cool_down.reserve(now) >= cool_down.until
