"""Lines of an output, and the marks at their ends."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.files.run_lines import Mark, Shape, encode_line, join_objects, read_mark

MARK = Mark(
    number=7,
    request=bytes(range(32)),
    shape="fields",
    failed=False,
    time=1.5,
    prefix="out_",
)


def test_line_is_an_object_with_a_mark() -> None:
    """The mark is the last field, and is read again."""
    line = encode_line(b'{"answer":"hi"}', MARK)
    assert json.loads(line) == {
        "answer": "hi",
        "out_limin": {
            "version": 1,
            "line": 7,
            "request": bytes(range(32)).hex(),
            "shape": "fields",
            "failed": False,
            "time": 1.5,
            "crc32": json.loads(line)["out_limin"]["crc32"],
        },
    }
    assert line.endswith(b"}}\n")
    assert read_mark(line[:-1]) == MARK


def test_line_without_other_fields() -> None:
    """An object without a field gets its first one."""
    line = encode_line(b"{ }", MARK)
    assert list(json.loads(line)) == ["out_limin"]
    assert read_mark(line[:-1]) == MARK


@given(
    number=st.integers(1, 10**12),
    failed=st.booleans(),
    shape=st.sampled_from(["fields", "openai"]),
    text=st.text(),
    prefix=st.sampled_from(["", "a", "out.", "limin", "-_"]),
)
def test_mark_comes_back(
    *, number: int, failed: bool, shape: Shape, text: str, prefix: str
) -> None:
    """Whatever the line holds, its mark is read."""
    mark = Mark(
        number=number,
        request=bytes(32),
        shape=shape,
        failed=failed,
        time=1_795_694_845.059,
        prefix=prefix,
    )
    line = encode_line(json.dumps({"answer": text}).encode(), mark)
    assert read_mark(line[:-1]) == mark
    assert json.loads(line)["answer"] == text


def test_any_changed_byte_is_seen() -> None:
    """A damaged line is never taken for an answer."""
    line = encode_line(b'{"answer":"four"}', MARK)[:-1]
    for place in range(len(line)):
        damaged = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
        assert read_mark(damaged) is None, place


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"hi", b'{"limin":{"version":1}}', b"\xff" * 999]
)
def test_other_lines_have_no_mark(text: bytes) -> None:
    """What no run wrote is no line of one."""
    assert read_mark(text) is None


def test_answer_cannot_pass_for_a_mark() -> None:
    """A mark that a model wrote into its answer stays text."""
    forged = encode_line(b"{}", MARK)[1:-1].decode()
    line = encode_line(json.dumps({"answer": forged}).encode(), MARK)[:-1]
    assert read_mark(line) == MARK
    assert read_mark(json.dumps({"answer": forged}).encode()) is None


@pytest.mark.parametrize(
    ("objects", "joined"),
    [
        ([b'{"a":1}', b'{"b":2}'], b'{"a":1,"b":2}'),
        ([b"{}", b'{"b":2}'], b'{"b":2}'),
        ([b' { "a" : 1 } ', b"{}"], b'{"a" : 1}'),
        ([], b"{}"),
    ],
)
def test_objects_are_joined(objects: list[bytes], joined: bytes) -> None:
    """The fields of several objects become those of one."""
    assert join_objects(*objects) == joined
