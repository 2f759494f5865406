from __future__ import annotations

import json
from itertools import cycle
from typing import TYPE_CHECKING, Any

import attrs
import msgspec
import pytest
from builders import TIMING, body_of, capture, captures, read
from hypothesis import example, given
from hypothesis import strategies as st

from limin.errors import (
    ContextLengthError,
    RateLimitError,
    ResponseError,
    ServerError,
    StatusError,
)
from limin.values.conversation import Conversation
from limin.values.usage import Usage
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire import schema
from limin.wire.assembly import Assembly, Delta
from limin.wire.http import HttpResponse
from limin.wire.response import ReadingContext
from limin.wire.sse import ErrorEvent, EventDecoder

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion

STREAMS = [name for name in captures() if "-stream" in name]


def context_of(name: str | None = None, **options: Any) -> ReadingContext:
    """Return the context of `builders.read`, or that of the captured exchange *name*."""
    request = capture(name)["request"] if name else {}
    return ReadingContext(
        conversation=Conversation.from_prompts("What is 2 + 2?"),
        model="asked-model",
        asks_log_probs=options.get("asks_log_probs", request.get("logprobs", False)),
        top_log_probs=options.get("top_log_probs", request.get("top_logprobs")),
        secrets=options.get("secrets", ()),
    )


def data_of(chunk: object) -> bytes:
    """Return the data of an event: bytes as they are, other values as JSON."""
    return chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()


def assembly_of(*chunks: object, **options: Any) -> tuple[Assembly, list[Delta]]:
    """Return an assembly of *chunks*, and their deltas."""
    assembly = Assembly(context_of(**options), HttpResponse(200, {}, b""))
    deltas: list[Delta] = []
    for chunk in chunks:
        update = assembly.feed(data_of(chunk))
        deltas += update.deltas
        if update.error is not None:
            raise update.error
    return assembly, deltas


def completion_of(*chunks: object, **options: Any) -> TextCompletion:
    """Return the completion of *chunks*."""
    return assembly_of(*chunks, **options)[0].completion(TIMING)


def chunk_of(delta: object = None, **choice: object) -> dict[str, Any]:
    """Return a chunk of one choice."""
    return {"choices": [{"index": 0, "delta": delta or {}, **choice}]}


