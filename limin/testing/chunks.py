"""A whole body as the chunks of the stream that it would have been.

It may be any body: of a script, of a recording, or an odd one, whose oddities stay.
Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

import codecs
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

from limin.testing.bodies import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DONE = b"data: [DONE]\n\n"

# Words with the blanks before them, as most tokenizers cut; and parts of arguments.
_WORD = re.compile(r"\s*\S+|\s+")
_PART = re.compile(r".{1,8}", re.DOTALL)


def event_of(chunk: object) -> bytes:
    """Return *chunk* as an event."""
    return b"data: %b\n\n" % encode(chunk)


def to_chunks(
    body: Mapping[str, Any], *, includes_usage: bool, pieces: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield *body* as chunks.

    Args:
        body: A whole body.
        includes_usage: Whether there is a last chunk with the usage, if there is one.
        pieces: How the text is cut; by default at the tokens that are listed, or else
            at words.
    """
    rest = {name: v for name, v in body.items() if name not in {"choices", "usage"}}
    head = {**rest, "object": "chat.completion.chunk"}
    for choice in _objects(body.get("choices")):
        for part in _choice_parts(choice, pieces):
            yield {**head, "choices": [part]}
    if includes_usage and "usage" in body:
        yield {**head, "choices": [], "usage": body["usage"]}


def _choice_parts(
    choice: dict[str, Any], pieces: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    """Yield *choice* as choices with deltas, the last with all else that it holds."""
    last = dict(choice)
    message: object = last.pop("message", None)
    log_probs: object = last.pop("logprobs", None)
    if not isinstance(message, dict):
        yield {**last, "logprobs": log_probs}
        return
    yield from _message_parts(
        cast("dict[str, Any]", message), log_probs, choice.get("index", 0), pieces
    )
    yield {**last, "delta": {}}


def _message_parts(
    message: dict[str, Any], log_probs: object, index: int, pieces: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    """Yield *message* as choices with deltas, and its log probabilities."""
    base = {"index": index}
    content: object = message.get("content")
    # Tokens go with the text that they are of; anything else with the first delta.
    tokens = _listed_tokens(log_probs) if isinstance(content, str) else None
    first = {} if tokens is not None or log_probs is None else {"logprobs": log_probs}
    for delta in _deltas_before_text(message):
        yield {**base, "delta": delta, **first, "finish_reason": None}
        first = {}
    if isinstance(content, str):
        cut = _cut(content, tokens or []) if pieces is None else pieces
        if tokens and not cut:
            cut = [""]
        for piece, listed in _with_tokens(cut, tokens or []):
            marked = {"logprobs": {"content": listed}} if listed else {}
            delta = {"content": piece}
            yield {**base, "delta": delta, **marked, "finish_reason": None}
    for delta in _tool_deltas(_objects(message.get("tool_calls"))):
        yield {**base, "delta": delta, "finish_reason": None}


def _deltas_before_text(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the role, and then each field that is neither the text nor a tool call."""
    content = message.get("content")
    first = {"role": message.get("role", "assistant")}
    yield {**first, "content": "" if isinstance(content, str) else content}
    for name, value in message.items():
        if name in {"role", "content", "tool_calls"} or value is None:
            continue
        is_text = isinstance(value, str) and name.startswith("reasoning")
        for part in (_WORD.findall(value) if is_text else None) or [value]:
            yield {name: part}


def _tool_deltas(calls: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield *calls* as deltas: first the name of each, then its arguments in parts."""
    for index, call in enumerate(calls):
        inner: object = call.get("function")
        function = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
        arguments: object = function.get("arguments")
        if not isinstance(arguments, str):
            yield {"tool_calls": [{"index": index, **call}]}
            continue
        named = {**call, "function": {**function, "arguments": ""}}
        yield {"tool_calls": [{"index": index, **named}]}
        for part in _PART.findall(arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def _cut(text: str, tokens: Sequence[Any]) -> list[str]:
    """Return *text* in pieces: one for each of its *tokens*, or else for each word.

    What is not yet a whole character stays for the next piece.
    """
    parts = [_bytes_of(token) for token in tokens]
    if not parts or b"".join(parts) != text.encode(errors="replace"):
        return _WORD.findall(text)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    pieces = [decoder.decode(data) for data in parts]
    return [piece for piece in pieces if piece]


def _with_tokens(
    pieces: Sequence[str], tokens: Sequence[Any]
) -> Iterator[tuple[str, list[Any]]]:
    """Yield each of *pieces* with the *tokens* that end in it; the last with the rest."""
    token_ends = list(accumulate(len(_bytes_of(token)) for token in tokens))
    end, index = 0, 0
    for number, piece in enumerate(pieces, 1):
        end += len(piece.encode(errors="replace"))
        start = index
        while index < len(tokens) and (token_ends[index] <= end or number == len(pieces)):
            index += 1
        yield piece, list(tokens[start:index])


def _bytes_of(token: dict[str, Any]) -> bytes:
    match token:
        case {"bytes": [*numbers]} if all(number in range(256) for number in numbers):
            return bytes(numbers)
        case {"token": str(text)}:
            return text.encode(errors="replace")
        case _:
            return b""


def _listed_tokens(log_probs: object) -> list[dict[str, Any]] | None:
    """Return the list of tokens in *log_probs*; None if they hold anything else."""
    if not isinstance(log_probs, dict):
        return None
    fields = cast("dict[str, object]", log_probs)
    return _objects(fields.get("content")) or None if len(fields) == 1 else None


def _objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in the list *value*; none if it is no list."""
    listed = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", entry) for entry in listed if isinstance(entry, dict)]
