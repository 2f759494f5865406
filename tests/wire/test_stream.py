"""The body of a response in pieces: its deltas, its end, and the completion."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from builders import TIMING, body_of
from hypothesis import example, given
from hypothesis import strategies as st
from streaming import (
    DONE,
    FINISH,
    HELLO,
    ROLE,
    USAGE,
    chunk_of,
    event_of,
    text_of,
)

from limin.errors import (
    LiminError,
    ResponseError,
    ResponseTooLargeError,
    ServerError,
    StatusError,
)
from limin.values.choice import Delta
from limin.values.conversation import Conversation
from limin.wire.assembly import Assembly
from limin.wire.http import HttpResponse
from limin.wire.response import ReadingContext
from limin.wire.sse import are_events
from limin.wire.stream import AnswerReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.completion import TextCompletion
    from limin.values.timing import Timing

EVENTS = "text/event-stream"
PARTIAL = (ROLE, text_of("Hel"), text_of("lo"))


def reader_of(content_type: str = EVENTS, status: int = 200) -> AnswerReader:
    """A reader of the response to the prompt `hi`, before its body."""
    context = ReadingContext(conversation=Conversation.from_prompts("hi"), model="m")
    return AnswerReader(context, HttpResponse(status, {"content-type": content_type}, b""))


def read(
    pieces: Iterable[bytes], content_type: str = EVENTS, status: int = 200
) -> tuple[list[Delta], LiminError | None, AnswerReader]:
    """The deltas of a body that comes in *pieces*, its error, and its reader."""
    reader = reader_of(content_type, status)
    deltas: list[Delta] = []
    for piece in pieces:
        update = reader.feed(piece)
        deltas += update.deltas
        if update.error is not None:
            return deltas, update.error, reader
        if reader.is_done:
            break
    update = reader.finish(TIMING)
    return deltas + update.deltas, update.error, reader


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    """*body* in pieces, cut at the positions *cuts*."""
    ends = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    return [body[start:end] for start, end in pairwise(ends)]


def outcome(pieces: Iterable[bytes]) -> tuple[list[Delta], str, bool, TextCompletion]:
    """All that a reader reports of a body that comes in *pieces*."""
    deltas, error, reader = read(pieces)
    part = reader.readable_part(TIMING)
    return deltas, f"{error!r}{error}", reader.is_finished, part


BODIES = {
    "whole": b"".join(HELLO),
    "comments": b": hi\r\n\r\n" + b"".join(HELLO).replace(b"\n", b"\r\n"),
    "unfinished": b"".join(PARTIAL),
    "garbage": b"".join(PARTIAL) + b"data: {oops\n\n" + b"".join(HELLO),
    "error": b"".join(PARTIAL) + event_of({"error": {"message": "no"}}) + DONE,
    "several choices": b"".join(
        event_of(chunk_of({"content": text}, index=index))
        for text, index in [("a", 1), ("ü", 0), ("b\u2028", 1)]
    ),
    "done twice": b"".join(HELLO) + DONE + b"data: {oops\n\n",
    "json": json.dumps(body_of("4 é", finish_reason="stop")).encode(),
    "blank lines, then json": b"\n\n \n" + json.dumps(body_of("4")).encode(),
    "byte order mark, then blank lines": b"\xef\xbb\xbf\n \n" + b"".join(HELLO),
    "nothing": b"",
}


@given(name=st.sampled_from(sorted(BODIES)), cuts=st.lists(st.integers(0, 700)))
@example(name="whole", cuts=list(range(900)))
@example(name="comments", cuts=list(range(900)))
@example(name="garbage", cuts=list(range(900)))
@example(name="error", cuts=list(range(900)))
@example(name="done twice", cuts=list(range(900)))
@example(name="several choices", cuts=list(range(900)))
@example(name="json", cuts=list(range(900)))
@example(name="blank lines, then json", cuts=list(range(900)))
@example(name="byte order mark, then blank lines", cuts=list(range(900)))
def test_cuts_of_the_network_do_not_matter(name: str, cuts: list[int]) -> None:
    """However the network cuts a body, the same deltas come, and the same end."""
    body = BODIES[name]
    assert outcome(cut(body, cuts)) == outcome([body])


def test_events_add_their_deltas_as_they_come() -> None:
    """Each event adds its deltas, and the completion has them all."""
    reader = reader_of()
    role, *texts, finish, usage, done = [reader.feed(event).deltas for event in HELLO]
    assert texts == [[Delta("Hel")], [Delta("lo")]]
    assert finish == [Delta(finish_reason="stop")]
    assert role == usage == done == []
    assert (reader.is_stream, reader.is_done, reader.is_whole) == (True, True, True)
    update = reader.finish(TIMING)
    assert (update.deltas, update.error, update.has_data) == ([], None, False)
    completion = reader.completion(TIMING)
    assert (completion.message, completion.finish_reason) == ("Hello", "stop")
    assert completion.timing is TIMING


def test_answer_that_does_not_stream_comes_when_the_body_ends() -> None:
    """Each choice is one delta, with all that it says; the body is kept as it came."""
    choices = [
        {"index": 1, "message": {"content": None, "refusal": "no"}},
        {"index": 0, "message": {"content": "yes", "reasoning": "hm"}},
    ]
    body = b"\n " + json.dumps({"choices": choices}).encode()
    reader = reader_of("application/json")
    assert reader.feed(body).deltas == []
    assert (reader.is_stream, reader.is_finished) == (False, False)
    deltas = [Delta(refusal="no", choice=1), Delta("yes", "hm")]
    assert reader.finish(TIMING).deltas == deltas
    assert reader.is_finished
    assert reader.completion(TIMING).raw_bytes == body


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n\n", b": hi\n", b"id:1\n"])
def test_stream_under_a_wrong_content_type(content_type: str, start: bytes) -> None:
    """Events are read as events under any content type."""
    deltas, error, _ = read([start + b"".join(HELLO)], content_type)
    assert [delta.text for delta in deltas] == ["Hel", "lo", ""]
    assert error is None


@pytest.mark.parametrize("body", [b"<html>oops", b"", b"data", b"oops: 1\n\n", b"true"])
def test_neither_a_stream_nor_an_answer(body: bytes) -> None:
    """Its error is the one of a response that was not streamed."""
    pieces = [body[n : n + 1] for n in range(len(body))]
    deltas, error, reader = read(pieces, "text/html")
    assert deltas == []
    assert isinstance(error, ResponseError)
    assert not reader.is_stream


def test_error_response_is_no_stream() -> None:
    """The body of an error is read whole, whatever its content type is."""
    body = b'data: {"error":{"message":"busy"}}\n\n'
    deltas, error, reader = read([body], status=503)
    assert deltas == []
    assert isinstance(error, ServerError)
    assert not reader.is_stream


def test_error_comes_after_the_deltas_before_it() -> None:
    """The deltas before an error are returned with it, and nothing is read after it."""
    failure = event_of({"error": {"message": "no"}})
    update = reader_of().feed(text_of("a") + failure + text_of("b"))
    assert update.deltas == [Delta("a")]
    assert isinstance(update.error, StatusError)


def test_stream_that_just_ends_is_not_finished() -> None:
    """It is no error to the reader, which cannot know who broke it off."""
    deltas, error, reader = read(PARTIAL)
    assert [delta.text for delta in deltas] == ["Hel", "lo"]
    assert (error, reader.is_finished) == (None, False)
    assert reader.completion(TIMING).message == "Hello"


def test_last_event_may_lack_its_blank_line() -> None:
    """Proxies and some servers end a stream so."""
    deltas, error, reader = read([b"".join((*PARTIAL, FINISH)).rstrip(b"\n")])
    assert deltas[-1] == Delta(finish_reason="stop")
    assert (error, reader.is_finished) == (None, True)


def test_end_inside_the_last_word_of_a_whole_answer() -> None:
    """Only the end of the last event is missing."""
    _, error, reader = read([*PARTIAL, FINISH, USAGE, b"data: [DO"])
    assert (error, reader.is_finished, reader.is_done) == (None, True, False)


@pytest.mark.parametrize(
    ("data", "has_data"),
    [
        (b": ping\n\n", False),
        (b"data:  \n\n", False),
        (b"data: [DONE]\n\n", True),
        (ROLE, True),
        (b": ping\n\n" + text_of("a"), True),
    ],
)
def test_keep_alive_is_no_data(data: bytes, *, has_data: bool) -> None:
    """So a server that only keeps its connection alive does not count as active."""
    assert reader_of().feed(data).has_data is has_data


def test_event_beyond_the_limit() -> None:
    """Where it is read, and where only the end shows it."""
    event = b"data: " + b"x" * 16_000_001
    assert isinstance(reader_of().feed(event).error, ResponseTooLargeError)
    reader = reader_of()
    update = reader.feed(text_of("a") + event)
    assert (update.deltas, update.error) == ([Delta("a")], None)
    assert isinstance(reader.finish(TIMING).error, ResponseTooLargeError)


def test_part_that_cannot_be_read_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error that broke the stream is more important."""
    read_completion = Assembly.completion

    def completion(assembly: Assembly, timing: Timing) -> TextCompletion:
        if assembly._choices:
            problem = "nested too deeply"
            raise ResponseError(problem)
        return read_completion(assembly, timing)

    monkeypatch.setattr(Assembly, "completion", completion)
    _, _, reader = read([text_of("x")])
    with pytest.raises(ResponseError):
        reader.completion(TIMING)
    assert reader.readable_part(TIMING).message == ""


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_start_of_the_body_is_read_once(
    monkeypatch: pytest.MonkeyPatch, mark: bytes
) -> None:
    """White space before it, in many pieces, is not read again with each piece."""
    sizes: list[int] = []

    def kind(content_type: str, start: bytes, *, is_all: bool) -> bool | None:
        sizes.append(len(start))
        return are_events(content_type, start, is_all=is_all)

    monkeypatch.setattr("limin.wire.stream.are_events", kind)
    deltas, _, _ = read([mark, *[b"\n"] * 1000, b"da", text_of("a")[2:]], "text/plain")
    assert deltas == [Delta("a")]
    assert max(sizes[:-1]) <= len(mark) + 2
