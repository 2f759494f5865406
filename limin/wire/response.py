"""The bytes of an answer, to a `TextCompletion` or the error that they tell.

The standard shape takes the fast way; any other is mended first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
import msgspec

from limin.errors import ResponseError
from limin.values.completion import Choice, TextCompletion, Usage
from limin.values.log_probs import LogProbs, PromptLogProbs
from limin.values.safe_text import excerpt
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire import error_response, lenient, schema
from limin.wire.log_prob_checks import Diagnosis
from limin.wire.log_probs import (
    read_legacy_positions,
    read_positions,
    read_prompt_positions,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from limin.values.completion import ReasoningSource
    from limin.values.conversation import Conversation
    from limin.values.log_probs import Load
    from limin.values.timing import Timing
    from limin.wire.http import HttpResponse

# vLLM's number for its whole vocabulary.
_ALL = -1

# What servers other than OpenAI say, in OpenAI's words: Hugging Face, Mistral,
# Gemini and Anthropic behind gateways. Any other word stays as it is.
_FINISH_REASONS: dict[str | None, str | None] = {
    "": None,
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "STOP": "stop",
    "model_length": "length",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
}

# What servers send in the place of nothing.
_ABSENT = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false", b"0"})
_LONGEST_ABSENT = 16  # With white space inside, as pretty-printing servers send.


@attrs.frozen(kw_only=True)
class ReadingContext:
    """What an answer is read against.

    Attributes:
        conversation: What was asked.
        model: The model that was asked for.
        asks_log_probs: Whether log probabilities were asked for.
        top_log_probs: How many alternatives were asked for; None for none.
        n_choices: How many answers were asked for.
        secrets: Keys and prompts, which no error message may repeat.
    """

    conversation: Conversation
    model: str
    asks_log_probs: bool = False
    top_log_probs: int | None = None
    n_choices: int = 1
    secrets: Collection[str] = attrs.field(default=(), repr=False)


def read_completion(
    question: ReadingContext, timing: Timing, answer: HttpResponse
) -> TextCompletion:
    """The completion that *answer* holds.

    Raises:
        StatusError: If the answer is an error, whatever its status.
        ResponseError: If it is no JSON object, or has no choice.
    """
    if not answer.is_success:
        raise error_response.status_error(answer, question.secrets, timing.end_time)
    body, warnings = _decode(question, answer)
    if has_value(body.error) or any(has_value(choice.error) for choice in body.choices):
        raise error_response.status_error(answer, question.secrets, timing.end_time)
    if not body.choices:
        problem = "expected at least one choice, found none"
        raise response_error(problem, "$.choices", question, answer)
    choices = tuple(
        _choice(choice, place, question) for place, choice in enumerate(body.choices)
    )
    if question.asks_log_probs:
        warnings += tuple(
            ResponseWarning(
                WarningCode.LOG_PROBS_MISSING, f"$.choices[{place}].logprobs", _MISSING
            )
            for place, choice in enumerate(choices)
            if choice.log_probs is None
        )
    return TextCompletion(
        conversation=question.conversation,
        model=question.model,
        choices=choices,
        timing=timing,
        served_model=body.model,
        usage=None if body.usage is None else _usage(body.usage),
        id=body.id,
        request_id=answer.request_id,
        body_warnings=warnings,
        raw_bytes=answer.body,
        prompt_log_probs=_prompt(body.prompt_logprobs),
    )


_MISSING = "log probabilities were asked for, and none came"


def _decode(
    question: ReadingContext, answer: HttpResponse
) -> tuple[schema.Completion, tuple[ResponseWarning, ...]]:
    try:
        return schema.completion_decoder.decode(answer.body), ()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return lenient.mend_completion(answer.body)
    except lenient.Unmendable as error:
        raise response_error(error.problem, error.path, question, answer) from None


def response_error(
    problem: str, path: str, question: ReadingContext, answer: HttpResponse
) -> ResponseError:
    """The error that *answer* is no answer: *problem* at the JSON *path*."""
    start = excerpt(answer.body[:4096].decode("utf-8-sig", "replace"), question.secrets)
    return ResponseError(
        problem, path, start, answer.status, answer.request_id, answer.body
    )


def normalize_finish_reason(told: str | None) -> str | None:
    """The finish reason that was *told*, in OpenAI's word if there is one."""
    return _FINISH_REASONS.get(told, told)


def _choice(choice: schema.Choice, place: int, question: ReadingContext) -> Choice:
    message = choice.message
    reasoning, source = _reasoning(message)
    return Choice(
        message=message.content or "",
        finish_reason=normalize_finish_reason(choice.finish_reason),
        raw_finish_reason=choice.finish_reason,
        index=place if choice.index is None else choice.index,
        refusal=message.refusal,
        reasoning=reasoning,
        reasoning_source=source,
        log_probs=_log_probs(choice, f"$.choices[{place}].logprobs", question),
    )


def _reasoning(message: schema.Message) -> tuple[str | None, ReasoningSource | None]:
    if message.reasoning:
        return message.reasoning, "reasoning"
    if message.reasoning_content:
        return message.reasoning_content, "reasoning_content"
    details = message.reasoning_details
    told = lenient.join_reasoning(details) if has_value(details) else None
    if told:
        return told, "reasoning_details"
    if isinstance(message, lenient.ThinkingMessage):
        return message.thinking, "content"
    return None, None


def _log_probs(
    choice: schema.Choice, path: str, question: ReadingContext
) -> LogProbs | None:
    """Of the answer's tokens, or of the refusal's if there was no answer."""
    reading = (
        None if choice.logprobs is None else find_log_probs(choice.logprobs, path, question)
    )
    if reading is None:
        return None
    load, where, is_refusal = reading
    message = choice.message
    text = message.refusal if is_refusal else message.content
    wanted = None if question.top_log_probs == _ALL else question.top_log_probs
    return LogProbs(load, Diagnosis(where, wanted, text or ""))


def find_log_probs(
    found: schema.LogProbs, path: str, question: ReadingContext
) -> tuple[Load, str, bool] | None:
    """How to read what was *found* at *path*, where it is, and if it spells a refusal.

    None if there are no log probabilities in it.
    """
    unasked = question.asks_log_probs and not question.top_log_probs
    if has_value(found.content):
        where = f"{path}.content"
        return partial(read_positions, found.content, where, unasked=unasked), where, False
    if has_value(found.refusal):
        where = f"{path}.refusal"
        return partial(read_positions, found.refusal, where, unasked=unasked), where, True
    if has_value(found.tokens):
        parts = (found.tokens, found.token_logprobs, found.top_logprobs)
        return partial(read_legacy_positions, parts, path, unasked=unasked), path, False
    return None


def _prompt(found: msgspec.Raw) -> PromptLogProbs | None:
    return (
        PromptLogProbs(partial(read_prompt_positions, found)) if has_value(found) else None
    )


def _usage(usage: schema.Usage) -> Usage:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
        cached_tokens=None if prompt is None else prompt.cached_tokens,
        reasoning_tokens=(
            usage.reasoning_tokens if completion is None else completion.reasoning_tokens
        ),
    )


def has_value(raw: msgspec.Raw) -> bool:
    """Whether *raw* is more than what servers send in the place of nothing."""
    return len(raw) > _LONGEST_ABSENT or b"".join(bytes(raw).split()) not in _ABSENT
