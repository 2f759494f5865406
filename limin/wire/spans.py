"""Spans of time and moments, in the forms in which servers write them.

Every pattern reads a bounded number of characters, so no text takes more than linear
time.
"""

from __future__ import annotations

import math
import re

# Seconds of each unit, by the pattern of its names, short or written out, in the languages
# of larger communities. The first that matches counts.
_MILLISECONDS = (
    r"ms|msecs?|millis|milli[- ]?(?:second|sekunde|seconde|segundo)[a-z]{0,2}"
    r"|毫秒|밀리초|ミリ秒"
)
_UNITS = (
    (_MILLISECONDS, 0.001),
    (r"[uµμ]s|microseconds?", 1e-6),
    (r"ns|nanoseconds?", 1e-9),
    (r"s|secs?|seconds?|seconde[ns]?|sekunden?|segundos?|secondi|秒[钟鐘間]?|초", 1.0),
    (r"m|mins?|minut(?:es?|en?|os?|i)|分[钟鐘間]?|분", 60.0),
    (r"h|hrs?|hours?|stunden?|horas?|heures?|[个個]?小[时時]|時間|시간", 3600.0),
    (r"d|days?|tag(?:en?)?|d[ií]as?|jours?|天|日間?|일", 86_400.0),
    (r"w|weeks?|wochen?|semanas?|semaines?|[周週]間?|星期|주일?", 604_800.0),
)
_UNIT = "|".join(pattern for pattern, _ in _UNITS)
_UNIT_SECONDS = [(re.compile(pattern, re.IGNORECASE), n) for pattern, n in _UNITS]

# `1,200` with a unit is a thousand and more, `1,5` is half of three.
NUMBER = (
    r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,4}(?:\.[0-9]{1,20})?|[0-9]{1,20}(?:[.,][0-9]{1,20})?)"
)
THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
# `1m30.5s`, `1 minute and 30 seconds`, `8m38.4s`, `20秒`.
SPAN = rf"(?:{NUMBER}[ -]?(?:{_UNIT})(?![a-z])(?:,? (?:(?:and|und|et|y) )?)?){{1,6}}"
_PARTS = re.compile(rf"({NUMBER})[ -]?({_UNIT})(?![a-z])", re.IGNORECASE)
_WHOLE_SPAN = re.compile(rf" *(?:PT?)?{SPAN} *", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r" *\+?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}) *")

# Numbers in words, with a unit that is written out: `one minute`, `half an hour`, `半小时`.
_ONE = ("an", "a", "one", "einer", "einem", "eine", "ein", "une", "un", "una")
_WORDS = {
    **dict.fromkeys(_ONE, 1.0),
    "half an": 0.5,
    "half a": 0.5,
    "two": 2.0,
    "three": 3.0,
    "four": 4.0,
    "five": 5.0,
    "six": 6.0,
    "seven": 7.0,
    "eight": 8.0,
    "nine": 9.0,
    "ten": 10.0,
    "fifteen": 15.0,
    "twenty": 20.0,
    "thirty": 30.0,
    "forty": 40.0,
    "sixty": 60.0,
}
_SIGNS = {
    "半": 0.5,
    "一": 1.0,
    "二": 2.0,
    "两": 2.0,
    "兩": 2.0,
    "三": 3.0,
    "五": 5.0,
    "十": 10.0,
}
_WORD_NUMBERS = _WORDS | _SIGNS
_LONG_UNIT = (
    r"(?:seconds?|minut(?:es?|os?)|hours?|days?|weeks?"
    r"|sekunde|stunde|tag|woche|heure|jour|hora)"
)
_SIGN_UNIT = "秒[钟鐘]?|分[钟鐘]|[个個]?小[时時]|天|[周週]"
WORD_SPAN = (
    rf"(?:(?:{'|'.join(_WORDS)})[ -]{_LONG_UNIT}(?![a-z])"
    rf"|[{''.join(_SIGNS)}](?:{_SIGN_UNIT}))"
)
_WHOLE_WORD_SPAN = re.compile(
    rf"({'|'.join(_WORD_NUMBERS)})[ -]?({_LONG_UNIT}|{_SIGN_UNIT})", re.IGNORECASE
)

# With days in front: .NET's TimeSpan, which Azure writes.
CLOCK = r"(?:[0-9]{1,3}\.)?[0-9]{1,4}:[0-5]?[0-9]:[0-5]?[0-9](?:\.[0-9]{1,9})?"
_CLOCK = re.compile(
    r" *(?:([0-9]{1,3})\.)?([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9](?:\.[0-9]{1,9})?) *"
)

# A number from here on (three years) is a moment. Unix time has ten digits in seconds,
# thirteen in milliseconds, and more in smaller units.
_LONGEST_SPAN = 1e8
_MOMENT_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))

_MONTHS = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_MONTH = rf"({'|'.join(_MONTHS)})[a-z]{{0,6}}"
_TIME = r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,][0-9]{1,9})?"
_ZONE = r"(?: ?(GMT|UTC|UT|Z|[ECMP][SD]T|[+-][0-9]{2}:?[0-9]{2}))?(?![0-9a-z])"

