"""Counts of tokens: under which names they count, and where they stand."""

from __future__ import annotations

from typing import Any

import pytest
from builders import body_of, read

from limin.values.usage import Usage

# What a server sends, and the counts in it.
SHAPES: dict[str, tuple[dict[str, Any], Usage]] = {
    "openai": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(
            prompt_tokens=10,
            completion_tokens=5,
            total_tokens=15,
            cached_tokens=8,
            reasoning_tokens=3,
        ),
    ),
    # Reasoning is counted beside the completion.
    "xai": (
        {
            "prompt_tokens": 10120,
            "completion_tokens": 1499,
            "total_tokens": 14428,
            "prompt_tokens_details": {"cached_tokens": 128},
            "completion_tokens_details": {"reasoning_tokens": 2809},
        },
        Usage(
            prompt_tokens=10120,
            completion_tokens=1499,
            total_tokens=14428,
            cached_tokens=128,
            reasoning_tokens=2809,
        ),
    ),
    "moonshot": ({"cached_tokens": 8}, Usage(cached_tokens=8)),
    "deepseek": (
        {"prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2},
        Usage(cached_tokens=8),
    ),
    "anthropic": (
        {"input_tokens": 2, "output_tokens": 5, "cache_read_input_tokens": 8},
        Usage(prompt_tokens=2, completion_tokens=5, cached_tokens=8),
    ),
    "responses": (
        {
            "input_tokens_details": {"cached_tokens": 8},
            "output_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(cached_tokens=8, reasoning_tokens=3),
    ),
    "mistral": ({"num_cached_tokens": 8}, Usage(cached_tokens=8)),
    "fireworks": (
        {"prompt_tokens_details": {"cached_prompt_tokens": 8}},
        Usage(cached_tokens=8),
    ),
    "sglang": (
        {"prompt_tokens_details": None, "reasoning_tokens": 0},
        Usage(reasoning_tokens=0),
    ),
    "gemini": (
        {"cached_content_token_count": 8, "thoughts_token_count": 3},
        Usage(cached_tokens=8, reasoning_tokens=3),
    ),
    "zero-in-the-place-of-nothing": (
        {"prompt_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 8},
        Usage(cached_tokens=8),
    ),
    "nothing": ({}, Usage()),
}


@pytest.mark.parametrize("odd", [{}, {"id": 5}])
@pytest.mark.parametrize("name", SHAPES)
def test_names_of_counts(name: str, odd: dict[str, Any]) -> None:
    """A count has its meaning under every name that is in use, on both paths."""
    sent, usage = SHAPES[name]
    assert read({**body_of("4"), "usage": sent, **odd}).usage == usage


SENT = {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32}
COUNTED = Usage(prompt_tokens=19, completion_tokens=13, total_tokens=32)


@pytest.mark.parametrize(
    "body",
    [
        {**body_of("4"), "usage": SENT},
        {**body_of("4"), "usage": SENT, "x_groq": {"usage": {"prompt_tokens": 1}}},
        body_of("4", usage=SENT),
        {**body_of("4", usage=SENT), "usage": None},
        {**body_of("4"), "x_groq": {"id": "req", "usage": SENT}},
    ],
)
@pytest.mark.parametrize("odd", [{}, {"id": 5}])
def test_places_of_the_usage(body: dict[str, Any], odd: dict[str, Any]) -> None:
    """The usage counts at the top, in a choice, and in a vendor's object."""
    assert read({**body, **odd}).usage == COUNTED


@pytest.mark.parametrize(
    "body",
    [
        body_of("4", usage={}),
        {**body_of("4"), "x_groq": {"usage": None}},
        {**body_of("4"), "x_groq": 5},
        body_of("x_groq"),
    ],
)
def test_no_usage(body: dict[str, Any]) -> None:
    """A usage without a count is none."""
    assert read(body).usage is None


def test_odd_usage_in_a_choice() -> None:
    """It is mended as one at the top, with a warning."""
    completion = read(body_of("4", usage={"prompt_tokens": "19"}))
    assert completion.usage == Usage(prompt_tokens=19)
    (warning,) = completion.warnings
    assert warning.path == "$.choices[0].usage.prompt_tokens"
    assert read(body_of("4", usage=[5])).usage == Usage()
