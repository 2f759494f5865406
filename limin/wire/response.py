"""A response, to a `TextCompletion` or to the exception for its error.

A body of the standard shape is decoded at once; any other is mended first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from limin.errors import LiminError, ResponseError, StatusError
from limin.values.choice import Choice
from limin.values.completion import TextCompletion
from limin.values.log_probs import LogProbs, PromptLogProbs
from limin.values.safe_text import excerpt
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire import error_response, lenient, schema
from limin.wire.error_signs import is_error, reports_error
from limin.wire.finish_reasons import is_failure, normalize_finish_reason
from limin.wire.log_prob_checks import Diagnosis
from limin.wire.log_probs import (
    read_legacy_positions,
    read_positions,
    read_prompt_positions,
)
from limin.wire.prefill import find_prefill
from limin.wire.raw_json import UNDECODABLE, decode_fields, has_value
from limin.wire.sampling import Sampling
from limin.wire.surrogates import mend_json
from limin.wire.token_texts import AnswerText
from limin.wire.tool_calls import (
    calls_tools,
    check_tool_choice,
    read_message,
    read_tool_calls,
)
from limin.wire.usage import read_usage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from limin.values.choice import ReasoningSource
    from limin.values.conversation import Conversation
    from limin.values.log_probs import Load
    from limin.values.timing import Timing
    from limin.wire.http import HttpResponse

# OpenAI takes 128 at most; each costs more than the bytes that name it.
MOST_CHOICES = 1024

# Objects beside the choices that may hold the usage: Groq's streams.
_WITH_USAGE = ("x_groq",)

# The lists of tokens in `logprobs`, the answer's first, and those of the old API.
_REASONING_LISTS = ("reasoning_content", "reasoning")
_LISTS = ("content", "refusal", *_REASONING_LISTS)
_LEGACY_LISTS = ("tokens", "token_logprobs")


class ReadingContext(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The request that a response belongs to, as far as reading the response needs it.

    Attributes:
        conversation: The conversation that was sent.
        model: The model that was requested.
        asks_log_probs: Whether log probabilities were requested.
        top_log_probs: Number of alternatives that were requested; None for none.
        n_choices: Number of choices that were requested.
        sampling: How the tokens were to be chosen.
        secrets: Keys and prompts, which no error message may repeat.
        endpoint: The base URL that was asked, without query and secrets; None if it is
            not known.
    """

    conversation: Conversation
    model: str
    asks_log_probs: bool = False
    top_log_probs: int | None = None
    n_choices: int = 1
    sampling: Sampling = Sampling()
    secrets: Collection[str] = ()
    endpoint: str | None = None

    def __repr__(self) -> str:
        """Return the conversation and the model, and no secret."""
        return f"ReadingContext({self.conversation!r}, model={self.model!r})"


def read_completion(
    context: ReadingContext,
    timing: Timing,
    response: HttpResponse,
    *,
    is_stream: bool = False,
    n_halves: int = 0,
) -> TextCompletion:
    """Return the completion in *response*.

    Args:
        context: The request that it belongs to.
        timing: The timing of the completion.
        response: The response, whole.
        is_stream: Whether its body was assembled from a stream.
        n_halves: Number of halves of surrogate pairs that were mended already.

    Raises:
        StatusError: If the response is an error, whatever its status.
        ResponseError: If it is no JSON object, or has no choice.
    """
    # A traceback shows the local variables of this function, and so no bytes: a server
    # may echo the key.
    answer = _read(context, timing, response, is_stream=is_stream, n_halves=n_halves)
    if isinstance(answer, LiminError):
        raise answer
    return answer


def _read(
    context: ReadingContext,
    timing: Timing,
    response: HttpResponse,
    *,
    is_stream: bool,
    n_halves: int,
) -> TextCompletion | StatusError | ResponseError:
    if not response.is_success:
        return error_response.status_error(response, context.secrets, timing.end_time)
    data, n_more = mend_json(response.body)
    decoded = _decode(context, response, data)
    if isinstance(decoded, ResponseError):
        return decoded
    body, warnings = decoded
    if _is_error(body, response):
        return error_response.status_error(response, context.secrets, timing.end_time)
    if not 1 <= len(body.choices) <= MOST_CHOICES:
        problem = TOO_MANY_CHOICES if body.choices else _NO_CHOICE
        return response_error(problem, "$.choices", context.secrets, response)
    if n_halves := n_halves + n_more:
        warning = ResponseWarning(WarningCode.HALF_SURROGATE, "$", _HALVES, n_halves)
        warnings = (*warnings, warning)
    prefill = None if is_stream else find_prefill(body, context, data)
    choices = tuple(
        _read_choice(choice, position, context, prefill or "", response.body)
        for position, choice in enumerate(body.choices)
    )
    usage, notes = _find_usage(body, data)
    return TextCompletion(
        conversation=context.conversation,
        model=context.model,
        choices=choices,
        timing=timing,
        served_model=body.model,
        usage=None if usage is None else read_usage(usage),
        id=body.id,
        request_id=response.request_id,
        body_warnings=warnings
        + notes
        + _check_choices(body, context)
        + check_tool_choice(choices, body, context.sampling, is_stream=is_stream),
        raw_bytes=response.body,
        prompt_log_probs=_read_prompt(body.prompt_logprobs),
        prefill=prefill,
        endpoint=context.endpoint,
    )