def stream_of(body: dict[str, Any], size: int = 3) -> list[dict[str, Any]]:
    """Return a whole answer as chunks, each with *size* characters or one token."""
    head = {name: body[name] for name in ("id", "model") if name in body}
    chunks = [
        {**head, "choices": [{"index": position, "delta": {"role": "assistant"}}]}
        for position in range(len(body["choices"]))
    ]
    for position, choice in enumerate(body["choices"]):
        index = choice.get("index", position)
        for name, value in choice["message"].items():
            text = value if isinstance(value, str) and name != "role" else ""
            for start in range(0, len(text), size):
                delta = {name: text[start : start + size]}
                chunks.append({**head, "choices": [{"index": index, "delta": delta}]})
        for name, elements in (choice.get("logprobs") or {}).items():
            for element in elements or ():
                entry = {"index": index, "delta": {}, "logprobs": {name: [element]}}
                chunks.append({**head, "choices": [entry]})
        last = {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")}
        chunks.append({**head, "choices": [last]})
    return [*chunks, {**head, "choices": [], "usage": body.get("usage")}]


def comparable(completion: TextCompletion) -> TextCompletion:
    """Return *completion* without the bytes that it was read from."""
    return attrs.evolve(completion, raw_bytes=b"")


WHOLE = [
    name
    for name in captures()
    if "-stream" not in name and capture(name)["body"].startswith('{"')
    if "choices" in json.loads(capture(name)["body"])
]


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("size", [1, 7])
def test_streamed_answer_equals_its_whole_twin(name: str, size: int) -> None:
    """A stream is another way to send the same answer, warnings included."""
    exchange = capture(name)
    body = json.loads(exchange["body"])
    options = {
        "asks_log_probs": exchange["request"].get("logprobs", False),
        "top_log_probs": exchange["request"].get("top_logprobs"),
    }
    assembly, deltas = assembly_of(*stream_of(body, size), b"[DONE]", **options)
    whole = read(body, **options)
    streamed = assembly.completion(TIMING)
    assert comparable(streamed) == comparable(whole)
    assert streamed.warnings == whole.warnings
    assert "".join(delta.text for delta in deltas) == whole.message
    streamed_tokens = [
        list(delta.log_probs) for delta in deltas if delta.log_probs is not None
    ]
    assert [position for positions in streamed_tokens for position in positions] == list(
        whole.log_probs or []
    )
    assert assembly.is_finished
    assert assembly.is_done
    assert isinstance(streamed.raw, dict)


TOKENS = st.fixed_dictionaries(
    {"token": st.text(max_size=3), "logprob": st.none() | st.floats(-9999.0, 0.5)},
    optional={"top_logprobs": st.just([{"token": "a", "logprob": -1.0}])},
)
MESSAGES = st.fixed_dictionaries(
    {"content": st.none() | st.text()},
    optional={
        "refusal": st.none() | st.text(min_size=1),
        "reasoning": st.text(min_size=1),
        "reasoning_content": st.text(min_size=1),
    },
)
CHOICES = st.builds(
    lambda message, tokens, reason: {
        "message": message,
        "logprobs": tokens,
        "finish_reason": reason,
    },
    MESSAGES,
    st.none() | st.fixed_dictionaries({"content": st.lists(TOKENS)}),
    st.sampled_from(["stop", "eos", "", None]),
)


@given(choices=st.lists(CHOICES, min_size=1, max_size=3), size=st.integers(1, 5))
def test_any_streamed_answer_equals_its_whole_twin(choices: list[Any], size: int) -> None:
    """A stream and its whole twin agree in text, reasoning, refusal and usage."""
    body = {"id": "one", "model": "m", "choices": choices, "usage": {"total_tokens": 3}}
    for index, choice in enumerate(choices):
        choice["index"] = index
    streamed = completion_of(*stream_of(body, size), asks_log_probs=True)
    whole = read(body, asks_log_probs=True)
    ours = [attrs.evolve(choice, raw_finish_reason=None) for choice in streamed.choices]
    theirs = [attrs.evolve(choice, raw_finish_reason=None) for choice in whole.choices]
    assert ours == theirs
    assert streamed.warnings == whole.warnings
    assert streamed.usage == whole.usage


# Copied by hand from the captures; usage: prompt, completion, total, cached.
CAPTURED: dict[str, tuple[str, str, tuple[int | None, ...], int | None]] = {
    "llama.cpp-b11549-stream": (
        "L'Étoile, la Marseillaise,",
        "length",
        (37, 12, 49, 24),
        None,
    ),
    "llama.cpp-b11549-stream_logprobs": ("In the still of", "length", (36, 16, 52, 24), 16),
    "llama.cpp-b11549-stream_no_usage": ("L'Éto", "length", (), None),
    "vllm-0.32.0-stream": (
        "The capital of France is Paris.",
        "stop",
        (37, 8, 45, None),
        None,
    ),
    "vllm-0.32.0-stream_logprobs": ("Sleepily-ma", "length", (36, 16, 52, None), 16),
    "vllm-0.32.0-stream_no_usage": ("The capital of France", "length", (), None),
}


def through(name: str, size: int) -> tuple[Assembly, list[Delta]]:
    """The captured stream *name*, cut into pieces of *size* bytes."""
    stream = capture(name)["body"].encode()
    decoder = EventDecoder()
    assembly = Assembly(context_of(name), HttpResponse(200, {"x-request-id": "r"}, b""))
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    events = [event for piece in pieces for event in decoder.feed(piece)]
    deltas: list[Delta] = []
    for event in events:
        deltas += assembly.feed(event).deltas
    assert decoder.finish() == []
    return assembly, deltas


@pytest.mark.parametrize("name", STREAMS)
def test_captured_streams(name: str) -> None:
    """Text, reason, usage and log probabilities are those of the captures."""
    text, reason, usage, tokens = CAPTURED[name]
    assembly, deltas = through(name, 1000)
    completion = assembly.completion(TIMING)
    counted = dict(
        zip(
            ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"),
            usage,
            strict=False,
        )
    )
    assert assembly.is_finished
    assert assembly.is_done
    assert completion.message.startswith(text)
    assert completion.message == "".join(delta.text for delta in deltas)
    assert completion.finish_reason == reason == deltas[-1].finish_reason
    assert completion.usage == (Usage(**counted) if usage else None)
    assert (tokens is None) == (completion.log_probs is None)
    assert len(completion.log_probs or ()) == (tokens or 0)
    assert completion.request_id == "r"
    assert (completion.id or "").startswith("chatcmpl-")
    raw: Any = completion.raw
    has_fingerprint = "system_fingerprint" in capture(name)["body"]
    assert has_fingerprint == ("system_fingerprint" in raw)
    assert WarningCode.TEXT_MISMATCH not in {
        warning.code for warning in completion.warnings
    }


@pytest.mark.parametrize("name", STREAMS)
@given(size=st.integers(1, 5000))
@example(size=1)
def test_cuts_of_the_network_do_not_matter(name: str, size: int) -> None:
    """However the network cuts a stream, the same deltas and completion come out."""
    whole, deltas = through(name, 1_000_000)
    cut, same = through(name, size)
    assert same == deltas
    assert cut.completion(TIMING) == whole.completion(TIMING)


@pytest.mark.parametrize("chunk", [b"[DONE]", b"[DONE]  ", b" [DONE]\t"])
def test_c3_done_may_have_spaces_and_come_twice(chunk: bytes) -> None:
    """The end of a stream is no chunk, and repeats harmlessly."""
    assembly, deltas = assembly_of(chunk_of({"content": "4"}), chunk, chunk)
    assert deltas == [Delta(text="4")]
    assert assembly.is_done
    assert assembly.is_finished
    completion = assembly.completion(TIMING)
    assert (completion.message, completion.finish_reason) == ("4", None)
    assert [str(warning.code) for warning in completion.warnings] == [
        "finish-reason-missing"
    ]


@pytest.mark.parametrize(
    "chunk", [{"choices": []}, {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}]
)
def test_done_without_any_of_an_answer_is_no_end(chunk: object) -> None:
    """A server that says nothing but that it is done has not answered."""
    assembly, _ = assembly_of(chunk, b"[DONE]")
    assert (assembly.is_done, assembly.is_finished) == (True, False)


def test_c3_ollama_stream_that_breaks_off_is_not_finished() -> None:
    """An empty chunk and the end, without a reason, is no end of an answer."""
    empty = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    assembly, _ = assembly_of(chunk_of({"content": "par"}), empty)
    assert not assembly.is_done
    assert not assembly.is_finished
    completion = assembly.completion(TIMING)
    assert (completion.message, completion.finish_reason) == ("par", None)


def test_nothing_yet_is_an_empty_completion() -> None:
    """A stream that breaks off before its first chunk has one empty choice."""
    assembly, deltas = assembly_of()
    assert deltas == []
    assert not assembly.is_finished
    completion = assembly.completion(TIMING)
    assert (completion.message, len(completion.choices)) == ("", 1)
    assert (completion.id, completion.usage, completion.request_id) == (None, None, None)


@pytest.mark.parametrize("blank", [b"", b" ", b"\n\t"])
def test_c4_blank_data_say_nothing(blank: bytes) -> None:
    """White space is no broken JSON."""
    assembly, deltas = assembly_of(blank)
    assert deltas == []
    assert not assembly.is_done


def test_c5_c6_azure_chunks_without_choices_or_delta() -> None:
    """Filter results are no text, and empty names give way to real ones."""
    first = {"id": "", "choices": [], "created": 0, "model": "", "object": ""}
    filtered = {"index": 0, "content_filter_offsets": {}, "finish_reason": None}
    named = {"id": "one", "model": "gpt", **chunk_of({"role": "assistant", "content": ""})}
    later = {
        "id": "two",
        "model": "other",
        **chunk_of({"content": "4"}, finish_reason="stop"),
    }
    assembly, deltas = assembly_of(first, named, later, {"choices": [filtered]})
    completion = assembly.completion(TIMING)
    assert deltas == [Delta(text="4", finish_reason="stop")]
    assert (completion.id, completion.served_model) == ("one", "gpt")
    assert assembly.is_finished


def test_c5_first_chunk_has_a_role_alone() -> None:
    """A role is no delta, whether content is null, empty or absent."""
    chunks = [chunk_of({"role": "assistant", **more}) for more in ({}, {"content": None})]
    assert assembly_of(*chunks, chunk_of({"content": ""}))[1] == []


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [], "usage": {"total_tokens": 7}},
        {"choices": None, "usage": {"total_tokens": 7}},
        {"usage": {"total_tokens": 7}},
        {**chunk_of({}, finish_reason="stop"), "usage": {"total_tokens": 7}},
    ],
)
def test_c7_usage_comes_anywhere_and_the_last_counts(last: dict[str, Any]) -> None:
    """The usage may come on every chunk, with null in between, or at the end."""
    first = {**chunk_of({"content": "4"}), "usage": {"total_tokens": 5}}
    empty = [{**chunk_of(), "usage": usage} for usage in (None, {})]
    completion = completion_of(first, last, *empty, b'{"usage":{    }}')
    assert completion.usage == Usage(total_tokens=7)
    assert completion.message == "4"


