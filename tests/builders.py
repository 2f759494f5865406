"""Requests, responses and captures for several test files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limin.errors import LiminError
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.timing import Timing
from limin.wire.http import HttpResponse
from limin.wire.response import ReadingContext, read_completion
from limin.wire.sampling import Sampling
from limin.wire.stream import AnswerReader

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from limin.values.choice import Delta
    from limin.values.completion import TextCompletion
    from limin.values.log_probs import LogProbs

TIMING = Timing(start_time=1000.0, end_time=1002.5, duration=2.25)

_DATA = Path(__file__).parent / "data"


def capture(name: str) -> dict[str, Any]:
    """Return the captured exchange in `data/`*name*`.json`."""
    return dict(json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8")))


def captures() -> list[str]:
    """Return the names of all captured exchanges."""
    return sorted(path.stem for path in _DATA.glob("*.json"))


def response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return a response of *body*: bytes and text as they are, other values as JSON."""
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return HttpResponse(status, headers or {}, body)


def read(
    body: object,
    status: int = 200,
    *,
    headers: Mapping[str, str] | None = None,
    asks_log_probs: bool = False,
    top_log_probs: int | None = None,
    secrets: Collection[str] = (),
    n_choices: int = 1,
    conversation: Conversation | None = None,
    request: Mapping[str, object] | None = None,
) -> TextCompletion:
    """Read a response of *body* to the prompt `What is 2 + 2?`."""
    context = ReadingContext(
        conversation=conversation or Conversation.from_prompts("What is 2 + 2?"),
        model="asked-model",
        asks_log_probs=asks_log_probs,
        top_log_probs=top_log_probs,
        n_choices=n_choices,
        sampling=Sampling.of(request or {}),
        secrets=secrets,
    )
    return read_completion(context, TIMING, response(body, status, headers))


def read_capture(name: str) -> TextCompletion:
    """Read the captured exchange *name*, with the options of its request."""
    exchange = capture(name)
    return read(
        exchange["body"],
        exchange["status"],
        headers=dict(exchange["headers"]),
        asks_log_probs=exchange["request"].get("logprobs", False),
        top_log_probs=exchange["request"].get("top_logprobs"),
        request=exchange["request"],
    )


def read_exchange(
    name: str, folder: str = "readings"
) -> tuple[TextCompletion, list[Delta]]:
    """Read the exchange *name* in *folder* of `data/` as a client does.

    Returns:
        The completion, and its deltas.
    """
    exchange = capture(f"{folder}/{name}")
    request = exchange["request"]
    context = ReadingContext(
        conversation=Conversation(
            [
                Message(message["role"], message["content"])
                for message in request["messages"]
            ]
        ),
        model=request["model"],
        asks_log_probs=request.get("logprobs", False),
        top_log_probs=request.get("top_logprobs"),
        n_choices=request.get("n", 1),
        sampling=Sampling.of(request),
    )
    headers = {key.lower(): value for key, value in dict(exchange["headers"]).items()}
    reader = AnswerReader(context, HttpResponse(exchange["status"], headers, b""))
    first = reader.feed(exchange["body"].encode())
    last = reader.finish(TIMING)
    assert (first.error, last.error, reader.is_finished) == (None, None, True)
    return reader.completion(TIMING), first.deltas + last.deltas


def read_stream(
    *chunks: object, is_done: bool = True, **context: Any
) -> tuple[TextCompletion, list[Delta]]:
    """Return the completion of a stream of *chunks*, and its deltas."""
    context.setdefault("conversation", Conversation.from_prompts("hi"))
    head = HttpResponse(200, {"content-type": "text/event-stream"}, b"")
    reader = AnswerReader(ReadingContext(model="m", **context), head)
    deltas: list[Delta] = []
    datas = [
        chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()
        for chunk in chunks
    ] + [b"[DONE]"] * is_done
    for data in datas:
        update = reader.feed(b"data: " + data + b"\n\n")
        if update.error is not None:
            raise update.error
        deltas += update.deltas
    error = reader.finish(TIMING).error
    assert error is None
    assert reader.is_finished
    return reader.completion(TIMING), deltas


def look_at_everything(body: bytes, top_log_probs: int | None = None) -> None:
    """Read *body* and use every value in it; a `LiminError` is accepted too."""
    try:
        completion = read(body, asks_log_probs=True, top_log_probs=top_log_probs)
    except LiminError as error:
        assert str(error)  # noqa: PT017 (any other exception is what fails)
        return
    sampled, alternatives = completion.token_log_probs, completion.full_token_log_probs
    assert len(sampled or []) == len(alternatives or [])
    assert all(isinstance(choice.message, str) for choice in completion.choices)
    assert all(str(warning) for warning in completion.warnings)
    for choice in completion.choices:
        if choice.log_probs is not None:
            _look_at(choice.log_probs)
    for position in completion.prompt_log_probs or ():
        assert position is None or position.alternatives


def _look_at(log_probs: LogProbs) -> None:
    pieces = log_probs.pieces()
    assert sum(1 + piece.last - piece.first for piece in pieces) == len(log_probs)
    assert {len(column) for column in log_probs.to_columns().values()} == {len(log_probs)}
    assert "".join(piece.text for piece in pieces) == log_probs.text()
    for number in (log_probs.total, log_probs.mean, log_probs.perplexity):
        assert number is None or isinstance(number, float)


def body_of(content: object, **choice: object) -> dict[str, Any]:
    """Return a body of one choice whose message has *content*."""
    message = {"role": "assistant", "content": content}
    return {"choices": [{"index": 0, "message": message, **choice}]}
