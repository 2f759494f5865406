"""A completion as plain JSON values, for a log or a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from limin.errors import LiminError
    from limin.values.choice import Choice
    from limin.values.completion import TextCompletion
    from limin.values.timing import Timing


def completion_to_dict(
    completion: TextCompletion[object], *, conversation: bool
) -> dict[str, object]:
    """Return *completion* as plain JSON values; see `TextCompletion.to_dict`."""
    fields: dict[str, object] = {
        "message": completion.message,
        "finish_reason": completion.finish_reason,
        "model": completion.model,
        "served_model": completion.served_model,
        "endpoint": completion.endpoint,
        "id": completion.id,
        "request_id": completion.request_id,
        "choices": list(map(_choice_to_dict, completion.choices)),
        "usage": None if completion.usage is None else attrs.asdict(completion.usage),
        "timing": _timing_to_dict(completion.timing),
        "warnings": [
            {**_fields_of(warning), "code": warning.code.value}
            for warning in completion.warnings
        ],
    }
    if conversation:
        fields["conversation"] = completion.conversation.to_openai()
    return fields


def _choice_to_dict(choice: Choice) -> dict[str, object]:
    calls = [call.to_openai() for call in choice.tool_calls]
    return _fields_of(choice) | {"tool_calls": calls}


def _fields_of(value: attrs.AttrsInstance) -> dict[str, object]:
    """Return the public fields of *value*, as they are, except log probabilities."""
    names = (field.name for field in attrs.fields(type(value)))
    return {
        name: getattr(value, name)
        for name in names
        if not name.startswith("_") and not name.endswith("log_probs")
    }


def _timing_to_dict(timing: Timing) -> dict[str, object]:
    latency = timing.inter_token_latency
    attempts = [
        {**_fields_of(attempt), "error": _describe(attempt.error)}
        for attempt in timing.attempts
    ]
    return {
        **_fields_of(timing),
        "attempts": attempts,
        "inter_token_latency": None if latency is None else _fields_of(latency),
    }


def _describe(error: LiminError | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"