def test_c8_content_in_the_finish_chunk() -> None:
    """The last text may come with the finish reason."""
    last = chunk_of({"content": "4"}, finish_reason="eos")
    assembly, deltas = assembly_of(chunk_of({"content": "="}), last)
    assert deltas == [Delta(text="="), Delta(text="4", finish_reason="stop")]
    completion = assembly.completion(TIMING)
    assert completion.message == "=4"
    assert completion.choices[0].raw_finish_reason == "eos"


def test_c8_empty_finish_reason_is_none() -> None:
    """LocalAI sends an empty reason with every chunk."""
    assembly, deltas = assembly_of(chunk_of({"content": "4"}, finish_reason=""))
    assert deltas == [Delta(text="4")]
    assert not assembly.is_finished
    assert assembly.completion(TIMING).choices[0].raw_finish_reason is None


def test_c9_extra_fields_are_skipped() -> None:
    """Obfuscation, timings and token ids are skipped."""
    chunk = {**chunk_of({"content": "4"}, token_ids=[1]), "obfuscation": "x", "timings": {}}
    assert assembly_of(chunk)[1] == [Delta(text="4")]


def token(text: str) -> dict[str, Any]:
    """Return an element of `logprobs.content`."""
    return {
        "token": text,
        "logprob": -0.5,
        "bytes": list(text.encode()),
        "top_logprobs": [],
    }


