from __future__ import annotations

import pytest

from limin.errors import BadRequestError
from limin.recipes.alternatives import Alternatives

REFUSALS = {
    "openai": ("Invalid value for 'top_logprobs': must be less than or equal to 5.", 20, 5),
    "openai-above": (
        "Invalid 'top_logprobs': integer above maximum. Expected <= 20, but got 25.",
        25,
        20,
    ),
    "vllm": (
        "Requested sample logprobs of 21, which is greater than max allowed: 20 (value=21)",
        21,
        20,
    ),
    "vllm-whole-vocabulary": (
        "Requested sample logprobs of 151936, which is greater than max allowed: 20",
        -1,
        20,
    ),
    "ollama": ("top_logprobs must be between 0 and 20", 50, 20),
    "sglang": ("top_logprobs must be an integer in [0, 20]", 50, 20),
    "deepseek": (
        "Invalid top_logprobs value, the valid range of top_logprobs is [0, 20]",
        21,
        20,
    ),
    "pydantic": ("top_logprobs: Input should be less than or equal to 20", 21, 20),
    "tgi": ("`top_n_tokens` must be >= 0 and <= 5. Given: 20", 20, 5),
    "less-than": ("top_logprobs must be less than 6", 20, 5),
    "exceeds": ("top_logprobs (20) exceeds the maximum of 8", 20, 8),
    "maximum": ("The maximum top_logprobs is 8", 20, 8),
    "symbol": ("top_logprobs should be \u2264 5, got 20", 20, 5),
    "range": ("Supported range for logprobs: from 0 to 10", 20, 10),
    "limited": ("top_logprobs is limited to 5 alternatives", 20, 5),
    "both-ends": (
        "top_logprobs: should be greater than or equal to 1 and less than or equal to 10",
        20,
        10,
    ),
    "model": ("You may not request logprobs from this model (o3-2025-04-16)", 20, None),
    "model-number": ("gpt-5 does not support logprobs", 20, None),
    "context": ("This model's maximum context length is 16 tokens", 20, None),
    "no-limit": ("top_logprobs must be >= 0", 20, None),
    "not-smaller": ("top_logprobs must be <= 20", 20, None),
    "not-whole": ("logprobs must be <= 5.5", 20, None),
    "none-at-all": ("top_logprobs must be <= 0", 20, None),
}


@pytest.mark.parametrize(("reason", "asked", "most"), REFUSALS.values(), ids=REFUSALS)
def test_refusal(reason: str, asked: int, most: int | None) -> None:
    """The number that a server names as its limit is kept, and no other number."""
    known = Alternatives()
    assert known.learn(BadRequestError(400, reason), asked) is (most is not None)
    assert known.most == most
    assert known.fit(asked) == (asked if most is None else most)


def test_parameter_says_what_it_is_about() -> None:
    """The name of the field may stand beside the message only."""
    known = Alternatives()
    error = BadRequestError(422, "Input should be <= 5", param="top_logprobs")
    assert known.learn(error, 20)
    assert known.fit(20) == 5
    assert known.fit(3) == 3


@pytest.mark.parametrize(("place", "is_learnt"), [("top_logprobs", True), ("n", False)])
def test_place_beside_the_message(place: str, *, is_learnt: bool) -> None:
    """FastAPI says in another field what its message is about."""
    body = f'{{"detail": [{{"loc": ["body", "{place}"], "input": "top_logprobs"}}]}}'
    error = BadRequestError(422, "Input should be at most 5", body=body.encode())
    assert Alternatives().learn(error, 20) is is_learnt


def test_least_limit_counts() -> None:
    """A later refusal can only lower the number, so asking comes to an end."""
    known = Alternatives()
    for number in (8, 10, 5):
        assert known.learn(BadRequestError(400, f"top_logprobs: at most {number}"), 20)
    assert known.most == 5
