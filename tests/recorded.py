"""Requests and completions for checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from builders import TIMING, body_of, response

from limin.checkpoint.request import RecordedRequest
from limin.errors import RateLimitError
from limin.values.configuration import ModelConfiguration
from limin.values.conversation import Conversation, as_conversation
from limin.values.timing import Attempt, Latency, Timing
from limin.wire.request import RequestEncoder
from limin.wire.response import ReadingContext, read_completion

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion

FAILED = Attempt(
    start_time=1000.0, duration=0.1, error=RateLimitError(429, "slower"), waited=0.5
)
RETRIED = Timing(
    start_time=1000.0,
    end_time=1002.5,
    duration=2.25,
    attempts=(FAILED, Attempt(start_time=1000.6, duration=0.30000000000000004)),
)
STREAMED = attrs.evolve(
    TIMING,
    time_to_first_byte=0.1,
    time_to_first_token=0.2,
    time_to_first_text=0.30000000000000004,
    inter_token_latency=Latency.of([0.1, 0.2]),
    tokens_per_second=7.5,
    delta_times=[0.2, 0.3],
)


def request(prompt: str | Conversation = "hi", **parameters: Any) -> RecordedRequest:
    """Return the request that asks *prompt*."""
    encoder = RequestEncoder.of(ModelConfiguration(**{"model": "m", **parameters}))
    conversation = as_conversation(prompt)
    return RecordedRequest.of(encoder.encode(conversation), conversation)


def completed(
    prompt: str = "hi",
    body: object = None,
    *,
    timing: Timing = TIMING,
    request_id: str | None = None,
    **question: Any,
) -> TextCompletion:
    """Return the completion of *prompt* that limin reads in *body*."""
    asked = ReadingContext(
        conversation=Conversation.from_prompts(prompt), **{"model": "m", **question}
    )
    headers = {"x-request-id": request_id} if request_id else {}
    body = body_of(f"re: {prompt}") if body is None else body
    return read_completion(asked, timing, response(body, headers=headers))


def same(first: TextCompletion, second: TextCompletion) -> bool:
    """Return whether both are equal, except for the types of their attempts' errors."""
    timings = [attrs.evolve(each.timing, attempts=()) for each in (first, second)]
    attempts = [
        [attrs.evolve(attempt, error=None) for attempt in each.timing.attempts]
        for each in (first, second)
    ]
    rest = [
        attrs.evolve(each, timing=TIMING, choices=(), prompt_log_probs=None)
        for each in (first, second)
    ]
    choices = [
        [attrs.evolve(choice, log_probs=None) for choice in each.choices]
        for each in (first, second)
    ]
    return (
        timings[0] == timings[1]
        and attempts[0] == attempts[1]
        and rest[0] == rest[1]
        and choices[0] == choices[1]
        and first.full_token_log_probs == second.full_token_log_probs
        and first.warnings == second.warnings
    )
