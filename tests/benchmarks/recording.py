"""Long answers in the shape of recorded ones, the same at each call."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent.parent / "data"

# A stream of vLLM's: a chunk with the role, one for each token, one with the finish reason,
# one with the usage, and the end.
_CAPTURE = _DATA / "vllm-0.32.0-stream.json"
_CHUNKS_AROUND = 3

DONE = b"[DONE]"
_SYLLABLES = ("re", "ing", "tion", "ka", "mo", "é", "ß", "str", "o", "un", "语", "er", "1")


def position(chance: random.Random, alternatives: int) -> dict[str, Any]:
    """Return an entry of `logprobs.content`, with that many *alternatives*."""
    return _entry(chance) | {"top_logprobs": [_entry(chance) for _ in range(alternatives)]}


def _entry(chance: random.Random) -> dict[str, Any]:
    space = " " * chance.randint(0, 1)
    token = space + "".join(chance.choices(_SYLLABLES, k=chance.randint(1, 3)))
    log_prob = -round(chance.expovariate(0.3), 8)
    return {"token": token, "logprob": log_prob, "bytes": list(token.encode())}


def compact(value: object) -> bytes:
    """Return JSON as servers write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def tokens_of(n_chunks: int) -> int:
    """Return how many of *n_chunks* have a token."""
    return n_chunks - _CHUNKS_AROUND


def events(n_tokens: int, alternatives: int | None) -> list[bytes]:
    """Return a stream of *n_tokens*; no log probabilities if *alternatives* is None.

    Each chunk is the recorded one, with a text of its own.
    """
    recorded = json.loads(_CAPTURE.read_bytes())["body"].split("\n\n")
    role, token, *_ = (json.loads(event.removeprefix("data: ")) for event in recorded[:2])
    finish, usage = (json.loads(event.removeprefix("data: ")) for event in recorded[-4:-2])
    chance = random.Random(n_tokens)  # noqa: S311 (no secret)
    chunks = [compact(role)]
    for _ in range(n_tokens):
        entry = position(chance, alternatives or 0)
        choice = token["choices"][0]
        choice["delta"]["content"] = entry["token"]
        choice["logprobs"] = None if alternatives is None else {"content": [entry]}
        chunks.append(compact(token))
    prompt_tokens = usage["usage"]["prompt_tokens"]
    usage["usage"]["completion_tokens"] = n_tokens
    usage["usage"]["total_tokens"] = prompt_tokens + n_tokens
    chunks += [compact(finish), compact(usage), DONE]
    return [b"data: %b\n\n" % chunk for chunk in chunks]


@cache
def stream_body(n_tokens: int, alternatives: int | None) -> bytes:
    """Return the same stream as one piece."""
    return b"".join(events(n_tokens, alternatives))
