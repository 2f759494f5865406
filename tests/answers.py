"""Answers with log probabilities, and a function that asks for them: for decisions."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import attrs
from builders import body_of, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation

    Reply = Callable[[Conversation, int], Mapping[str, Any]]


def answer_body(
    *positions: Mapping[str, float], text: str | None = None, **message: object
) -> dict[str, Any]:
    """Return a body whose tokens have these probabilities; the first is the sampled one."""
    content: list[dict[str, Any]] = []
    for position in positions:
        entries = [_entry(token, prob) for token, prob in position.items()]
        content.append({**entries[0], "top_logprobs": entries})
    joined = "".join(next(iter(position)) for position in positions)
    body = body_of(joined if text is None else text, logprobs={"content": content})
    body["choices"][0]["message"] |= message
    return body


def _entry(token: str, prob: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(prob), "bytes": list(token.encode())}


@attrs.define
class Script:
    """Asks by calling *reply*, and keeps what was asked for how many alternatives."""

    reply: Reply
    asked: list[tuple[int, Conversation]] = attrs.field(factory=list)

    def __call__(self, number: int) -> Ask:
        """Return a function that asks for *number* alternatives."""
        return Ask(self, number)


@attrs.define
class Ask:
    """Asks for a number of alternatives."""

    script: Script
    number: int

    async def __call__(
        self, conversation: Conversation, *, spent: float = 0.0
    ) -> TextCompletion:
        """Return the scripted completion."""
        assert not spent
        self.script.asked.append((self.number, conversation))
        body = self.script.reply(conversation, self.number)
        number = self.number
        return read(
            body, asks_log_probs=True, top_log_probs=number, conversation=conversation
        )


def listed_labels(prompt: str) -> list[str]:
    """Return the labels that a prompt lists under letters, in their order."""
    lines = [line.partition(". ") for line in prompt.split("\n")]
    return [label for letter, _, label in lines if len(letter) == 1 and letter.isupper()]


def prompt_of(body: bytes) -> str:
    """Return the last message of the user in the *body* of a request."""
    messages: Sequence[dict[str, Any]] = json.loads(body)["messages"]
    content: str = next(m["content"] for m in reversed(messages) if m["role"] == "user")
    return content
