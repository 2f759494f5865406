"""The effort of one result: the one place that reads it."""

from __future__ import annotations

import attrs
import pytest
from builders import TIMING, body_of, read

from limin import Attempt, ConnectError, Usage
from limin.values.progress import Effort

ATTEMPTS = (
    Attempt(start_time=1000.0, duration=0.1, error=ConnectError("refused")),
    Attempt(start_time=1000.5, duration=0.2),
)


def test_completion_shows_its_effort() -> None:
    """Tokens as the server counted them, requests, and when the first one left."""
    timing = attrs.evolve(TIMING, attempts=ATTEMPTS)
    completion = attrs.evolve(
        read(body_of("4")), usage=Usage(completion_tokens=7), timing=timing
    )
    effort = Effort.of(completion)
    assert (effort.tokens, effort.start_time) == (7, timing.start_time)
    assert effort.attempts == ATTEMPTS
    assert effort.retries == 1


@pytest.mark.parametrize("usage", [None, Usage(prompt_tokens=3)])
def test_tokens_that_were_not_counted_are_none(usage: Usage | None) -> None:
    """None, and never zero."""
    assert Effort.of(attrs.evolve(read(body_of("4")), usage=usage)).tokens is None


def test_error_shows_its_requests() -> None:
    """Those that were sent before it was raised."""
    error = ConnectError("refused")
    assert Effort.of(error) == Effort()
    error.attempts = ATTEMPTS
    assert Effort.of(error).retries == 1


@pytest.mark.parametrize("result", ["text", None, LookupError("no")])
def test_any_other_result_has_no_known_effort(result: object) -> None:
    """A function of the user's may return anything."""
    effort = Effort.of(result)
    assert effort == Effort()
    assert effort.retries == 0
    assert not effort.is_recalled(began=0.0)


def test_completion_older_than_the_batch_is_recalled() -> None:
    """It was asked for before the batch began, so it is from a checkpoint."""
    effort = Effort.of(read(body_of("4")))
    assert effort.is_recalled(began=TIMING.start_time + 1.0)
    assert not effort.is_recalled(began=TIMING.start_time)
