"""Long answers in the shape of recorded ones, the same at each call."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent.parent / "data"

# What vLLM sent: a chunk with the role, one for each token, one with the reason why it
# stopped, one with the usage, and the end.
_CAPTURE = _DATA / "vllm-0.32.0-stream.json"
_CHUNKS_AROUND = 3

DONE = b"[DONE]"
_SYLLABLES = ("re", "ing", "tion", "ka", "mo", "é", "ß", "str", "o", "un", "语", "er", "1")


def position(chance: random.Random, alternatives: int) -> dict[str, Any]:
    """One of `logprobs.content`, with so many *alternatives*."""
    return _entry(chance) | {"top_logprobs": [_entry(chance) for _ in range(alternatives)]}


def _entry(chance: random.Random) -> dict[str, Any]:
    space = " " * chance.randint(0, 1)
    token = space + "".join(chance.choices(_SYLLABLES, k=chance.randint(1, 3)))
    log_prob = -round(chance.expovariate(0.3), 8)
    return {"token": token, "logprob": log_prob, "bytes": list(token.encode())}


def compact(value: object) -> bytes:
    """JSON as servers write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def tokens_of(n_chunks: int) -> int:
    """How many of *n_chunks* have a token."""
    return n_chunks - _CHUNKS_AROUND


def events(n_tokens: int, alternatives: int | None) -> list[bytes]:
    """A stream of *n_tokens*; without log probabilities if *alternatives* is None.

    Each chunk is the recorded one, with its own words in it.
    """
    recorded = json.loads(_CAPTURE.read_bytes())["body"].split("\n\n")
    role, token, *_ = (json.loads(event.removeprefix("data: ")) for event in recorded[:2])
    finish, usage = (json.loads(event.removeprefix("data: ")) for event in recorded[-4:-2])
    chance = random.Random(n_tokens)  # noqa: S311 (no secret)
    chunks = [compact(role)]
    for _ in range(n_tokens):
        told = position(chance, alternatives or 0)
        choice = token["choices"][0]
        choice["delta"]["content"] = told["token"]
        choice["logprobs"] = None if alternatives is None else {"content": [told]}
        chunks.append(compact(token))
    prompt_tokens = usage["usage"]["prompt_tokens"]
    usage["usage"]["completion_tokens"] = n_tokens
    usage["usage"]["total_tokens"] = prompt_tokens + n_tokens
    chunks += [compact(finish), compact(usage), DONE]
    return [b"data: %b\n\n" % chunk for chunk in chunks]


@cache
def stream_body(n_tokens: int, alternatives: int | None) -> bytes:
    """The same as one piece."""
    return b"".join(events(n_tokens, alternatives))
