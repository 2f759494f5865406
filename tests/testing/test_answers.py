"""What a script may hold, and the body of each answer."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

import attrs
import numpy as np
import pydantic
import pytest
from builders import read, read_stream
from hypothesis import example, given, settings
from hypothesis import strategies as st

from limin import ConfigurationError, ToolCall
from limin.testing import (
    QUIRKS,
    Answer,
    Garbage,
    Refusal,
    Request,
    Silence,
    Stream,
)
from limin.testing.chunks import to_chunks
from limin.testing.requests import read_request
from limin.testing.responses import Response, to_response

CALL = ToolCall("call_1", "get_weather", '{"city": "Paris"}')
TOKENS = [("Par", -0.1, {"Lon": -3.0}), ("is", -0.2, {"is": -0.2, "ma": -2.0})]


@attrs.frozen
class City:
    name: str


@dataclass
class Town:
    name: str


class Village(pydantic.BaseModel):
    name: str


def ask(**parameters: Any) -> Request:
    """Return a request with these *parameters*."""
    body = json.dumps({"messages": [{"role": "user", "content": "?"}], **parameters})
    request = read_request(body.encode(), [])
    assert request is not None
    return request


def respond(reply: Any, **parameters: Any) -> Response:
    """Return the response of *reply* to a request with these *parameters*."""
    response = to_response(reply, ask(**parameters))
    assert isinstance(response, Response)
    return response


def body_of(reply: Any, **parameters: Any) -> Any:
    """Return the body of the whole *reply*."""
    return json.loads(b"".join(respond(reply, **parameters).pieces))


def events_of(reply: Any, **parameters: Any) -> list[Any]:
    """Return the chunks of the streamed *reply*, and what is behind them as text."""
    text = b"".join(respond(reply, stream=True, **parameters).pieces).decode()
    datas = [event.removeprefix("data: ") for event in text.split("\n\n")[:-1]]
    return [json.loads(data) if data != "[DONE]" else data for data in datas]


def deltas_of(events: list[Any]) -> list[Any]:
    """Return the deltas of the first choices in *events*."""
    chunks = (event for event in events if event != "[DONE]")
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]


def tokens_of(chunk: Any) -> list[Any]:
    """Return the tokens that the choice of *chunk* lists."""
    tokens: list[Any] = chunk["choices"][0].get("logprobs", {}).get("content", [])
    return tokens


def test_answer_has_the_standard_shape() -> None:
    """The body of a plain answer is that of OpenAI's API."""
    assert body_of(Answer("Paris."), model="m") == {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1735689600,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Paris."},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("Paris.", "Paris."),
        (np.str_("Paris."), "Paris."),
        ({"name": "Paris"}, '{"name":"Paris"}'),
        ([1, None], "[1,null]"),
        (City("Paris"), '{"name":"Paris"}'),
        (Town("Paris"), '{"name":"Paris"}'),
        (Village(name="Paris"), '{"name":"Paris"}'),
        (5, "5"),
    ],
)
def test_value_is_sent_as_json(value: object, text: str | None) -> None:
    """A typed answer is scripted by its value."""
    assert Answer(value).text == text


@pytest.mark.parametrize("value", [b"Paris", object(), Village])
def test_what_is_no_json_is_refused(value: object) -> None:
    """Nothing is sent that the test did not mean."""
    with pytest.raises(ConfigurationError, match=r"text: expected a str, None or a value"):
        Answer(value)


