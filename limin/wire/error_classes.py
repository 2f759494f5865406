"""The class of an error, decided in one place, by the tables of `error_meanings`.

What the body says is more exact than the status, which decides where the body says
nothing. Words in quotation marks are the request's or the model's, not the server's: they
end no batch, unless the status or a code says the same.
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
    INPUT_KIND,
    LENGTH,
    MAYBE_USED_UP,
    NO_MODEL,
    NO_PROMPT,
    ONE_PROMPT,
    PASSING,
    RATE,
    STATUSES,
    TOO_LONG,
    USED_UP,
    WINDOW,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

# The start of an error says what it means; searching more costs time.
_LONGEST_TEXT = 1_024
_LONGEST_ALL = 2_048

_LINK = re.compile(r"https?://[^\s\"'<>)]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SENTENCE_END = re.compile(r"[.;!?。；！？]+(?=\s|$|[^\x00-\x7f])|[。；！？\n]+")
_SEPARATORS = re.compile(r"(?<![.\s])\.(?=\S)|[_\-/'\"`’*\\:,()\[\]{}|，、：（）「」【】]+")
_SPACES = re.compile(r"[^\S\n]+")
# The answer's own limit is none of the prompt.
_ANSWER_LIMIT = re.compile(r"\bmax (?:new |completion |output |generated )?tokens\b")
_ANSWER_TOKENS = re.compile(r"\b(?:completion|output|generated|new) tokens\b")

# What servers repeat without quotation marks: pydantic the input, llama.cpp what the model
# wrote, others what they could not parse.
_ECHO = re.compile(
    r"\binput_value=.*?(?=, input_type=|$)"
    r"|(?<=['\"]input['\"]: )(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")",
    re.DOTALL | re.IGNORECASE,
)
_CANNOT = re.compile(
    r"\b(?:failed|unable|cannot|can't|could not|couldn't)(?: to)?"
    r" (?:parse|tokenize|decode|render|process)\b[^:\n]{0,60}:(?=\s)",
    re.IGNORECASE,
)
# An error that Python wrote: its own words are no quotation.
_WORDS_FIELD = re.compile(r"['\"](?:message|msg|error|detail|code|type)['\"]: ?['\"]")
_QUOTATION = re.compile(
    r"(?<!\w)'(?=\S)(?:[^'\\\n]|\\.|'(?=\w))*'(?!\w)"
    r"|\"(?:[^\"\\\n]|\\.)*\"|`[^`\n]*`|“[^”\n]*”|‘[^’\n]*’|「[^」\n]*」|『[^』\n]*』|«[^»\n]*»"
)

_FAILED = 500
_SUCCESSES, _CLIENT_ERRORS, _SERVER_ERRORS = range(300), range(400, 500), range(500, 1000)
_NOT_FAILED = frozenset({*_SUCCESSES, *_CLIENT_ERRORS})
_WITH_LENGTHS = frozenset({*_CLIENT_ERRORS, 200, _FAILED}) - {429}

_BY_STATUS: dict[int, type[StatusError]] = {
    401: AuthenticationError,
    402: QuotaError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
    498: ServerError,  # Groq: no capacity for flexible requests
}
_GENERIC = frozenset(_CLIENT_ERRORS) - set(_BY_STATUS)

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


class ErrorWords(msgspec.Struct, frozen=True, gc=False):
    """The words of an error, as the patterns of the tables expect them.

    Attributes:
        all: Codes and messages, without what they surely repeat.
        said: The same without what stands in quotation marks.
        codes: Only codes, types and the like.
        numbers: The values in the body by their names, which may be numbers of `CODES`.
        has_wait: Whether the server asks for a wait.
    """

    all: str
    said: str
    codes: str = ""
    numbers: Collection[tuple[str, object]] = ()
    has_wait: bool = False


def read_words(
    codes: Collection[str],
    texts: Collection[str],
    numbers: Collection[tuple[str, object]] = (),
    *,
    has_wait: bool = False,
) -> ErrorWords:
    """Return the words of an error.

    Args:
        codes: Its codes, types and the like.
        texts: Its messages, and whatever else the body says.
        numbers: The values in the body by their names.
        has_wait: Whether the server asks for a wait.
    """
    own = [_without_echoes(text[:_LONGEST_TEXT]) for text in texts]
    said = [_QUOTATION.sub(" ", _WORDS_FIELD.sub(" ", text)) for text in own]
    return ErrorWords(
        plain_text((*codes, *own)),
        plain_text((*codes, *said)),
        plain_text(codes),
        numbers,
        has_wait,
    )


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


def find_meaning(status: int, words: ErrorWords | str, *, is_page: bool = False) -> Meaning:
    """Return the meaning of an error.

    Args:
        status: Its status, as HTTP or the body says it.
        words: Its words and codes, or only words, as `plain_text` returns them.
        is_page: Whether the body is a page, whose words are not the server's.
    """
    if isinstance(words, str):
        words = ErrorWords(words, words)
    if is_page:
        words = ErrorWords("", "")
    is_redirect = not (status in _NOT_FAILED or status in _SERVER_ERRORS)
    error = None if is_redirect else _by_words(status, words) or _by_number(status, words)
    error = error or _by_status(status)
    return Meaning(
        error,
        _strikes_every_prompt(error, status, words),
        _STATUS_OF.get(error) if status in _SUCCESSES else None,
    )


def status_in_words(text: str) -> int | None:
    """Return the status that a type or code names; *text* is plain text, one a line."""
    return next((STATUSES[line] for line in text.split("\n") if line in STATUSES), None)


def _without_echoes(text: str) -> str:
    """Return *text* without what the server repeats of the request or of the answer."""
    if match := _CANNOT.search(text):
        text = text[: match.end()]
    return _ECHO.sub(" ", text)


def _by_words(status: int, words: ErrorWords) -> type[StatusError] | None:
    """Return the class that the words decide; None if they do not."""
    if not words.all:
        return None
    return next(
        (
            error
            for statuses, is_meant, error in _MEANINGS
            if status in statuses and is_meant(words)
        ),
        None,
    )


def _by_number(status: int, words: ErrorWords) -> type[StatusError] | None:
    """Return the class of a provider's number, if status and type do not say another."""
    pairs = {(name, str(value)) for name, value in words.numbers}
    error = next((error for _, *pair, error in CODES if tuple(pair) in pairs), None)
    named = status_in_words(words.codes) or status
    by_status = _by_status(named)
    agrees = by_status in {BadRequestError, StatusError} or issubclass(
        error or StatusError, by_status
    )
    return error if agrees and status not in _SERVER_ERRORS else None