# RFC 9110, 5.6.7: the format that may be sent, and the two obsolete ones that recipients
# must read (RFC 850 and asctime). RFC 3339 is the form of Anthropic's headers.
_FIXED_DATE = re.compile(
    rf"(?:[a-z]{{3,9}},? )?([0-9]{{1,2}})[ -]{_MONTH}[ -]([0-9]{{4}}|[0-9]{{2}}),? "
    rf"{_TIME}{_ZONE}",
    re.IGNORECASE,
)
_ASCTIME_DATE = re.compile(
    rf"[a-z]{{3,9}},? {_MONTH} {{1,2}}([0-9]{{1,2}}) {_TIME}{_ZONE} ([0-9]{{4}})",
    re.IGNORECASE,
)
_ASCTIME_ZONE_LAST = re.compile(
    rf"[a-z]{{3,9}},? {_MONTH} {{1,2}}([0-9]{{1,2}}) {_TIME} ([0-9]{{4}}){_ZONE}",
    re.IGNORECASE,
)
_ISO_DATE = re.compile(
    rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})(?:T| at | ){_TIME}{_ZONE}", re.IGNORECASE
)

# Hours from UTC of the zones with a name that RFC 5322, 4.3 knows.
_NAMED_ZONES = {"e": -5, "c": -6, "m": -7, "p": -8}
_FAR = 50  # RFC 9110: a year that seems farther ahead than this is a past one.


def read_span(text: str) -> float | None:
    """Return the seconds of a span: `12`, `1m30.5s`, `PT20S`, `00:01:30`, `a minute`.

    Return None for text that is no span, or one that takes more than three years.
    """
    if _WHOLE_NUMBER.fullmatch(text):
        seconds = float(text)
    elif _WHOLE_SPAN.fullmatch(text):
        parts = _PARTS.findall(text)
        seconds = math.fsum(_number(n) * _unit_seconds(unit) for n, unit in parts)
    elif match := _CLOCK.fullmatch(text):
        hours = int(match[1] or 0) * 24 + int(match[2])
        seconds = hours * 3600.0 + int(match[3]) * 60.0 + float(match[4])
    elif match := _WHOLE_WORD_SPAN.fullmatch(text):
        seconds = _WORD_NUMBERS[match[1].lower()] * _unit_seconds(match[2])
    else:
        return None
    return seconds if seconds < _LONGEST_SPAN else None


def _number(text: str) -> float:
    return float(THOUSANDS.sub("", text).replace(",", "."))


def read_moment(text: str, now: float) -> float | None:
    """Return the Unix time of a date, or of a number too large for a span.

    Args:
        text: The text that holds the moment.
        now: The time in Unix seconds, for years of two digits.
    """
    if _WHOLE_NUMBER.fullmatch(text):
        number = float(text)
        if number < _LONGEST_SPAN:
            return None
        unit = next((unit for least, unit in _MOMENT_UNITS if number >= least), 1.0)
        return number / unit
    for pattern, order in _DATE_FORMS:
        if match := pattern.search(text):
            return _read_date({name: match[n] for name, n in order.items()}, now)
    return None


def find_dates(text: str) -> list[str]:
    """Return every date in *text*, as it is written there."""
    return [match[0] for pattern, _ in _DATE_FORMS for match in pattern.finditer(text)]


def _order(names: str) -> dict[str, int]:
    return {name: n for n, name in enumerate(names.split(), 1)}


_DATE_FORMS = (
    (_ISO_DATE, _order("year month day hour minute second zone")),
    (_FIXED_DATE, _order("day month year hour minute second zone")),
    (_ASCTIME_DATE, _order("month day hour minute second zone year")),
    (_ASCTIME_ZONE_LAST, _order("month day hour minute second year zone")),
)


def _unit_seconds(name: str) -> float:
    return next(seconds for pattern, seconds in _UNIT_SECONDS if pattern.fullmatch(name))


def _read_date(parts: dict[str, str], now: float) -> float | None:
    month_name = parts["month"].lower()
    is_name = not month_name.isdecimal()
    month = _MONTHS.index(month_name[:3]) + 1 if is_name else int(month_name)
    year, day = int(parts["year"]), int(parts["day"])
    hour, minute, second = (int(parts[name]) for name in ("hour", "minute", "second"))
    if not (1 <= month <= len(_MONTHS) and 1 <= day <= 31):  # noqa: PLR2004 (days of a month)
        return None
    if hour > 24 or minute > 59 or second > 60:  # noqa: PLR2004 (the ends of a clock)
        return None
    if len(parts["year"]) == 2:  # noqa: PLR2004 (digits)
        this_year = 1970 + int(now // 31_556_952)
        year += this_year // 100 * 100
        year -= 100 if year > this_year + _FAR else 0
    seconds = _days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
    return float(seconds - _zone_seconds(parts["zone"] or ""))


def _zone_seconds(zone: str) -> int:
    """Return the offset of a zone from UTC in seconds; a missing zone is UTC."""
    if zone[:1] in {"+", "-"}:
        offset = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
        return -offset if zone[0] == "-" else offset
    hours = _NAMED_ZONES.get(zone[:1].lower(), 0) if zone[2:].lower() == "t" else 0
    summer = 1 if hours and zone[1].lower() == "d" else 0
    return (hours + summer) * 3600


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date, in the proleptic Gregorian calendar."""
    # The year begins in March here, so that a leap day is its last day.
    february = 2
    year, month = (year, month - 3) if month > february else (year - 1, month + 9)
    before = year * 365 + year // 4 - year // 100 + year // 400
    return before + (153 * month + 2) // 5 + day - 1 - 719_468
