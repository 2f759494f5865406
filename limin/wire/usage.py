"""Counts of tokens, wherever a server puts them and whatever it calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.values.completion import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from limin.wire import schema

# The names of each count, those of the standard shape first. They are fields of
# `schema.Usage` or of `schema.TokenDetails`, and count in both.
_NAMES = {
    "prompt_tokens": ("prompt_tokens", "input_tokens"),  # Anthropic, DashScope.
    "completion_tokens": ("completion_tokens", "output_tokens"),
    "total_tokens": ("total_tokens",),
    "cached_tokens": (
        "cached_tokens",  # OpenAI in the details, Moonshot beside them.
        "prompt_cache_hit_tokens",  # DeepSeek.
        "cache_read_input_tokens",  # Anthropic, LiteLLM.
        "num_cached_tokens",  # Mistral.
        "cached_prompt_tokens",  # Fireworks.
        "cached_content_token_count",  # Gemini.
        "cache_read_tokens",
    ),
    "reasoning_tokens": (
        "reasoning_tokens",  # OpenAI in the details, SGLang beside them.
        "thinking_tokens",
        "thoughts_token_count",  # Gemini.
    ),
}
_DETAILS = (
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",  # OpenAI's Responses API, and gateways to it.
    "output_tokens_details",
)


def read_usage(usage: schema.Usage) -> Usage:
    """Return the counts in *usage*, each by the first of its names that has one.

    A count above 0 wins over 0, which some gateways send in the place of no count.
    """
    return Usage(**{name: _count(usage, names) for name, names in _NAMES.items()})


def _count(usage: schema.Usage, names: tuple[str, ...]) -> int | None:
    counts = list(_counts(usage, names))
    return next(filter(None, counts), counts[0] if counts else None)


def _counts(usage: schema.Usage, names: tuple[str, ...]) -> Iterator[int]:
    details = (getattr(usage, name) for name in _DETAILS)
    objects: list[msgspec.Struct] = [part for part in details if part is not None]
    for part in (*objects, usage):
        values = (getattr(part, name, None) for name in names)
        yield from (value for value in values if value is not None)
