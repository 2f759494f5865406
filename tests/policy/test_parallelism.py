"""How many requests at once: simulated servers, on a clock that is a number."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.policy.parallelism import AdaptiveParallelism

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.define
class Fixed:
    """A number that stays."""

    limit: int

    def finished(self, *_: object, **__: object) -> None:
        """Learn nothing."""


def even(_chance: random.Random) -> float:
    """All answers take a second."""
    return 1.0


def uneven(chance: random.Random) -> float:
    """Answers of very different lengths, a second in the mean."""
    return max(chance.expovariate(1.0), 0.02)


@attrs.define(kw_only=True)
class Server:
    """Works on *slots* requests at once, each the slower the more, and queues the rest.

    A request costs *slows* of its time more for each other one beside it.
    """

    slots: int
    slows: float = 0.0
    refuses_above: float = float("inf")
    length: Callable[[random.Random], float] = even
    slots_later: int | None = None

    def run(
        self, policy: AdaptiveParallelism | Fixed, prompts: int, seed: int = 1
    ) -> tuple[float, list[int], int]:
        """Seconds that all prompts take, the limit after each, and how many refusals."""
        chance = random.Random(seed)  # noqa: S311 (no secret)
        now, done, sent, refused = 0.0, 0, 0, 0
        waiting: deque[tuple[float, float]] = deque()
        working: list[list[float]] = []
        limits: list[int] = []
        while done < prompts:
            while len(waiting) + len(working) < policy.limit and sent < prompts:
                if len(waiting) + len(working) >= self.refuses_above:
                    refused += 1
                    policy.finished(now + 0.01, started=now, work=0.0, overloaded=True)
                    break
                waiting.append((now, self.length(chance)))
                sent += 1
            slots = self.slots
            if self.slots_later is not None and done >= prompts // 2:
                slots = self.slots_later
            while waiting and len(working) < slots:
                started, length = waiting.popleft()
                working.append([length, started, length])
            pace = 1.0 + self.slows * (len(working) - 1)
            first = min(working)
            now += first[0] * pace
            for one in working:
                one[0] -= first[0] if one is not first else 0.0
            working.remove(first)
            done += 1
            policy.finished(now, started=first[1], work=first[2], overloaded=False)
            limits.append(policy.limit)
        return now, limits, refused


def later(limits: list[int]) -> float:
    """The mean limit of the second half."""
    half = limits[len(limits) // 2 :]
    return sum(half) / len(half)


@pytest.mark.parametrize(
    ("server", "prompts"),
    [
        (Server(slots=1), 400),
        (Server(slots=4), 300),
        (Server(slots=4, slows=0.3), 200),
        (Server(slots=4, slows=0.6), 200),
        (Server(slots=16), 1500),
    ],
)
def test_finds_the_knee_of_a_server_that_queues(server: Server, prompts: int) -> None:
    """It ends near the number of slots, and loses no tenth against the best number."""
    seconds, limits, _ = server.run(AdaptiveParallelism(), prompts)
    best = min(server.run(Fixed(n), prompts)[0] for n in (1, 2, 4, 8, 16, 32))
    assert seconds <= best * 1.1
    assert 0.7 * server.slots <= later(limits) <= 1 + 1.5 * server.slots


@pytest.mark.parametrize("seed", range(1, 9))
@pytest.mark.parametrize("slows", [0.0, 0.3])
def test_uneven_answers_cost_little(seed: int, slows: float) -> None:
    """Chance does not lead it far astray: what came in time is near the best."""
    server = Server(slots=4, slows=slows, length=uneven)
    seconds, _, _ = server.run(AdaptiveParallelism(), 400, seed)
    best = min(server.run(Fixed(n), 400, seed)[0] for n in (2, 4, 8))
    assert seconds <= best * 1.25


def test_grows_as_long_as_there_is_room() -> None:
    """A server without a knee gets as many as there may be."""
    _, limits, _ = Server(slots=10_000).run(AdaptiveParallelism(most=64), 2000)
    assert max(limits) == 64
    assert limits.index(64) < 300


def test_refusals_end() -> None:
    """A server that says 429 above ten at once is soon left in peace."""
    server = Server(slots=100, refuses_above=10)
    seconds, limits, refused = server.run(AdaptiveParallelism(), 1000)
    assert refused < 50
    assert 5 <= later(limits) <= 10
    assert seconds < server.run(Fixed(10), 1000)[0] * 1.5


def test_one_round_of_refusals_counts_once() -> None:
    """Ten that were refused together are one hint, not ten."""
    policy = AdaptiveParallelism(most=100)
    for n in range(40):
        policy.finished(1.0 + n, started=float(n), work=1.0, overloaded=False)
    before = policy.limit
    for _ in range(10):
        policy.finished(100.0, started=99.0, work=0.0, overloaded=True)
    assert policy.limit == int(before * 0.7)


@pytest.mark.parametrize(("first", "then"), [(16, 4), (4, 16)])
def test_follows_a_server_that_changes(first: int, then: int) -> None:
    """What was best an hour ago is forgotten."""
    server = Server(slots=first, slots_later=then)
    _, limits, _ = server.run(AdaptiveParallelism(), 6000)
    middle = limits[2000:3000]
    assert 0.7 * first <= sum(middle) / len(middle) <= 2.5 * first
    assert 0.7 * then <= sum(limits[-1000:]) / 1000 <= 2.5 * then


CALL = st.tuples(st.floats(0, 100), st.floats(-10, 100), st.floats(0, 1e6), st.booleans())


@given(calls=st.lists(CALL, max_size=200), most=st.integers(1, 20))
def test_limit_is_always_sane(
    calls: list[tuple[float, float, float, bool]], most: int
) -> None:
    """Whatever happens, at least one request and never too many are under way."""
    policy, now = AdaptiveParallelism(most=most), 0.0
    for pause, lasted, work, overloaded in calls:
        now += pause
        policy.finished(now, started=now - lasted, work=work, overloaded=overloaded)
        assert 1 <= policy.limit <= most
