"""The bytes of an answer, to a `TextCompletion` or the error that they tell.

The standard shape takes the fast way; any other is mended first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
import msgspec

from limin.completion import Choice, TextCompletion, Usage
from limin.diagnostics import ResponseWarning, WarningCode
from limin.errors import ResponseError
from limin.logprobs import LogProbs, Position
from limin.visible import excerpt
from limin.wire import Answer, failure, mend, schema

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from limin.completion import Timing
    from limin.conversation import Conversation

# What servers send in the place of nothing.
_ABSENT = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false"})
_LONGEST_ABSENT = max(map(len, _ABSENT))


@attrs.frozen(kw_only=True)
class Question:
    """What an answer is read against.

    Attributes:
        conversation: What was asked.
        model: The model that was asked for.
        asks_log_probs: Whether log probabilities were asked for.
        secrets: Keys and prompts, which no error message may repeat.
    """

    conversation: Conversation
    model: str
    asks_log_probs: bool = False
    secrets: Collection[str] = attrs.field(default=(), repr=False)


def read_completion(question: Question, timing: Timing, answer: Answer) -> TextCompletion:
    """The completion that *answer* holds.

    Raises:
        StatusError: If the answer is an error, whatever its status.
        ResponseError: If it is no JSON object, or has no choice.
    """
    if not 200 <= answer.status < 300:  # noqa: PLR2004 (2xx)
        raise failure.status_error(answer, question.secrets)
    body, warnings = _decode(question, answer)
    if _present(body.error) or any(_present(choice.error) for choice in body.choices):
        raise failure.status_error(answer, question.secrets)
    if not body.choices:
        problem = "expected at least one choice, found none"
        raise _response_error(problem, "$.choices", question, answer)
    choices = tuple(_choice(choice) for choice in body.choices)
    if question.asks_log_probs and choices[0].log_probs is None:
        warnings = (*warnings, _LOG_PROBS_MISSING)
    return TextCompletion(
        conversation=question.conversation,
        model=question.model,
        choices=choices,
        timing=timing,
        served_model=body.model,
        usage=None if body.usage is None else _usage(body.usage),
        id=body.id,
        request_id=answer.request_id,
        warnings=warnings,
        raw_bytes=answer.body,
    )


_LOG_PROBS_MISSING = ResponseWarning(
    WarningCode.LOG_PROBS_MISSING,
    "$.choices[0].logprobs",
    "log probabilities were asked for, and none came",
)


def _decode(
    question: Question, answer: Answer
) -> tuple[schema.Completion, tuple[ResponseWarning, ...]]:
    try:
        return schema.completion_decoder.decode(answer.body), ()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return mend.mend_completion(answer.body)
    except mend.Unmendable as error:
        raise _response_error(error.problem, error.path, question, answer) from None


def _response_error(
    problem: str, path: str, question: Question, answer: Answer
) -> ResponseError:
    start = excerpt(answer.body[:4096].decode("utf-8-sig", "replace"), question.secrets)
    return ResponseError(
        problem, path, start, answer.status, answer.request_id, answer.body
    )


def _choice(choice: schema.Choice) -> Choice:
    message = choice.message
    return Choice(
        message=message.content or "",
        finish_reason=choice.finish_reason or None,
        index=choice.index,
        refusal=message.refusal,
        reasoning=message.reasoning or message.reasoning_content,
        log_probs=None if choice.logprobs is None else _log_probs(choice.logprobs),
    )


def _log_probs(found: schema.LogProbs) -> LogProbs | None:
    """Of the answer's tokens, or of the refusal's if there was no answer."""
    for tokens in (found.content, found.refusal):
        if _present(tokens):
            return LogProbs(partial(_positions, tokens))
    return None


def _positions(tokens: msgspec.Raw) -> Sequence[Position]:
    try:
        return schema.positions_decoder.decode(tokens)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return mend.mend_positions(bytes(tokens))


def _usage(usage: schema.Usage) -> Usage:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
        cached_tokens=None if prompt is None else prompt.cached_tokens,
        reasoning_tokens=None if completion is None else completion.reasoning_tokens,
    )


def _present(raw: msgspec.Raw) -> bool:
    return len(raw) > _LONGEST_ABSENT or bytes(raw) not in _ABSENT
