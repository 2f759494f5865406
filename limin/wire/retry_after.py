"""The wait that a server asks for: in its headers, in the fields of its body, in words.

Each table can be extended in one line. `spans` knows the forms of a span or a moment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from limin.wire.spans import (
    NUMBER,
    SPAN,
    find_dates,
    read_moment,
    read_span,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Names without `_`, `-` and upper case, of headers and of fields of a body alike, with
# the seconds of a bare number in them.
_WAITS = {
    "retryafter": 1.0,  # RFC 9110, 10.2.3; Azure repeats it in the body
    "retryafterms": 0.001,  # OpenAI
    "xmsretryafterms": 0.001,  # Azure
    "retryaftermilliseconds": 0.001,
    "retryafterseconds": 1.0,  # LiteLLM
    "retryaftersec": 1.0,
    "retryaftersecs": 1.0,
    "retryafterminutes": 60.0,
    "xretryafter": 1.0,
    "retryin": 1.0,
    "retryinseconds": 1.0,
    "retryinms": 0.001,
    "retryat": 1.0,
    "retrydelay": 1.0,  # google.rpc.RetryInfo
    "retrydelayms": 0.001,
    "retrydelayseconds": 1.0,
    "retrywait": 1.0,
    "nextretryat": 1.0,
    "estimatedtime": 1.0,  # Hugging Face: a model that loads
    "estimatedwait": 1.0,
    "estimatedwaittime": 1.0,
    "estimatedwaitseconds": 1.0,
    "eta": 1.0,
    "waittime": 1.0,
    "waitseconds": 1.0,
    "waitms": 0.001,
    "secondstowait": 1.0,
    "resetin": 1.0,
    "resetsin": 1.0,
    "resetinseconds": 1.0,
    "resetsinseconds": 1.0,  # ChatGPT's backend
    "resetafter": 1.0,  # Discord's proxies
    "resetat": 1.0,
    "resetsat": 1.0,
    "resettime": 1.0,
    "cooldown": 1.0,
    "cooldownseconds": 1.0,
}
_LONGEST_NAME = 64

# `X-RateLimit-Reset` (GitHub, OpenRouter), `-requests` and `-tokens` (OpenAI),
# `-tokens-minute` (Cerebras), `anthropic-ratelimit-tokens-reset`, `RateLimit-Reset`.
_RATE_LIMIT, _RESET, _REMAINING = "ratelimit", "reset", "remaining"
# draft-ietf-httpapi-ratelimit-headers: `RateLimit: "default";r=0;t=50`.
_DRAFT_HEADER = "ratelimit"
_DRAFT_RESET = re.compile(r"(?:\bt|reset)=([0-9]{1,12})")

# Words before a span: Azure "Please retry after 33 seconds", OpenAI "try again in 1.2s",
# Gemini "Please retry in 20.04466179s", Bedrock's gateways "Wait 5 seconds before ...".
_CUE = (
    r"retry(?:ing)?|try(?:ing)?(?: (?:it|this|your request))? again|wait(?:ing)?|again"
    r"|resets?|reset(?:ting)?|available|come back|cool ?-?down|estimated(?: time)?"
    r"|next (?:request|call|attempt)|lifted|unblocked|unlocked"
    r"|resume[sd]?|regain access|refresh(?:es|ed)?|renew(?:s|ed)?|replenish(?:es|ed)?"
    r"|erneut|r[ée]essay(?:er|ez)|reintent(?:ar|e)|nuevo"
    r"|重试|重試|再试|再試|等待|等候|稍后|稍後|重置|恢复|恢復|预计|預計"
)
_BEFORE = re.compile(
    rf"(?:{_CUE})[^.!?;。；!？\n0-9]{{0,60}}?(?<![0-9a-z.-])({SPAN})", re.IGNORECASE
)
# A number without a unit counts only next to its cue.
_BARE = re.compile(
    r"(?:(?:retry|try again|wait|retry your request|重试|等待)(?:[ _-](?:after|in|for))?"
    r"|seconds (?:until|before|to) [a-z]{1,10}):? ?"
    rf"({NUMBER}|[0-9]{{1,3}}:[0-9]{{2}}:[0-9]{{2}})"
    r"(?![0-9a-z:%/-]|\.[0-9]| ?(?!(?:and|or|then|before|to)\b)[a-z%/])",
    re.IGNORECASE,
)
# Words behind a span: "wait 20 seconds before ..." is found above, too; "20秒后重试".
_BEHIND = re.compile(
    rf"(?<![0-9a-z.-])({SPAN})[^.!?;。；！？\n0-9]{{0,20}}?"
    r"(?:before (?:re-?try|try|mak|send|request|submit|issu|the next|your next|another|any)"
    r"|and (?:then )?(?:re-?try|try)|then (?:re-?try|try)"
    r"|until (?:the )?(?:next|reset|retry)|left\b|remaining\b"
    r"|(?:之)?[后後]\s?(?:再|重|尝试|嘗試|恢复|恢復)|[内內]不)",
    re.IGNORECASE,
)
# The span first: "After 20 seconds, please retry".
_FIRST = re.compile(
    rf"(?:^|[.!?;:] {{0,2}})(?:please )?(?:after|in) ({SPAN}),? ?"
    r"(?:please |you can |you may )?(?:re-?try|try)",
    re.IGNORECASE,
)
# "3 requests per 60 seconds" is a limit, and no wait.
_LIMIT_BEFORE = re.compile(
    r"(?:\b(?:per|every|each|within|last|past|of|took|timed out after|timeout of)(?: the)?"
    r"|[/每])[ -]?$",
    re.IGNORECASE,
)
_MOMENT_CUE = re.compile(
    rf"(?:{_CUE}|until|not before|access)[^.!?;。；\n0-9]{{0,60}}$", re.IGNORECASE
)
_LONGEST_MESSAGE = 4_096
_MOST_MATCHES = 32


def read_retry_after(
    headers: Mapping[str, str],
    message: str,
    now: float,
    fields: Iterable[tuple[str, object]] = (),
) -> float | None:
    """Return the seconds that an error response asks to wait; None if it does not say.

    Zero, a moment in the past and text that cannot be read say nothing. Of several waits
    the longest counts. The time until a limit resets counts only if that limit may be
    the one that was exceeded: if something of it remains, any other wait wins.

    Args:
        headers: The headers of the response, by their names in lower case.
        message: The message in the error body.
        now: When the response came, in Unix seconds.
        fields: The fields of the error body at any depth, by their names.
    """
    values = [(name, value) for name, value in headers.items()]
    values += [(name, _as_text(value)) for name, value in fields]
    plain = [(_plain_name(name), value) for name, value in values if value]
    waits, resets = _find_resets(plain, now)
    waits += [
        wait
        for name, value in plain
        if (scale := _WAITS.get(name)) is not None
        for wait in _read_values(value, now, scale)
    ]
    waits += _find_in_words(message[:_LONGEST_MESSAGE], now)
    return max(filter(_is_wait, waits), default=None) or max(
        filter(_is_wait, resets), default=None
    )


def _is_wait(seconds: float) -> bool:
    return seconds > 0.0


def _plain_name(name: str) -> str:
    return name[:_LONGEST_NAME].lower().replace("_", "").replace("-", "")


def _as_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return ""
    # No exponent and no sign of a float: `20.0`, not `2e1`.
    return f"{value:.9f}" if isinstance(value, float) else str(value)[:_LONGEST_MESSAGE]


def _find_resets(
    values: list[tuple[str, str]], now: float
) -> tuple[list[float], list[float]]:
    """Return the times until limits reset: of those used up, and of those with a rest."""
    remaining = {
        name.replace(_REMAINING, ""): value
        for name, value in values
        if _RATE_LIMIT in name and _REMAINING in name
    }
    used_up: list[float] = []
    others: list[float] = []
    for name, value in values:
        if name == _DRAFT_HEADER:
            used_up += [float(seconds) for seconds in _DRAFT_RESET.findall(value)]
        elif _RATE_LIMIT in name and _RESET in name:
            rest = remaining.get(name.replace(_RESET, ""), "0")
            waits = used_up if read_span(rest) == 0.0 else others
            waits += _read_values(value, now)
    return used_up, others


def _read_values(value: str, now: float, scale: float = 1.0) -> list[float]:
    """Return the waits in the value of a header that may have come more than once."""
    texts = [value.strip(' "')]
    if ", " in value:  # Headers that come twice are joined so; dates have a comma, too.
        texts = [*find_dates(value), *(text.strip(' "') for text in value.split(", "))]
    return [wait for text in texts if (wait := _read_value(text, now, scale)) is not None]


def _read_value(text: str, now: float, scale: float) -> float | None:
    seconds = read_span(text)
    if seconds is None:
        moment = read_moment(text, now)
        return None if moment is None else moment - now
    is_bare = text[-1:].isdecimal() and ":" not in text
    return seconds * scale if is_bare else seconds


def _find_in_words(message: str, now: float) -> list[float]:
    spans: list[str] = []
    for pattern in (_BEFORE, _BARE, _BEHIND, _FIRST):
        for match, _ in zip(pattern.finditer(message), range(_MOST_MATCHES), strict=False):
            if not _LIMIT_BEFORE.search(
                message[max(match.start(1) - 20, 0) : match.start(1)]
            ):
                spans.append(match[1])
    waits = [
        wait
        for span in spans
        if (wait := read_span(span.strip(" ,").removesuffix(" and"))) is not None
    ]
    for date in find_dates(message)[:_MOST_MATCHES]:
        start = message.find(date)
        moment = read_moment(date, now)
        if moment is not None and _MOMENT_CUE.search(message[max(start - 80, 0) : start]):
            waits.append(moment - now)
    return waits