TOO_MANY_CHOICES = f"expected at most {MOST_CHOICES} choices, found more"
_NO_CHOICE = "expected at least one choice, found none"
_HALVES = "U+FFFD in the place of half of a surrogate pair"
_MISSING = "log probabilities were asked for, and none came"


def _check_choices(
    body: schema.Completion, context: ReadingContext
) -> tuple[ResponseWarning, ...]:
    """Return the warnings about log probabilities, choices and reasons that are odd."""
    warnings: list[ResponseWarning] = []
    for position, choice in enumerate(body.choices):
        # OpenAI sends none for the text of calls.
        is_text = bool(choice.message.content) or not calls_tools(choice.message)
        if context.asks_log_probs and is_text and not has_lists(choice.logprobs):
            path = f"$.choices[{position}].logprobs"
            code = WarningCode.LOG_PROBS_MISSING
            warnings.append(ResponseWarning(code, path, _MISSING))
        if is_failure(choice.finish_reason):
            path = f"$.choices[{position}].finish_reason"
            problem = "the reason for the end speaks of a failure"
            warnings.append(ResponseWarning(WarningCode.FAILED_FINISH, path, problem))
    if len(body.choices) < context.n_choices:
        problem = f"expected {context.n_choices} choices, found {len(body.choices)}"
        warnings.append(ResponseWarning(WarningCode.FEWER_CHOICES, "$.choices", problem))
    return tuple(warnings)


def _find_usage(
    body: schema.Completion, data: bytes
) -> tuple[schema.Usage | None, tuple[ResponseWarning, ...]]:
    """Find the usage, at the top or at another place where servers put it."""
    if body.usage is not None:
        return body.usage, ()
    for position, choice in enumerate(body.choices):  # Moonshot.
        if has_value(choice.usage):
            return _decode_usage(choice.usage, f"$.choices[{position}].usage")
    for name in _WITH_USAGE:
        if name.encode() in data:
            usage = decode_fields(bytes(decode_fields(data).get(name, b""))).get("usage")
            if usage is not None and has_value(usage):
                return _decode_usage(usage, f"$.{name}.usage")
    return None, ()


def _decode_usage(
    usage: msgspec.Raw, path: str
) -> tuple[schema.Usage | None, tuple[ResponseWarning, ...]]:
    try:
        return schema.usage_decoder.decode(usage), ()
    except UNDECODABLE:
        return lenient.mend_usage(usage, path)


def _decode(
    context: ReadingContext, response: HttpResponse, data: bytes
) -> tuple[schema.Completion, tuple[ResponseWarning, ...]] | ResponseError:
    try:
        return schema.completion_decoder.decode(data), ()
    except UNDECODABLE:
        pass
    try:
        return lenient.mend_completion(data)
    except lenient.NoAnswerError as error:
        if is_error(response.body):
            return schema.Completion([], error=msgspec.Raw(b"true")), ()
        return response_error(error.problem, error.path, context.secrets, response)


def _is_error(body: schema.Completion, response: HttpResponse) -> bool:
    """Return whether a body is an error, though its HTTP status says success."""
    if reports_error(body.error) or any(reports_error(c.error) for c in body.choices):
        return True
    is_odd = not body.choices or len(body.errors) > 0 or len(body.base_resp) > 0
    return is_odd and is_error(response.body)


def response_error(
    problem: str, path: str, secrets: Collection[str], response: HttpResponse
) -> ResponseError:
    """Return the error for a *response* without an answer: *problem* at the JSON *path*.

    It repeats none of the *secrets*.
    """
    start = response.body[:4096].decode("utf-8-sig", "replace")
    return ResponseError(
        problem,
        path,
        excerpt(start, secrets),
        response.status,
        excerpt(response.request_id, secrets) if response.request_id else None,
        response.body,
    )