def test_c10_text_and_log_probs_come_apart() -> None:
    """A chunk may bring tokens without text, several tokens, and text without any."""
    assembly, deltas = assembly_of(
        chunk_of({}, logprobs={"content": [token("a"), token("b")]}),
        chunk_of({"content": ""}, logprobs={"content": [token("c")]}),
        chunk_of({"content": "abc"}, logprobs={"content": []}),
        chunk_of({}, logprobs={"content": None, "refusal": None}, finish_reason="stop"),
        asks_log_probs=True,
    )
    texts = [
        None if delta.log_probs is None else delta.log_probs.text() for delta in deltas
    ]
    assert texts == ["ab", "c", None, None]
    completion = assembly.completion(TIMING)
    assert completion.log_probs is not None
    assert completion.log_probs.text() == completion.message == "abc"
    assert completion.warnings == ()


def test_c10_ollama_leaves_log_probs_on_the_reasoning_chunk() -> None:
    """The choice has its log probabilities, whichever chunk brings them."""
    completion = completion_of(
        chunk_of({"reasoning": "hm"}, logprobs={"content": [token("hm"), token("4")]}),
        chunk_of({"content": "4"}, finish_reason="stop"),
    )
    assert len(completion.log_probs or ()) == 2
    assert (completion.reasoning, completion.message) == ("hm", "4")


def test_log_probs_of_a_refusal_and_of_the_old_shape() -> None:
    """Each of the lists is joined."""
    refusal = [
        chunk_of({"refusal": text}, logprobs={"refusal": [token(text)]}) for text in "no"
    ]
    completion = completion_of(*refusal)
    assert completion.refusal == "no"
    assert completion.log_probs is not None
    assert completion.log_probs.text() == "no"
    old = [
        chunk_of({"content": text}, logprobs={"tokens": [text], "token_logprobs": [-1]})
        for text in "ab"
    ]
    completion = completion_of(*old)
    assert [token.log_prob for token in completion.token_log_probs or ()] == [-1.0, -1.0]


