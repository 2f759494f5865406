"""An error response, to the exception for it.

`error_body` reads the body, `error_classes` decides the class, `retry_after` finds the
wait; this module puts the exception together.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from limin.values.safe_text import excerpt
from limin.wire.error_body import read_error_body

if TYPE_CHECKING:
    from collections.abc import Collection

    from limin.errors import StatusError
    from limin.wire.http import HttpResponse

# OpenAI's servers overrule their clients with this header.
_SHOULD_RETRY = {"true": True, "false": False}

_FIRST_REDIRECT, _BAD_REQUEST = 300, 400
# Statuses that say little, and those in a body that say more.
_VAGUE = frozenset({400, 500})
_EXACT = frozenset({401, 402, 403, 404, 429})
_MOST_TEXTS, _LONGEST_TEXT = 64, 4_096  # No error needs more to be understood.
_SHORTEST_PROMPT = 16  # A shorter one occurs in the words of servers.

# RFC 9110, 15.4: those that lead to another URL.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def status_error(
    response: HttpResponse, secrets: Collection[str] = (), now: float = 0.0
) -> StatusError:
    """Return the exception for an error response, by its status or its body.

    Args:
        response: The response.
        secrets: Keys and prompts, which no message may repeat.
        now: When the response came, in Unix seconds.
    """
    # Their tables take as long to load as the rest of limin, and most runs need none.
    from limin.wire import error_classes, retry_after  # noqa: PLC0415 (slow to load)

    body = read_error_body(response.body)
    message = body.message
    if response.status in _REDIRECTS:
        message = f"redirects are not followed, and this one leads to {_target(response)}"
    some = islice(body.texts(), _MOST_TEXTS)
    texts = [_without(text[:_LONGEST_TEXT], secrets) for text in some]
    wait = retry_after.read_retry_after(
        response.headers, "\n".join(texts), now, body.leaves
    )
    codes = map(str, filter(None, (body.code, body.kind)))
    text = error_classes.plain_text(
        (*error_classes.code_words(body.leaves), *codes, *texts)
    )
    status = _decisive_status(response.status, body.status)
    if status < _FIRST_REDIRECT:
        status = error_classes.status_in_words(text) or status
    meaning = error_classes.find_meaning(
        status, text, has_wait=wait is not None, is_page=body.is_page
    )
    return meaning.error(
        response.status,
        excerpt(message, secrets),
        _quote(response.request_id, secrets),
        code=_quote(body.code, secrets),
        error_type=_quote(body.kind, secrets),
        param=_quote(body.param, secrets),
        retry_after=wait,
        should_retry=_SHOULD_RETRY.get(response.headers.get("x-should-retry", "")),
        body=response.body,
        body_status=meaning.status or (None if status == response.status else status),
        strikes_every_prompt=meaning.strikes_every_prompt,
    )


def _decisive_status(status: int, in_body: int | None) -> int:
    """Return the status that decides: HTTP's own, unless that of the body is more exact."""
    if in_body is None or _FIRST_REDIRECT <= status < _BAD_REQUEST:
        return status
    if status < _FIRST_REDIRECT:
        return in_body
    return in_body if status in _VAGUE and in_body in _EXACT else status


def _without(text: str, secrets: Collection[str]) -> str:
    """Return *text* without the prompts that it quotes: their words mean nothing."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_PROMPT and secret in text:
            text = text.replace(secret, " ")
    return text


def _target(response: HttpResponse) -> str:
    """Return the host that a redirect leads to, or say that it is the same host."""
    try:
        host = urlsplit(response.headers.get("location", "")).hostname
    except ValueError:
        host = "an address that cannot be read"
    return host or "the same host"


def _quote(value: object, secrets: Collection[str]) -> str | None:
    return None if value is None else excerpt(str(value), secrets)
