"""The JSON of answers and errors, in the shape of OpenAI's API.

Nothing in it depends on the clock, so that a test has the same answers each time.
Source: https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from limin.testing.answers import Answer, Refusal
    from limin.testing.requests import Request
    from limin.testing.script_checks import ScriptedToken

MODEL = "scripted"  # Where a request names none, and in the list of models.
_CREATED = 1_735_689_600  # The first second of 2025.


def encode(value: object) -> bytes:
    """Return *value* as compact JSON in UTF-8; half a surrogate pair stays escaped."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def completion_body(answer: Answer, request: Request) -> dict[str, Any]:
    """Return the body of *answer*, as far as *request* asks for it."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.reasoning is not None:
        message["reasoning_content"] = answer.reasoning
    finish_reason = answer.finish_reason
    if answer.tool_calls:
        message["tool_calls"] = [call.to_openai() for call in answer.tool_calls]
        finish_reason = "tool_calls" if finish_reason == "stop" else finish_reason
    body = body_of(message, request, answer.log_probs, finish_reason)
    if answer.usage is not None:
        body["usage"] = dict(answer.usage)
    return body


def body_of(
    message: dict[str, Any],
    request: Request,
    tokens: Sequence[ScriptedToken] | None = None,
    finish_reason: str | None = "stop",
) -> dict[str, Any]:
    """Return a body with *message* as often as *request* asks for choices."""
    choice = {
        "message": message,
        "logprobs": _log_probs(tokens, request.top_log_probs),
        "finish_reason": finish_reason,
    }
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": _CREATED,
        "model": request.parameters.get("model", MODEL),
        "choices": [{"index": index, **choice} for index in range(request.n_choices)],
    }


def _log_probs(
    tokens: Sequence[ScriptedToken] | None, top: int | None
) -> dict[str, Any] | None:
    if tokens is None or top is None:
        return None
    return {"content": [_position(*token, top) for token in tokens]}


def _position(
    token: str | bytes, log_prob: float, alternatives: Mapping[str, float], top: int
) -> dict[str, Any]:
    own = _entry(token, log_prob)
    listed = [_entry(*alternative) for alternative in alternatives.items()]
    if isinstance(token, bytes) or token not in alternatives:
        listed.insert(0, own)
    listed.sort(key=lambda entry: -entry["logprob"])
    return {**own, "top_logprobs": listed[:top]}


def _entry(token: str | bytes, log_prob: float) -> dict[str, Any]:
    data = token if isinstance(token, bytes) else token.encode(errors="replace")
    text = data.decode(errors="replace") if isinstance(token, bytes) else token
    return {"token": text, "logprob": log_prob, "bytes": list(data)}


def error_body(refusal: Refusal) -> dict[str, Any]:
    """Return the body of *refusal*."""
    kind = "invalid_request_error" if refusal.status < 500 else "server_error"  # noqa: PLR2004 (5xx)
    error = {"message": refusal.words, "type": kind, "param": None, "code": refusal.code}
    return {"error": error}


def models_body() -> dict[str, Any]:
    """Return the list of models."""
    model = {"id": MODEL, "object": "model", "created": _CREATED, "owned_by": "limin"}
    return {"object": "list", "data": [model]}
