"""Errors inside a success, in every shape, whole and in a stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from builders import TIMING, body_of, read
from hypothesis import given
from hypothesis import strategies as st
from streaming import DONE, FINISH, HELLO, event_of, text_of

from limin.errors import (
    ContextLengthError,
    LiminError,
    RateLimitError,
    ResponseError,
    ServerError,
    StatusError,
)
from limin.values.conversation import Conversation
from limin.wire.error_signs import is_error
from limin.wire.http import HttpResponse
from limin.wire.response import ReadingContext
from limin.wire.stream import AnswerReader

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion

OVERLOADED = "The model is overloaded. Please try again later."
GEMINI = [{"error": {"code": 503, "message": OVERLOADED, "status": "UNAVAILABLE"}}]
INSIDE = {"error": {"message": "This model's maximum context length is 5.", "code": 400}}
WATSONX = {
    "errors": [
        {
            "code": "invalid_input_argument",
            "message": f"Invalid input for Model 'x': {json.dumps(INSIDE)}",
            "more_info": "https://cloud.ibm.com/apidocs/watsonx-ai#text-chat",
        }
    ],
    "trace": "t",
    "status_code": 400,
}

# Body, class, words, effective status.
SHAPES: dict[str, tuple[Any, type[StatusError], str, int]] = {
    "list": (GEMINI, ServerError, OVERLOADED, 503),
    "errors": (
        WATSONX,
        ContextLengthError,
        "Invalid input for Model 'x': This model's maximum context length is 5.",
        400,
    ),
    "minimax": (
        {
            "id": "x",
            "choices": None,
            "base_resp": {"status_code": 1002, "status_msg": "rate limit"},
        },
        RateLimitError,
        "rate limit",
        429,
    ),
    "no-success": (
        {
            "result": None,
            "success": False,
            "errors": [{"code": 7009, "message": "Upstream service unavailable"}],
            "messages": [],
        },
        ServerError,
        "Upstream service unavailable",
        503,
    ),
    "status-false": ({"status": False, "title": "no"}, StatusError, "no", 200),
    "success-false": ({"success": False, "message": "no"}, StatusError, "no", 200),
    "code": ({"code": "Odd", "message": "no", "request_id": "1"}, StatusError, "no", 200),
    "status": ({"status": "failed", "status_msg": "no"}, StatusError, "no", 200),
    "status-number": ({"status": 429, "title": "slow"}, RateLimitError, "slow", 429),
    "inside": (
        {"event": "x", "payload": {"statusCode": 502, "msg": "no"}},
        ServerError,
        "no",
        502,
    ),
    "names": (
        {"baseResp": {"statusCode": 1002, "statusMsg": "slow"}},
        RateLimitError,
        "slow",
        429,
    ),
    "other-names": (
        {"result_code": "FAIL", "result_message": "no"},
        StatusError,
        "no",
        200,
    ),
    "own-status": (
        {"gateway": {"gw-status": 503, "gw-message": "no"}},
        ServerError,
        "no",
        503,
    ),
    "type": ({"type": "error", "message": "no"}, StatusError, "no", 200),
    "header": ({"header": {"code": 10013, "message": "no"}}, StatusError, "no", 200),
    "detail": ({"detail": [{"msg": "no"}]}, StatusError, "no", 200),
    "choices-empty": ({"choices": [], "errors": ["no"]}, StatusError, "no", 200),
    "beside-choices": (
        {**body_of("4"), "base_resp": {"status_code": 1002, "status_msg": "slow"}},
        RateLimitError,
        "slow",
        429,
    ),
    "errors-beside-choices": ({**body_of("4"), "errors": ["no"]}, StatusError, "no", 200),
}


def stream(body: bytes, size: int = 0) -> tuple[str, LiminError | None, TextCompletion]:
    """The text of a stream, its error, and the answer as far as it came."""
    context = ReadingContext(conversation=Conversation.from_prompts("hi"), model="m")
    head = HttpResponse(200, {"content-type": "text/event-stream"}, b"")
    reader, text = AnswerReader(context, head), ""
    size = size or len(body)
    for start in range(0, len(body), size):
        update = reader.feed(body[start : start + size])
        text += "".join(delta.text for delta in update.deltas)
        if update.error is not None or reader.is_done:
            return text, update.error, reader.readable_part(TIMING)
    update = reader.finish(TIMING)
    text += "".join(delta.text for delta in update.deltas)
    return text, update.error, reader.readable_part(TIMING)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_error_as_a_whole_body(shape: str, indent: int | None) -> None:
    """The error of a success has its class, its words and its status."""
    body, kind, words, status = SHAPES[shape]
    with pytest.raises(StatusError) as caught:
        read(json.dumps(body, indent=indent))
    assert type(caught.value) is kind
    assert caught.value.reason == words
    assert caught.value.effective_status == status
    _, error, _ = stream(json.dumps(body, indent=indent).encode())
    assert repr(error) == repr(caught.value)


def written(body: Any) -> dict[str, bytes]:
    """Return the forms in which *body* stands in a stream."""
    line, lines = json.dumps(body).encode(), json.dumps(body, indent=2).encode()
    return {
        "event": b"data: " + line + b"\n\n",
        "named": b"id: 1\nevent: error\n: hi\n: ho\ndata: " + line + b"\n\n",
        "field": b"error: " + line + b"\n\n",
        "lines-of-data": b"".join(b"data: " + part + b"\n" for part in lines.split(b"\n"))
        + b"\n",
        "line": line + b"\n",
        "line-without-an-end": line,
        "lines": lines + b"\n\n",
        "lines-crlf": lines.replace(b"\n", b"\r\n") + b"\r\n",
    }


@pytest.mark.parametrize("size", [0, 1, 11])
@pytest.mark.parametrize("behind", [b"", text_of("more"), DONE])
@pytest.mark.parametrize("form", written(GEMINI))
@pytest.mark.parametrize("shape", SHAPES)
def test_error_in_mid_stream(shape: str, form: str, behind: bytes, size: int) -> None:
    """The error has its class and its words, and the answer before it is kept."""
    body, kind, words, status = SHAPES[shape]
    written_error = written(body)[form]
    if behind and form == "line-without-an-end":
        written_error += b"\n"
    text, error, part = stream(text_of("partial") + written_error + behind, size)
    assert type(error) is kind
    assert isinstance(error, StatusError)
    assert (error.reason, error.effective_status) == (words, status)
    assert part.message.startswith("partial")
    assert text == part.message


@pytest.mark.parametrize("form", ["event", "named", "field", "line", "lines"])
def test_error_before_the_stream(form: str) -> None:
    """An error before the chunks is an error, too."""
    _, error, _ = stream(written(GEMINI)[form] + text_of("more") + FINISH + DONE)
    assert type(error) is ServerError
    assert error.reason == OVERLOADED


NO_ERRORS: list[Any] = [
    {"errors": [], "error": None},
    {"errors": None, "base_resp": {"status_code": 0, "status_msg": "success"}},
    {"base_resp": {"status_code": 0, "status_msg": ""}},
    {"success": True, "errors": [], "messages": []},
    {"code": 0, "message": "ok"},
    {"code": "200", "msg": "success"},
    {"status": "completed", "message": "done"},
    {"status": "ok"},
    {"type": "ping"},
    {"code": None, "id": "x"},
    *({"error": error} for error in (False, 0, "", "None", "null", "Success", "0", [], {})),
    *({"errors": error} for error in (["none"], [{}], [None, ""], {"code": 0}, "[]")),
    {"error": {"code": 0, "message": ""}},
    {"error": {"code": 0, "message": "success", "request_id": "r-1"}},
    {"error": {"code": None, "message": None, "type": "", "param": None, "details": []}},
    {"error": {"code": 200, "message": "OK"}},
    {"error": "None", "code": 0},
    {"data": {"error": {"code": 0, "message": ""}}},
    {"inner": {"status": None, "title": "t"}},
    {"inner": {"status": True, "title": "t"}},
    {"inner": {"status": "ok", "title": "t"}},
    {"object": "chat.completion.chunk", "created": 400},
    {"prompt_filter_results": [{"content_filter_results": {"error": {"code": "x"}}}]},
    [],
    [{"id": 1}, 5],
    "text",
    None,
]


@pytest.mark.parametrize("body", NO_ERRORS)
def test_nothing_is_no_error(body: Any) -> None:
    """An empty list, null, and a status or code of success report no error."""
    assert not is_error(json.dumps(body).encode())
    if isinstance(body, dict):
        chunk = {"choices": [], **body}
        answer = stream(b"".join((event_of(chunk), *HELLO)))
        assert (answer[0], answer[1]) == ("Hello", None)
        whole = {**body_of("4", finish_reason="stop"), **body}
        assert read(whole).message == "4"


@pytest.mark.parametrize(
    "error", [True, "no", 500, {"code": 0, "message": "no"}, [[["no"]]]]
)
@pytest.mark.parametrize("name", ["error", "errors"])
def test_what_says_more_than_success_is_an_error(name: str, error: Any) -> None:
    """An answer beside it does not count, whole as streamed."""
    whole = {**body_of("4", finish_reason="stop"), name: error}
    with pytest.raises(StatusError):
        read(whole)
    chunk = {"choices": [{"index": 0, "delta": {"content": "4"}}], name: error}
    assert isinstance(stream(event_of(chunk))[1], StatusError)


@pytest.mark.parametrize("error", ["None", {"code": 0, "message": "success"}, False])
def test_choice_with_an_error_of_success(error: Any) -> None:
    """It is an answer, whole as streamed."""
    assert read(body_of("4", finish_reason="stop", error=error)).message == "4"
    choice = {
        "index": 0,
        "delta": {"content": "4"},
        "finish_reason": "stop",
        "error": error,
    }
    assert stream(event_of({"choices": [choice]}) + DONE)[:2] == ("4", None)


def test_error_nested_too_deeply_is_one() -> None:
    """Nobody looks for a success below so many lists."""
    error: list[Any] = []
    for _ in range(20):
        error = [error]
    assert is_error(json.dumps({"error": error}).encode())


def test_bare_line_that_is_no_error_is_passed_over() -> None:
    """Only errors are read outside of events."""
    answer = stream(b"".join((HELLO[0], b'{"info": 1}\n\n', *HELLO[1:])))
    assert (answer[0], answer[1]) == ("Hello", None)


def test_answer_with_a_failure_that_is_no_number_is_an_answer() -> None:
    """Beside choices, only a number is believed to be the code of an error."""
    whole = {**body_of("4"), "base_resp": {"status_code": "odd", "status_msg": "fine"}}
    assert read(whole).message == "4"


def test_comments_in_data_lines_leave_the_answer() -> None:
    """A proxy wraps the comments of OpenRouter into data."""
    comment = b"data: : OPENROUTER PROCESSING\n\n"
    text, error, part = stream(comment * 2 + b"".join(HELLO))
    assert (text, error, part.message) == ("Hello", None, "Hello")


def test_native_objects_are_typed_errors() -> None:
    """An answer in the shape of another API is no success."""
    native = {"model": "m", "message": {"role": "assistant", "content": "4"}, "done": True}
    with pytest.raises(ResponseError):
        read(native)
    assert isinstance(stream(event_of(native))[1], StatusError)


@given(body=st.binary(max_size=200))
def test_any_bytes_are_an_error_or_none(body: bytes) -> None:
    """Whatever a success holds, an error in it is found or not, and nothing is raised."""
    assert is_error(body) in {True, False}
    _, error, _ = stream(text_of("a") + b"event: error\ndata: " + body + b"\n\n" + body)
    assert error is None or str(error)
