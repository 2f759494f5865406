"""An error response, to the exception for it.

`error_body` reads the body, `error_classes` decides the class, `retry_after` finds the
wait; this module puts the exception together.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from limin.values.masking import mask_all
from limin.values.safe_text import excerpt
from limin.wire.error_body import read_error_body

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from limin.errors import StatusError
    from limin.wire.http import HttpResponse

# OpenAI's servers overrule their clients with this header.
_SHOULD_RETRY = {"true": True, "false": False}

_FIRST_REDIRECT, _BAD_REQUEST = 300, 400
# Statuses that say little, and those in a body that say more.
_VAGUE = frozenset({400, 500})
_EXACT = frozenset({401, 402, 403, 404, 429})
# No error needs more to be understood, even if it quotes the prompt first.
_MOST_TEXTS, _LONGEST_TEXT, _LONGEST_ALL = 64, 2_048, 8_192

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
    is_redirect = response.status in _REDIRECTS
    message = _redirect_message(response) if is_redirect else body.message
    fields = (response.request_id, body.code, body.kind, body.param)
    codes, texts, shown = _masked(
        (body.codes(), (message, *_start_of(body.other_texts())), fields), secrets
    )
    request_id, code, kind, param = (
        None if field is None else excerpt(text)
        for field, text in zip(fields, shown, strict=True)
    )
    wait = retry_after.read_retry_after(
        response.headers, "\n".join(texts), now, body.leaves
    )
    words = error_classes.read_words(codes, texts, body.leaves, has_wait=wait is not None)
    status = _decisive_status(response.status, body.status)
    if status < _FIRST_REDIRECT:
        status = error_classes.status_in_words(words.all) or status
    meaning = error_classes.find_meaning(status, words, is_page=body.is_page)
    return meaning.error(
        response.status,
        excerpt(texts[0]),
        request_id,
        code=code,
        error_type=kind,
        param=param,
        retry_after=wait,
        should_retry=_SHOULD_RETRY.get(response.headers.get("x-should-retry", "")),
        body=response.body,
        body_status=meaning.status or (None if status == response.status else status),
        strikes_every_prompt=meaning.strikes_every_prompt,
    )


def _start_of(texts: Iterable[str]) -> list[str]:
    """Return *texts* as far as they are read."""
    start: list[str] = []
    size = 0
    for text in islice(texts, _MOST_TEXTS):
        start.append(text[:_LONGEST_TEXT])
        size += len(start[-1])
        if size >= _LONGEST_ALL:
            break
    return start


def _masked(
    groups: Iterable[Iterable[object]], secrets: Collection[str]
) -> list[list[str]]:
    """Return groups of values as text without the secrets, which are read only once."""
    texts = [["" if each is None else str(each) for each in group] for group in groups]
    masked = iter(mask_all([*chain.from_iterable(texts)], secrets))
    return [list(islice(masked, len(group))) for group in texts]


def _decisive_status(status: int, in_body: int | None) -> int:
    """Return the status that decides: HTTP's own, unless that of the body is more exact."""
    if in_body is None or _FIRST_REDIRECT <= status < _BAD_REQUEST:
        return status
    if status < _FIRST_REDIRECT:
        return in_body
    return in_body if status in _VAGUE and in_body in _EXACT else status


def _redirect_message(response: HttpResponse) -> str:
    return f"redirects are not followed, and this one leads to {_target(response)}"


def _target(response: HttpResponse) -> str:
    """Return the host that a redirect leads to, or say that it is the same host."""
    try:
        host = urlsplit(response.headers.get("location", "")).hostname
    except ValueError:
        host = "an address that cannot be read"
    return host or "the same host"