def test_log_probs_that_are_no_list_are_mended() -> None:
    """An element of odd shape has a warning, and no other element is lost."""
    completion = completion_of(
        chunk_of({"content": "a"}, logprobs={"content": [token("a")]}),
        chunk_of({}, logprobs={"content": "a text that is no list of tokens"}),
    )
    assert len(completion.log_probs or ()) == 1
    assert WarningCode.BODY_MENDED in {warning.code for warning in completion.warnings}


def test_fields_that_limin_does_not_know_are_in_the_body() -> None:
    """Those of every chunk; padding and the ids of single tokens are left out."""
    chunks: list[dict[str, Any]] = [
        {**chunk_of({"content": "a"}, token_ids=[1]), "service_tier": "default"},
        {**chunk_of({"content": "b"}, stop_reason=None, seed=5), "prompt_progress": 1},
        {**chunk_of({}, finish_reason="stop", stop_reason=7, token_ids=[2])},
        {"choices": [], "timings": {"predicted_n": 2}, "obfuscation": "abc"},
    ]
    raw: Any = completion_of(*chunks[:2], chunks[3]).raw
    known = {"object", "choices", "service_tier", "timings", "prompt_progress"}
    assert {*raw} == known
    choice = {"index", "message", "logprobs", "finish_reason", "stop_reason", "seed"}
    assert {*raw["choices"][0]} == choice
    assert raw["choices"][0]["seed"] == 5
    raw = completion_of(*chunks).raw
    assert raw["choices"][0]["stop_reason"] == 7
    assert "token_ids" not in raw["choices"][0]
    assert raw["timings"] == {"predicted_n": 2}
    raw = completion_of(*chunks, b"", b"[DONE]").raw
    assert raw["timings"] == {"predicted_n": 2}


def test_index_of_thousands_of_digits() -> None:
    """The position counts, and the unknown fields of the choice are kept."""
    chunk = b'{"choices":[{"index":%b,"delta":{},"finish_reason":"stop","stop_reason":7}]}'
    raw: Any = completion_of(chunk % (b"9" * 5000)).raw
    assert (raw["choices"][0]["index"], raw["choices"][0]["stop_reason"]) == (0, 7)


