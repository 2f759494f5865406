"""Events that are no part of an answer: the end of a stream, and signs of life."""

from __future__ import annotations

import pytest
from builders import TIMING
from streaming import FINISH, USAGE, chunk_of, event_of, text_of

from limin.errors import StatusError
from limin.values.conversation import Conversation
from limin.wire.http import HttpResponse
from limin.wire.response import ReadingContext
from limin.wire.stream import AnswerReader

SIGNS = {
    "null": event_of("null"),
    "word": event_of("ping"),
    "quoted word": event_of('"keep-alive"'),
    "blank": event_of(" "),
    "many blanks": event_of(" " * 5000),
    "type": event_of({"type": "ping"}),
    "object": event_of({"object": "keepalive", "message": "still working"}),
    "event in the object": event_of({"event": "Heart_Beat", "status": "processing"}),
    "event": b'event: ping\ndata: {"message":"keepalive"}\n\n',
    "event without a blank": b"event:heartbeat\ndata:{\ndata:}\n\n",
    "event of text": b"event: keep-alive\ndata: still working on it\n\n",
    "event without data": b"event: ping\n\n",
}

ENDS = {
    "lower case": b"[done]",
    "title case": b"[Done]",
    "quoted": b'"[DONE]"',
    "single quotes": b"'[DONE]' ",
    "without brackets": b"DONE",
}


def reader_of() -> AnswerReader:
    """A reader of the response to the prompt `hi`, before its body."""
    context = ReadingContext(conversation=Conversation.from_prompts("hi"), model="m")
    head = HttpResponse(200, {"content-type": "text/event-stream"}, b"")
    return AnswerReader(context, head)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("sign", SIGNS)
def test_sign_of_life_adds_nothing(sign: str, size: int) -> None:
    """The answer is the same as without it, wherever it stands and however it is cut."""
    sound = [text_of("a"), text_of("b"), FINISH, USAGE]
    events = [SIGNS[sign] + event for event in (*sound, b"")]
    reader = reader_of()
    body = b"".join(events)
    updates = [reader.feed(body[i : i + size]) for i in range(0, len(body), size)]
    assert [
        update.error for update in (*updates, reader.finish(TIMING)) if update.error
    ] == []
    expected = reader_of()
    expected.feed(b"".join(sound))
    completion = reader.completion(TIMING)
    assert completion == expected.completion(TIMING)
    assert completion.raw == expected.completion(TIMING).raw


@pytest.mark.parametrize("sign", SIGNS)
def test_sign_of_life_is_no_data(sign: str) -> None:
    """A server that sends nothing else does not count as active."""
    assert not reader_of().feed(SIGNS[sign]).has_data


@pytest.mark.parametrize("end", ENDS)
def test_end_in_other_writings(end: str) -> None:
    """The answer has ended, and what follows does not count."""
    reader = reader_of()
    update = reader.feed(text_of("a") + event_of(ENDS[end]) + text_of("b"))
    assert (update.error, reader.is_done, reader.is_finished) == (None, True, True)
    assert reader.completion(TIMING).message == "a"


@pytest.mark.parametrize(
    "event",
    [
        event_of({"type": "ping", "error": {"message": "no"}}),
        b'event: ping\ndata: {"error": {"message": "no"}}\n\n',
        b'event: ping\nerror: {"message": "no"}\n\n',
        event_of({"object": "error", "message": "no"}),
        event_of({"message": "no"}),
    ],
)
def test_error_is_no_sign_of_life(event: bytes) -> None:
    """Whatever stands around it."""
    error = reader_of().feed(event).error
    assert isinstance(error, StatusError)
    assert error.reason == "no"


@pytest.mark.parametrize("data", [b"error", b"no answer today", b"x" * 2000, b"5"])
def test_other_text_is_told(data: bytes) -> None:
    """What is no single harmless word may say what went wrong."""
    error = reader_of().feed(event_of(data)).error
    assert error is not None
    assert data[:20].decode() in str(error)


def test_chunk_under_the_name_of_a_sign_of_life() -> None:
    """A blank line that is missing costs no text."""
    reader = reader_of()
    event = b"event: ping\n" + event_of(chunk_of({"content": "a"}, type="ping"))
    assert [delta.text for delta in reader.feed(event).deltas] == ["a"]
