"""The wait that a server asks for, in its headers or its message."""

import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.wire.retry_after import read_retry_after

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("headers", "message", "wait"),
    [
        ({}, "", None),
        ({"retry-after-ms": "250"}, "", 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, "", 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, "", 9.0),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after": "0"}, "", 0.0),
        ({"retry-after": "-5"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "inf"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:07 GMT"}, "", 30.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:07 GMT"}, "", 0.0),
        ({"retry-after": "Sun, 06 Nox 1994 08:49:07 GMT"}, "", None),
        ({"retry-after": "Sunday, 06-Nov-94 08:49:37 GMT"}, "", None),
        ({"retry-after": "9", "x-ratelimit-reset-requests": "1s"}, "", 9.0),
        ({"x-ratelimit-reset-requests": "1m30s"}, "", 90.0),
        ({"x-ratelimit-reset-tokens": "250ms"}, "", 0.25),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, "", 3723.5),
        ({"x-ratelimit-reset-tokens": "soon"}, "", None),
        (
            {"x-ratelimit-reset-requests": "2s", "x-ratelimit-reset-tokens": "7s"},
            "",
            7.0,
        ),
        (
            {
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-reset-tokens": "7s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-remaining-tokens": "500",
            },
            "",
            2.0,
        ),
        ({}, "Requests have exceeded the rate limit. Please retry after 33 seconds.", 33.0),
        ({}, "Please try again in 1.2s. Visit ...", 1.2),
        ({}, "Please try again in 250ms", 0.25),
        ({}, "Please try again in 250 milliseconds", 0.25),
        ({}, "please TRY AGAIN IN 2 Minutes", 120.0),
        ({}, "try again in a while", None),
    ],
)
def test_wait_is_found(headers: dict[str, str], message: str, wait: float | None) -> None:
    """The most exact statement of the server counts."""
    seconds = read_retry_after(headers, message, NOW)
    assert seconds == (None if wait is None else pytest.approx(wait))


@given(date=st.datetimes().filter(lambda date: date.year >= 1970))
def test_date_is_read_as_the_calendar_says(date: object) -> None:
    """Leap years among them."""
    text = f"{date:%a, %d %b %Y %H:%M:%S} GMT"
    expected = float(calendar.timegm(date.timetuple()))  # type: ignore[attr-defined]
    assert read_retry_after({"retry-after": text}, "", 0.0) == expected


@given(header=st.text(), message=st.text())
def test_nonsense_is_no_wait(header: str, message: str) -> None:
    """The wait is None or a finite number of seconds, for any headers and message."""
    names = ("retry-after", "retry-after-ms", "x-ratelimit-reset-requests")
    wait = read_retry_after(dict.fromkeys(names, header), message, NOW)
    assert wait is None or 0.0 <= wait < float("inf")
