"""The wait that a server asks for, in its headers or its message."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")

# RFC 9110, 5.6.7: the only format of dates that may be sent.
_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)

# Azure: "Please retry after 33 seconds"; OpenAI: "Please try again in 1.2s".
_MESSAGE = re.compile(
    r"(?:retry after|try again in) (\d+(?:\.\d+)?) ?(ms|milli|s|m)[a-z]*\b",
    re.IGNORECASE,
)
_RESETS = ("requests", "tokens")


def read_retry_after(headers: Mapping[str, str], message: str, now: float) -> float | None:
    """Return the seconds that an error response asks to wait; None if it does not say.

    The most exact statement counts. In this order: `retry-after-ms`, `Retry-After` in
    seconds or as a date, the time until a rate limit resets, the message.

    Args:
        headers: The headers of the response, by their names in lower case.
        message: The message in the error body.
        now: When the response came, in Unix seconds.
    """
    exact = _number(headers.get("retry-after-ms"))
    if exact is not None:
        return exact / 1000.0
    header = headers.get("retry-after")
    waits = (
        _number(header),
        _seconds_until(header, now),
        _seconds_until_reset(headers),
        _seconds_in(message),
    )
    return next((wait for wait in waits if wait is not None), None)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0.0 <= number < math.inf else None


def _seconds_until(date: str | None, now: float) -> float | None:
    match = _DATE.fullmatch(date or "")
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[n]) for n in (1, 3, 4, 5, 6))
    days = _days(year, _MONTHS.index(match[2]) + 1, day)
    then = days * 86_400 + hour * 3600 + minute * 60 + second
    return max(then - now, 0.0)


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date, in the proleptic Gregorian calendar."""
    # The year begins in March here, so that a leap day is its last day.
    february = 2
    year, month = (year, month - 3) if month > february else (year - 1, month + 9)
    before = year * 365 + year // 4 - year // 100 + year // 400
    return before + (153 * month + 2) // 5 + day - 1 - 719_468


def _seconds_until_reset(headers: Mapping[str, str]) -> float | None:
    """Return the time until the exceeded limit resets; until both do, if none is named."""
    resets = {
        name: _duration(headers.get(f"x-ratelimit-reset-{name}", "")) for name in _RESETS
    }
    exceeded = [
        name for name in _RESETS if headers.get(f"x-ratelimit-remaining-{name}") == "0"
    ]
    waits = [resets[name] for name in exceeded or _RESETS]
    return max((wait for wait in waits if wait is not None), default=None)


def _duration(text: str) -> float | None:
    """Return the seconds of `1m30s`, `250ms` and the like."""
    if not _DURATION.fullmatch(text):
        return None
    return math.fsum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _seconds_in(message: str) -> float | None:
    match = _MESSAGE.search(message)
    if match is None:
        return None
    unit = match[2].lower()
    return float(match[1]) * _UNITS["ms" if unit == "milli" else unit]
