"""A response, to a `TextCompletion` or to the exception for its error.

A body of the standard shape is decoded at once; any other is mended first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from limin.errors import ResponseError
from limin.values.completion import Choice, TextCompletion, Usage
from limin.values.log_probs import LogProbs, PromptLogProbs
from limin.values.safe_text import excerpt
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire import error_response, lenient, schema
from limin.wire.error_signs import is_error
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

# OpenAI's names for the finish reasons of others: Hugging Face, Mistral, Gemini and
# Anthropic behind gateways. Any other reason stays as it is.
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

# Values that servers send for fields without a value.
_ABSENT = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false", b"0"})
_LONGEST_ABSENT = 16  # With white space inside, as pretty-printing servers send.


class ReadingContext(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The request that a response belongs to, as far as reading the response needs it.

    Attributes:
        conversation: The conversation that was sent.
        model: The model that was requested.
        asks_log_probs: Whether log probabilities were requested.
        top_log_probs: Number of alternatives that were requested; None for none.
        n_choices: Number of choices that were requested.
        secrets: Keys and prompts, which no error message may repeat.
    """

    conversation: Conversation
    model: str
    asks_log_probs: bool = False
    top_log_probs: int | None = None
    n_choices: int = 1
    secrets: Collection[str] = ()

    def __repr__(self) -> str:
        """Return the conversation and the model, and no secret."""
        return f"ReadingContext({self.conversation!r}, model={self.model!r})"


def read_completion(
    context: ReadingContext, timing: Timing, response: HttpResponse
) -> TextCompletion:
    """Return the completion in *response*.

    Raises:
        StatusError: If the response is an error, whatever its status.
        ResponseError: If it is no JSON object, or has no choice.
    """
    if not response.is_success:
        raise error_response.status_error(response, context.secrets, timing.end_time)
    body, warnings = _decode(context, response)
    if _is_error(body, response):
        raise error_response.status_error(response, context.secrets, timing.end_time)
    if not body.choices:
        problem = "expected at least one choice, found none"
        raise response_error(problem, "$.choices", context, response)
    choices = tuple(
        _read_choice(choice, position, context)
        for position, choice in enumerate(body.choices)
    )
    if context.asks_log_probs:
        warnings += tuple(
            ResponseWarning(
                WarningCode.LOG_PROBS_MISSING, f"$.choices[{position}].logprobs", _MISSING
            )
            for position, choice in enumerate(choices)
            if choice.log_probs is None
        )
    return TextCompletion(
        conversation=context.conversation,
        model=context.model,
        choices=choices,
        timing=timing,
        served_model=body.model,
        usage=None if body.usage is None else _read_usage(body.usage),
        id=body.id,
        request_id=response.request_id,
        body_warnings=warnings,
        raw_bytes=response.body,
        prompt_log_probs=_read_prompt(body.prompt_logprobs),
    )


_MISSING = "log probabilities were asked for, and none came"


def _decode(
    context: ReadingContext, response: HttpResponse
) -> tuple[schema.Completion, tuple[ResponseWarning, ...]]:
    try:
        return schema.completion_decoder.decode(response.body), ()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return lenient.mend_completion(response.body)
    except lenient.Unmendable as error:
        if is_error(response.body):
            return schema.Completion([], error=msgspec.Raw(b"true")), ()
        raise response_error(error.problem, error.path, context, response) from None


def _is_error(body: schema.Completion, response: HttpResponse) -> bool:
    """Return whether a body is an error, though its HTTP status says success."""
    if has_value(body.error) or any(has_value(choice.error) for choice in body.choices):
        return True
    is_odd = not body.choices or len(body.errors) > 0 or len(body.base_resp) > 0
    return is_odd and is_error(response.body)


def response_error(
    problem: str, path: str, context: ReadingContext, response: HttpResponse
) -> ResponseError:
    """Return the error for a *response* without an answer: *problem* at the JSON *path*."""
    start = response.body[:4096].decode("utf-8-sig", "replace")
    return ResponseError(
        problem,
        path,
        excerpt(start, context.secrets),
        response.status,
        response.request_id,
        response.body,
    )


def normalize_finish_reason(reason: str | None) -> str | None:
    """Return OpenAI's name for the finish *reason*, if it has one, else *reason*."""
    return _FINISH_REASONS.get(reason, reason)


def _read_choice(choice: schema.Choice, position: int, context: ReadingContext) -> Choice:
    message = choice.message
    reasoning, source = _read_reasoning(message)
    return Choice(
        message=message.content or "",
        finish_reason=normalize_finish_reason(choice.finish_reason),
        raw_finish_reason=choice.finish_reason,
        index=position if choice.index is None else choice.index,
        refusal=message.refusal,
        reasoning=reasoning,
        reasoning_source=source,
        log_probs=_read_log_probs(choice, f"$.choices[{position}].logprobs", context),
    )


def _read_reasoning(message: schema.Message) -> tuple[str | None, ReasoningSource | None]:
    if message.reasoning:
        return message.reasoning, "reasoning"
    if message.reasoning_content:
        return message.reasoning_content, "reasoning_content"
    details = message.reasoning_details
    text = lenient.join_reasoning(details) if has_value(details) else None
    if text:
        return text, "reasoning_details"
    if isinstance(message, lenient.ThinkingMessage):
        return message.thinking, "content"
    return None, None


def _read_log_probs(
    choice: schema.Choice, path: str, context: ReadingContext
) -> LogProbs | None:
    """Return the log probabilities of the answer, or of the refusal if there is none."""
    if choice.logprobs is None:
        return None
    reading = find_log_probs(choice.logprobs, path, context)
    if reading is None:
        return None
    load, path, is_refusal = reading
    message = choice.message
    text = message.refusal if is_refusal else message.content
    requested = None if context.top_log_probs == _ALL else context.top_log_probs
    return LogProbs(load, Diagnosis(path, requested, text or ""))


def find_log_probs(
    lists: schema.LogProbs, path: str, context: ReadingContext
) -> tuple[Load, str, bool] | None:
    """Find the list of tokens that has a value; None if there is none.

    Returns:
        How to read the list, its JSON path, and whether it spells a refusal.
    """
    unasked = context.asks_log_probs and not context.top_log_probs
    if has_value(lists.content):
        inner = f"{path}.content"
        return partial(read_positions, lists.content, inner, unasked=unasked), inner, False
    if has_value(lists.refusal):
        inner = f"{path}.refusal"
        return partial(read_positions, lists.refusal, inner, unasked=unasked), inner, True
    if has_value(lists.tokens):
        parts = (lists.tokens, lists.token_logprobs, lists.top_logprobs)
        return partial(read_legacy_positions, parts, path, unasked=unasked), path, False
    return None


def _read_prompt(positions: msgspec.Raw) -> PromptLogProbs | None:
    if not has_value(positions):
        return None
    return PromptLogProbs(partial(read_prompt_positions, positions))


def _read_usage(usage: schema.Usage) -> Usage:
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
    """Return whether *raw* holds a value: not null, empty, false or 0."""
    size = len(raw)
    if size == 0 or size > _LONGEST_ABSENT:
        return size > 0
    return b"".join(bytes(raw).split()) not in _ABSENT
