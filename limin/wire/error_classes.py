"""The class of an error, decided in one place, by the tables of `error_meanings`.

What the body says is more exact than the status, which decides where the body says
nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

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
from limin.wire.error_meanings import (
    ACCOUNT,
    BAD_KEY,
    CODES,
    CONTENT,
    CONTEXT,
    COUNTRY,
    EVERY_PROMPT,
    FAULT,
    LENGTH,
    MAYBE_USED_UP,
    NO_MODEL,
    NO_PROMPT,
    PASSING,
    RATE,
    STATUSES,
    TOO_LONG,
    USED_UP,
    WINDOW,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST_TEXT = 4_096
_LONGEST_ALL = 8_192

_LINK = re.compile(r"https?://[^\s\"'<>)]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SENTENCE_END = re.compile(r"[.;!?。；！？]+(?=\s|$|[^\x00-\x7f])|[。；！？\n]+")
_SEPARATORS = re.compile(r"(?<![.\s])\.(?=\S)|[_\-/'\"`’*\\:,()\[\]{}|，、：（）「」【】]+")
_SPACES = re.compile(r"[^\S\n]+")
# The answer's own limit is none of the prompt.
_ANSWER_LIMIT = re.compile(r"\bmax (?:new |completion |output |generated )?tokens\b")
_ANSWER_TOKENS = re.compile(r"\b(?:completion|output|generated|new) tokens\b")

_BY_STATUS: dict[int, type[StatusError]] = {
    401: AuthenticationError,
    402: QuotaError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
}
# The status of a meaning, where HTTP says success and the body names no status.
_STATUS_OF: dict[type[StatusError], int] = {
    QuotaError: 402,
    RateLimitError: 429,
    AuthenticationError: 401,
    PermissionDeniedError: 403,
    ContextLengthError: 400,
    ContentFilterError: 400,
    ServerError: 503,
}

_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _FAILED = 401, 403, 429, 500
_CLIENT_ERRORS, _SERVER_ERRORS = range(400, 500), range(500, 1000)


def plain_text(texts: Iterable[str]) -> str:
    """Return *texts* as the patterns of the tables expect them, one a line."""
    lines: list[str] = []
    size = 0
    for text in texts:
        line = _LINK.sub(" ", text[:_LONGEST_TEXT])
        line = _SENTENCE_END.sub(" . ", _CAMEL.sub(" ", line)).lower()
        line = _SPACES.sub(" ", _SEPARATORS.sub(" ", line)).strip()
        line = _ANSWER_TOKENS.sub("answer", _ANSWER_LIMIT.sub("max answer", line))
        lines.append(line)
        size += len(line)
        if size >= _LONGEST_ALL:
            break
    return "\n".join(lines)


class Meaning(msgspec.Struct, frozen=True, gc=False):
    """The meaning of an error.

    Attributes:
        error: The class of the exception.
        strikes_every_prompt: Whether another prompt would fail in the same way; None
            if the class decides.
        status: The status that the meaning stands for; None if HTTP or the body says it.
    """

    error: type[StatusError]
    strikes_every_prompt: bool | None = None
    status: int | None = None


def find_meaning(
    status: int, text: str, *, has_wait: bool = False, is_page: bool = False
) -> Meaning:
    """Return the meaning of an error.

    Args:
        status: Its status, as HTTP or the body says it.
        text: Its words and codes, as `plain_text` returns them.
        has_wait: Whether the server asks for a wait.
        is_page: Whether the body is a page, whose words are not the server's.
    """
    error = None if is_page else _by_words(status, text, has_wait=has_wait)
    if error is None:
        error = _by_status(status, "" if is_page else text)
    strikes: bool | None = None
    if error is PermissionDeniedError:
        strikes = not is_page and any(
            table.search(text) is not None for table in (EVERY_PROMPT, ACCOUNT, COUNTRY)
        )
    elif error is BadRequestError and status == _FAILED and NO_MODEL.search(text):
        strikes = True
    is_success = status < _CLIENT_ERRORS.start
    return Meaning(error, strikes, _STATUS_OF.get(error) if is_success else None)


def code_words(fields: Sequence[tuple[str, object]]) -> list[str]:
    """Return the meanings of the numbers among *fields*, in words of the tables."""
    pairs = ((name, str(value)) for name, value in fields)
    return [CODES[pair] for pair in pairs if pair in CODES]


def status_in_words(text: str) -> int | None:
    """Return the status that a type or code names; *text* is plain text, one a line."""
    return next((STATUSES[line] for line in text.split("\n") if line in STATUSES), None)


def _by_words(status: int, text: str, *, has_wait: bool) -> type[StatusError] | None:
    """Return the class that the words decide; None if they do not."""
    is_redirect = 300 <= status < _CLIENT_ERRORS.start  # noqa: PLR2004 (3xx)
    if is_redirect or not text:
        return None
    if status in _SERVER_ERRORS:
        error = _by_account(status, text, has_wait=has_wait) if status == _FAILED else None
        return error or (ContextLengthError if _is_too_long(status, text) else None)
    return _by_account(status, text, has_wait=has_wait) or _by_request(status, text)


def _by_account(status: int, text: str, *, has_wait: bool) -> type[StatusError] | None:
    """Return the class if the words are about money, the key, the account or a country."""
    if USED_UP.search(text):
        return QuotaError
    if status != _FAILED and MAYBE_USED_UP.search(text):
        is_limit = has_wait or RATE.search(text) or WINDOW.search(text)
        return RateLimitError if is_limit else QuotaError
    if status == _UNAUTHORIZED:
        return None  # Nothing but a refused prompt can mean anything else.
    if BAD_KEY.search(text):
        return AuthenticationError
    is_closed = ACCOUNT.search(text) or COUNTRY.search(text)
    return PermissionDeniedError if is_closed and status != _FAILED else None


def _by_request(status: int, text: str) -> type[StatusError] | None:
    """Return the class if the words are about the prompt, the model or the rate."""
    if status == _UNAUTHORIZED:
        is_refusal = CONTENT.search(text) and not BAD_KEY.search(text)
        return ContentFilterError if is_refusal else None
    if RATE.search(text):
        return RateLimitError
    if CONTENT.search(text):
        return ContentFilterError
    if _is_too_long(status, text):
        return ContextLengthError
    is_generic = status in _CLIENT_ERRORS and status not in _BY_STATUS
    return NotFoundError if is_generic and NO_MODEL.search(text) else None


def _is_too_long(status: int, text: str) -> bool:
    if CONTEXT.search(text):
        return True
    if status not in {*_CLIENT_ERRORS, 200, _FAILED} or status == _TOO_MANY:
        return False
    return any(
        TOO_LONG.search(line) is not None
        and LENGTH.search(line) is not None
        and NO_PROMPT.search(line) is None
        for line in text.split("\n")
    )


def _by_status(status: int, text: str) -> type[StatusError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status in _CLIENT_ERRORS:
        return BadRequestError
    if status in _SERVER_ERRORS:
        is_fault = status == _FAILED and (FAULT.search(text) or NO_MODEL.search(text))
        return BadRequestError if is_fault else ServerError
    is_passing = 200 <= status < 300 and PASSING.search(text)  # noqa: PLR2004 (2xx)
    return ServerError if is_passing else StatusError
