"""From the bytes of one answer to an object, by limin, json and openai's SDK.

`python parsing.py POSITIONS ALTERNATIVES` prints one line of JSON.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx2
import openai
from openai._models import FinalRequestOptions
from openai.types.chat import ChatCompletion
from recording import compact, position

from limin import Conversation, Message, TextCompletion, Timing
from limin.wire.http import HttpResponse
from limin.wire.response import ReadingContext, read_completion

if TYPE_CHECKING:
    from collections.abc import Callable

Reading: TypeAlias = "Callable[[], object]"

_SECONDS_TRYING = 0.6
_FEWEST_TRIES = 3

_CONTEXT = ReadingContext(
    conversation=Conversation([Message("user", "Go on.")]),
    model="m",
    asks_log_probs=True,
    top_log_probs=20,
)
_TIMING = Timing(start_time=0.0, end_time=1.0, duration=1.0)


def answer_body(positions: int, alternatives: int) -> bytes:
    """Return a body in OpenAI's shape, the same at each call."""
    chance = random.Random(positions * 100 + alternatives)  # noqa: S311 (no secret)
    content = [position(chance, alternatives) for _ in range(positions)]
    text = "".join(position["token"] for position in content)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text,
        "refusal": None,
        "annotations": [],
    }
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": content, "refusal": None},
        "finish_reason": "stop",
    }
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [choice],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": positions,
            "total_tokens": positions + 12,
        },
    }
    return compact(completion)


def limin_reading(body: bytes) -> Reading:
    """Parse as limin does with every response."""
    response = HttpResponse(200, {"content-type": "application/json"}, body)
    return lambda: read_completion(_CONTEXT, _TIMING, response)


def _completion(body: bytes) -> TextCompletion:
    completion = limin_reading(body)()
    assert isinstance(completion, TextCompletion)
    return completion


def limin_tokens(body: bytes) -> Reading:
    """Read `token_log_probs` for the first time; keep the completion."""
    completion = _completion(body)
    return lambda: (completion, completion.token_log_probs)


def limin_all_tokens(body: bytes) -> Reading:
    """Read `full_token_log_probs` for the first time; keep the completion."""
    completion = _completion(body)
    return lambda: (completion, completion.full_token_log_probs)


def json_reading(body: bytes) -> Reading:
    """Parse by Python's own parser, into dictionaries."""
    return lambda: json.loads(body)


_openai = openai.OpenAI(base_url="http://127.0.0.1/v1", api_key="a-key")


def openai_reading(body: bytes) -> Reading:
    """Parse as OpenAI's client does with a response that it has read."""
    response = httpx2.Response(
        200,
        headers={"content-type": "application/json", "x-request-id": "req_123"},
        content=body,
        request=httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions"),
    )
    options = FinalRequestOptions(method="post", url="/chat/completions")
    return lambda: _openai._process_response(
        cast_to=ChatCompletion,
        options=options,
        response=response,
        stream=False,
        stream_cls=None,
    )


READINGS: dict[str, Callable[[bytes], Reading]] = {
    "limin": limin_reading,
    "limin_tokens": limin_tokens,
    "limin_all_tokens": limin_all_tokens,
    "json": json_reading,
    "openai": openai_reading,
}


def seconds(prepare: Callable[[bytes], Reading], body: bytes) -> float:
    """Measure the shortest time of the reading, garbage collection included."""
    best, tries, end = float("inf"), 0, time.perf_counter() + _SECONDS_TRYING
    while tries < _FEWEST_TRIES or time.perf_counter() < end:
        reading = prepare(body)
        start = time.perf_counter()
        result = reading()
        best = min(best, time.perf_counter() - start)
        del result
        tries += 1
    return best


def kept_bytes(prepare: Callable[[bytes], Reading], body: bytes) -> int:
    """Measure the bytes that the result keeps alive, the body among them if it does."""
    prepare(body)()  # Fills caches, which are not the result's.
    gc.collect()
    tracemalloc.start()
    result = prepare(bytes(bytearray(body)))()
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return kept


def main(positions: int, alternatives: int) -> None:
    """Measure all readings of one body."""
    body = answer_body(positions, alternatives)
    result: dict[str, Any] = {"body": len(body)}
    result["seconds"] = {name: seconds(reading, body) for name, reading in READINGS.items()}
    result["kept"] = {name: kept_bytes(reading, body) for name, reading in READINGS.items()}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
