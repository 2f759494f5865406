"""The wait that a server asks for, in its headers or its message."""

import calendar
import time

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
        ({"retry-after-ms": "250", "retry-after": "9"}, "", 9.0),
        ({"retry-after-ms": "soon", "retry-after": "9"}, "", 9.0),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after": "0"}, "", None),
        ({"retry-after": "-5"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "inf"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:07 GMT"}, "", 30.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:07 GMT"}, "", None),
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
    """Of several waits the longest counts, and zero is none."""
    seconds = read_retry_after(headers, message, NOW)
    assert seconds == (None if wait is None else pytest.approx(wait))


@given(date=st.datetimes().filter(lambda date: date.year >= 1970))
def test_date_is_read_as_the_calendar_says(date: object) -> None:
    """Dates in leap years are read too."""
    text = f"{date:%a, %d %b %Y %H:%M:%S} GMT"
    expected = float(calendar.timegm(date.timetuple()))  # type: ignore[attr-defined]
    assert read_retry_after({"retry-after": text}, "", 0.0) == (expected or None)


@given(header=st.text(), message=st.text())
def test_nonsense_is_no_wait(header: str, message: str) -> None:
    """The wait is None or a finite number of seconds, for any headers and message."""
    names = ("retry-after", "retry-after-ms", "x-ratelimit-reset-requests")
    wait = read_retry_after(dict.fromkeys(names, header), message, NOW)
    assert wait is None or 0.0 < wait < float("inf")


SECONDS, MILLISECONDS = str(int(NOW) + 30), str((int(NOW) + 30) * 1000)

HEADERS: list[tuple[str, float | None]] = [
    ("2s", 2.0),
    (" 2 seconds", 2.0),
    ("+3", 3.0),
    ("1 minute", 60.0),
    ("1m30.5s", 90.5),
    ("1h", 3600.0),
    ("1 day", 86_400.0),
    ("500ms", 0.5),
    ("500 milliseconds", 0.5),
    ("250µs", 0.00025),
    ("PT1M5S", 65.0),
    ("00:01:05", 65.0),
    ("20秒", 20.0),
    ('"5"', 5.0),
    ("5, 10", 10.0),
    ("0, 10", 10.0),
    ("soon, 10", 10.0),
    ("1,2", None),
    ("10,20", 20.0),
    ("1.5,20", 20.0),
    ("20;x=1", 20.0),
    ("20s; comment", 20.0),
    (".5", 0.5),
    ("20.", 20.0),
    (".", None),
    (",", None),
    ("1,200 seconds", 1200.0),
    ("1,5 s", 1.5),
    ("1 week", 604_800.0),
    ("one minute", 60.0),
    ("09:18:34", 33_514.0),
    ("1.00:00:01", 86_401.0),
    ("1e9", None),
    ("0x10", None),
    ("-5s", None),
    ("0s", None),
    ("", None),
    (SECONDS, 30.0),
    (MILLISECONDS, 30.0),
    (MILLISECONDS + "000", 30.0),
    (MILLISECONDS + "000000", 30.0),
    ("Sunday, 06-Nov-94 08:50:07 GMT", 30.0),
    ("Sun Nov  6 08:50:07 1994", 30.0),
    ("Sun Nov  6 08:50:07 GMT 1994", 30.0),
    ("Sun Nov  6 08:50:07 1994 GMT", 30.0),
    ("06 Nov 1994 08:50:07 GMT", 30.0),
    ("Sun, 6 Nov 1994 08:50:07 UTC", 30.0),
    ("Sun, 06 Nov 1994 08:50:07", 30.0),
    ("Sun, 06 Nov 1994 08:50:07 +0000", 30.0),
    ("Sun, 06 Nov 1994 09:50:07 +0100", 30.0),
    ("Sun, 06 Nov 1994 03:20:07 -05:30", 30.0),
    ("Sun, 06 Nov 1994 03:50:07 EST", 30.0),
    ("Sun, 06 Nov 1994 01:50:07 PDT", 30.0),
    ("1994-11-06T08:50:07Z", 30.0),
    ("1994-11-06T08:50:07.123+00:00", 30.0),
    ("1994-11-06 08:50:07", 30.0),
    ("Sun, 06 Nov 1994 08:50:07 GMT, Sun, 06 Nov 1994 08:51:07 GMT", 90.0),
    ("Sunday, 06-Nov-50 08:50:07 GMT", None),
    ("Sun, 99 Nov 1994 08:50:07 GMT", None),
    ("Sun, 06 Nov 1994 48:50:07 GMT", None),
    ("1994-13-06T08:50:07Z", None),
]


