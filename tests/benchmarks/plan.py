"""Ten million prompts on a fleet, in virtual time: where the time goes, what is paid twice.

`python tests/benchmarks/plan.py` writes `docs/tables/ten-million.md`. The numbers in
`Assumed` are assumptions. Those in `Measured` are measured here, on the machine that runs
it. All else follows from both, by the same seed each time.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
import tracemalloc
from heapq import heapify, heappop, heapreplace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import attrs

from limin.checkpoint.file import Checkpoint
from limin.checkpoint.request import RecordedRequest
from limin.values.configuration import ModelConfiguration
from limin.values.conversation import as_conversation
from limin.values.timing import Attempt, Timing
from limin.wire.http import HttpResponse
from limin.wire.request import RequestEncoder
from limin.wire.response import ReadingContext, read_completion

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE = Path(__file__).parent.parent.parent / "docs" / "tables" / "ten-million.md"

N_PROMPTS = 10_000_000
FLEETS = (8, 64, 512)

# Requests of one actor at once: the most that the benchmarks of limin measure.
_LARGEST_ACTOR = 1024
_HOUR = 3600.0


@attrs.frozen
class Assumed:
    """What nobody measured here.

    Attributes:
        prompt_tokens: Tokens of a prompt.
        answer_tokens: Mean tokens of an answer; exponential, up to `max_tokens`.
        max_tokens: The most tokens of an answer.
        n_sequences: Requests that a replica works on at once.
        step: Seconds of a step of a replica, whatever it has to do.
        step_of_sequence: Seconds more for each sequence in it.
        step_of_prompt_token: Seconds more for each token of a prompt in it.
        hours_between_replica_deaths: Mean, for one replica.
        replica_restart: Seconds until a replica that died answers again.
        hours_between_actor_deaths: Mean, for one actor.
    """

    prompt_tokens: int = 500
    answer_tokens: int = 150
    max_tokens: int = 512
    n_sequences: int = 128
    step: float = 0.008
    step_of_sequence: float = 0.000_05
    step_of_prompt_token: float = 0.000_02
    hours_between_replica_deaths: float = 100.0
    replica_restart: float = 300.0
    hours_between_actor_deaths: float = 200.0

    def seconds_per_token(self, n_sequences: int) -> float:
        """Return how long a step takes with *n_sequences*; each gains a token in it.

        For each sequence that ends, a prompt is read.
        """
        prompts = n_sequences / self.answer_tokens
        return (
            self.step
            + self.step_of_sequence * n_sequences
            + self.step_of_prompt_token * prompts * self.prompt_tokens
        )


@attrs.define
class Outcome:
    """What a run of a fleet came to.

    Attributes:
        seconds: Time from the first request to the last answer.
        n_answers: Number of answers.
        tail: Seconds at the end in which less than half of the requests were under way.
        replica_deaths, actor_deaths: How many died.
        lost_by_replicas, lost_by_actors: Requests that were under way then, and were sent
            again.
        tokens_lost: Tokens of answers that were generated for those.
    """

    seconds: float = 0.0
    n_answers: int = 0
    tail: float = 0.0
    replica_deaths: int = 0
    actor_deaths: int = 0
    lost_by_replicas: int = 0
    lost_by_actors: int = 0
    tokens_lost: float = 0.0

    @property
    def n_lost(self) -> int:
        """Requests that were sent again."""
        return self.lost_by_replicas + self.lost_by_actors


class Fleet:
    """Replicas and actors, and the slots of requests that the actors fill.

    A slot has an actor and a home, which is a replica. While its home is dead, its requests
    go to others by chance, as those of a balancer do.
    """

    def __init__(
        self, n_replicas: int, n_prompts: int, assumed: Assumed, seed: int = 19
    ) -> None:
        """Prepare a run of *n_prompts*."""
        self._assumed, self._chance = assumed, Random(seed)  # noqa: S311 (no secret)
        self.n_replicas, self._n_left = n_replicas, n_prompts
        self.n_slots = n_replicas * assumed.n_sequences
        self.n_actors = max(2, -(-self.n_slots // _LARGEST_ACTOR))
        self._load = [0] * n_replicas
        self._dead_until = [0.0] * n_replicas
        # What each slot does: its replica, -1 for none; when it began; which request it is.
        self._replica = [-1] * self.n_slots
        self._began = [0.0] * self.n_slots
        self._turn = [0] * self.n_slots
        self._lengths = [self._draw_length() for _ in range(1 << 16)]
        self._pace = [assumed.seconds_per_token(n) for n in range(assumed.n_sequences + 1)]
        self.outcome = Outcome()

    def _draw_length(self) -> int:
        mean, most = self._assumed.answer_tokens, self._assumed.max_tokens
        return min(most, 1 + int(self._chance.expovariate(1 / mean)))

    def run(self) -> Outcome:
        """Run until every prompt has its answer."""
        outcome, ended_half = self.outcome, 0.0
        events = [(self._begin(slot, 0.0), slot, 1) for slot in range(self.n_slots)]
        heapify(events)
        death_at, is_replica = self._next_death(0.0)
        while events:
            now, slot, turn = events[0]
            if death_at < now:
                for each in self._die(death_at, is_replica=is_replica):
                    again = self._begin(each, death_at), each, self._turn[each]
                    events.append(again)
                heapify(events)
                death_at, is_replica = self._next_death(death_at)
                continue
            if turn != self._turn[slot]:  # It was lost, and sent again.
                heappop(events)
                continue
            outcome.n_answers += 1
            self._load[self._replica[slot]] -= 1
            if self._n_left:
                heapreplace(events, (self._begin(slot, now), slot, self._turn[slot]))
            else:
                self._replica[slot] = -1
                heappop(events)
                if len(events) == self.n_slots // 2:
                    ended_half = now
            outcome.seconds = now
        outcome.tail = outcome.seconds - ended_half
        return outcome

    def _begin(self, slot: int, now: float) -> float:
        """Begin the next request of *slot*, and return when it will be answered."""
        self._n_left -= 1
        replica = slot % self.n_replicas  # Its home.
        first_back = min(self._dead_until) if self._dead_until[replica] > now else now
        now = max(now, first_back)  # If all are dead.
        while self._dead_until[replica] > now:
            replica = int(self._chance.random() * self.n_replicas)
        load = self._load[replica] = self._load[replica] + 1
        self._turn[slot] += 1
        self._replica[slot], self._began[slot] = replica, now
        n_tokens = self._lengths[int(self._chance.random() * 65536)]
        # What is above the replica's limit waits in its queue for its share.
        share = max(1.0, load / self._assumed.n_sequences)
        pace = self._pace[min(load, self._assumed.n_sequences)]
        return now + n_tokens * pace * share

    def _next_death(self, now: float) -> tuple[float, bool]:
        """Return when the next replica or actor dies, and whether it is a replica."""
        assumed = self._assumed
        of_replicas = self.n_replicas / assumed.hours_between_replica_deaths / _HOUR
        of_actors = self.n_actors / assumed.hours_between_actor_deaths / _HOUR
        rate = of_replicas + of_actors
        is_replica = self._chance.random() * rate < of_replicas
        return now + self._chance.expovariate(rate), is_replica

    def _die(self, now: float, *, is_replica: bool) -> list[int]:
        """Let one die, and return the slots whose requests are sent again."""
        outcome, slots = self.outcome, range(self.n_slots)
        if is_replica:
            dead = int(self._chance.random() * self.n_replicas)
            self._dead_until[dead] = now + self._assumed.replica_restart
            lost = [slot for slot in slots if self._replica[slot] == dead]
            outcome.replica_deaths += 1
            outcome.lost_by_replicas += len(lost)
        else:
            dead = int(self._chance.random() * self.n_actors)
            mine = slots[dead :: self.n_actors]
            lost = [slot for slot in mine if self._replica[slot] >= 0]
            outcome.actor_deaths += 1
            outcome.lost_by_actors += len(lost)
        for slot in lost:
            replica = self._replica[slot]
            self._load[replica] -= 1
            pace = self._pace[max(min(self._load[replica], self._assumed.n_sequences), 1)]
            outcome.tokens_lost += (now - self._began[slot]) / pace
        self._n_left += len(lost)
        return lost


@attrs.frozen
class Measured:
    """What limin does with such prompts on this machine.

    Attributes:
        line_bytes: Size of a line of a checkpoint.
        write_seconds: CPU time for a line.
        read_seconds: CPU time for a line of another actor's file, when an actor starts.
        index_bytes: Memory for such a line.
    """

    line_bytes: float
    write_seconds: float
    read_seconds: float
    index_bytes: float


_N_LINES = 20_000


def measure_checkpoint(assumed: Assumed) -> Measured:
    """Write and read lines of such prompts and answers, of four letters a token."""
    encoder = RequestEncoder.of(ModelConfiguration(model="m", max_tokens=512))
    timing = Timing(
        start_time=1e9,
        end_time=1e9 + 2,
        duration=2.0,
        attempts=(Attempt(start_time=1e9, duration=2.0),),
    )
    message = {"role": "assistant", "content": "word" * assumed.answer_tokens}
    with tempfile.TemporaryDirectory() as folder:
        own, other = Path(folder, "a.jsonl"), Path(folder, "b.jsonl")
        began = time.process_time()
        with Checkpoint.open(other) as checkpoint:
            for number in range(_N_LINES):
                prompt = f"{number:08d}" + "word" * (assumed.prompt_tokens - 2)
                conversation = as_conversation(prompt)
                request = RecordedRequest.of(encoder.encode(conversation), conversation)
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                body = json.dumps({"id": f"c{number}", "model": "m", "choices": [choice]})
                context = ReadingContext(conversation=conversation, model="m")
                answer = HttpResponse(200, {}, body.encode())
                checkpoint.add(request, read_completion(context, timing, answer))
        write_seconds = (time.process_time() - began) / _N_LINES
        own.touch()
        began = time.process_time()
        with Checkpoint.open(folder) as checkpoint:
            read_seconds = (time.process_time() - began) / _N_LINES
            assert checkpoint.size == _N_LINES
        tracemalloc.start()
        with Checkpoint.open(folder):
            index_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        line_bytes = other.stat().st_size / _N_LINES
    return Measured(line_bytes, write_seconds, read_seconds, index_bytes / _N_LINES)


def describe(seconds: float) -> str:
    """Return *seconds* as a person says them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"


