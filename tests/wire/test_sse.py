import time
from typing import Any

import pytest
from builders import capture, captures
from hypothesis import example, given
from hypothesis import strategies as st

from limin.errors import ResponseTooLargeError
from limin.wire.sse import BareLines, ErrorEvent, EventDecoder, are_events

STREAMS = [name for name in captures() if "-stream" in name]

# What lines of a stream are made of, the odd and the usual.
LINES = st.lists(
    st.sampled_from(
        [
            b"",
            b"",
            b"data: {}",
            b"data: \xf0\x9f\xa6\x8a",
            b"data:x",
            b"data",
            b"data: ",
            b": ping",
            b"event: e",
            b"error: no",
            b"event: error",
            b"data: : ping",
            b"data: {",
            b'{"a":',
            b" 1}",
            b"\xef\xbb\xbfdata: 1",
            b"id",
        ]
    )
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def decode(stream: bytes, size: int = 0, limit: int = 1000) -> list[bytes]:
    """The events of *stream*, cut into pieces of *size* bytes."""
    decoder = EventDecoder(limit)
    size = size or len(stream)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


def kinds(events: list[bytes]) -> list[type[bytes]]:
    """Return the types of *events*."""
    return [type(event) for event in events]


@given(lines=LINES, end=ENDS, sizes=st.lists(st.integers(1, 20), min_size=1, max_size=5))
@example(
    lines=[b"\xef\xbb\xbfdata: 1", b"", b": c", b"data: 2", b""], end=b"\r\n", sizes=[1]
)
def test_cuts_of_the_network_do_not_matter(
    lines: list[bytes], end: bytes, sizes: list[int]
) -> None:
    """However the network cuts a stream, the same events come out."""
    stream = end.join(lines)
    whole = decode(stream) if stream else []
    decoder, start, cut = EventDecoder(), 0, list[bytes]()
    while start < len(stream):
        size = sizes[start % len(sizes)]
        cut += decoder.feed(stream[start : start + size])
        start += size
    cut += decoder.finish()
    assert cut == whole
    assert kinds(cut) == kinds(whole)


@given(st.lists(st.binary(max_size=30)))
def test_random_bytes_are_no_reason_to_crash(pieces: list[bytes]) -> None:
    """Whatever comes, events are bytes that are not empty."""
    decoder = EventDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert all(events + decoder.finish())


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("size", [0, 1, 100])
def test_captured_streams_are_read_whole(name: str, size: int) -> None:
    """Every `data:` line of a captured stream is one event."""
    body = capture(name)["body"].encode()
    lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
    assert decode(body, size) == lines
    assert lines[-1] == b"[DONE]"


@pytest.mark.parametrize(
    "comment", [b": OPENROUTER PROCESSING", b": keep-alive", b": ping", b":"]
)
def test_c1_comments_are_no_events(comment: bytes) -> None:
    """A connection that is only kept alive brings no data."""
    decoder = EventDecoder()
    assert decoder.feed(comment + b"\n\n") == []
    assert decoder.feed(b"data: 1\n\n" + comment + b"\n\n") == [b"1"]
    assert decoder.feed(comment + b"\n\ndata: 2\n\n") == [b"2"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5])
def test_c2_lines_end_in_three_ways(end: bytes, size: int) -> None:
    """Line ends may be split, and so may characters."""
    lines = [b"data: \xf0\x9f\xa6\x8a", b"", b"data: 2", b"", b"data: 3", b"", b""]
    assert decode(end.join(lines), size) == [b"\xf0\x9f\xa6\x8a", b"2", b"3"]


