"""Spans of time and moments, in the forms in which servers write them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.wire.spans import find_dates, read_moment, read_span


@given(seconds=st.integers(0, 99_999_999))
def test_span_in_units_is_the_same_as_in_seconds(seconds: int) -> None:
    """Days, hours, minutes and seconds, short or written out, add up."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    assert read_span(str(seconds)) == seconds
    assert read_span(f"{days}d{hours}h{minutes}m{rest}s") == seconds
    words = f"{days} days, {hours} hours, {minutes} minutes and {rest} seconds"
    assert read_span(words) == seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("5", None),
        ("100000000", 1e8),
        ("1764147600", 1764147600.0),
        ("1764147600000", 1764147600.0),
        ("2025-11-26T09:00:00Z", 1764147600.0),
        ("Wed, 26 Nov 2025 09:00:00 GMT", 1764147600.0),
        ("soon", None),
    ],
)
def test_moment(text: str, moment: float | None) -> None:
    """Only a number too large for a span is a moment."""
    assert read_moment(text, 0.0) == moment
    assert moment is None or read_span(text) is None


@given(text=st.text(max_size=100), now=st.floats(0.0, 1e10))
def test_any_text_is_read(text: str, now: float) -> None:
    """Whatever the text, nothing is raised."""
    assert (read_span(text) or 0.0) >= 0.0
    assert read_moment(text, now) is None or not read_span(text)


@pytest.mark.timed
@pytest.mark.parametrize("unit", ["1m", "1 ", "Sun, 06 Nov ", "1994-11-06T", "9", "a"])
def test_hostile_text_costs_no_time(unit: str) -> None:
    """Time grows in proportion to the size of the text."""
    text = unit * 20_000
    start = time.process_time()
    read_span(text)
    read_moment(text, 0.0)
    find_dates(text)
    assert time.process_time() - start < 5.0