def test_event_that_finishes_many_choices_is_read_once_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time grows with the size of an event, not with its square."""
    decoded: list[bytes] = []

    def decode(data: bytes) -> dict[str, msgspec.Raw]:
        decoded.append(data)
        return msgspec.json.decode(data, type=dict[str, msgspec.Raw])

    monkeypatch.setattr("limin.wire.assembly.split_fields", decode)
    choices = [
        {"index": n, "delta": {"content": "a"}, "finish_reason": "stop", "stop_reason": n}
        for n in range(1024)
    ]
    raw: Any = completion_of({"choices": choices}, chunk_of({})).raw
    assert [choice["stop_reason"] for choice in raw["choices"]] == list(range(1024))
    assert sum(data.startswith(b'{"choices"') for data in map(bytes, decoded)) == 1


@pytest.mark.parametrize("odd", [{}, {"id": 5}])
@pytest.mark.parametrize(
    "fields", [{"message": {"content": "Hi"}}, {"text": "Hi"}, {"delta": {"content": "Hi"}}]
)
def test_message_or_text_instead_of_a_delta(
    fields: dict[str, Any], odd: dict[str, Any]
) -> None:
    """It is read as a delta, and a field with another name has a warning."""
    chunk = {"choices": [{"index": 0, "finish_reason": "stop", **fields}], **odd}
    assembly, deltas = assembly_of(chunk)
    assert deltas == [Delta("Hi", finish_reason="stop")]
    completion = assembly.completion(TIMING)
    assert completion.message == "Hi"
    codes = {warning.code for warning in completion.warnings}
    assert (WarningCode.BODY_MENDED in codes) is ("delta" not in fields or bool(odd))


@pytest.mark.parametrize("odd", [{}, {"id": 5}])
def test_more_choices_than_anybody_asks_for(odd: dict[str, Any]) -> None:
    """A choice costs more than the bytes that name it, so a bomb is refused early."""
    choices = [{"index": n, "delta": {"content": "a"}} for n in range(1025)]
    update = assembly_of()[0].feed(data_of({"choices": choices, **odd}))
    assert isinstance(update.error, ResponseError)
    assert "at most 1024 choices" in str(update.error)
    assert len(update.deltas) == 1024


def test_text_beside_an_error_is_handed_over() -> None:
    """Every text of the partial completion was a delta before."""
    chunk = chunk_of({"content": "last words"}, finish_reason="error")
    assembly, _ = assembly_of()
    update = assembly.feed(data_of({**chunk, "error": {"message": "no"}}))
    assert isinstance(update.error, StatusError)
    assert update.deltas == [Delta("last words")]
    assert assembly.completion(TIMING).message == "last words"


@pytest.mark.parametrize("is_done", [False, True])
def test_choices_that_were_asked_for_are_waited_for(*, is_done: bool) -> None:
    """Every requested choice has to finish, unless the server says that it is done."""
    context = msgspec.structs.replace(context_of(), n_choices=2)
    assembly = Assembly(context, HttpResponse(200, {}, b""))
    usage = {"completion_tokens": 1}
    chunk = {**chunk_of({"content": "a"}, finish_reason="stop"), "usage": usage}
    assembly.feed(data_of(chunk))
    if is_done:
        assembly.feed(b"[DONE]")
    assert assembly.is_finished is is_done
    assert assembly.is_whole is is_done


def test_c12_choices_come_interleaved() -> None:
    """Each chunk belongs to its index, and all have to finish."""
    assembly = assembly_of()[0]
    deltas: list[Delta] = []
    for index, text, reason in [
        (1, "b", None),
        (0, "a", None),
        (1, "B", "stop"),
        (0, "A", "length"),
    ]:
        assert not assembly.is_finished
        chunk = chunk_of({"content": text}, index=index, finish_reason=reason)
        deltas += assembly.feed(data_of(chunk)).deltas
    assert [delta.choice for delta in deltas] == [1, 0, 1, 0]
    assert assembly.is_finished
    choices = assembly.completion(TIMING).choices
    assert [(choice.index, choice.message) for choice in choices] == [(0, "aA"), (1, "bB")]


def test_c12_choices_without_an_index_are_counted() -> None:
    """Their position in the chunk counts."""
    chunk = {"choices": [{"delta": {"content": text}} for text in "ab"]}
    assert assembly_of(chunk)[1] == [Delta(text="a"), Delta(text="b", choice=1)]


C13: dict[str, tuple[object, type[StatusError], str]] = {
    "vllm": (
        {"error": {"message": "no", "type": "InternalServerError", "code": 500}},
        ServerError,
        "no",
    ),
    "flat-empty": (
        {"object": "error", "message": "no", "code": 400, "choices": []},
        StatusError,
        "no",
    ),
    "flat": ({"object": "error", "message": "no", "code": 400}, StatusError, "no"),
    "sglang": (
        {"error": {"object": "error", "message": "no", "code": 400}},
        StatusError,
        "no",
    ),
    "field": (
        ErrorEvent(b'{"code":400,"message":"exceeds the available context size"}'),
        ContextLengthError,
        "exceeds the available context size",
    ),
    "openrouter": (
        {
            "id": "gen",
            "error": {"code": 429, "message": "slow", "metadata": {}},
            **chunk_of({"content": ""}, finish_reason="error"),
        },
        RateLimitError,
        "slow",
    ),
    "openrouter-choice": (
        chunk_of(
            {"content": ""},
            finish_reason="error",
            error={"code": 502, "message": "Provider disconnected mid-stream"},
        ),
        ServerError,
        "Provider disconnected mid-stream",
    ),
    "choice-alone": (chunk_of(error={"message": "gone"}), StatusError, "gone"),
    "lm-studio": (
        {"error": {"message": "Compute error."}, "message": "Compute error."},
        StatusError,
        "Compute error.",
    ),
    "text": ({"error": "no"}, StatusError, "no"),
    "fastapi": ({"detail": "no"}, StatusError, "no"),
    "mended": (b'{"error":{"message":"no"},"x":NaN}', StatusError, "no"),
    "mended-choice": (
        b'{"choices":[{"delta":{"content":[]},"error":{"message":"no"}}]}',
        StatusError,
        "no",
    ),
    "mended-flat": (b'{"object":"error","message":"no","x":NaN}', StatusError, "no"),
}


def test_error_as_the_only_word_of_a_stream() -> None:
    """A finish reason of a failure, and nothing of an answer, is an error."""
    update = assembly_of()[0].feed(data_of(chunk_of(finish_reason="error")))
    assert isinstance(update.error, StatusError)
    assert update.deltas == []


@pytest.mark.parametrize("reason", ["error", "network_error"])
def test_failure_behind_a_text(reason: str) -> None:
    """A usable text is handed over with a warning, as a whole answer is."""
    chunks = [chunk_of({"content": "part"}), chunk_of(finish_reason=reason)]
    assembly, deltas = assembly_of(*chunks)
    assert deltas == [Delta("part"), Delta(finish_reason=reason)]
    streamed, whole = (
        assembly.completion(TIMING),
        read(body_of("part", finish_reason=reason)),
    )
    assert streamed.choices == whole.choices
    assert streamed.warnings == whole.warnings
    assert [str(note.code) for note in whole.warnings] == ["failed-finish"]


@pytest.mark.parametrize("shape", C13)
def test_c13_errors_in_mid_stream_are_raised(shape: str) -> None:
    """An error of any shape ends the stream, and the text before it is kept."""
    error, kind, message = C13[shape]
    assembly, _ = assembly_of(chunk_of({"content": "partial"}))
    data = data_of(error)
    caught = assembly.feed(data).error
    assert isinstance(caught, kind)
    assert message in str(caught)
    assert caught.status == 200
    assert caught.body == data
    assert type(caught.body) is bytes
    assembly.feed(b"[DONE]")
    assert assembly.completion(TIMING).message == "partial"


def test_c13_error_repeats_no_secret() -> None:
    """Secrets that a server quotes are removed."""
    with pytest.raises(StatusError) as caught:
        assembly_of({"error": "bad key sk-123456789"}, secrets=["sk-123456789"])
    assert "sk-123456789" not in str(caught.value)


@pytest.mark.parametrize("nothing", [None, {}, [], "", False])
def test_error_of_nothing_is_none(nothing: object) -> None:
    """An empty error is no error."""
    chunk = {**chunk_of({"content": "4"}, error=nothing), "error": nothing}
    assert assembly_of(chunk)[1] == [Delta(text="4")]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"choices":[{"delta":{"con', "found no JSON"),
        (b"[" * 100_000, "found no JSON"),
        (b"5", "found a number"),
        (b"[]", "found a list"),
        (b'{"choices":"x"}', "found text"),
    ],
)
def test_c15_chunk_that_is_none_is_an_error(data: bytes, problem: str) -> None:
    """Half a chunk is no answer, and is not taken for one."""
    with pytest.raises(ResponseError, match=problem) as caught:
        assembly_of(data)
    assert caught.value.body == data


def test_chunk_nested_almost_too_deeply(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that can be parsed, but not be written again, is an error too."""

    def dumps(_: object) -> str:
        raise RecursionError

    monkeypatch.setattr("limin.wire.untyped.json.dumps", dumps)
    with pytest.raises(ResponseError, match="nested too deeply"):
        assembly_of(b'{"usage":NaN}')


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_under_either_name(name: str) -> None:
    """Both names are read, and reported as the source."""
    assembly, deltas = assembly_of(chunk_of({name: "h"}), chunk_of({name: "m"}))
    assert deltas == [Delta(reasoning="h"), Delta(reasoning="m")]
    choice = assembly.completion(TIMING).choices[0]
    assert (choice.reasoning, choice.reasoning_source) == ("hm", name)