def _by_status(status: int) -> type[StatusError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status in _SERVER_ERRORS:
        return ServerError
    return BadRequestError if status in _CLIENT_ERRORS else StatusError


def _strikes_every_prompt(
    error: type[StatusError], status: int, words: ErrorWords
) -> bool | None:
    if error is PermissionDeniedError:
        tables = (EVERY_PROMPT, ACCOUNT, COUNTRY)
        means_key = any(table.search(words.said) for table in tables)
        return means_key and not ONE_PROMPT.search(words.said)
    if error is NotFoundError and INPUT_KIND.search(words.all):
        return False
    if error is BadRequestError and status == _FAILED and NO_MODEL.search(words.said):
        return True
    return None


def _all(table: re.Pattern[str]) -> Callable[[ErrorWords], bool]:
    return lambda words: table.search(words.all) is not None


def _said(table: re.Pattern[str]) -> Callable[[ErrorWords], bool]:
    return lambda words: table.search(words.said) is not None


def _coded(table: re.Pattern[str]) -> Callable[[ErrorWords], bool]:
    return lambda words: table.search(words.codes) is not None


def _is_used_up_for_now(words: ErrorWords) -> bool:
    """Return whether a limit may be used up, and a window, a rate or a wait is told."""
    is_limit = words.has_wait or RATE.search(words.said) or WINDOW.search(words.said)
    return bool(is_limit) and MAYBE_USED_UP.search(words.said) is not None


def _is_only_content(words: ErrorWords) -> bool:
    return CONTENT.search(words.all) is not None and BAD_KEY.search(words.said) is None


def _is_closed(words: ErrorWords) -> bool:
    is_closed = ACCOUNT.search(words.said) or COUNTRY.search(words.said)
    return bool(is_closed) and ONE_PROMPT.search(words.said) is None


def _is_too_long(words: ErrorWords) -> bool:
    return any(
        TOO_LONG.search(line) is not None
        and LENGTH.search(line) is not None
        and NO_PROMPT.search(line) is None
        for line in words.all.split("\n")
    )


# The meanings of words: under which statuses, which words, which class. The first row that
# fits decides.
_MEANINGS: tuple[
    tuple[Collection[int], Callable[[ErrorWords], bool], type[StatusError]], ...
] = (
    (_NOT_FAILED, _said(USED_UP), QuotaError),
    ({_FAILED}, _coded(USED_UP), QuotaError),
    (_NOT_FAILED, _is_used_up_for_now, RateLimitError),
    (_NOT_FAILED, _said(MAYBE_USED_UP), QuotaError),
    # Nothing but a refused prompt can mean anything else.
    ({401}, _is_only_content, ContentFilterError),
    ({401}, bool, AuthenticationError),
    (_NOT_FAILED, _said(BAD_KEY), AuthenticationError),
    ({_FAILED}, _coded(BAD_KEY), AuthenticationError),
    (_NOT_FAILED, _is_closed, PermissionDeniedError),
    (_NOT_FAILED, _said(RATE), RateLimitError),
    (_NOT_FAILED, _all(CONTENT), ContentFilterError),
    ({*_NOT_FAILED, *_SERVER_ERRORS}, _all(CONTEXT), ContextLengthError),
    (_WITH_LENGTHS, _is_too_long, ContextLengthError),
    (_GENERIC, _said(NO_MODEL), NotFoundError),
    # A status that says the same as a quotation.
    ({402, 403, 429}, _all(USED_UP), QuotaError),
    ({403}, _all(BAD_KEY), AuthenticationError),
    ({_FAILED}, _all(FAULT), BadRequestError),
    ({_FAILED}, _all(NO_MODEL), BadRequestError),
    (range(200, 300), _all(PASSING), ServerError),
)
