"""Odd answers of QUIRKS whose body is not quite OpenAI's.

A row says what is laid over the standard body: fields of each message, of each choice, of
the body, and what becomes of the list of tokens.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from limin.testing.answers import Quirk
from limin.testing.bodies import body_of
from limin.testing.responses import as_asked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from limin.testing.requests import Request
    from limin.testing.responses import Response
    from limin.testing.script_checks import ScriptedToken

    Fields: TypeAlias = Mapping[str, Any]
    # Fields as they are, or made of the text and the request.
    MadeFields: TypeAlias = Fields | Callable[[str, Request], Fields]
    Tokens: TypeAlias = list[dict[str, Any]]
    ChangedTokens: TypeAlias = Callable[[Tokens], object]

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}

_UNCHANGED: Fields = MappingProxyType({})
ABSENT = object()  # In the place of a value: the field is left out.
_WORD = re.compile(r"\s*\S+|\s+")
_CITY = '{"city":"Paris"}'  # The text where the model calls a tool: its arguments.


def tokens_of(text: str) -> list[ScriptedToken]:
    """Return the words of *text* as likely tokens, each with as many alternatives as asked.

    Together they have less than the whole probability.
    """
    others = {f" other{rank}": -6 - rank / 10 for rank in range(19)}
    return [(word, -0.1, others) for word in _WORD.findall(text)]


def standard_body(text: str, request: Request) -> dict[str, Any]:
    """Return the body that a server without quirks sends."""
    message = {"role": "assistant", "content": text}
    return {**body_of(message, request, tokens_of(text)), "usage": USAGE}


@attrs.frozen
class _Change:
    """What is laid over a standard body; see the top."""

    message: MadeFields
    choice: MadeFields
    body: MadeFields
    tokens: ChangedTokens | None
    most_choices: int | None

    def respond(self, request: Request, text: str) -> Response:
        """Return the changed body, whole or as a stream."""
        body = standard_body(text, request)
        choices = body["choices"][: self.most_choices]
        body["choices"] = [self._changed(choice, request, text) for choice in choices]
        return as_asked(_laid_over(body, self.body, request, text), request)

    def _changed(self, choice: Fields, request: Request, text: str) -> dict[str, Any]:
        message = _laid_over(choice["message"], self.message, request, text)
        log_probs: Any = choice["logprobs"]
        if self.tokens is not None and log_probs is not None:
            log_probs = self.tokens(log_probs["content"])
        changed = {**choice, "message": message, "logprobs": log_probs}
        return _laid_over(changed, self.choice, request, text)


def _laid_over(
    fields: Fields, change: MadeFields, request: Request, text: str
) -> dict[str, Any]:
    """Return *fields* with those of *change*, and without what that makes absent."""
    made = change(text, request) if callable(change) else change
    merged = {**fields, **made}
    return {name: value for name, value in merged.items() if value is not ABSENT}


def odd(
    name: str,
    servers: str,
    description: str,
    *,
    text: str = "Paris.",
    message: MadeFields = _UNCHANGED,
    choice: MadeFields = _UNCHANGED,
    body: MadeFields = _UNCHANGED,
    tokens: ChangedTokens | None = None,
    most_choices: int | None = None,
) -> Quirk:
    """Return the quirk that lays these fields over the standard body."""
    change = _Change(message, choice, body, tokens, most_choices)
    return Quirk(
        name=name,
        servers=servers,
        description=description,
        text=text,
        respond=change.respond,
    )


def _finish(reason: str | None) -> Fields:
    return {"finish_reason": reason}


def _call(arguments: object, request: Request) -> dict[str, Any]:
    """Return a call of the first tool that *request* offers."""
    tools: Any = request.parameters.get("tools") or [{"function": {"name": "get_weather"}}]
    function = {"name": tools[0]["function"]["name"], "arguments": arguments}
    return {"id": "call_1", "type": "function", "function": function}


def without(fields: Fields, *names: str) -> dict[str, Any]:
    """Return *fields* without those with *names*."""
    return {name: value for name, value in fields.items() if name not in names}


BODIES = (
    odd(
        "content-null",
        "OpenAI",
        "The model refuses: the content is null, and the words are under `refusal`.",
        message=lambda text, _: {"content": None, "refusal": text},
        choice={"logprobs": None},
    ),
    odd(
        "content-absent",
        "Azure",
        "A content filter has taken the content: the message has none, not even null.",
        message={"content": ABSENT},
        choice={
            "finish_reason": "content_filter",
            "content_filter_results": {"hate": {"filtered": True, "severity": "high"}},
            "logprobs": None,
        },
        body={"prompt_filter_results": [{"prompt_index": 0}]},
    ),
    odd(
        "content-parts",
        "Mistral",
        "The content is a list of parts, and the reasoning is one of them.",
        message=lambda text, _: {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                {"type": "text", "text": text},
            ]
        },
    ),
    odd(
        "message-absent",
        "Gemini",
        "Reasoning took all tokens: the choice has no message, and nobody counted it.",
        choice={"message": ABSENT, "finish_reason": "length", "logprobs": ABSENT},
        body={"usage": {"prompt_tokens": 9, "total_tokens": 512}},
    ),
    odd(
        "reasoning",
        "vLLM, OpenRouter, Ollama",
        "The reasoning is under `reasoning`.",
        message={"reasoning": "Which city was it?"},
    ),
    odd(
        "reasoning-content",
        "DeepSeek, SGLang, llama.cpp",
        "The reasoning is under `reasoning_content`.",
        message={"reasoning_content": "Which city was it?"},
    ),
    odd(
        "half-surrogate",
        "several servers",
        "The text ends in half of a surrogate pair, which is no character.",
        message=lambda text, _: {"content": text + "\ud83d"},
        choice={"logprobs": None},
    ),
    odd(
        "choices-fewer",
        "Ollama",
        "One choice comes, however many were asked for.",
        most_choices=1,
    ),
    odd(
        "model-other",
        "OpenRouter",
        "Another model answers than the one that was asked.",
        body={"model": "another/model", "provider": "Together"},
    ),
    odd(
        "metadata-odd",
        "Azure and others",
        "The id and the kind of the object are empty, and the date is a fraction.",
        body={"id": "", "object": "", "created": 0.5},
    ),
)

FINISHES = (
    odd(
        "finish-null",
        "several servers",
        "The finish reason of a finished answer is null.",
        choice=_finish(None),
    ),
    odd(
        "finish-empty",
        "LocalAI, SGLang before 2025",
        "The finish reason is an empty text.",
        choice=_finish(""),
    ),
    odd(
        "finish-eos",
        "TGI",
        "The finish reason of a normal end has another name, `eos_token`.",
        choice=_finish("eos_token"),
    ),
    odd(
        "finish-model-length",
        "Mistral",
        "The finish reason of an answer that was cut has another name.",
        choice=_finish("model_length"),
    ),
    odd(
        "finish-abort",
        "vLLM, SGLang",
        "The server gave the answer up, and says so in the finish reason alone.",
        choice=_finish("abort"),
    ),
    odd(
        "finish-no-resource",
        "DeepSeek",
        "The server ran out of resources, and says so in the finish reason alone.",
        choice=_finish("insufficient_system_resource"),
    ),
)

USAGES = (
    odd(
        "usage-absent",
        "several servers",
        "Nobody counts the tokens.",
        body={"usage": ABSENT},
    ),
    odd("usage-null", "several servers", "The usage is null.", body={"usage": None}),
    odd("usage-text", "several servers", "The usage is a text.", body={"usage": "unknown"}),
    odd(
        "usage-in-choice",
        "Moonshot",
        "The usage stands in the choice.",
        choice={"usage": USAGE},
        body={"usage": ABSENT},
    ),
)

TOOLS = (
    odd(
        "tool-arguments-broken",
        "models on any server",
        "The arguments of a tool call end in the middle of their JSON.",
        text=_CITY,
        message=lambda text, request: {
            "content": None,
            "tool_calls": [_call(text[:-1], request)],
        },
        choice={"finish_reason": "tool_calls", "logprobs": None},
    ),
    odd(
        "tool-arguments-object",
        "several servers",
        "The arguments of a tool call are an object in the place of a text.",
        text=_CITY,
        message=lambda text, request: {
            "content": None,
            "tool_calls": [_call({"city": text}, request)],
        },
        choice={"finish_reason": "tool_calls", "logprobs": None},
    ),
    odd(
        "tool-id-absent",
        "several servers",
        "A tool call has no id.",
        text=_CITY,
        message=lambda text, request: {
            "content": "",
            "tool_calls": [without(_call(text, request), "id")],
        },
        choice={"finish_reason": "tool_calls", "logprobs": None},
    ),
    odd(
        "tool-finish-stop",
        "vLLM with a named tool",
        "A tool call ends with the finish reason of a text.",
        text=_CITY,
        message=lambda text, request: {
            "content": None,
            "tool_calls": [_call(text, request)],
        },
        choice={"finish_reason": "stop", "logprobs": None},
    ),
    odd(
        "function-call",
        "the first form of OpenAI's API",
        "A tool call has the old shape, `function_call`.",
        text=_CITY,
        message=lambda text, request: {
            "content": None,
            "function_call": _call(text, request)["function"],
        },
        choice={"finish_reason": "function_call", "logprobs": None},
    ),
)

ODD_BODIES = (*BODIES, *FINISHES, *USAGES, *TOOLS)
