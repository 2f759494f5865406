import json
from typing import NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from json_values import PLACES, Written, cut, written

from limin.json_text.scanner import DEEPEST, Event, JSONScanner


def scan(*pieces: str) -> tuple[list[Event], JSONScanner]:
    """All events of a text in *pieces*, and the scanner after its end."""
    scanner = JSONScanner()
    events = [event for piece in pieces for event in scanner.feed(piece)]
    return events + scanner.finish(), scanner


def refuse(constant: str) -> NoReturn:
    """Refuse what JSON has no word for, as `NaN`."""
    raise ValueError(constant)


def is_json(text: str) -> bool:
    """Whether Python's own parser takes *text*, without the words that it adds."""
    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


def test_events() -> None:
    """Each part is reported with its text and its place, in the order of the text."""
    events, scanner = scan('{"a": [1, "b\\n"], "c": {}}')
    assert events == [
        Event("object", "{", 0, 1),
        Event("key", "a", 2, 3),
        Event("array", "[", 6, 7),
        Event("number", "1", 7, 8),
        Event("string", "b\\n", 11, 14),
        Event("end", "]", 15, 16),
        Event("key", "c", 19, 20),
        Event("object", "{", 23, 24),
        Event("end", "}", 24, 25),
        Event("end", "}", 25, 26),
    ]
    assert scanner.is_closed


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('""', "string"),
        ('"é\\u00e9\\ud83d\\/"', "string"),
        ("0", "number"),
        ("-0.50e+07", "number"),
        ("12E3", "number"),
        ("true", "true"),
        ("false", "false"),
        ("null", "null"),
    ],
)
@pytest.mark.parametrize("is_cut", [False, True])
def test_scalar_alone(text: str, kind: str, *, is_cut: bool) -> None:
    """A scalar may be the whole text, and come one character at a time."""
    events, scanner = scan(*text) if is_cut else scan(text)
    quotes = int(kind == "string")
    expected = text[quotes : len(text) - quotes]
    assert [(e.kind, e.text, e.start, e.end) for e in events] == [
        (kind, expected, quotes, len(text) - quotes)
    ]
    assert scanner.is_closed


@pytest.mark.parametrize(
    "text",
    ["```json\n[1]\n```\n", " ```JSON[1]", "```[1]```", "```\n[1] `", "```[1]\n``"],
)
def test_fence(text: str) -> None:
    """A code fence may stand around the value; it need not be closed."""
    for pieces in ([text], list(text)):
        events, scanner = scan(*pieces)
        assert [event.text for event in events] == ["[", "1", "]"]
        assert events[1].start == text.index("1")
        assert scanner.is_closed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "`",
        "```js",
        "```json\n",
        "[",
        '{"a',
        '{"a":',
        '"a\\u12',
        "tr",
        "-",
        "1.",
        "1e",
    ],
)
def test_text_that_breaks_off(text: str) -> None:
    """The beginning of JSON is no error, and nothing in it is closed."""
    for pieces in ([text], list(text)):
        events, scanner = scan(*pieces)
        assert scanner.error is None
        assert not scanner.is_closed
        assert {event.kind for event in events} <= {"object", "array", "key"}


