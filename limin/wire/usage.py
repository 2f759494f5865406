"""Counts of tokens, wherever a server puts them and whatever it calls them."""

from __future__ import annotations

from operator import attrgetter

from limin.values.usage import Usage
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
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    usual = schema.Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=usage.total_tokens
    )
    if usage == usual:  # Comparing is faster than looking for all the other names.
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=usage.total_tokens,
        )
    parts: list[object] = [part for part in _DETAILS(usage) if part is not None]
    parts.append(usage)
    return Usage(
        prompt_tokens=_first(_PROMPT(usage)),
        completion_tokens=_first(_COMPLETION(usage)),
        total_tokens=usage.total_tokens,
        cached_tokens=_first(sum(map(_CACHED, parts), ())),
        reasoning_tokens=_first(sum(map(_REASONING, parts), ())),
    )


def _first(counts: tuple[int | None, ...]) -> int | None:
    """Return the first of *counts* above 0; without one, 0 if it is among them."""
    above_0 = next(filter(None, counts), None)
    return 0 if above_0 is None and 0 in counts else above_0
