"""An error answer, to the exception that says what happened.

Servers put their words into many shapes; each is read here, and no other place
knows them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from limin.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    RateLimitError,
    ServerError,
    StatusError,
)
from limin.values.safe_text import excerpt
from limin.wire import untyped
from limin.wire.retry_after import read_retry_after

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from limin.wire.http import HttpResponse

_BY_STATUS: dict[int, type[StatusError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
}

# OpenAI's servers overrule their clients with this header.
_SHOULD_RETRY = {"true": True, "false": False}

# RFC 9110, 15.4: those that lead to another place.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# What the body says is more exact than the status. OpenAI and vLLM write
# "maximum context length", llama.cpp "exceeds the available context size".
_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length"
    r"|available context size|longer than the (model's )?context",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota", re.IGNORECASE)
_FILTER = re.compile(r"content_filter|ResponsibleAIPolicyViolation")

_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(script|style).*?</\1[^>]*>|<[^>]*>", re.IGNORECASE | re.DOTALL)

# Where words are found, in this order; OpenRouter puts an error into a choice.
_HOLDS_WORDS = ("error", "message", "detail", "msg", "choices")

# What says nothing, and is not worth a quotation.
_EMPTY = frozenset({"{}", "[]", "null", '""'})

# No error needs more of its body to be understood, and a page no more of its
# start: the patterns above take quadratic time against a hostile one.
_READ = 65_536
_PAGE = 4_096


def status_error(
    answer: HttpResponse, secrets: Collection[str] = (), now: float = 0.0
) -> StatusError:
    """The exception for an answer that is an error, by its status or its body.

    Args:
        answer: The server's answer.
        secrets: Keys and prompts, which no message may repeat.
        now: When the answer came, in Unix seconds.
    """
    words, fields = _read(answer.body)
    if answer.status in _REDIRECTS:
        words = f"redirects are not followed, and this one leads to {_target(answer)}"
    code, kind, param = (_text(fields.get(name)) for name in ("code", "type", "param"))
    error = StatusError(
        answer.status,
        excerpt(words, secrets),
        answer.request_id,
        code=None if code is None else excerpt(code, secrets),
        error_type=None if kind is None else excerpt(kind, secrets),
        param=None if param is None else excerpt(param, secrets),
        retry_after=read_retry_after(answer.headers, words, now),
        should_retry=_SHOULD_RETRY.get(answer.headers.get("x-should-retry", "")),
        body=answer.body,
    )
    exact = _class_of(error.effective_status, f"{code} {kind} {words}")
    return exact(**attrs.asdict(error))


def _target(answer: HttpResponse) -> str:
    """The host that a redirect leads to, or that it is the same one."""
    try:
        host = urlsplit(answer.headers.get("location", "")).hostname
    except ValueError:
        host = "an address that cannot be read"
    return host or "the same host"


def _class_of(status: int, said: str) -> type[StatusError]:
    if status == 429:  # noqa: PLR2004 (Too Many Requests)
        return QuotaError if _QUOTA.search(said) else RateLimitError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if _CONTEXT.search(said):
        return ContextLengthError
    if status >= 500:  # noqa: PLR2004 (5xx)
        return ServerError
    if _FILTER.search(said):
        return ContentFilterError
    return BadRequestError if status >= 400 else StatusError  # noqa: PLR2004 (4xx)


def _read(body: bytes) -> tuple[str, Mapping[str, object]]:
    """The words of an error body, and the object that its other fields are in."""
    body = body[:_READ].strip()
    text = body[:_PAGE].decode("utf-8-sig", "replace")
    try:
        words, fields = _words(untyped.parse(body))
    except (ValueError, RecursionError):
        return _plain(text), {}
    return words or ("" if text in _EMPTY else text), fields


def _words(parsed: object) -> tuple[str, Mapping[str, object]]:
    many, text = untyped.as_list(parsed), untyped.as_text(parsed)
    if many:  # Gemini sends a list of one; FastAPI, of many.
        return _words(many[0])
    if text is not None:
        return _nested(text)
    fields = untyped.as_object(parsed)
    if not fields:
        return "", {}
    for name in _HOLDS_WORDS:
        words, found = _words(fields.get(name))
        if words:
            return words, found or fields
    return "", fields


def _nested(text: str) -> tuple[str, Mapping[str, object]]:
    """*text* itself, or what it says if it is an error body once more.

    Gateways put the body of the server behind them into a string.
    """
    if text.lstrip().startswith("{"):
        try:
            return _words(json.loads(text))
        except ValueError:
            pass
    return text, {}


def _plain(text: str) -> str:
    """The words of a page: its title, or its text without the tags."""
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return title[1] if title else _TAG.sub(" ", text)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