def test_everything_beside_the_text() -> None:
    """Reasoning, calls and counts stand where clients look for them."""
    answer = Answer(
        None,
        tool_calls=[CALL],
        reasoning="Hm.",
        usage={"prompt_tokens": np.int64(3)},
        headers={"X-Region": "eu"},
        delay=0.5,
    )
    body = body_of(answer)
    message = body["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == (None, "Hm.")
    assert message["tool_calls"] == [CALL.to_openai()]
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert body["usage"] == {"prompt_tokens": 3}
    response = respond(answer)
    assert (response.headers["x-region"], response.delay) == ("eu", 0.5)
    assert "eu" not in repr(answer)


def test_other_finish_reason_of_a_call_stays() -> None:
    """Only the default is replaced where tools are called."""
    answer = Answer("", tool_calls=[CALL], finish_reason="length")
    assert body_of(answer)["choices"][0]["finish_reason"] == "length"


def test_as_many_choices_as_asked_for() -> None:
    """`n` is obeyed as far as a server would."""
    assert [c["index"] for c in body_of(Answer("a"), n=3)["choices"]] == [0, 1, 2]
    for n in (0, True, None, 10**9):
        assert len(body_of(Answer("a"), n=n)["choices"]) == 1
    events = events_of(Answer("a"), n=2)
    assert [e["choices"][0]["index"] for e in events[:-1]] == [0, 0, 0, 1, 1, 1]


def test_log_probs_are_sent_if_asked_for() -> None:
    """Alternatives are sorted and cut; the sampled token is one of them."""
    answer = Answer("Paris", log_probs=TOKENS)
    assert body_of(answer)["choices"][0]["logprobs"] is None
    assert body_of(Answer("a"), logprobs=True)["choices"][0]["logprobs"] is None
    first, second = body_of(answer, logprobs=True)["choices"][0]["logprobs"]["content"]
    assert first == {
        "token": "Par",
        "logprob": -0.1,
        "bytes": [80, 97, 114],
        "top_logprobs": [],
    }
    asked = body_of(answer, logprobs=True, top_logprobs=2)
    first, second = asked["choices"][0]["logprobs"]["content"]
    assert [e["token"] for e in first["top_logprobs"]] == ["Par", "Lon"]
    assert [e["token"] for e in second["top_logprobs"]] == ["is", "ma"]
    asked = body_of(answer, logprobs=True, top_logprobs=1)
    assert [
        [e["token"] for e in token["top_logprobs"]]
        for token in asked["choices"][0]["logprobs"]["content"]
    ] == [["Par"], ["is"]]


def test_stream_of_an_answer() -> None:
    """The role, the reasoning, the text word by word, the end, and the usage."""
    answer = Answer("It is Paris.", reasoning="Hm, hm.", usage={"total_tokens": 5})
    events = events_of(answer, stream_options={"include_usage": True})
    assert deltas_of(events) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm,"},
        {"reasoning_content": " hm."},
        {"content": "It"},
        {"content": " is"},
        {"content": " Paris."},
        {},
    ]
    assert events[-3]["choices"][0]["finish_reason"] == "stop"
    assert (events[-2]["choices"], events[-2]["usage"]) == ([], {"total_tokens": 5})
    assert events[-1] == "[DONE]"
    assert {event["object"] for event in events[:-1]} == {"chat.completion.chunk"}
    for unasked in ({}, {"stream_options": None}, {"stream_options": {}}):
        assert all("usage" not in event for event in events_of(answer, **unasked))


def test_stream_of_tool_calls() -> None:
    """The arguments of a call come in parts behind its name."""
    deltas = deltas_of(events_of(Answer(None, tool_calls=[CALL, CALL])))
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert deltas[0] == {"role": "assistant", "content": None}
    assert calls[0]["function"] == {"name": "get_weather", "arguments": ""}
    assert [call["index"] for call in calls] == [0, 0, 0, 0, 1, 1, 1, 1]
    parts = [call["function"]["arguments"] for call in calls if call["index"] == 0]
    assert "".join(parts) == CALL.arguments


def test_stream_is_cut_at_its_tokens() -> None:
    """Each token comes with its text, and half a character with the other half."""
    tower = "🏯".encode()
    tokens = [("To", -0.1, {}), (tower[:2], -0.2, {}), (tower[2:], -0.3, {})]
    events = events_of(Answer("To🏯", log_probs=tokens), logprobs=True)
    pieces = [
        (
            chunk["choices"][0]["delta"].get("content"),
            [
                t["logprob"]
                for t in chunk["choices"][0].get("logprobs", {}).get("content", ())
            ],
        )
        for chunk in events[1:-2]
    ]
    assert pieces == [("To", [-0.1]), ("🏯", [-0.2, -0.3])]
    token = events[2]["choices"][0]["logprobs"]["content"][0]
    assert (token["token"], token["bytes"]) == ("\ufffd", [240, 159])


def test_tokens_of_another_text_come_all_the_same() -> None:
    """What a server lists need not be what it says, and nothing is lost."""
    for text in ("It is", ""):
        events = events_of(Answer(text, log_probs=TOKENS), logprobs=True)
        listed = [token["token"] for chunk in events[:-1] for token in tokens_of(chunk)]
        assert listed == ["Par", "is"]


