"""How many requests at once: servers in virtual time, and properties of every input."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from typing import TYPE_CHECKING, Protocol

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.policy.parallelism import AdaptiveParallelism, ReplicaParallelism

if TYPE_CHECKING:
    from collections.abc import Callable

FIXED = (1, 2, 4, 8, 16, 32, 64, 128)


class Policy(Protocol):
    limit: int

    def finished(
        self, now: float, *, started: float, work: float, overloaded: bool
    ) -> None: ...


class Fixed:
    def __init__(self, limit: int) -> None:
        self.limit = limit

    def finished(
        self, now: float, *, started: float, work: float, overloaded: bool
    ) -> None:
        pass


@attrs.frozen(kw_only=True)
class Server:
    """A server with some slots; further requests wait, or are refused at once.

    Attributes:
        slots: Requests worked on at once, after so many answers.
        cost: How many times slower each of so many at once is than one alone.
        length: Draws the work of a request, which takes so many seconds alone.
        counts_tokens: Whether the client learns of the work.
        most: Requests under way beyond which more are refused.
        rate: Requests begun in one second beyond which more are refused.
    """

    slots: Callable[[int], int]
    cost: Callable[[int], float] = lambda _: 1.0
    length: Callable[[random.Random], float] = lambda _: 1.0
    counts_tokens: bool = True
    most: float = math.inf
    rate: float = math.inf


@attrs.frozen
class Run:
    seconds: float
    refusals: int
    limits: list[int]  # after each answer

    @property
    def usual(self) -> int:
        """The median of the limits in the last third."""
        late = self.limits[2 * len(self.limits) // 3 :]
        return sorted(late)[len(late) // 2]


@attrs.define
class Batch:
    """A batch in virtual time; a worker whose request is refused retries it."""

    server: Server
    policy: Policy
    chance: random.Random
    now: float = 0.0
    done: float = 0.0  # seconds that each running request has been worked on alone
    number: int = 0
    refusals: int = 0
    running: list[tuple[float, int, float, float]] = attrs.field(factory=list)
    queue: deque[tuple[float, float]] = attrs.field(factory=deque)
    later: list[tuple[float, int, float, float]] = attrs.field(factory=list)
    begun: deque[float] = attrs.field(factory=deque)
    limits: list[int] = attrs.field(factory=list)

    def run(self, prompts: int) -> Run:
        started = 0
        while len(self.limits) < prompts:
            while started < prompts and started - len(self.limits) < self.policy.limit:
                started += 1
                self.send(self.server.length(self.chance))
            self.advance()
        return Run(self.now, self.refusals, self.limits)

    def send(self, work: float) -> None:
        while self.begun and self.begun[0] <= self.now - 1.0:
            self.begun.popleft()
        busy = len(self.running) + len(self.queue) >= self.server.most
        if busy or len(self.begun) >= self.server.rate:
            # Refused within ten milliseconds; started so long ago.
            self.plan(self.now + 0.01, self.now, work)
        else:
            self.begun.append(self.now)
            self.queue.append((self.now, work))

    def plan(self, when: float, started: float, work: float) -> None:
        self.number += 1
        heapq.heappush(self.later, (when, self.number, started, work))

    def advance(self) -> None:
        while self.queue and len(self.running) < self.server.slots(len(self.limits)):
            started, work = self.queue.popleft()
            self.number += 1
            heapq.heappush(self.running, (self.done + work, self.number, started, work))
        cost = self.server.cost(len(self.running))
        answer = math.inf
        if self.running:
            answer = self.now + (self.running[0][0] - self.done) * cost
        now = min(answer, self.later[0][0] if self.later else math.inf)
        self.done += (now - self.now) / cost
        self.now = now
        if now == answer:
            _, _, started, work = heapq.heappop(self.running)
            counted = work if self.server.counts_tokens else 1.0
            self.policy.finished(now, started=started, work=counted, overloaded=False)
            self.limits.append(self.policy.limit)
            return
        _, _, started, work = heapq.heappop(self.later)
        if started < 0:  # it has waited
            self.send(work)
            return
        self.refusals += 1
        self.policy.finished(now, started=started, work=0.0, overloaded=True)
        self.plan(now + self.chance.uniform(0.2, 0.5), -1.0, work)


def play(server: Server, prompts: int, limit: int | None = None, seed: int = 0) -> Run:
    policy = AdaptiveParallelism() if limit is None else Fixed(limit)
    return Batch(server, policy, random.Random(seed)).run(prompts)  # noqa: S311 (no secret)


def best(server: Server, prompts: int, seed: int = 0) -> float:
    return min(play(server, prompts, limit, seed).seconds for limit in FIXED)


def steady(slots: int) -> Callable[[int], int]:
    return lambda _: slots


def batching(share: float) -> Callable[[int], float]:
    """Return a cost at which each further request slows all down by *share*."""
    return lambda busy: 1.0 - share + share * max(busy, 1)


def lengths(chance: random.Random) -> float:
    return chance.lognormvariate(3.0, 1.0)


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64])
def test_number_of_slots_is_found(slots: int) -> None:
    """A server with a queue is kept busy, and the queue stays short."""
    server, prompts = Server(slots=steady(slots)), 60 * slots + 100
    run = play(server, prompts)
    assert slots <= run.usual <= 1.3 * slots
    assert run.seconds <= 1.1 * best(server, prompts)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_batching_on_a_busy_processor_is_used(share: float) -> None:
    """Growing latency does not lower the limit, if throughput grows too."""
    server = Server(slots=steady(4), cost=batching(share))
    run = play(server, 200)
    assert run.usual <= 4
    assert run.seconds <= 1.07 * best(server, 200)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("slots", [4, 16])
def test_answers_of_many_lengths_do_not_mislead(slots: int, seed: int) -> None:
    """The work of an answer is its tokens, not its number."""
    server = Server(slots=steady(slots), length=lengths)
    run = play(server, 60 * slots + 100, seed=seed)
    assert run.usual >= slots
    assert run.seconds <= 1.1 * best(server, 60 * slots + 100, seed)


@pytest.mark.parametrize("seed", range(4))
def test_doubt_keeps_the_server_busy(seed: int) -> None:
    """Without counted tokens the limit is rather too high than too low."""
    server = Server(slots=steady(4), length=lengths, counts_tokens=False)
    run = play(server, 340, seed=seed)
    assert run.usual >= 4
    assert run.seconds <= 1.1 * best(server, 340, seed)


@pytest.mark.parametrize("most", [3, 10, 50])
def test_server_that_refuses_is_asked_for_less(most: int) -> None:
    """The limit stays where requests are accepted, and few are refused."""
    prompts = 40 * most + 200
    run = play(Server(slots=steady(1000), most=most), prompts)
    assert 0.8 * most <= run.usual <= most
    assert run.refusals <= 0.05 * prompts
    assert run.seconds <= 1.2 * prompts / most


@pytest.mark.parametrize("rate", [5, 20])
def test_limit_of_requests_per_second_is_kept(rate: int) -> None:
    """The limit is the number of requests under way at the server's rate."""
    run = play(Server(slots=steady(1000), rate=rate), 1000)
    assert 0.8 * rate <= run.usual <= rate
    assert run.refusals <= 0.05 * 1000
    assert run.seconds <= 1.3 * 1000 / rate