def make_table(
    assumed: Assumed, measured: Measured, fleets: Sequence[tuple[Fleet, Outcome]]
) -> str:
    """Return the table of the page."""
    n_prompts = fleets[0][1].n_answers
    gigabytes = n_prompts * measured.line_bytes / 1e9
    read_seconds = n_prompts * measured.read_seconds
    index_gigabytes = n_prompts * measured.index_bytes / 1e9
    rows: list[list[str]] = [
        ["replicas", *(str(fleet.n_replicas) for fleet, _ in fleets)],
        ["requests under way", *(f"{fleet.n_slots:,}" for fleet, _ in fleets)],
        ["actors, and files", *(str(fleet.n_actors) for fleet, _ in fleets)],
        [
            "requests, and connections, of an actor",
            *(f"{-(-fleet.n_slots // fleet.n_actors):,}" for fleet, _ in fleets),
        ],
        ["time, simulated", *(describe(outcome.seconds) for _, outcome in fleets)],
        [
            "answers a second",
            *(f"{o.n_answers / o.seconds:,.0f}" for _, o in fleets),
        ],
        [
            "answers a second of an actor",
            *(f"{o.n_answers / o.seconds / f.n_actors:,.0f}" for f, o in fleets),
        ],
        [
            "its CPU for the checkpoint",
            *(
                f"{o.n_answers / o.seconds / f.n_actors * measured.write_seconds:.1%}"
                for f, o in fleets
            ),
        ],
        [
            "at the end, less than half under way",
            *(describe(outcome.tail) for _, outcome in fleets),
        ],
        ["replicas that died", *(str(o.replica_deaths) for _, o in fleets)],
        ["requests that those lost", *(f"{o.lost_by_replicas:,}" for _, o in fleets)],
        ["actors that died", *(str(o.actor_deaths) for _, o in fleets)],
        ["requests that these lost", *(f"{o.lost_by_actors:,}" for _, o in fleets)],
        [
            "of all tokens of answers, generated twice",
            *(
                f"{o.tokens_lost / o.n_answers / assumed.answer_tokens:.4%}"
                for _, o in fleets
            ),
        ],
        ["checkpoints in all", *([f"{gigabytes:.0f} GB"] * len(fleets))],
        [
            "each file",
            *(f"{gigabytes / fleet.n_actors:.1f} GB" for fleet, _ in fleets),
        ],
        [
            "an actor that starts at the end reads for",
            *([describe(read_seconds)] * len(fleets)),
        ],
        ["and keeps in memory", *([f"{index_gigabytes:.1f} GB"] * len(fleets))],
    ]
    head, *rest = rows
    lines = [head, ["---", *["---:"] * len(fleets)], *rest]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Simulate each fleet, and write the table."""
    n_prompts = int(sys.argv[1]) if len(sys.argv) > 1 else N_PROMPTS
    assumed = Assumed()
    measured = measure_checkpoint(assumed)
    sys.stdout.write(f"{measured}\n")
    fleets: list[tuple[Fleet, Outcome]] = []
    for n_replicas in FLEETS:
        fleet = Fleet(n_replicas, n_prompts, assumed)
        fleets.append((fleet, fleet.run()))
        sys.stdout.write(f"{n_replicas} {fleets[-1][1]}\n")
        sys.stdout.flush()
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(make_table(assumed, measured, fleets))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    sys.stdout.write(f"{TABLE}, with {peak:.0f} MB\n")


if __name__ == "__main__":
    main()
