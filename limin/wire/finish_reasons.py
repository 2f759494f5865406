"""Why an answer ended, in the words of many servers."""

from __future__ import annotations

import re

# OpenAI's names for the finish reasons of others, which are compared in lower case, with
# `_` between words and without `finish_reason_` (Vertex). Any other reason stays as it is.
_NAMES: dict[str, str | None] = {
    "": None,
    "null": None,  # As text.
    "none": None,
    "stop": "stop",
    "eos": "stop",  # Hugging Face, and the next two.
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",  # Anthropic.
    "complete": "stop",  # Cohere.
    "length": "length",
    "model_length": "length",  # Mistral.
    "max_tokens": "length",  # Anthropic, Gemini, Cohere.
    "max_output_tokens": "length",  # OpenAI's Responses.
    "model_context_window_exceeded": "length",  # Anthropic.
    "context_length_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",  # Anthropic.
    "content_filter": "content_filter",
    "content_filtered": "content_filter",  # Bedrock.
    "guardrail_intervened": "content_filter",  # Bedrock.
    "recitation": "content_filter",  # Gemini, and the next three.
    "spii": "content_filter",
    "image_recitation": "content_filter",
    "model_armor": "content_filter",
    "error_toxic": "content_filter",  # Cohere.
    "refusal": "content_filter",  # Anthropic.
    "blocked": "content_filter",
    "risk": "content_filter",
}
_PREFIX = "finish_reason_"

# One of these words names a content filter.
_FILTER = re.compile(
    r"content_(?:filter|policy|moderation|inspection|block|risk)|moderat|safety"
    r"|sensitive|prohibited|blocklist|guardrail|high_risk|risk_control"
    r"|过滤|過濾|审核|審核|敏感|违规|違規|风控|風控",
)

# One of these words names a failure of the network, the model or the provider.
_FAILURE = re.compile(
    r"error|fail|abort|cancel|interrupt|disconnect|timeout|timed_out"
    r"|unavailable|overload|insufficient|exception|crash|broken|malformed"
    r"|unexpected|invalid|expired|preempt|out_of_memory|too_many"
    r"|^oom$|^incomplete$|^killed$"
    # Reasons of Gemini that say no more.
    r"|^other$|^unspecified$|^unknown$",
)

# Longer reasons are no words; searching them costs time.
_LONGEST = 256


# The reasons of nearly all answers, which are not searched for words.
_USUAL = frozenset({None, "stop", "length", "tool_calls"})


def normalize_finish_reason(reason: str | None) -> str | None:
    """Return OpenAI's name for the finish *reason*, if it has one, else *reason*."""
    if reason is None or reason in _USUAL:
        return reason
    plain = _plain(reason)
    if plain in _NAMES:
        return _NAMES[plain]
    return "content_filter" if _FILTER.search(plain) else reason


def is_failure(reason: str | None) -> bool:
    """Return whether the server's finish *reason* speaks of a failure.

    The network, the model or the provider failed: `network_error` (Zhipu),
    `insufficient_system_resource` (DeepSeek), `MALFORMED_FUNCTION_CALL` (Gemini),
    `preempted` and `oom` (servers that run out of memory).
    """
    if reason is None or reason in _USUAL:
        return False
    plain = _plain(reason)
    is_filter = plain in _NAMES or _FILTER.search(plain)
    return not is_filter and bool(_FAILURE.search(plain))


def _plain(reason: str) -> str:
    """Return *reason* as the tables expect it."""
    words = reason[:_LONGEST].strip().lower().replace("-", "_").replace(" ", "_")
    return words.removeprefix(_PREFIX)
