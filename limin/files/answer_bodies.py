"""The fields of an answer, as the body that OpenAI's API would have sent for it.

What a run's output has no field for is left out: the requested model, for example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from limin.files.results import encode_object
from limin.wire.raw_json import read_value, split_elements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NULL = msgspec.Raw(b"null")

# Of each count that stands in details, the details and its name there.
_DETAILS = {
    "cached_tokens": "prompt_tokens_details",
    "reasoning_tokens": "completion_tokens_details",
}


def to_body(fields: Mapping[str, msgspec.Raw], name: str, time: float) -> bytes:
    """Return *fields*, those of an answer, as the JSON of a chat completion.

    Args:
        fields: Fields of an output, without its prefix.
        name: The id of the completion.
        time: When it was there, in Unix seconds.
    """
    body: dict[str, object] = {
        "id": name,
        "object": "chat.completion",
        "created": int(time),
        "model": read_value(fields.get("served_model", _NULL)) or "",
        "choices": list(_choices(fields)),
    }
    usage = read_value(fields.get("usage", _NULL))
    if isinstance(usage, dict):
        body["usage"] = _usage(cast("dict[str, object]", usage))
    return encode_object(body)


def _choices(fields: Mapping[str, msgspec.Raw]) -> Iterator[dict[str, object]]:
    """Yield the choices; of all but the first only the text is known."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": fields["answer"],
        "refusal": fields.get("refusal", _NULL),
    }
    if "reasoning" in fields:
        message["reasoning_content"] = fields["reasoning"]
    if "tool_calls" in fields:
        message["tool_calls"] = fields["tool_calls"]
    yield {
        "index": 0,
        "message": message,
        "logprobs": fields.get("logprobs", _NULL),
        "finish_reason": fields.get("finish_reason", _NULL),
    }
    for index, text in enumerate(split_elements(fields.get("answers", _NULL))[1:], start=1):
        other = {"role": "assistant", "content": text, "refusal": None}
        yield {"index": index, "message": other, "logprobs": None, "finish_reason": None}


def _usage(counts: dict[str, object]) -> dict[str, object]:
    usage: dict[str, object] = {}
    for name, count in counts.items():
        if count is not None and name in _DETAILS:
            usage[_DETAILS[name]] = {name: count}
        elif count is not None:
            usage[name] = count
    return usage
