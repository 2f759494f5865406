"""Lines of runs and of checkpoints, for the tests that read them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from builders import body_of, read

from limin.checkpoint.line import encode_line as encode_completion
from limin.checkpoint.request import RecordedRequest
from limin.files.run_lines import Mark, Shape, encode_line
from limin.values.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
ENTRY = {"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}
ANSWER: dict[str, object] = {
    "answer": "hi",
    "finish_reason": "stop",
    "served_model": "served",
    "usage": {**USAGE, "cached_tokens": None, "reasoning_tokens": 2},
    "seconds": 0.5,
    "error": None,
}
ERROR: dict[str, object] = {
    "answer": None,
    "error": {"type": "BadRequestError", "message": "no", "status": 400},
}


def marked(
    number: int, fields: Mapping[str, object], shape: Shape, **options: str | bool
) -> bytes:
    """Return a line of a run with its newline.

    Args:
        number: Number of the input line.
        fields: Its fields.
        shape: Its shape.
        **options: `failed`, the `request` in its place, and the `prefix`.
    """
    request = str(options.get("request", number)).encode()
    mark = Mark(
        number=number,
        request=hashlib.sha256(request).digest(),
        shape=shape,
        failed=bool(options.get("failed")),
        time=1000.0 + number,
        prefix=str(options.get("prefix", "")),
    )
    return encode_line(json.dumps(fields).encode(), mark)


def answered(number: int, *, request: str = "", **fields: object) -> bytes:
    """Return the line of an answer, with more *fields*."""
    inputs = {"prompt": f"p{number}"}
    options = {"request": request} if request else {}
    return marked(number, inputs | ANSWER | fields, "fields", **options)


def failed(number: int, *, request: str = "", **fields: object) -> bytes:
    """Return the line of a failure, with more *fields*."""
    inputs = {"prompt": f"p{number}"}
    options = {"request": request} if request else {}
    return marked(number, inputs | ERROR | fields, "fields", failed=True, **options)


def batch(
    number: int, custom_id: str, body: object, status: int = 200, request: str = ""
) -> bytes:
    """Return a line of OpenAI's output with a response."""
    response = {"status_code": status, "request_id": None, "body": body}
    fields = {"id": "i", "custom_id": custom_id, "response": response, "error": None}
    options = {"request": request} if request else {}
    return marked(number, fields, "openai", failed=status != 200, **options)


def unanswered_batch(number: int, custom_id: str) -> bytes:
    """Return a line of OpenAI's output without a response."""
    error = {"code": "ConnectError", "message": "no connection"}
    fields = {"id": "i", "custom_id": custom_id, "response": None, "error": error}
    return marked(number, fields, "openai", failed=True)


def checkpoint(text: str, metadata: Mapping[str, object], served_model: str) -> bytes:
    """Return a line of a checkpoint with its newline."""
    conversation = Conversation.from_prompts("ask", "be short")
    conversation.metadata = metadata
    body = json.dumps(
        {
            "model": "m",
            "logprobs": True,
            "messages": [
                {"role": "system", "content": "be short"},
                {"role": "user", "content": "ask"},
            ],
        }
    ).encode()
    answer = {**body_of(text), "model": served_model}
    request = RecordedRequest.of(body, conversation)
    return encode_completion(request, read(answer)) + b"\n"
