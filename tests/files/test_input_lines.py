"""Lines of text and of JSON, with their numbers."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.files.input_lines import (
    InputLine,
    WrongLine,
    read_json_lines,
    read_object,
    read_plain_lines,
)


def test_plain_lines_are_prompts() -> None:
    """A line is a prompt, whatever its end; blank lines count, and are none."""
    file = io.BytesIO("\ufeffone\r\n\n  \n zwei ü\nlast".encode())
    assert [(line.number, line) for line in read_plain_lines(file)] == [
        (1, InputLine(1, {"prompt": "one"})),
        (4, InputLine(4, {"prompt": " zwei ü"})),
        (5, InputLine(5, {"prompt": "last"})),
    ]


def test_plain_line_of_other_bytes() -> None:
    """A line that is no UTF-8 is told by its number, and the others are read."""
    lines = list(read_plain_lines(io.BytesIO(b"a\n\xff\nb\n")))
    assert lines[1] == WrongLine(2, "expected UTF-8, found other bytes")
    assert [line.number for line in lines] == [1, 2, 3]


def test_json_lines_keep_their_text() -> None:
    """The fields are read, and the text stays as it was, numbers of any size included."""
    text = b'{"prompt": "hi",  "n": 123456789012345678901234567890, "x": 1.50}'
    (line,) = read_json_lines(io.BytesIO(b" %b \r\n" % text))
    assert isinstance(line, InputLine)
    assert line.fields["n"] == 123456789012345678901234567890
    assert line.to_json() == text


@pytest.mark.parametrize(
    "text",
    [
        b"hi",
        b"[1]",
        b'"text"',
        b"null",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a":1}{"b":2}',
        b"\xff",
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_line_that_is_no_object(text: bytes) -> None:
    """What is no JSON object is told by its number."""
    assert read_object(text) is None
    lines = list(read_json_lines(io.BytesIO(b'{"prompt":"a"}\n%b\n' % text)))
    assert lines[1] == WrongLine(2, "expected a JSON object, found none")


def test_fields_without_a_text_are_written() -> None:
    """A row of a table becomes a JSON object on one line."""
    line = InputLine(1, {"a": "x\ny", "b": 2, "c": None})
    assert line.to_json() == b'{"a":"x\\ny","b":2,"c":null}'


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=4))
@example({"\ud800": "\udfff"})
def test_object_comes_back(fields: dict[str, object]) -> None:
    """Whatever object is on a line, its fields are read."""
    (line,) = read_json_lines(io.BytesIO(json.dumps(fields).encode() + b"\n"))
    assert isinstance(line, InputLine)
    assert line.fields == fields


def test_repr_has_no_prompt() -> None:
    """A line in a log shows its number alone."""
    assert repr(InputLine(3, {"prompt": "secret"}, b"secret")) == "InputLine(number=3)"
