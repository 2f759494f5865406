"""The wait that a server asks for: in its headers, in the fields of its body, in words.

Each table can be extended in one line. `spans` knows the forms of a span or a moment.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from limin.wire.spans import (
    CLOCK,
    NUMBER,
    SPAN,
    THOUSANDS,
    WORD_SPAN,
    find_dates,
    read_moment,
    read_span,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Names of waits, of headers and of fields of a body alike, without `_`, `-`, upper case, a
# leading `x-` or `x-ms-`, and the unit behind them.
_NAMES = (
    "retryafter",  # RFC 9110, 10.2.3; Azure repeats it in the body
    "retryin",
    "retryat",
    "retrydelay",  # google.rpc.RetryInfo
    "retrywait",
    "nextretryat",
    "tryagainin",
    "tryagainafter",
    "estimatedtime",  # Hugging Face: a model that loads
    "estimatedwait",
    "estimatedwaittime",
    "eta",
    "wait",
    "waitfor",
    "waittime",
    "timetowait",
    "timeuntilreset",
    "timeuntilretry",
    "availablein",
    "availableat",
    "resetin",
    "resetsin",  # ChatGPT's backend
    "resetafter",  # Discord's proxies
    "resetat",
    "resetsat",
    "resettime",
    "cooldown",
    "backoff",
)
# Names that say the unit of a number first: `seconds_until_reset`.
_NAMES_BEHIND_UNIT = ("towait", "untilreset", "untilretry", "beforeretry", "remaining")
# A bare number under these names is a moment, or says nothing.
_MOMENTS = ("reset", "resets")
_UNITS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "millis", "milliseconds"), 0.001),
    **dict.fromkeys(("min", "mins", "minutes"), 60.0),
}
_UNIT = "|".join(filter(None, _UNITS))
_WAIT_NAME = re.compile(
    rf"(?:x|xms)?(?:(?:{'|'.join(_NAMES)})(?P<behind>{_UNIT})?"
    rf"|(?P<first>{_UNIT})(?:{'|'.join(_NAMES_BEHIND_UNIT)})"
    rf"|(?P<moment>{'|'.join(_MOMENTS)}))"
)
_LONGEST_NAME = 64

# `X-RateLimit-Reset` (GitHub, OpenRouter), `-requests` and `-tokens` (OpenAI),
# `-tokens-minute` (Cerebras), `anthropic-ratelimit-tokens-reset`, `RateLimit-Reset`.
_RATE_LIMIT, _RESET, _REMAINING = "ratelimit", "reset", "remaining"
# draft-ietf-httpapi-ratelimit-headers: `RateLimit: "default";r=0;t=50`.
_DRAFT_HEADER = "ratelimit"
_LIST = re.compile(r"[0-9.]{2,20}(?:,[0-9.]{2,20}){1,8}")
_DRAFT_RESET = re.compile(r"(?:\bt|reset)=([0-9]{1,12})")

# Words before a span: Azure "Please retry after 33 seconds", OpenAI "try again in 1.2s",
# Gemini "Please retry in 20.04466179s", Bedrock's gateways "Wait 5 seconds before ...".
_CUE = (
    r"retry(?:ing)?|try(?:ing)?(?: (?:it|this|your request))? again|wait(?:ing)?|again"
    r"|resets?|reset(?:ting)?|available|come back|cool ?-?down|estimated(?: time)?"
    r"|next (?:request|call|attempt)|lifted|unblocked|unlocked"
    r"|resume[sd]?|regain access|refresh(?:es|ed)?|renew(?:s|ed)?|replenish(?:es|ed)?"
    r"|erneut|warten|r[ée]essay(?:er|ez)|patient(?:er|ez)|attend(?:ez|re)"
    r"|reintent(?:ar|e)|nuevo|esper[ae]r?|aguard[ae]r?"
    r"|重试|重試|再试|再試|等待|等候|稍后|稍後|重置|恢复|恢復|预计|預計"
)
_OR = r",? ?\b(?:or|oder|ou|o) (?:(?:in|after|for|nach|dans|en) )?"
_SPLIT = re.compile(_OR, re.IGNORECASE)
_LOOSE_END = re.compile(r"[ ,]+(?:and|und|et|y)? *$", re.IGNORECASE)
_BEFORE = re.compile(
    rf"(?:{_CUE})[^.!?;。；！？\n0-9]{{0,60}}?(?<![0-9a-z.-])({SPAN}(?:{_OR}{SPAN}){{0,2}})",
    re.IGNORECASE,
)
# Numbers in words, and clocks, count only behind a word for a span: "resets at 10:00:00".
_NEAR = re.compile(
    rf"(?:{_CUE})(?:[^.!?;。；！？\n0-9]{{0,40}}?[ _-](?:in|after|for|about|least|within"
    rf"|another|nach|dans|en|sie))?:? ?(?<![0-9a-z.-])({WORD_SPAN}|{CLOCK})"
    r"(?![0-9:.]?[0-9a-z])",
    re.IGNORECASE,
)
# A number without a unit counts only next to its cue.
_BARE = re.compile(
    r"(?:(?:retry|try again|wait|retry your request|重试|等待)(?:[ _-](?:after|in|for))?"
    r"(?:[ _-]seconds)?|estimated[ _-](?:wait[ _-])?time|wait[ _-]time|time to wait"
    r"|seconds (?:until|before|to) [a-z]{1,10}):? ?"
    rf"({NUMBER}|{CLOCK})"
    r"(?![0-9a-z:%/-]|[.,][0-9]| ?(?!(?:and|or|then|before|to)\b)[a-z%/])",
    re.IGNORECASE,
)
# Words behind a span: "wait 20 seconds before ..." is found above, too; "20秒后重试",
# "30秒後に再試行", "20초 후에".
_BEHIND = re.compile(
    rf"(?<![0-9a-z.-])({SPAN}|{WORD_SPAN})[^.!?;。；！？\n0-9]{{0,20}}?"
    r"(?:before (?:re-?try|try|mak|send|request|submit|issu|the next|your next|another|any)"
    r"|and (?:then )?(?:re-?try|try)|then (?:re-?try|try)"
    r"|until (?:the )?(?:next|reset|retry)|left\b|remaining\b"
    r"|(?:之)?[后後]\s?(?:再|重|尝试|嘗試|恢复|恢復)|[内內]不"
    r"|[后後]に|待っ|待ち|(?:후|뒤)(?:에|\b)|동안)",
    re.IGNORECASE,
)
# The span first: "After 20 seconds, please retry".
_FIRST = re.compile(
    rf"(?:^|[.!?;:] {{0,2}})(?:please )?(?:after|in) ({SPAN}|{WORD_SPAN}),? ?"
    r"(?:please |you can |you may )?(?:re-?try|try)",
    re.IGNORECASE,
)
# "3 requests per 60 seconds" is a limit, and no wait.
_LIMIT_BEFORE = re.compile(
    r"(?:\b(?:per|every|each|within|last|past|of|took|timed out after|timeout of)(?: the)?"
    r"|\b(?:requests?|tokens?|calls?|queries|messages?|images?)(?: in)?|[/每])[ -]?$",
    re.IGNORECASE,
)
_MOMENT_CUE = re.compile(
    rf"(?:{_CUE}|until|not before|access)[^.!?;。；\n0-9]{{0,60}}$", re.IGNORECASE
)
_LONGEST_MESSAGE = 2_048
_LONGEST_VALUE = 128
_MOST_VALUES = 64
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
    values = [*_plain_values(headers.items()), *_plain_values(fields)]
    waits, resets = _find_resets(values, now)
    for name, value in values:
        if match := _WAIT_NAME.fullmatch(name):
            scale = _UNITS[match["behind"] or match["first"] or ""]
            waits += _read_values(value, now, None if match["moment"] else scale)
    waits += _find_in_words(message[:_LONGEST_MESSAGE], now)
    return max(filter(_is_wait, waits), default=None) or max(
        filter(_is_wait, resets), default=None
    )


def _is_wait(seconds: float) -> bool:
    return seconds > 0.0


def _plain_name(name: str) -> str:
    return name[:_LONGEST_NAME].lower().replace("_", "").replace("-", "")


def _plain_values(fields: Iterable[tuple[str, object]]) -> list[tuple[str, str]]:
    """Return the fields that may hold a wait, with their plain names."""
    plain = ((_plain_name(name), value) for name, value in fields)
    values = (
        (name, _as_text(value))
        for name, value in plain
        if _RATE_LIMIT in name or _WAIT_NAME.fullmatch(name)
    )
    return list(islice((pair for pair in values if pair[1]), _MOST_VALUES))


def _as_text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return ""
    # No exponent and no sign of a float: `20.0`, not `2e1`.
    return f"{value:.9f}" if isinstance(value, float) else str(value)[:_LONGEST_VALUE]


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


def _read_values(value: str, now: float, scale: float | None = 1.0) -> list[float]:
    """Return the waits in a value, which may have parameters, or be a list of values.

    Headers that come twice are joined by `, `, which dates have, too. `1,2` may be 1.2.
    """
    value = value.partition(";")[0].strip(' "')
    texts = [value]
    if ", " in value:
        texts = [*find_dates(value), *(text.strip(' "') for text in value.split(", "))]
    elif _LIST.fullmatch(value):
        texts = value.split(",")
    return [wait for text in texts if (wait := _read_value(text, now, scale)) is not None]


def _read_value(text: str, now: float, scale: float | None) -> float | None:
    """Return the seconds until then; a bare number has *scale*, or else is a moment."""
    seconds = read_span(text)
    if seconds is None:
        moment = read_moment(text, now)
        return None if moment is None else moment - now
    is_bare = (text[-1:].isdecimal() or text[-1:] == ".") and ":" not in text
    if is_bare:
        return None if scale is None else seconds * scale
    return seconds


def _find_in_words(message: str, now: float) -> list[float]:
    spans: list[str] = []
    for pattern in (_BEFORE, _NEAR, _BARE, _BEHIND, _FIRST):
        for match in islice(pattern.finditer(message), _MOST_MATCHES):
            start = match.start(1)
            if not _LIMIT_BEFORE.search(message[max(start - 20, 0) : start]):
                spans += _SPLIT.split(match[1])
    read = (read_span(THOUSANDS.sub("", _LOOSE_END.sub("", span))) for span in spans)
    waits = [wait for wait in read if wait is not None]
    for date in find_dates(message)[:_MOST_MATCHES]:
        start = message.find(date)
        moment = read_moment(date, now)
        if moment is not None and _MOMENT_CUE.search(message[max(start - 80, 0) : start]):
            waits.append(moment - now)
    return waits
