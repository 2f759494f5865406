import math

import pytest

from limin.wire import untyped


@pytest.mark.parametrize(
    ("body", "parsed"),
    [
        (b'{"a": [1, null, true]}', {"a": [1, None, True]}),
        (b"\xef\xbb\xbf null", None),
        (b'"\xff"', "\ufffd"),
        (b"[Infinity, -Infinity]", [math.inf, -math.inf]),
        (b"\n\n\n1", 1),
        (b'"a\x01b"', "a\x01b"),
        (b"9" * 300, int("9" * 300)),
        (b"9" * 301, 1e301),
        (b"9" * 5000, math.inf),
    ],
)
def test_parse(body: bytes, parsed: object) -> None:
    """Text that servers write instead of JSON is read as it was meant."""
    assert untyped.parse(body) == parsed


def test_parse_not_a_number() -> None:
    """NaN, which JSON forbids and Python writes, is a number."""
    parsed = untyped.parse(b"NaN")
    assert isinstance(parsed, float)
    assert math.isnan(parsed)


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"{'a': 1}", b"[" * 100_000])
def test_parse_no_json(body: bytes) -> None:
    """A body that is no JSON is a ValueError, however deep it is nested."""
    with pytest.raises(ValueError, match=r"."):
        untyped.parse(body)


VALUES = [None, True, 3, 2.5, "text", ["list"], {"an": "object"}]


@pytest.mark.parametrize("value", VALUES)
def test_taken_by_type(value: object) -> None:
    """A value comes back as the type that is wanted, or not at all."""
    assert untyped.as_object(value) == (value if isinstance(value, dict) else None)
    assert untyped.as_list(value) == (value if isinstance(value, list) else None)
    assert untyped.as_text(value) == (value if isinstance(value, str) else None)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (-2.5, -2.5),
        ("-2.5", -2.5),
        (" 1e3 ", 1000.0),
        ("-Infinity", -math.inf),
        (-math.inf, -math.inf),
        (math.inf, None),
        (math.nan, None),
        ("NaN", None),
        (10**400, None),
        ("1e999", None),
        ("", None),
        ("four", None),
        (True, None),
        (None, None),
        ([4], None),
        ({"an": "object"}, None),
    ],
)
def test_as_number(value: object, number: float | None) -> None:
    """A number may come as text; one that is too large, or no number, is None."""
    result = untyped.as_number(value)
    assert result == number
    assert type(result) is (float if number is not None else type(None))


def test_kind() -> None:
    """Messages name the type of a value, and never its content."""
    assert [untyped.kind(value) for value in VALUES] == [
        "nothing",
        "a truth value",
        "a number",
        "a number",
        "text",
        "a list",
        "an object",
    ]
