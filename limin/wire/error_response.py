"""An error response, to the exception for it.

Servers report errors in bodies of many shapes. Only this module knows them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

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
    effective_status,
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

# RFC 9110, 15.4: those that lead to another URL.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# The body is more exact than the status. OpenAI and vLLM write
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

# Where messages stand, in the order in which they are looked for. OpenRouter puts an
# error into a choice.
_MESSAGE_FIELDS = ("error", "message", "detail", "msg", "choices")

# Bodies that say nothing, and are not worth a quotation.
_EMPTY = frozenset({"{}", "[]", "null", '""'})

# No error needs more of its body to be understood, and a page no more of its
# start: the patterns above take quadratic time against a hostile one.
_LONGEST_BODY = 65_536
_LONGEST_PAGE = 4_096


def status_error(
    response: HttpResponse, secrets: Collection[str] = (), now: float = 0.0
) -> StatusError:
    """Return the exception for an error response, by its status or its body.

    Args:
        response: The response.
        secrets: Keys and prompts, which no message may repeat.
        now: When the response came, in Unix seconds.
    """
    message, fields = _read(response.body)
    if response.status in _REDIRECTS:
        message = f"redirects are not followed, and this one leads to {_target(response)}"
    code, kind = fields.get("code"), fields.get("type")
    quoted_code = _quote(code, secrets)
    status = effective_status(response.status, quoted_code)
    return _error_class(status, f"{code} {kind} {message}")(
        response.status,
        excerpt(message, secrets),
        response.request_id,
        code=quoted_code,
        error_type=_quote(kind, secrets),
        param=_quote(fields.get("param"), secrets),
        retry_after=read_retry_after(response.headers, message, now),
        should_retry=_SHOULD_RETRY.get(response.headers.get("x-should-retry", "")),
        body=response.body,
    )


def _target(response: HttpResponse) -> str:
    """Return the host that a redirect leads to, or say that it is the same host."""
    try:
        host = urlsplit(response.headers.get("location", "")).hostname
    except ValueError:
        host = "an address that cannot be read"
    return host or "the same host"


def _error_class(status: int, text: str) -> type[StatusError]:
    if status == 429:  # noqa: PLR2004 (Too Many Requests)
        return QuotaError if _QUOTA.search(text) else RateLimitError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if _CONTEXT.search(text):
        return ContextLengthError
    if status >= 500:  # noqa: PLR2004 (5xx)
        return ServerError
    if _FILTER.search(text):
        return ContentFilterError
    return BadRequestError if status >= 400 else StatusError  # noqa: PLR2004 (4xx)


def _read(body: bytes) -> tuple[str, Mapping[str, object]]:
    """Return the message of an error body, and the object that has its other fields."""
    body = body[:_LONGEST_BODY].strip()
    text = body[:_LONGEST_PAGE].decode("utf-8-sig", "replace")
    try:
        message, fields = _find_message(untyped.parse(body))
    except (ValueError, RecursionError):
        return _plain_text(text), {}
    return message or ("" if text in _EMPTY else text), fields


def _find_message(value: object) -> tuple[str, Mapping[str, object]]:
    """Return the message in parsed JSON, and the object that it stands in."""
    elements, text = untyped.as_list(value), untyped.as_text(value)
    if elements:  # Gemini sends a list of one error; FastAPI, of several.
        return _find_message(elements[0])
    if text is not None:
        return _unwrap(text)
    fields = untyped.as_object(value)
    if not fields:
        return "", {}
    for name in _MESSAGE_FIELDS:
        message, inner = _find_message(fields.get(name))
        if message:
            return message, inner or fields
    return "", fields


def _unwrap(text: str) -> tuple[str, Mapping[str, object]]:
    """Return *text*, or the message in it if it is an error body itself.

    Gateways put the body of the server behind them into a string.
    """
    if text.lstrip().startswith("{"):
        try:
            return _find_message(json.loads(text))
        except ValueError:
            pass
    return text, {}


def _plain_text(text: str) -> str:
    """Return the title of a page, or its text without the tags."""
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return title[1] if title else _TAG.sub(" ", text)


def _quote(value: object, secrets: Collection[str]) -> str | None:
    return None if value is None else excerpt(str(value), secrets)
