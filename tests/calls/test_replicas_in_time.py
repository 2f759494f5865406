"""Rests, pauses and pace of replicas, and the makespan of a batch, in virtual time."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import attrs
import httpx
import msgspec
import pytest
import trio
import trio.testing
from loopback import completion

import limin
from limin import Client


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run on Trio, with a clock that jumps to the next moment at which something is due."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each rest be as long as it may be, nearly."""
    monkeypatch.setattr(random, "random", lambda: 0.999)


@attrs.define
class Replica:
    """A simulated server.

    Attributes:
        seconds: How long it takes for an answer.
        slots: Requests that it works on at once; more wait.
        dead: When it refuses connections, from and to.
        replies: What it answers first, before it answers properly.
    """

    seconds: float = 1.0
    slots: int = 4
    dead: tuple[float, float] = (0.0, 0.0)
    replies: list[httpx.Response] = attrs.field(factory=list)
    asked: list[float] = attrs.field(factory=list)
    limiter: trio.Semaphore = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Open the slots."""
        self.limiter = trio.Semaphore(self.slots)

    async def answer(self, now: float) -> httpx.Response:
        """Answer one request."""
        self.asked.append(now)
        if self.dead[0] <= now < self.dead[1]:
            problem = "refused"
            raise httpx.ConnectError(problem)
        if self.replies:
            return self.replies.pop(0)
        async with self.limiter:
            await trio.sleep(self.seconds)
        usage = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
        return httpx.Response(200, content=completion("hi", usage=usage))


class Network(httpx.AsyncBaseTransport):
    """A transport to simulated servers, by their names."""

    def __init__(self, **replicas: Replica) -> None:
        """Start the clock."""
        self.replicas, self.began = replicas, trio.current_time()

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return trio.current_time() - self.began

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        return await self.replicas[request.url.host].answer(self.now)


def client_of(network: Network, **options: Any) -> Client:
    """Return a client of all replicas, which rest by the virtual clock."""
    urls = [f"http://{name}/v1" for name in network.replicas]
    client = Client(urls, http_client=httpx.AsyncClient(transport=network), **options)
    servers: Any = client._servers
    client._servers = msgspec.structs.replace(servers, clock=trio.current_time)
    return client


async def run_batch(network: Network, number: int, n_parallel: Any) -> float:
    """Answer so many prompts, and return the seconds that it took."""
    async with client_of(network) as client:
        answers = await client.generate_text_completions(
            [f"{i}" for i in range(number)], n_parallel, show_progress=False
        )
    assert len(answers) == number
    return network.now


@pytest.mark.parametrize(("number", "n_parallel"), [(560, 12), (560, 24), (1120, "auto")])
async def test_makespan_of_unequal_replicas(number: int, n_parallel: Any) -> None:
    """It is within 10 % of the ideal, in which none of them is ever idle."""
    network = Network(
        slow=Replica(seconds=1.0), middle=Replica(seconds=0.5), fast=Replica(seconds=0.25)
    )
    ideal = number / (4 / 1.0 + 4 / 0.5 + 4 / 0.25)
    assert ideal <= await run_batch(network, number, n_parallel) < 1.1 * ideal


async def test_dead_replica_slows_no_other() -> None:
    """While it rests the other goes on at its pace; then it takes its share again."""
    network = Network(one=Replica(0.5), two=Replica(0.5, dead=(5.0, 15.0)))
    seconds = await run_batch(network, 480, "auto")
    # Its last rest may be as long as all before it; eight answers a second are missing.
    assert seconds < (480 + 2 * 10 * 8) / 16
    tries = [moment for moment in network.replicas["two"].asked if 5.0 <= moment < 15.0]
    assert len([moment for moment in tries if moment > 5.5]) <= 4
    after = [moment for moment in network.replicas["two"].asked if moment > 21.0]
    assert len(after) > 50


async def test_busy_replica_pauses_alone() -> None:
    """The other one answers meanwhile, and nobody waits."""
    busy = Replica(replies=[httpx.Response(429, headers={"retry-after": "20"})])
    network = Network(busy=busy, free=Replica())
    async with client_of(network) as client:
        places: list[str] = []
        while network.now < 30.0:
            answer = await client.generate_text_completion("hi")
            places.append(str(answer.endpoint))
        assert answer.timing.attempts[0].waited == 0.0
    assert busy.asked[:2] == [0.0, pytest.approx(20.0, abs=1.5)]
    assert Counter(places)["http://busy/v1"] >= 4


@pytest.mark.parametrize("is_short_first", [True, False])
async def test_pause_of_all_replicas_is_waited_for(*, is_short_first: bool) -> None:
    """The shortest counts; a pause beyond the deadline is not begun."""
    long = Replica(replies=[httpx.Response(429, headers={"retry-after": "50"})])
    short = Replica(replies=[httpx.Response(429, headers={"retry-after": "20"})])
    replicas = {"long": long, "short": short}
    if is_short_first:
        replicas = {"short": short, "long": long}
    network = Network(**replicas)
    async with client_of(network, timeout=40.0) as client:
        answer = await client.generate_text_completion("hi")
        assert answer.endpoint == "http://short/v1"
        assert 20.0 <= network.now < 22.0
        network.replicas["short"].replies += [
            httpx.Response(429, headers={"retry-after": "90"}) for _ in range(2)
        ]
        with pytest.raises(limin.RateLimitError):
            await client.generate_text_completion("hi", timeout=5.0)
        with pytest.raises(limin.RequestTimeoutError, match="wants a pause of"):
            await client.generate_text_completion("hi", timeout=5.0)
        assert ": 0 in flight, resting " in repr(client)


async def test_pace_holds_for_each_replica() -> None:
    """A request each second to each of two: four leave in a second."""
    network = Network(one=Replica(0.0), two=Replica(0.0))
    async with client_of(network, requests_per_minute=60, tokens_per_minute=1e6) as client:
        await client.generate_text_completions(["a"] * 4, 4, show_progress=False)
    for replica in network.replicas.values():
        assert replica.asked == pytest.approx([0.0, 1.0])


async def test_pace_holds_for_the_replica_that_takes_over() -> None:
    """A request that moves waits for its turn there."""
    network = Network(
        one=Replica(0.0, dead=(1.0, 9.0)),
        two=Replica(0.0),
    )
    async with client_of(network, requests_per_minute=60) as client:
        await client.generate_text_completions(["a"] * 4, 4, show_progress=False)
    assert network.replicas["two"].asked == pytest.approx([0.0, 1.0, 2.0])


async def test_timeout_counts_over_all_replicas() -> None:
    """A stopped replica keeps a request until its deadline, and gets no other then."""
    network = Network(stopped=Replica(seconds=1e9), well=Replica(seconds=1.0))
    async with client_of(network, timeout=30.0) as client:
        results = await client.generate_text_completions(
            ["a"] * 60, 2, show_progress=False, on_error="return"
        )
    failed = [result for result in results if isinstance(result, Exception)]
    assert len(failed) == 2
    assert all(isinstance(error, limin.RequestTimeoutError) for error in failed)