def test_reasoning_in_details() -> None:
    """OpenRouter's details are joined if nothing else came."""
    chunks = [chunk_of({"reasoning_details": [{"text": text}]}) for text in "hm"]
    assembly, deltas = assembly_of(*chunks)
    assert deltas == [Delta(reasoning="h"), Delta(reasoning="m")]
    choice = assembly.completion(TIMING).choices[0]
    assert (choice.reasoning, choice.reasoning_source) == ("hm", "reasoning_details")


def test_content_in_parts() -> None:
    """Mistral's lists of parts are mended, with one warning."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    parts = [[thinking], [{"type": "text", "text": "4"}]]
    chunks = [chunk_of({"content": part}) for part in parts]
    assembly, deltas = assembly_of(*chunks)
    assert deltas == [Delta(reasoning="hm"), Delta(text="4")]
    completion = assembly.completion(TIMING)
    twin = read(body_of([*parts[0], *parts[1]]))
    assert comparable(completion) == comparable(twin)
    assert completion.choices[0].reasoning_source == "content"


def test_odd_chunk_is_mended_with_a_warning() -> None:
    """A value of the wrong type is left out, and a warning counts them."""
    chunk = {"choices": [{"index": 0, "delta": {"content": 5, "refusal": "no"}}], "id": 7}
    assembly, deltas = assembly_of(chunk, chunk)
    assert deltas == [Delta(refusal="no"), Delta(refusal="no")]
    completion = assembly.completion(TIMING)
    problem = "expected text, found a number"
    assert (completion.refusal, completion.id) == ("nono", None)
    assert completion.body_warnings == (
        ResponseWarning(WarningCode.BODY_MENDED, "$.id", problem),
        ResponseWarning(WarningCode.BODY_MENDED, "$.choices[0].delta.content", problem, 2),
    )


@pytest.mark.parametrize(
    "choice", [None, 5, "x", {"delta": "x"}, {"delta": None, "index": -1}]
)
def test_odd_choice_says_nothing(choice: object) -> None:
    """An odd choice adds nothing, and does not break the stream."""
    assembly, deltas = assembly_of({"choices": [choice]}, chunk_of({"content": "4"}))
    assert deltas == [Delta(text="4")]
    completion = assembly.completion(TIMING)
    assert completion.message == "4"
    assert WarningCode.BODY_MENDED in {warning.code for warning in completion.warnings}


def test_nan_is_kept_in_the_body() -> None:
    """NaN, which JSON forbids, is read as in a whole answer."""
    chunk = b'{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[%b]}}]}'
    entry = b'{"token":"a","logprob":NaN}'
    completion = completion_of(chunk % entry)
    whole = read(chunk.replace(b"delta", b"message") % entry)
    assert comparable(completion) == comparable(whole)
    assert completion.warnings == whole.warnings
    assert completion.warnings


def test_halves_of_a_surrogate_pair_are_joined() -> None:
    """A character that a server cut in two is whole in the completion and the deltas."""
    chunk = b'{"choices":[{"index":%d,"delta":{"content":"%b"}}]}'
    assembly, deltas = assembly_of(
        chunk % (0, rb"a\ud83e"),
        chunk % (1, rb"b"),
        chunk % (0, rb"\udd8a\ud83e"),
        chunk % (0, rb"\ud83e"),
        chunk % (0, rb"c"),
    )
    completion = assembly.completion(TIMING)
    assert completion.message == "a🦊\ufffd\ufffdc"
    assert [delta.text for delta in deltas] == ["a", "b", "🦊", "\ufffd", "\ufffdc"]
    assert [(str(note.code), note.count) for note in completion.warnings] == [
        ("half-surrogate", 2)
    ]


NAMES = [
    *("choices", "delta", "message", "content", "index", "logprobs", "usage", "error"),
    *("id", "tool_calls", "tokens", "reasoning_details", "finish_reason", "model"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
        )
    ),
    max_leaves=12,
)
DELTAS = st.dictionaries(
    st.sampled_from([*schema.MessageDelta.__struct_fields__, "role"]),
    JSON,
)


@given(
    chunks=st.lists(
        st.binary()
        | JSON.map(json.dumps).map(str.encode)
        | DELTAS.map(chunk_of).map(json.dumps).map(str.encode)
        | JSON.map(lambda value: json.dumps(chunk_of(None, logprobs=value)).encode())
    )
)
def test_random_chunks_raise_limins_errors_alone(chunks: list[bytes]) -> None:
    """The part that was read before any garbage can be used."""
    assembly = Assembly(context_of(asks_log_probs=True), HttpResponse(200, {}, b""))
    for chunk, event in zip(chunks, cycle([bytes, bytes, ErrorEvent]), strict=False):
        update = assembly.feed(event(chunk))
        assert update.error is None or str(update.error)
        assert all(len(list(delta.log_probs or ())) >= 0 for delta in update.deltas)
    completion = assembly.completion(TIMING)
    assert all(str(warning) for warning in completion.warnings)
    assert completion.raw