@pytest.mark.parametrize(("value", "wait"), HEADERS)
def test_value_of_a_header(value: str, wait: float | None) -> None:
    """A span with any unit and a moment in any form are read, in any header for waits."""
    for name in ("retry-after", "x-ratelimit-reset", "x-ratelimit-reset-tokens-minute"):
        seconds = read_retry_after({name: value}, "", float(int(NOW)))
        assert seconds == (None if wait is None else pytest.approx(wait)), name


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x-ratelimit-reset-requests": "12"}, 12.0),
        ({"x-ratelimit-reset-requests-day": "33011.38"}, 33011.38),
        ({"anthropic-ratelimit-tokens-reset": "1994-11-06T08:50:07Z"}, 30.0),
        ({"ratelimit-reset": "50"}, 50.0),
        ({"x-rate-limit-reset": "50"}, 50.0),
        ({"ratelimit": '"default";r=0;t=50'}, 50.0),
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, 50.0),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": MILLISECONDS}, 30.0),
        ({"retry-after-ms": "2s"}, 2.0),
        ({"retry-after": "0", "x-ratelimit-reset": "7"}, 7.0),
        ({"retry-after": "2", "x-ratelimit-reset-requests": "7s"}, 7.0),
        (
            {
                "retry-after": "2",
                "x-ratelimit-reset-requests": "180s",
                "x-ratelimit-remaining-requests": "14370",
            },
            2.0,
        ),
        ({"x-ratelimit-reset": "9", "x-ratelimit-remaining": "5"}, 9.0),
        ({"x-ratelimit-limit": "9"}, None),
    ],
)
def test_family_of_headers(headers: dict[str, str], wait: float | None) -> None:
    """The time until a limit resets counts unless something of it remains."""
    seconds = read_retry_after(headers, "", float(int(NOW)))
    assert seconds == (None if wait is None else pytest.approx(wait))


@pytest.mark.parametrize(
    ("name", "value", "wait"),
    [
        ("retryDelay", "33s", 33.0),
        ("retrydelay", "0.3s", 0.3),
        ("estimated_time", 20.0, 20.0),
        ("retry_after", 1.5, 1.5),
        ("retry_after_ms", 1500, 1.5),
        ("retry_after_minutes", 2, 120.0),
        ("X-RateLimit-Reset", MILLISECONDS, 30.0),
        ("resets_at", int(SECONDS), 30.0),
        ("reset_at", "1994-11-06T08:50:07Z", 30.0),
        *((name, 20, 20.0) for name in ("wait", "wait_for", "retry_after_s", "backoff")),
        *((name, 20, 20.0) for name in ("seconds_until_reset", "time_to_wait")),
        *(
            (name, "20s", 20.0)
            for name in ("try_again_in", "available_in", "timeUntilReset")
        ),
        *((name, 20_000, 20.0) for name in ("wait_ms", "ms_until_reset", "backoffMillis")),
        ("retry_wait_minutes", 2, 120.0),
        ("seconds_remaining", 20, 20.0),
        ("reset", int(SECONDS), 30.0),
        ("reset", MILLISECONDS, 30.0),
        ("reset", "1994-11-06T08:50:07Z", 30.0),
        ("reset", "30s", 30.0),
        ("reset", 30, None),
        ("reset", "30.", None),
        ("wait", "later", None),
        ("awaited", 30, None),
        ("retry_after", True, None),
        ("retry_after", None, None),
        ("retry_after", 0, None),
        ("retry_after", -1, None),
        ("limit", 60, None),
    ],
)
def test_field_of_the_body(name: str, value: object, wait: float | None) -> None:
    """Fields with a wait are read, and so are headers that the body repeats."""
    seconds = read_retry_after({}, "", float(int(NOW)), [(name, value)])
    assert seconds == (None if wait is None else pytest.approx(wait))