def test_pieces_of_a_stream() -> None:
    """Each piece is an event, and holds the tokens that end in it."""
    stream = Stream(["Pa", "ris"], pause=0.5, log_probs=TOKENS)
    response = respond(stream, stream=True)
    assert (len(response.pieces), response.pause, response.is_cut) == (2, 0.5, False)
    events = events_of(stream, logprobs=True)
    assert [d.get("content") for d in deltas_of(events)] == ["", "Pa", "ris", None]
    listed = [[token["token"] for token in tokens_of(chunk)] for chunk in events[:-1]]
    assert listed == [[], [], ["Par", "is"], []]


def test_stream_that_breaks_off() -> None:
    """No finish reason and no `[DONE]` behind the pieces that come."""
    events = events_of(Stream(["a", "b"], cut_after=1))
    assert deltas_of(events) == [{"role": "assistant", "content": ""}, {"content": "a"}]
    assert events_of(Stream(["a"], cut_after=0)) == []
    assert len(events_of(Stream(["a"], cut_after=1))) == 2
    assert respond(Stream([], cut_after=0), stream=True).is_cut
    assert events_of(Stream([]))[-1] == "[DONE]"


def test_stream_where_a_whole_answer_is_asked_for() -> None:
    """The pieces are joined after the pauses; a cut is one in the body."""
    whole = respond(Stream(["a", "b", "c"], pause=2.0))
    assert (whole.delay, whole.is_cut) == (4.0, False)
    assert body_of(Stream(["a", "b"]))["choices"][0]["message"]["content"] == "ab"
    cut = respond(Stream(["a", "b", "c"], pause=2.0, cut_after=2))
    assert (cut.delay, cut.is_cut) == (2.0, True)
    assert len(cut.pieces[0]) < cut.size == whole.size


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (Refusal(429), "Too Many Requests"),
        (Refusal(429, "slower"), "slower"),
        (Refusal(529), "Error"),
    ],
)
def test_refusal_has_words(refusal: Refusal, message: str) -> None:
    """A refusal without a message has that of its status."""
    response = respond(refusal)
    assert body_of(refusal)["error"]["message"] == message
    assert "retry-after" not in response.headers


def test_refusal_has_all_fields() -> None:
    """Code, wait and headers are where OpenAI has them."""
    refusal = Refusal(429, code="slow", retry_after=1.5, headers={"X-Region": "eu"})
    response = respond(refusal)
    assert (response.status, response.reason) == (429, "Too Many Requests")
    assert response.headers["retry-after"] == "1.5"
    assert response.headers["x-region"] == "eu"
    error = {"message": "Too Many Requests", "type": "invalid_request_error"}
    assert body_of(refusal) == {"error": {**error, "param": None, "code": "slow"}}
    assert body_of(Refusal(503))["error"]["type"] == "server_error"
    assert respond(Refusal(599)).reason == ""


@pytest.mark.parametrize(
    ("seconds", "sent"),
    [(0, "0"), (20, "20"), (1e6, "1000000"), (1234567.5, "1234567.5"), (1e-6, "0.000001")],
)
def test_wait_has_all_digits(seconds: float, sent: str) -> None:
    """A client reads it as it was meant, however long it is."""
    response = respond(Refusal(429, retry_after=seconds))
    assert response.headers["retry-after"] == sent