def test_number_that_may_go_on() -> None:
    """A number is closed by what follows it, not by the end of a piece."""
    scanner = JSONScanner()
    assert scanner.feed("[1") == [Event("array", "[", 0, 1)]
    assert scanner.feed("2") == []
    assert scanner.feed(",") == [Event("number", "12", 1, 3)]
    assert scanner.feed("3") == []
    assert scanner.finish() == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Sure!", "expected a value, found 'S' at character 0"),
        ("[1,]", "expected a value, found ']' at character 3"),
        ("[NaN]", "expected a value or ], found 'N' at character 1"),
        ("[nul]", "expected a value or ], found 'n' at character 1"),
        ("[1}", "expected a comma or the end of the container, found '}' at character 2"),
        ("[1 2]", "expected a comma or the end of the container, found '2' at character 3"),
        ("{1}", "expected a key or }, found '1' at character 1"),
        ('{"a":1,}', "expected a key, found '}' at character 7"),
        ('{"a",', "expected a colon, found ',' at character 4"),
        ("[] x", "expected the end of the text, found 'x' at character 3"),
        ("[]```", "expected the end of the text, found '`' at character 2"),
        ("```[]` ``", "expected the end of the text, found '`' at character 5"),
        ("```[]``` ```", "expected the end of the text, found '`' at character 9"),
        ("``[]", "expected a value, found '`' at character 0"),
        ("``````", "expected a value, found '`' at character 3"),
        ("``` json[1]", "expected a value, found 'j' at character 4"),
        ("[```", "expected a value or ], found '`' at character 1"),
        ("[1,```", "expected a value, found '`' at character 3"),
        ("[01]", "expected the rest of a number, found '1' at character 2"),
        ("01", "expected the rest of a number, found '1' at character 1"),
        ("[1.]", "expected a digit, found ']' at character 3"),
        ("[1.e5]", "expected the rest of a number, found 'e' at character 3"),
        ("[+1]", "expected a value or ], found '+' at character 1"),
        ('"\\x"', "expected an escape of JSON, found 'x' at character 2"),
        ('"\\u12g4"', "expected an escape of JSON, found 'u' at character 2"),
        ('"a\nb"', "expected no control character in a string, found '\\n' at character 2"),
        ("\x1b[1m", "expected a value, found '\\x1b' at character 0"),
        ("\N{NO-BREAK SPACE}1", "expected a value, found '\\xa0' at character 0"),
    ],
)
def test_text_that_is_no_json(text: str, problem: str) -> None:
    """The error says what was expected and found, and where, however the text is cut."""
    for pieces in ([text], list(text)):
        scanner = scan(*pieces)[1]
        assert str(scanner.error) == problem
        assert not scanner.is_closed


def test_events_before_an_error() -> None:
    """What was closed before the error is reported, and nothing behind it."""
    scanner = JSONScanner()
    assert [event.text for event in scanner.feed('[1, "a" x')] == ["[", "1", "a"]
    assert scanner.feed(", 2]") == []
    assert scanner.finish() == []


def test_depth() -> None:
    """Nesting is bounded, so that nothing recursive fails on an answer."""
    assert scan("[" * DEEPEST + "]" * DEEPEST)[1].is_closed
    error = scan("[" * (DEEPEST + 1))[1].error
    assert str(error) == (
        "expected at most 500 containers in each other, found '[' at character 500"
    )


@given(written(), PLACES)
def test_cuts_do_not_matter(json_text: Written, places: list[int]) -> None:
    """However a text is cut, the same events come out, and every scalar is among them."""
    events, scanner = scan(*cut(json_text.text, places))
    assert events == scan(json_text.text)[0] == scan(*json_text.text)[0]
    assert scanner.is_closed
    found = [
        (event.text, event.start, event.end)
        for event in events
        if event.kind in {"string", "number", "true", "false", "null"}
    ]
    assert found == [(s.text, s.start, s.end) for s in json_text.scalars]
    for event in events:
        assert json_text.text[event.start : event.end] == event.text


@given(
    st.text('{}[]:,"\\ \n0123-.eEtrufalsn', max_size=12)
    | st.lists(
        st.sampled_from([*'{}[]:,"', '"a"', "-0", "1.5", "1e9", "true", "null", "\\", " "])
    ).map("".join),
    PLACES,
)
@example("-", [])
@example('{"a":1.0e-1}', [])
def test_agrees_with_the_parser(text: str, places: list[int]) -> None:
    """A text is closed JSON exactly if Python's parser takes it."""
    scanner = scan(*cut(text, places))[1]
    assert scanner.is_closed is is_json(text)
    if scanner.error is not None:
        assert not is_json(text)
        assert str(scanner.error) == str(scan(text)[1].error)


@given(written(), st.integers(0, 1000))
def test_beginning_is_no_error(json_text: Written, length: int) -> None:
    """A text that is cut off is never taken for a text that is no JSON."""
    assert scan(json_text.text[:length])[1].error is None