def _read_choice(
    choice: schema.Choice,
    position: int,
    context: ReadingContext,
    prefill: str,
    body: bytes,
) -> Choice:
    message = choice.message
    reasoning, source = _read_reasoning(message)
    text = (message.content or "").removeprefix(prefill)
    log_probs = reasoning_log_probs = None
    if choice.logprobs is not None:
        path = f"$.choices[{position}].logprobs"
        answer = AnswerText(text, reasoning or "", calls_tools(message))
        log_probs, reasoning_log_probs = _read_log_probs(
            choice, choice.logprobs, path, context, answer
        )
    return Choice(
        message=text,
        finish_reason=normalize_finish_reason(choice.finish_reason),
        raw_finish_reason=choice.finish_reason,
        index=position if choice.index is None else choice.index,
        refusal=message.refusal,
        reasoning=reasoning,
        reasoning_source=source,
        log_probs=log_probs,
        reasoning_log_probs=reasoning_log_probs,
        tool_calls=read_tool_calls(message, context.conversation)
        if calls_tools(message)
        else (),
        read_message=partial(read_message, body, position),
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
    if isinstance(message, lenient.PartsMessage) and message.thinking:
        return message.thinking, "content"
    return None, None


def _read_log_probs(
    choice: schema.Choice,
    lists: schema.LogProbs,
    path: str,
    context: ReadingContext,
    answer: AnswerText,
) -> tuple[LogProbs | None, LogProbs | None]:
    """Return the log probabilities of the answer, and those of the reasoning.

    Without an answer, those of the refusal or of the reasoning stand in their place.
    """
    sampling = context.sampling
    if sampling.must_call and answer.calls_tools:  # vLLM forces the call by a grammar.
        sampling = msgspec.structs.replace(sampling, is_constrained=True)
        context = msgspec.structs.replace(context, sampling=sampling)
    texts = {"refusal": choice.message.refusal or ""}
    texts |= dict.fromkeys(_REASONING_LISTS, answer.reasoning)
    readings = {
        reading.name: LogProbs(
            reading.load,
            Diagnosis(
                reading.path,
                context.top_log_probs,
                AnswerText(texts[reading.name]) if reading.name in texts else answer,
                sampling,
            ),
        )
        for reading in find_log_probs(lists, path, context, choice.token_ids)
    }
    reasoning = next(
        (readings[name] for name in _REASONING_LISTS if name in readings), None
    )
    names = [name for name in readings if not (answer.text and name in _REASONING_LISTS)]
    return (readings[names[0]] if names else None), reasoning


class LogProbsReading(NamedTuple):
    """How to read one list of tokens.

    Attributes:
        name: Its name among the lists.
        path: Its JSON path.
        load: Reads it.
    """

    name: str
    path: str
    load: Load


def has_lists(lists: schema.LogProbs | None) -> bool:
    """Return whether any list of tokens has a value."""
    names = (*_LISTS, *_LEGACY_LISTS)
    return lists is not None and any(has_value(getattr(lists, name)) for name in names)


def find_log_probs(
    lists: schema.LogProbs, path: str, context: ReadingContext, ids: msgspec.Raw
) -> Iterator[LogProbsReading]:
    """Yield how to read each list of tokens that has a value, the answer's first.

    Args:
        lists: The lists of one choice.
        path: Their JSON path.
        context: The request that they belong to.
        ids: The ids of the sampled tokens, as vLLM sends them beside the lists.
    """
    read, read_legacy = (
        partial(
            reader,
            unasked=context.asks_log_probs and not context.top_log_probs,
            is_constrained=context.sampling.is_constrained,
        )
        for reader in (read_positions, read_legacy_positions)
    )
    ids = lists.token_ids if has_value(lists.token_ids) else ids
    for name in _LISTS:
        tokens: msgspec.Raw = getattr(lists, name)
        if len(tokens) and has_value(tokens):
            inner = f"{path}.{name}"
            load = partial(read, tokens, inner, ids=ids)
            yield LogProbsReading(name, inner, load)
            ids = msgspec.Raw()
    if any(has_value(getattr(lists, name)) for name in _LEGACY_LISTS):
        parts = (lists.tokens, lists.token_logprobs, lists.top_logprobs)
        if not has_value(lists.tokens):  # Ids, and no texts.
            parts = (lists.token_ids, lists.token_logprobs, lists.top_logprobs)
        load = partial(read_legacy, parts, path, ids=ids)
        yield LogProbsReading("tokens", path, load)


def _read_prompt(positions: msgspec.Raw) -> PromptLogProbs | None:
    if not has_value(positions):
        return None
    return PromptLogProbs(partial(read_prompt_positions, positions))