def test_growth_ends_at_the_most() -> None:
    """The limit soon reaches the highest one, if the server accepts everything."""
    run = play(Server(slots=steady(10**6)), 3000)
    assert run.limits.index(512) < 600
    assert run.limits[-1] == max(run.limits) == 512


def test_server_that_becomes_smaller_is_followed() -> None:
    """The limit follows a server that shrinks from sixteen slots to four."""
    server = Server(slots=lambda answers: 16 if answers < 800 else 4)
    run = play(server, 1600)
    assert sorted(run.limits[600:800])[100] == 16
    assert 4 <= run.usual <= 5
    assert run.seconds <= 1.1 * best(server, 1600)


def test_server_that_becomes_larger_is_followed() -> None:
    """The limit follows a server that grows from four slots to sixteen."""
    server = Server(slots=lambda answers: 4 if answers < 500 else 16)
    run = play(server, 1600)
    assert sorted(run.limits[300:500])[100] == 4
    assert 16 <= run.usual <= 20
    assert run.seconds <= 1.15 * best(server, 1600)


def test_prompts_that_come_slowly_are_no_reason_to_grow() -> None:
    """The limit does not grow while workers wait for prompts."""
    policy = AdaptiveParallelism()
    for second in range(1, 2000):
        policy.finished(second, started=second - 1.0, work=1.0, overloaded=False)
    assert policy.limit <= 8


def test_one_burst_of_refusals_is_one_reason() -> None:
    """Requests that were sent before the limit fell say nothing about the new limit."""
    policy = AdaptiveParallelism()
    for _ in range(4):
        policy.finished(1.0, started=0.0, work=0.0, overloaded=True)
    assert policy.limit == 2
    for now in (2.0, 3.0, 4.0):
        policy.finished(now, started=now - 0.5, work=0.0, overloaded=True)
    assert policy.limit == 1


CALLS = st.lists(
    st.tuples(
        st.floats(0.0, 10.0),
        st.floats(-1.0, 100.0),
        st.floats(0.0, 1e6),
        st.sampled_from([False, False, False, False, True]),
    ),
    max_size=400,
)


@given(calls=CALLS, most=st.integers(1, 20))
@example(calls=[(0.0, 0.0, 1.0, False)] * 300, most=20)
@example(calls=[(0.0, -1.0, 0.0, False)] * 300, most=5)
@example(calls=[(1.0, 1.0, 1.0, False)] * 300, most=1)
def test_limit_stays_within_bounds(
    calls: list[tuple[float, float, float, bool]], most: int
) -> None:
    """The limit is always at least 1 and at most the highest one."""
    policy, now = AdaptiveParallelism(most=most), 0.0
    for waited, seconds, work, overloaded in calls:
        now += waited
        policy.finished(now, started=now - seconds, work=work, overloaded=overloaded)
        assert 1 <= policy.limit <= most


def test_refusal_of_one_replica_slows_no_other() -> None:
    """Each has a number of its own, and one that rests counts for its trial alone."""
    resting: set[int] = set()
    parallelism = ReplicaParallelism(2, lambda index: index not in resting)
    assert (parallelism.limit, list(parallelism.limits)) == (8, [4, 4])
    parallelism.learn(0, 1.0, started=0.0, work=0.0, overloaded=True)
    assert list(parallelism.limits) == [2, 4]
    parallelism.finished(1.0, started=0.0, work=0.0, overloaded=True)
    assert parallelism.limit == 6
    resting.add(1)
    assert parallelism.limit == 3
