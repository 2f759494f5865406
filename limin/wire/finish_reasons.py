"""Why an answer ended, in the words of many servers."""

from __future__ import annotations

import re

# OpenAI's names for the finish reasons of others. Any other reason stays as it is.
_NAMES: dict[str | None, str | None] = {
    "": None,
    "eos": "stop",  # Hugging Face, and the next two.
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",  # Anthropic.
    "STOP": "stop",  # Gemini.
    "COMPLETE": "stop",  # Cohere.
    "model_length": "length",  # Mistral.
    "max_tokens": "length",  # Anthropic.
    "MAX_TOKENS": "length",  # Gemini, Cohere.
    "tool_use": "tool_calls",  # Anthropic.
    "SAFETY": "content_filter",  # Gemini, and the next eight.
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ERROR_TOXIC": "content_filter",  # Cohere.
    "refusal": "content_filter",  # Anthropic.
    "sensitive": "content_filter",  # Zhipu.
    "guardrail_intervened": "content_filter",  # Bedrock.
    "content_filtered": "content_filter",  # Bedrock.
}

# One of these words names a content filter.
_FILTER = re.compile(
    r"content[_\- ]?(?:filter|policy|moderation|inspection|block)|moderat|safety"
    r"|sensitive|prohibited|blocklist|guardrail",
    re.IGNORECASE,
)

# One of these words names a failure of the network, the model or the provider.
_FAILURE = re.compile(
    r"error|fail|abort|cancel|interrupt|disconnect|timeout|timed[_\- ]out"
    r"|unavailable|overload|insufficient|exception|crash|broken|malformed"
    r"|unexpected|invalid|expired"
    # Reasons of Gemini that say no more.
    r"|^OTHER$|^FINISH_REASON_UNSPECIFIED$|^unknown$",
    re.IGNORECASE,
)

# Longer reasons are no words; searching them costs time.
_LONGEST = 256


# The reasons of nearly all answers, which are not searched for words.
_USUAL = frozenset({None, "stop", "length", "tool_calls"})


def normalize_finish_reason(reason: str | None) -> str | None:
    """Return OpenAI's name for the finish *reason*, if it has one, else *reason*."""
    if reason in _USUAL:
        return reason
    if reason in _NAMES:
        return _NAMES[reason]
    is_filter = reason is not None and _FILTER.search(reason[:_LONGEST])
    return "content_filter" if is_filter else reason


def is_failure(reason: str | None) -> bool:
    """Return whether the server's finish *reason* speaks of a failure.

    The network, the model or the provider failed: `network_error` (Zhipu),
    `insufficient_system_resource` (DeepSeek), `MALFORMED_FUNCTION_CALL` (Gemini).
    """
    if (
        reason is None
        or reason in _USUAL
        or normalize_finish_reason(reason) == "content_filter"
    ):
        return False
    return bool(_FAILURE.search(reason[:_LONGEST]))