def test_c2_return_and_newline_in_two_pieces_are_one_line_end() -> None:
    """A line feed behind a carriage return is no blank line, however late it comes."""
    decoder = EventDecoder()
    assert decoder.feed(b"data: 1\r") == []
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: 2\r\n\r") == [b"1\n2"]
    assert decoder.feed(b"data: 3\n\n") == [b"3"]
    assert decoder.feed(b"\ndata: 4\n\n") == [b"4"]


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("character", ["\u2028", "\u0085", "\v", "\f", "\x1c"])
def test_c2_no_other_character_ends_a_line(character: str, size: int) -> None:
    """Characters that Python takes for line ends may stand in text."""
    text = f"a{character}b".encode()
    assert decode(b"data: " + text + b"\n\n", size) == [text]


@pytest.mark.parametrize("size", [0, 1])
def test_c2_byte_order_mark_is_skipped_at_the_start_alone(size: int) -> None:
    """A mark at the start belongs to no field; a later one makes an unknown field."""
    mark = b"\xef\xbb\xbf"
    assert decode(mark + b"data: 1\n\n" + mark + b"data: 2\n\n", size) == [b"1"]
    assert decode(b"data: 1\n\ndata: " + mark + b"\n\n", size) == [b"1", mark]


@pytest.mark.parametrize("size", [0, 1])
def test_c2_fields_are_read_as_the_standard_says(size: int) -> None:
    """One space is skipped, lines are joined, other fields are ignored."""
    stream = (
        b"event: message\nid: 7\nretry: 10\ndata:1\n\n"
        b"data:  2\n\ndata: 3\ndata: 4\ndata\ndata:5\n\nunknown: 6\n\n"
    )
    assert decode(stream, size) == [b"1", b" 2", b"3\n4\n\n5"]


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("tail", [b"", b"\n", b"\r", b"\r\n"])
def test_c3_last_event_needs_no_blank_line(tail: bytes, size: int) -> None:
    """A stream that closes behind its last event has brought it."""
    assert decode(b"data: 1\n\ndata: 2" + tail, size) == [b"1", b"2"]


@pytest.mark.parametrize("empty", [b"data:\n\n", b"data: \n\n", b"data\n\n"])
@pytest.mark.parametrize("size", [0, 1])
def test_c4_events_without_data_are_dropped(empty: bytes, size: int) -> None:
    """Events without data are skipped."""
    assert decode(empty + b"data: 1\n\n" + empty + b"data: 2\n\n", size) == [b"1", b"2"]


@pytest.mark.parametrize("size", [0, 1])
def test_c13_field_named_error_has_a_type_of_its_own(size: int) -> None:
    """Old llama.cpp servers name the field, and not the object, `error`."""
    events = decode(b'data: 1\n\nerror: {"code":400}\n\ndata: [DONE]\n\n', size)
    assert events == [b"1", b'{"code":400}', b"[DONE]"]
    assert kinds(events) == [bytes, ErrorEvent, bytes]


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("name", [b"error", b" Error ", b"response.error", b"exception"])
def test_event_named_error_has_a_type_of_its_own(name: bytes, size: int) -> None:
    """An event named `error` is one, with comments between its lines, but not the next."""
    stream = b"event:" + name + b"\n: hi\ndata: 1\n\ndata: 2\n\nevent: error\n\ndata: 3\n\n"
    events = decode(stream, size)
    assert events == [b"1", b"2", b"3"]
    assert kinds(events) == [ErrorEvent, bytes, bytes]


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize(
    "comment",
    [
        b"data: : OPENROUTER PROCESSING\n\n",
        b"data: : ping\n",
        b"data:: ping\n\n",
        b"data: :\n\n",
    ],
)
def test_comment_in_the_place_of_data_is_none(comment: bytes, size: int) -> None:
    """A keep-alive comment inside a `data:` line is passed over like a comment."""
    stream = comment + b"data: 1\n\n" + comment * 2 + b"data: 2\n\n"
    assert decode(stream, size) == [b"1", b"2"]


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize(
    ("stream", "events", "n_bare"),
    [
        (b'data: 1\n\n{"a": 1}\n', [b"1", b'{"a": 1}'], 1),
        (b'data: 1\n{"a": 1}\ndata: 2\n\n', [b"1", b'{"a": 1}', b"2"], 1),
        (b'{"a":\n  1\n}\n\ndata: 2\n\n', [b'{"a":\n  1\n}', b"2"], 1),
        (b"data: 1\n\n[\n  2\n]", [b"1", b"[\n  2\n]"], 1),
        (b'data: {\n  "a": 1\n}\n\n', [b'{\n  "a": 1\n}'], 0),
        (b"data: 1\nwords\n\nmore words\n", [b"1"], 0),
    ],
)
def test_json_without_a_field(
    stream: bytes, events: list[bytes], n_bare: int, size: int
) -> None:
    """JSON outside of events is handed over, too, on one line or on several."""
    result = decode(stream, size)
    assert result == events
    assert kinds(result).count(BareLines) == n_bare


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * 95,
        b": " + b"x" * 99,
        b"data: 12345678901234567890\n" * 4,
        b"data:\n" * 17,
        b"data: " + b"x" * 95 + b"\n\n",
    ],
    ids=["endless-line", "endless-comment", "many-lines", "empty-lines", "whole"],
)
def test_size_of_an_event_has_a_bound(stream: bytes, size: int) -> None:
    """No server can fill the memory with one event, in lines or without them."""
    with pytest.raises(ResponseTooLargeError, match="larger than 100 bytes") as caught:
        decode(stream, size, limit=100)
    assert caught.value.limit == 100


