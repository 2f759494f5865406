"""Questions, answers and captures that several test files build on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limin.completion import Timing
from limin.conversation import Conversation
from limin.wire import Answer
from limin.wire.response import Question, read_completion

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from limin.completion import TextCompletion

TIMING = Timing(start_time=1000.0, end_time=1002.5, duration=2.25)

_DATA = Path(__file__).parent / "data"


def capture(name: str) -> dict[str, Any]:
    """The captured exchange in `data/`*name*`.json`."""
    return dict(json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8")))


def captures() -> list[str]:
    """The names of all captured exchanges."""
    return sorted(path.stem for path in _DATA.glob("*.json"))


def answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """An answer of *body*: bytes and text as they are, any other value as JSON."""
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Answer(status, headers or {}, body)


def read(
    body: object,
    status: int = 200,
    *,
    headers: Mapping[str, str] | None = None,
    asks_log_probs: bool = False,
    secrets: Collection[str] = (),
) -> TextCompletion:
    """What limin reads in an answer of *body* to the prompt `What is 2 + 2?`."""
    question = Question(
        conversation=Conversation.from_prompts("What is 2 + 2?"),
        model="asked-model",
        asks_log_probs=asks_log_probs,
        secrets=secrets,
    )
    return read_completion(question, TIMING, answer(body, status, headers))


def body_of(content: object, **choice: object) -> dict[str, Any]:
    """A body of one choice whose message holds *content*."""
    message = {"role": "assistant", "content": content}
    return {"choices": [{"index": 0, "message": message, **choice}]}
