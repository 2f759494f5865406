"""Counts of tokens, wherever a server puts them and whatever it calls them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from limin.values.completion import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.wire import schema

# The names of counts, the standard one first. All are fields of `schema.Usage`.
_PROMPT = attrgetter("prompt_tokens", "input_tokens")  # Anthropic, DashScope.
_COMPLETION = attrgetter("completion_tokens", "output_tokens")

# Those that stand in the usage or in its details.
_CACHED = attrgetter(
    "cached_tokens",  # OpenAI in the details, Moonshot beside them.
    "prompt_cache_hit_tokens",  # DeepSeek.
    "cache_read_input_tokens",  # Anthropic, LiteLLM.
    "num_cached_tokens",  # Mistral.
    "cached_prompt_tokens",  # Fireworks.
    "cached_content_token_count",  # Gemini.
    "cache_read_tokens",
)
_REASONING = attrgetter(
    "reasoning_tokens",  # OpenAI in the details, SGLang beside them.
    "thinking_tokens",
    "thoughts_token_count",  # Gemini.
)
_DETAILS = attrgetter(
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",  # OpenAI's Responses API, and gateways to it.
    "output_tokens_details",
)


def read_usage(usage: schema.Usage) -> Usage:
    """Return the counts in *usage*, each by the first of its names that has one.

    A count above 0 wins over 0, which some gateways send in the place of no count.
    """
    parts: list[object] = [part for part in _DETAILS(usage) if part is not None]
    parts.append(usage)
    return Usage(
        prompt_tokens=_first(_PROMPT(usage)),
        completion_tokens=_first(_COMPLETION(usage)),
        total_tokens=usage.total_tokens,
        cached_tokens=_first([_first(_CACHED(part)) for part in parts]),
        reasoning_tokens=_first([_first(_REASONING(part)) for part in parts]),
    )


def _first(counts: Iterable[int | None]) -> int | None:
    result: int | None = None
    for count in counts:
        if count:
            return count
        if result is None:
            result = count
    return result