WORDS: list[tuple[str, float | None]] = [
    ("Please retry in 20.04466179s.", 20.04466179),
    ("Please try again in 8m38.4s.", 518.4),
    ("Please try again in 6ms. Visit ...", 0.006),
    ("Retry in 20.", 20.0),
    ("Please retry after 33", 33.0),
    ("Please wait 20 seconds before trying again", 20.0),
    ("Wait for 5 s and retry", 5.0),
    ("You must wait 1 minute and 30 seconds before the next request", 90.0),
    ("Rate limit resets in 1h30m", 5400.0),
    ("You can send another request in about 3 hours. Try again in 3 hours", 10_800.0),
    ("Model is loading, estimated time: 20s", 20.0),
    ("Trying again in 2 days should work", 172_800.0),
    ("After 15 seconds and retry", 15.0),
    ("Too fast. After 15 seconds, please retry.", 15.0),
    ("No answer in 60 seconds, please retry.", None),
    ("15 seconds and then retry", 15.0),
    ("请在20秒后重试", 20.0),
    ("请 20 秒后再试", 20.0),
    ("请等待 2 分钟", 120.0),
    ("Bitte in 20 Sekunden erneut versuchen. erneut in 20 Sekunden", 20.0),
    ("You will regain access on 1994-11-06 at 08:50:07 UTC", 30.0),
    ("Try again after Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
    ("Created 1994-11-06T08:50:07Z", None),
    ("3 requests per 60 seconds. Please wait before trying again", None),
    ("Wait: 3 requests per 60 seconds", None),
    ("Please wait, the limit is counted per 60 seconds", None),
    ("Request timed out after 60 seconds, please try again", None),
    ("retry after 3 attempts", None),
    ("retry in 5%", None),
    ("retry in -5s", None),
    ("retry in 0s", None),
    ("try again later", None),
    ("Next request allowed in 42 seconds", 42.0),
    ("retry_after: 9", 9.0),
    ("The block will be lifted in 15 minutes", 900.0),
    ("seconds until reset: 20", 20.0),
    ("Try again in 00:01:30", 90.0),
    ("Too many requests, 8 seconds left", 8.0),
    ("Please retry after 33 or contact support", 33.0),
    ("please slow down and retry after 1m0s", 60.0),
    ("You can retry in 30s", 30.0),
    ("Your limit resets in 2h 5m", 7500.0),
    ("Expected available in 30 seconds.", 30.0),
    ("(retry in 250 ms)", 0.25),
    ("请 30 秒之后重试", 30.0),
    ("请在1分30秒后再次尝试", 90.0),
    ("稍后 10s 重试", 10.0),
    ("Retry 3 times", None),
    ("5 requests left", None),
    ("try again at 1994-99-06T08:50:07Z", None),
    ("wait 99999 days", None),
    ("Please wait 1,200 seconds", 1200.0),
    ("Please wait 1,200", 1200.0),
    ("Please wait 1,234,567 ms", 1234.567),
    ("retry after 33 seconds or in 2 minutes", 120.0),
    ("retry after 2 minutes, or 33 seconds, or after 1 s", 120.0),
    ("Try again in one minute", 60.0),
    ("Please try again in a minute", 60.0),
    ("Wait half an hour before the next request", 1800.0),
    ("One minute left", 60.0),
    ("Please try again in about two hours.", 7200.0),
    ("try again in a moment", None),
    ("try again in a few minutes", None),
    ("5 requests a minute, then retry", None),
    ("Please try again in 1 week", 604_800.0),
    ("Your limit resets in 2w", 1_209_600.0),
    ("Bitte warten Sie 30 Sekunden", 30.0),
    ("Bitte warten Sie eine Minute", 60.0),
    ("Bitte warten Sie 1,5 Sekunden", 1.5),
    ("Veuillez patienter 20 secondes", 20.0),
    ("Inténtelo de nuevo en 20 segundos", 20.0),
    ("Espere 2 minutos", 120.0),
    ("20초 후에 다시 시도하세요", 20.0),
    ("5분 뒤에 다시 시도하세요", 300.0),
    ("30秒後に再試行してください", 30.0),
    ("30秒お待ちください", 30.0),
    ("请一分钟后重试", 60.0),
    ("The model is loading; estimated_time 20.0", 20.0),
    ("Estimated wait time: 20", 20.0),
    ("Quota will be replenished in 09:18:34.", 33_514.0),
    ("Quota will be replenished in 1.09:18:34.", 119_914.0),
    ("Your limit resets at 10:00:00", None),
    ("Try again in 1994-99-06", None),
]


@pytest.mark.parametrize(("message", "wait"), WORDS)
def test_wait_in_words(message: str, wait: float | None) -> None:
    """Words with a wait are read in any order; a limit per time is no wait."""
    seconds = read_retry_after({}, message, float(int(NOW)))
    assert seconds == (None if wait is None else pytest.approx(wait))


def test_longest_of_words_headers_and_fields() -> None:
    """Of several waits that all hold, the longest counts."""
    fields = [("retryDelay", "5s")]
    assert read_retry_after({"retry-after": "3"}, "try again in 4s", NOW, fields) == 5.0
    assert read_retry_after({"retry-after": "3"}, "try again in 9s", NOW, fields) == 9.0
    assert read_retry_after({"retry-after": "0"}, "try again in 0s", NOW, fields) == 5.0


@pytest.mark.timed
@pytest.mark.parametrize(
    "text",
    [
        *("1" * 4_000, "1s " * 2_000, "wait " * 900 + "5", "retry " * 800, "1," * 2_000),
        *(("wait" + " " * 59) * 64, "2024-01-01T00:00:00 " * 200, "again" * 800),
        *("1 and " * 800, "estimated " * 400, "a minute " * 500, "again in a " * 400),
    ],
)
def test_many_long_fields_cost_no_time(text: str) -> None:
    """No more is read of fields, of headers and of words than a wait needs."""
    start = time.process_time()
    read_retry_after({"retry-after": text}, text, NOW, [("retryafter", text)] * 1_000)
    assert time.process_time() - start < 5.0


def test_only_the_start_of_an_error_tells_a_wait() -> None:
    """Fields of other names do not count among those that are read."""
    others = [(f"x{n}", "1s") for n in range(1_000)]
    assert read_retry_after({}, "", NOW, [*others, ("wait", 5)]) == 5.0
    waits = [("wait", 1)] * 1_000
    assert read_retry_after({}, "", NOW, [*waits, ("wait", 5)]) == 1.0
    assert read_retry_after({}, "x" * 5_000 + "retry in 5s", NOW) is None
