"""Two answers that can be told apart: the real server's, and a mock's."""

from __future__ import annotations

import json
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["whole", "streamed"]

MODES: tuple[Mode, ...] = ("whole", "streamed")

FROM_SERVER, FROM_MOCK = "from the server", "from the mock"


def content_type(mode: Mode) -> str:
    """Return the media type of an answer."""
    return "application/json" if mode == "whole" else "text/event-stream"


def body(mode: Mode, text: str) -> bytes:
    """Return the body of a completion, or of its stream, that says *text*."""
    if mode == "whole":
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": "stop",
        }
        completion = {
            "id": "c",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "m",
            "choices": [choice],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }
        return json.dumps(completion).encode()
    chunks = [{"index": 0, "delta": {"content": word}} for word in text.split(" ")]
    for chunk in chunks[1:]:
        chunk["delta"]["content"] = " " + chunk["delta"]["content"]
    chunks.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = (json.dumps({"id": "c", "model": "m", "choices": [chunk]}) for chunk in chunks)
    return "".join(f"data: {event}\n\n" for event in (*events, "[DONE]")).encode()


def text_of_body(mode: Mode, raw: bytes) -> str:
    """Return the text of a whole or streamed answer."""
    if mode == "whole":
        text: str = json.loads(raw)["choices"][0]["message"]["content"]
        return text
    events = raw.decode().removesuffix("data: [DONE]\n\n").split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events if event]
    deltas = (chunk["choices"][0]["delta"] for chunk in chunks)
    return "".join(delta.get("content", "") for delta in deltas)
