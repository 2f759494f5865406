"""The simulation of a fleet: nothing is lost, and the same seed gives the same numbers."""

from __future__ import annotations

import attrs
import pytest
from benchmarks.plan import Assumed, Fleet, Measured, make_table

N_PROMPTS = 4000

# Many die: this run takes a quarter of a minute.
MORTAL = Assumed(
    n_sequences=8,
    replica_restart=3.0,
    hours_between_replica_deaths=0.002,
    hours_between_actor_deaths=0.002,
)


def test_every_prompt_has_one_answer() -> None:
    """Whatever dies, its requests are sent again, and to replicas that live."""
    fleet = Fleet(4, N_PROMPTS, MORTAL)
    outcome = fleet.run()
    assert outcome.n_answers == N_PROMPTS
    assert outcome.replica_deaths > 0
    assert outcome.actor_deaths > 0
    assert outcome.n_lost >= outcome.replica_deaths
    assert outcome.tokens_lost > 0
    assert outcome == Fleet(4, N_PROMPTS, MORTAL).run()
    assert outcome != Fleet(4, N_PROMPTS, MORTAL, seed=20).run()


@pytest.mark.parametrize("n_replicas", [1, 4])
def test_nobody_dies(n_replicas: int) -> None:
    """The time is that of the steps, and a little more for the end."""
    assumed = attrs.evolve(
        MORTAL, hours_between_replica_deaths=1e9, hours_between_actor_deaths=1e9
    )
    outcome = Fleet(n_replicas, N_PROMPTS, assumed).run()
    steps = N_PROMPTS * assumed.answer_tokens / (n_replicas * assumed.n_sequences)
    shortest = steps * assumed.seconds_per_token(assumed.n_sequences)
    assert outcome.n_lost == 0
    assert 0.85 * shortest < outcome.seconds < 1.3 * shortest


def test_table() -> None:
    """Each row has a number for each fleet."""
    fleets = [(fleet, fleet.run()) for fleet in (Fleet(n, 500, MORTAL) for n in (1, 2))]
    measured = Measured(3000.0, 0.0001, 0.00001, 200.0)
    lines = make_table(MORTAL, measured, fleets).splitlines()
    assert {line.count("|") for line in lines} == {4}
    assert lines[0] == "| replicas | 1 | 2 |"