def test_half_a_surrogate_pair_is_sent() -> None:
    """A test may send what UTF-8 cannot hold, since servers do."""
    assert body_of(Answer("a\ud83d"))["choices"][0]["message"]["content"] == "a\ud83d"
    assert b"\\ud83d" in b"".join(respond(Answer("a\ud83d"), stream=True).pieces)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Answer("a", log_probs="abc"), "log_probs: expected a list of (token"),
        (lambda: Answer("a", log_probs=5), "log_probs: expected a list of (token"),
        (lambda: Answer("a", log_probs=["a"]), "log_probs[0]: expected (token, log_prob"),
        (lambda: Answer("a", log_probs=[("a", -1)]), "log_probs[0]: expected (token"),
        (lambda: Answer("a", log_probs=[(1, -1, {})]), "log_probs[0]: expected (token"),
        (lambda: Answer("a", log_probs=[("a", -1, [])]), "log_probs[0]: expected (token"),
        (lambda: Answer("a", log_probs=[("a", 0.5, {})]), "found 0.5"),
        (
            lambda: Answer("a", log_probs=[("a", "b", {})]),
            "log_probs[0]: expected a finite",
        ),
        (lambda: Answer("a", log_probs=[("a", -1, {1: -1})]), "log_probs[0] alternative"),
        (
            lambda: Answer("a", log_probs=[("a", -1, {"b": float("-inf")})]),
            "expected a finite number of at most 0 as log probability, found -inf",
        ),
        (lambda: Answer("a", tool_calls=5), "tool_calls: expected a list of ToolCall"),
        (lambda: Answer("a", tool_calls=[{}]), "tool_calls[0]: expected a ToolCall"),
        (lambda: Answer("a", usage=5), "usage: expected a mapping or None, found 5"),
        (lambda: Answer("a", reasoning=5), "reasoning: expected a str"),
        (lambda: Answer("a", finish_reason=5), "finish_reason: expected a str"),
        (lambda: Answer("a", delay=-1), "delay: expected seconds of at least 0, found -1"),
        (lambda: Answer("a", delay=float("inf")), "delay: expected seconds"),
        (lambda: Answer("a", headers={"content-length": "1"}), "limin itself sets"),
        (lambda: Refusal(200), "status: expected 400 to 599, found 200"),
        (lambda: Refusal("no"), "status: expected an integer"),
        (lambda: Refusal(400, 5), "message: expected a str"),
        (lambda: Refusal(400, code=5), "code: expected a str"),
        (lambda: Refusal(400, retry_after=-1), "retry_after: expected seconds"),
        (lambda: Stream("abc"), "pieces: expected a list of texts, found a str"),
        (lambda: Stream(5), "pieces: expected a list of texts, found 5"),
        (lambda: Stream([5]), "pieces[0]: expected a str"),
        (lambda: Stream(["a"], pause=-1), "pause: expected seconds"),
        (lambda: Stream(["a"], cut_after=2), "cut_after: expected at most the number"),
        (lambda: Stream(["a"], cut_after=-1), "cut_after: expected an integer"),
        (lambda: Garbage("text"), "data: expected bytes, found a str"),
        (lambda: QUIRKS["usage-null"].with_text(b""), "text: expected a str"),
        (lambda: QUIRKS["usage-null"].with_text(None), "text: expected a str"),
    ],
)
def test_wrong_argument_is_told(make: Any, message: str) -> None:
    """A mistake in the script is said where it is made."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert message in str(caught.value)


def test_silence_and_garbage_are_sent_as_they_are() -> None:
    """There is no response in them."""
    for reply in (Silence(), Garbage(b"\0")):
        assert to_response(reply, ask()) is reply
    assert repr(Garbage(b"abc")) == "Garbage(data=<3 bytes>)"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60)
@given(text=TEXT, cuts=st.lists(st.integers(0, 48)), reasoning=TEXT, n=st.integers(1, 2))
@example(text="é🏯\r\n", cuts=[1, 3, 4], reasoning=" a  b\n", n=2)
@example(text="", cuts=[], reasoning="", n=1)
def test_streamed_equals_whole(text: str, cuts: list[int], reasoning: str, n: int) -> None:
    """However an answer is cut, the same is read in its stream."""
    data = text.encode()
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    parts = [data[start:end] for start, end in itertools.pairwise(ends)]
    answer = Answer(
        text, log_probs=[(part, -0.5, {"?": -1.0}) for part in parts], reasoning=reasoning
    )
    asked: dict[str, Any] = {"logprobs": True, "top_logprobs": 2, "n": n}
    options: dict[str, Any] = {"asks_log_probs": True, "top_log_probs": 2, "n_choices": n}
    whole = read(body_of(answer, **asked), **options)
    streamed, _ = read_stream(*events_of(answer, **asked)[:-1], **options)
    assert streamed.choices == whole.choices
    assert streamed.message == text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": None, "usage": None},
        {"choices": ["text"]},
        {"choices": [{"message": {"content": "a", "tool_calls": ["b", {"id": 1}]}}]},
        {"choices": [{"message": {"content": "a"}, "logprobs": "none"}]},
        {"choices": [{"message": {"content": "a"}, "logprobs": {"content": ["b"]}}]},
        {
            "choices": [
                {
                    "message": {"content": "ab"},
                    "logprobs": {"content": [{"bytes": [999], "token": "a"}, {"token": 1}]},
                }
            ]
        },
    ],
)
def test_any_body_is_streamed(body: dict[str, Any]) -> None:
    """A recording may hold whatever a server sent."""
    for chunk in to_chunks(body, includes_usage=True):
        assert chunk["object"] == "chat.completion.chunk"