def test_largest_event_passes() -> None:
    """The bound is for one event, and not for the stream."""
    event = b"data: " + b"x" * 94 + b"\n\n"
    assert decode(event * 3, 0, 100) == decode(event * 3, 7, 100) == [b"x" * 94] * 3


def test_events_before_one_too_large_are_handed_over() -> None:
    """The events before a line that is too long are returned; those after it are not."""
    decoder = EventDecoder(20)
    assert decoder.feed(b"data: 1\n\ndata: " + b"x" * 30 + b"\n\n") == [b"1"]
    with pytest.raises(ResponseTooLargeError):
        decoder.feed(b"data: 2\n\n")
    with pytest.raises(ResponseTooLargeError):
        decoder.finish()


@pytest.mark.timed
@pytest.mark.parametrize("size", [1, 100])
def test_time_is_linear_in_the_size_of_an_event(size: int) -> None:
    """A large event in small pieces takes no quadratic time."""
    decoder = EventDecoder()
    piece = b"x" * size
    start = time.process_time()
    decoder.feed(b"data: ")
    for _ in range(500_000 // size):
        decoder.feed(piece)
    assert decoder.feed(b"\n\n") == [b"x" * 500_000]
    # Some tenths of a second; copying all at each piece would take many times that.
    assert time.process_time() - start < 20.0


STREAM = "Text/Event-Stream; charset=utf-8"


@pytest.mark.parametrize(
    ("content_type", "start", "expected"),
    [
        (STREAM, b"data: 1", True),
        (STREAM, b"hello", True),
        (STREAM, b'{"error":', False),
        (STREAM, b"[", False),
        (STREAM, b"", None),
        (STREAM, b"\n \n", None),
        ("", b"", None),
        ("application/json", b"data", None),
        ("application/json", b"data:", True),
        ("application/json", b": hi", True),
        ("text/plain", b"\xef\xbb\xbfid:", True),
        ("text/plain", b"retry:1", True),
        ("text/plain", b"oops:", False),
        ("text/plain", b"<html>", False),
        ("", b'"text"', False),
    ],
)
def test_what_a_body_starts_with_decides(
    content_type: str, start: bytes, expected: Any
) -> None:
    """The start of a body decides, not its header; too short a start is None."""
    assert are_events(content_type, start, is_all=False) is expected
    ended = content_type == STREAM if expected is None else expected
    assert are_events(content_type, start, is_all=True) is ended
