"""Tool calls of answers, whole and streamed, and the message that goes on with them."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from builders import TIMING, body_of, read, read_stream
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import LiminError
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.tools import ToolCall, ToolCallDelta
from limin.wire.http import HttpResponse
from limin.wire.raw_json import split_fields
from limin.wire.response import ReadingContext
from limin.wire.sampling import Sampling
from limin.wire.stream import AnswerReader

SIGNATURE = {"google": {"thought_signature": "c2ln"}}


def answer(message: dict[str, Any], reason: str = "tool_calls") -> dict[str, Any]:
    """Return the body of an answer with *message*."""
    message = {"role": "assistant", "content": None, **message}
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def chunks_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return *body* as a stream: the message at once, and then its end."""
    (choice,) = body["choices"]
    end = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
    first = {"index": 0, "delta": choice["message"], "finish_reason": None}
    return [{"choices": [first]}, {"choices": [end]}]


def call_of(name: str = "f", arguments: object = "{}", **fields: object) -> dict[str, Any]:
    """Return one call."""
    return {**fields, "function": {"name": name, "arguments": arguments}}


F, G = ToolCall("call00001", "f", "{}"), ToolCall("call00002", "g", "{}")
WITH_ID = attrs.evolve(F, id="a")

# Messages of servers, and the calls in them.
CALLS: dict[str, tuple[dict[str, Any], list[ToolCall]]] = {
    "openai": ({"tool_calls": [call_of(id="a", type="function")]}, [WITH_ID]),
    # https://github.com/run-llama/llama_index/pull/20207
    "id-missing": ({"tool_calls": [call_of(), call_of("g")]}, [F, G]),
    "id-empty-or-null": ({"tool_calls": [call_of(id=""), call_of("g", id=None)]}, [F, G]),
    "id-is-a-number": ({"tool_calls": [call_of(id=5)]}, [F]),
    "an-id-is-taken": (
        {"tool_calls": [call_of(), call_of("g", id="call00001"), call_of("h")]},
        [
            ToolCall("call00002", "f", "{}"),
            ToolCall("call00001", "g", "{}"),
            ToolCall("call00003", "h", "{}"),
        ],
    ),
    # https://github.com/vercel/ai/pull/12901
    "type-missing-or-null": (
        {"tool_calls": [call_of(id="a"), call_of("g", id="b", type=None)]},
        [WITH_ID, attrs.evolve(G, id="b")],
    ),
    "arguments-null": (
        {"tool_calls": [call_of(arguments=None)]},
        [attrs.evolve(F, arguments="")],
    ),
    "arguments-absent": (
        {"tool_calls": [{"function": {"name": "f"}}]},
        [attrs.evolve(F, arguments="")],
    ),
    "arguments-are-no-json": (
        {"tool_calls": [call_of(arguments='{"a":')]},
        [attrs.evolve(F, arguments='{"a":')],
    ),
    # vLLM without `strict`: WIRE of the captures.
    "arguments-are-a-text-in-json": (
        {"tool_calls": [call_of(arguments='"Paris"')]},
        [attrs.evolve(F, arguments='"Paris"')],
    ),
    "name-missing": (
        {"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]},
        [attrs.evolve(WITH_ID, name="")],
    ),
    "one-object": ({"tool_calls": call_of(id="a")}, [WITH_ID]),
    "function-call": ({"function_call": call_of()["function"]}, [F]),
    # llama-cpp-python sends both.
    "both": (
        {"tool_calls": [call_of(id="a")], "function_call": call_of()["function"]},
        [WITH_ID],
    ),
    "unknown-fields": (
        {
            "tool_calls": [
                {
                    "index": 0,
                    "extra_content": SIGNATURE,
                    "no": None,
                    "id": "a",
                    "function": {**call_of()["function"], "x": [1, {"y": None}]},
                }
            ]
        },
        [
            attrs.evolve(
                WITH_ID,
                extra={"extra_content": SIGNATURE, "function": {"x": [1, {"y": None}]}},
            )
        ],
    ),
    "of-another-type": (
        {
            "tool_calls": [
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
                call_of(id="a"),
                {"id": "c", "type": "builtin", **call_of("h")},
            ]
        },
        [WITH_ID],
    ),
    "nothing": ({"tool_calls": [], "function_call": None}, []),
    "nothing-that-can-be-read": ({"tool_calls": [5, None, "x"], "function_call": "x"}, []),
    # https://github.com/BerriAI/litellm/issues/17425
    "empty-calls": ({"tool_calls": [{}, {"index": 0, "function": {"name": ""}}]}, []),
}


@pytest.mark.parametrize("reason", ["tool_calls", "stop", "length"])
@pytest.mark.parametrize("odd", [{}, {"id": 5}])
@pytest.mark.parametrize("name", CALLS)
def test_calls_of_any_server(name: str, odd: dict[str, Any], reason: str) -> None:
    """A call is read whatever its server leaves out, and however the answer ends."""
    message, calls = CALLS[name]
    body = answer(message, reason)
    whole, (streamed, deltas) = read({**body, **odd}), read_stream(*chunks_of(body))
    assert list(whole.tool_calls) == list(streamed.choices[0].tool_calls) == calls
    assert whole.to_message() == streamed.to_message()
    arguments = "".join(part.arguments for delta in deltas for part in delta.tool_calls)
    assert "".join(call.arguments for call in calls) in arguments


@pytest.mark.parametrize("odd", [b"", b'"id":5,'])
def test_arguments_that_came_as_an_object(odd: bytes) -> None:
    """They are text as it came: spaces and escapes are the server's, on every path.

    Source: https://github.com/ggml-org/llama.cpp/issues/20198
    """
    text = r'{ "x":1.50,"y" : ["é", "\u00e9"] }'
    calls = f'[{{"id":"a","function":{{"name":"f","arguments":{text}}}}}]'
    message = f'{{"content":null,"tool_calls":{calls}}}'
    body = b'{%b"choices":[{"%b":%b,"finish_reason":"stop"}]}'
    whole = read(body % (odd, b"message", message.encode()))
    streamed, (first,) = read_stream(body % (odd, b"delta", message.encode()))
    expected = ToolCall("a", "f", text)
    assert whole.tool_calls == streamed.tool_calls == (expected,)
    assert first.tool_calls == (ToolCallDelta(None, "a", "f", text),)
    assert whole.to_message() == streamed.to_message()


def after(*calls: ToolCall | dict[str, Any]) -> Conversation:
    """Return a conversation in which the assistant made *calls*."""
    return Conversation(
        [Message("user", "hi"), Message("assistant", None, tool_calls=calls)]
    )


# The calls that a conversation holds, and the ids of an answer with two calls.
IDS: list[tuple[list[Any], list[str | None], list[str]]] = [
    ([], [None, None], ["call00001", "call00002"]),
    ([F, {"id": "x"}, {}], [None, None], ["call00004", "call00005"]),
    ([ToolCall("call00002", "f", "")], [None, "call00003"], ["call00004", "call00003"]),
    ([], ["call00001", None], ["call00001", "call00002"]),
    ([], [None, "x"], ["call00001", "x"]),
]


@pytest.mark.parametrize(("calls", "sent", "ids"), IDS)
def test_ids_are_made_from_the_conversation(
    calls: list[Any], sent: list[str | None], ids: list[str]
) -> None:
    """A made id fits Mistral's rule, is free, and the same in each run."""
    body = answer({"tool_calls": [call_of(id=each) for each in sent]})
    conversation = after(*calls)
    for _ in range(2):
        completion = read(body, conversation=conversation)
        assert [call.id for call in completion.tool_calls] == ids
    made = [call.id for call in completion.tool_calls if call.id not in sent]
    assert all(call_id.isalnum() and len(call_id) == 9 for call_id in made)
    message = completion.to_message()
    conversation.messages.append(Message("user", "go on"))
    conversation.add_message(message)
    assert [call["id"] for call in conversation.to_openai()[-1]["tool_calls"]] == ids  # type: ignore[index,attr-defined] # JSON


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}

# What came, and what goes back beside the role.
MESSAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"content": "4"}, {"content": "4"}),
    "nothing": ({"content": None}, {"content": ""}),
    "refusal": ({"refusal": "no"}, {"content": "", "refusal": "no"}),
    "calls-and-null": (
        {"tool_calls": [call_of(id="a", type="function")]},
        {"content": None, "tool_calls": [call_of(id="a", type="function")]},
    ),
    # vLLM.
    "calls-and-an-empty-text": (
        {"content": "", "tool_calls": [call_of(id="a", type="function")]},
        {"content": "", "tool_calls": [call_of(id="a", type="function")]},
    ),
    "calls-and-text": (
        {"content": "4", "tool_calls": [call_of(id="a", type="function")]},
        {"content": "4", "tool_calls": [call_of(id="a", type="function")]},
    ),
    "function-call": (
        {"function_call": {"name": "f", "arguments": "{}", "x": 1}},
        {"content": None, "function_call": {"name": "f", "arguments": "{}", "x": 1}},
    ),
    "custom": (
        {
            "tool_calls": [
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
                call_of(id="a", type="function"),
                {"index": 2, "type": "server", "x": 1, "custom": {"y": 2}},
                {"type": "odd", "z": 3},
            ]
        },
        {
            "content": None,
            "tool_calls": [
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
                call_of(id="a", type="function"),
                {"type": "server", "x": 1, "custom": {"y": 2}},
                {"type": "odd", "z": 3},
            ],
        },
    ),
    # https://github.com/THU-MAIC/OpenMAIC/issues/1556
    "gemini": (
        {"tool_calls": [call_of(id="a", type="function", extra_content=SIGNATURE)]},
        {
            "content": None,
            "tool_calls": [call_of(id="a", type="function", extra_content=SIGNATURE)],
        },
    ),
    # https://github.com/bytedance/deer-flow/issues/3043
    "kimi": (
        {"content": "", "reasoning_content": "hm", "tool_calls": [call_of(id="a")]},
        {
            "content": "",
            "reasoning_content": "hm",
            "tool_calls": [call_of(id="a", type="function")],
        },
    ),
    # https://github.com/MoonshotAI/kimi-cli/issues/2141
    "deepseek-without-reasoning": (
        {"content": "4", "reasoning_content": ""},
        {"content": "4", "reasoning_content": ""},
    ),
    "vllm": ({"content": "4", "reasoning": "hm"}, {"content": "4", "reasoning": "hm"}),
    "openrouter": (
        {
            "content": "4",
            "reasoning": "hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "index": 0, "signature": None}
            ],
        },
        {
            "content": "4",
            "reasoning": "hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "index": 0, "signature": None}
            ],
        },
    ),
    "mistral": (
        {"content": [THINKING, {"type": "text", "text": "4"}]},
        {"content": [THINKING, {"type": "text", "text": "4"}]},
    ),
    "mistral-with-a-call": (
        {"content": [THINKING], "tool_calls": [call_of(id="a", type="function")]},
        {"content": [THINKING], "tool_calls": [call_of(id="a", type="function")]},
    ),
    "parts-that-are-none": ({"content": ["4", 5]}, {"content": ""}),
    "litellm-of-anthropic": (
        {
            "content": "4",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
            "provider_specific_fields": {"citations": None},
        },
        {
            "content": "4",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
            "provider_specific_fields": {"citations": None},
        },
    ),
    "extra-content-of-the-message": (
        {"content": "4", "extra_content": SIGNATURE},
        {"content": "4", "extra_content": SIGNATURE},
    ),
    "what-only-answers-have": (
        {
            "content": "4",
            "annotations": [{"x": 1}],
            "audio": {"id": "a"},
            "refusal": None,
            "reasoning": "",
            "x": [],
            "y": {},
            "z": False,
        },
        {"content": "4", "z": False},
    ),
}


@pytest.mark.parametrize("odd", [{}, {"id": 5}])
@pytest.mark.parametrize("name", MESSAGES)
def test_message_that_goes_back(name: str, odd: dict[str, Any]) -> None:
    """Nothing is lost that a server wants back; a stream gives the same message."""
    message, sent = MESSAGES[name]
    body = answer(message)
    whole, (streamed, _) = read({**body, **odd}), read_stream(*chunks_of(body))
    conversation = Conversation([whole.to_message()])
    assert conversation.to_openai() == [{"role": "assistant", **sent}]
    assert streamed.to_message() == whole.to_message() == whole.choices[0].to_message()


TEXTS = ("content", "reasoning", "reasoning_content", "refusal")


def pieces_of(message: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """Return *message* as deltas whose texts have *size* characters."""
    deltas: list[dict[str, Any]] = []
    for name, value in message.items():
        if isinstance(value, str):
            deltas += [{name: value[i : i + size]} for i in range(0, len(value), size)]
            deltas += [{name: ""}] * (not value)
        elif name == "tool_calls":
            for index, call in enumerate(value):
                function = call["function"]
                arguments = function["arguments"]
                head = {**call, "index": index, "function": {**function, "arguments": ""}}
                deltas.append({name: [head]})
                for i in range(0, len(arguments), size):
                    inner = {"arguments": arguments[i : i + size]}
                    deltas.append({name: [{"index": index, "function": inner}]})
        elif isinstance(value, list):
            deltas += [{name: [piece]} for element in value for piece in cut(element, size)]
        else:
            deltas.append({name: value})
    return deltas


def cut(element: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """Return an element of a list in pieces, as servers cut it."""
    name = next(name for name in ("text", "thinking") if name in element)
    value, others = element[name], {k: v for k, v in element.items() if k != name}
    if isinstance(value, list):
        inner = [piece for each in value for piece in cut(each, size)]
        return [{**others, name: [piece]} for piece in inner]
    ends = {k: others.pop(k) for k in ("signature",) if k in others}
    texts = [value[i : i + size] for i in range(0, len(value), size)]
    pieces = [{**others, name: text} for text in texts]
    return [*pieces, {**others, name: "", **ends}] if ends else pieces


ROUNDS = [
    {
        "content": "I look.",
        "reasoning_content": "hm, hm",
        "tool_calls": [
            call_of("f", '{"x": 1}', id="a", type="function", extra_content=SIGNATURE),
            call_of("g", '{"y": "{}"}', id="b", type="function"),
        ],
        "vendor": "text of a vendor",
    },
    {
        "content": "4",
        "reasoning": "hm, hm",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "hm, hm", "index": 0, "signature": "s"}
        ],
    },
    {
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm, hm"}]},
            {"type": "text", "text": "I look."},
        ]
    },
    {
        "content": "4",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "hm, hm", "signature": "s"},
            {"type": "thinking", "thinking": "so", "signature": "t"},
        ],
    },
]


@pytest.mark.parametrize("message", ROUNDS)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_message_of_a_stream_in_pieces(message: dict[str, Any], size: int) -> None:
    """However a server cuts its message, the same one goes back."""
    chunks = [{"choices": [{"index": 0, "delta": d}]} for d in pieces_of(message, size)]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    streamed, _ = read_stream(*chunks, end)
    assert streamed.to_message() == read(answer(message)).to_message()


def test_text_around_parts() -> None:
    """Text before and behind the parts is a part as well."""
    contents = ["a", [THINKING], "b", "c\ud83e", "\udd8a", [{"type": "text", "text": "d"}]]
    chunks = [{"choices": [{"index": 0, "delta": {"content": c}}]} for c in contents]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    streamed, deltas = read_stream(*chunks, end)
    assert streamed.message == "".join(delta.text for delta in deltas) == "abc\U0001f98ad"
    assert streamed.to_message().content == ("a", THINKING, "bc\U0001f98ad")


def test_message_of_a_choice_without_its_body() -> None:
    """What is typed goes back, where there are no bytes to read."""
    choice = read(body_of("4")).choices[0]
    bare = attrs.evolve(choice, read_message=None)
    assert bare.to_message() == Message("assistant", "4")
    assert attrs.evolve(bare, message="", refusal="no").to_message() == Message(
        "assistant", "", extra={"refusal": "no"}
    )
    assert attrs.evolve(bare, message="", tool_calls=(F,)).to_message() == Message(
        "assistant", None, tool_calls=(F,)
    )
    reasoned = attrs.evolve(bare, reasoning="hm")
    part = {"type": "reasoning.text", "text": "hm"}
    for source, extra in (
        (None, {"reasoning": "hm"}),
        ("reasoning_content", {"reasoning_content": "hm"}),
        ("reasoning_details", {"reasoning_details": [part]}),
    ):
        message = attrs.evolve(reasoned, reasoning_source=source).to_message()
        assert message == Message("assistant", "4", extra=extra)
    mistral = attrs.evolve(reasoned, reasoning_source="content")
    assert mistral.to_message().content == (THINKING, "4")
    assert attrs.evolve(mistral, message="").to_message().content == (THINKING,)


def test_halves_of_surrogate_pairs_go_back_as_characters() -> None:
    """Half of a pair is U+FFFD in each field that is sent back, so it can be sent."""
    message = {"content": "\ud83e", "x": {"\ud83e": "\udd8a"}, "reasoning": "\ud83e"}
    message["tool_calls"] = [call_of("\ud83e", "\ud83e", id="\ud83e", y="\ud83e")]
    body = answer(message)
    whole, (streamed, _) = read(body), read_stream(*chunks_of(body))
    assert whole.to_message() == streamed.to_message()
    json.dumps(whole.to_message().extra, ensure_ascii=False).encode()
    (call,) = whole.tool_calls
    assert (call.id, call.name, call.arguments, call.extra) == (
        *"\ufffd" * 3,
        {"y": "\ufffd"},
    )


def test_calls_that_were_taken_out() -> None:
    """A choice that was changed sends back the calls that it has."""
    choice = read(answer({"tool_calls": [call_of(id="a")]})).choices[0]
    assert attrs.evolve(choice, tool_calls=()).to_message() == Message("assistant", "")


def test_value_that_cannot_be_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python can parse and not write is null."""

    def dumps(_: object) -> str:
        raise RecursionError

    monkeypatch.setattr("limin.wire.untyped.json.dumps", dumps)
    assert bytes(split_fields(b'{"a":NaN}')["a"]) == b"null"


NESTED = json.loads("[" * 80 + "]" * 80)


@pytest.mark.parametrize("value", [NESTED, {"x": NESTED}, float("nan"), float("inf")])
def test_values_that_cannot_go_back(value: object) -> None:
    """They are left out, and all else goes back."""
    message = {"content": "4", "x": value, "y": 1, "tool_calls": [call_of(id="a", z=value)]}
    completion = read(answer(message))
    sent = completion.to_message()
    assert sent == Message("assistant", "4", tool_calls=(WITH_ID,), extra={"y": 1})


def test_number_too_large_for_python() -> None:
    """It would not be the same number once more."""
    body = b'{"choices":[{"message":{"content":"4","x":1e999,"y":%b}}]}' % (b"9" * 5000)
    assert read(body).to_message() == Message("assistant", "4")


# What a request asked for, the answer, and whether it ignores that.
REQUIRED = {"tool_choice": "required"}
NAMED = {"tool_choice": {"type": "function", "function": {"name": "f"}}}
CHOICES: list[tuple[dict[str, Any], dict[str, Any], str | None, bool]] = [
    (REQUIRED, {"content": "4"}, "stop", True),
    (REQUIRED, {"content": "4"}, None, True),
    ({"tool_choice": "any"}, {"content": "4"}, "stop", True),
    (REQUIRED, {"content": "4"}, "length", False),
    (REQUIRED, {"content": "4"}, "content_filter", False),
    (REQUIRED, {"content": "4"}, "network_error", False),
    (REQUIRED, {"refusal": "no"}, "stop", False),
    (REQUIRED, {"tool_calls": [call_of("h")]}, "stop", False),
    (REQUIRED, {"function_call": call_of()["function"]}, "stop", False),
    (
        REQUIRED,
        {"tool_calls": [{"type": "custom", "custom": {"name": "g"}}]},
        "stop",
        False,
    ),
    (NAMED, {"content": "4"}, "stop", True),
    (NAMED, {"tool_calls": [call_of("h")]}, "stop", True),
    (NAMED, {"tool_calls": [call_of("h"), call_of("f")]}, "stop", False),
    ({"tool_choice": "auto"}, {"content": "4"}, "stop", False),
    ({"tool_choice": {"type": "allowed_tools"}}, {"content": "4"}, "stop", False),
    ({}, {"content": "4"}, "stop", False),
]


@pytest.mark.parametrize(("request_", "message", "reason", "is_ignored"), CHOICES)
def test_tool_choice_that_was_ignored(
    request_: dict[str, Any],
    message: dict[str, Any],
    reason: str | None,
    *,
    is_ignored: bool,
) -> None:
    """A required call that did not come has a warning, unless the answer was cut off."""
    completion = read(answer(message, reason or ""), request=request_)
    codes = [str(warning.code) for warning in completion.warnings]
    assert ("tool-choice-ignored" in codes) is is_ignored


def test_stream_that_broke_off_has_ignored_nothing() -> None:
    """The call might have come."""
    reader = AnswerReader(read_context(REQUIRED), HttpResponse(200, {}, b""))
    reader.feed(b'data: {"choices":[{"delta":{"content":"4"}}]}\n\n')
    assert reader.completion(TIMING).warnings == ()


def read_context(request: dict[str, Any]) -> ReadingContext:
    """Return the context of *request*."""
    conversation = Conversation.from_prompts("hi")
    return ReadingContext(
        conversation=conversation, model="m", sampling=Sampling.of(request)
    )


def tokens(*texts: str) -> dict[str, Any]:
    """Return the log probabilities of *texts*."""
    return {"content": [{"token": text, "logprob": -0.5} for text in texts]}


# The content beside a call, the tokens, and the warnings.
LOG_PROBS: list[tuple[str | None, dict[str, Any] | None, list[str]]] = [
    (None, None, []),
    (None, {"content": None}, []),
    (None, tokens("<tool_call>", "f"), []),
    ("I look.", tokens("I", " look", "."), []),
    ("I look.", tokens("I", " look", ".", "<tool_call>", "f"), []),
    ("I look.", tokens("hm", "</think>", "\n\n", "I", " look", ".", "<|call|>"), []),
    ("I look.", {"content": [{"token": "token_id:5", "logprob": -1, "id": 5}]}, []),
    ("I look.", None, ["log-probs-missing"]),
    ("I look.", tokens("You", " look"), ["text-mismatch"]),
]


@pytest.mark.parametrize(("content", "log_probs", "codes"), LOG_PROBS)
def test_log_probs_beside_a_call(
    content: str | None, log_probs: dict[str, Any] | None, codes: list[str]
) -> None:
    """Some servers list the tokens of calls, and some do not: both are right."""
    body = answer({"content": content, "tool_calls": [call_of(id="a")]})
    body["choices"][0]["logprobs"] = log_probs
    warnings = read(body, asks_log_probs=True).warnings
    found = {str(note.code) for note in warnings} - {"token-ids-as-text"}
    assert sorted(found) == codes


def test_forced_call_is_constrained() -> None:
    """A server forces a required call by a grammar, which one warning says."""
    entry = {"token": "{", "logprob": 0.0, "top_logprobs": [{"token": "{", "logprob": 0.0}]}
    body = answer({"tool_calls": [call_of(id="a")]})
    body["choices"][0]["logprobs"] = {"content": [entry]}
    asked = {"asks_log_probs": True, "top_log_probs": 5, "request": REQUIRED}
    assert [str(note.code) for note in read(body, **asked).warnings] == [
        "constrained-after-mask"
    ]


def test_whole_answer_where_a_stream_was_asked_for() -> None:
    """Its deltas have the calls, too."""
    context = read_context({})
    head = HttpResponse(200, {"content-type": "application/json"}, b"")
    reader = AnswerReader(context, head)
    body = answer({"tool_calls": [call_of(extra_content=SIGNATURE), call_of("g")]})
    reader.feed(json.dumps(body).encode())
    (delta,) = reader.finish(TIMING).deltas
    assert delta.tool_calls == (
        ToolCallDelta(0, "call00001", "f", "{}", {"extra_content": SIGNATURE}),
        ToolCallDelta(1, "call00002", "g", "{}"),
    )
    assert delta.has_tokens


def test_repr_counts_the_calls() -> None:
    """A log shows that tools were called, and not with what."""
    body = answer({"tool_calls": [call_of(arguments="secret"), call_of("g")]})
    assert "2 tool calls" in repr(read(body))
    assert "secret" not in repr(read(body))


ARGUMENTS = st.text(max_size=6) | st.sampled_from(['{"x": 1}', "{}", "", '"', "}"])


@given(
    st.lists(st.tuples(st.text("fg", min_size=1, max_size=3), ARGUMENTS), max_size=3),
    st.integers(1, 4),
    st.integers(1, 50),
)
def test_cut_anywhere_the_same_calls_come(
    calls: list[tuple[str, str]], size: int, cut_at: int
) -> None:
    """However server and network cut a stream, it has the calls of the whole answer."""
    message: dict[str, Any] = {
        "content": "4",
        "tool_calls": [
            call_of(name, arguments, id=f"id{index}", type="function")
            for index, (name, arguments) in enumerate(calls)
        ],
    }
    whole = read(answer(message, "stop"))
    chunks = [{"choices": [{"index": 0, "delta": d}]} for d in pieces_of(message, size)]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    stream = b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)
    head = HttpResponse(200, {"content-type": "text/event-stream"}, b"")
    reader = AnswerReader(read_context({}), head)
    deltas = [
        delta
        for start in range(0, len(stream), cut_at)
        for delta in reader.feed(stream[start : start + cut_at]).deltas
    ]
    completion = reader.completion(TIMING)
    assert completion.tool_calls == whole.tool_calls
    assert completion.to_message() == whole.to_message()
    for index, call in enumerate(whole.tool_calls):
        parts = [
            part for delta in deltas for part in delta.tool_calls if part.index == index
        ]
        assert "".join(part.arguments for part in parts) == call.arguments


LEAVES = st.none() | st.booleans() | st.integers() | st.text("f{}\ud800", max_size=3)
KEYS = st.sampled_from(
    [
        *("id", "type", "index", "function", "custom", "name", "arguments", "input"),
        *("extra_content", "tool_calls", "content", "text", "\ud800", "reasoning_details"),
    ]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=4))
def test_any_calls_are_read(deltas: list[dict[str, Any]]) -> None:
    """Whatever stands where calls should, there is a message to send back, or an error."""
    chunks = [
        {"choices": [{"index": 0, "delta": {"tool_calls": [delta], **delta}}]}
        for delta in deltas
    ]
    bodies = (answer({"tool_calls": [delta], **delta}) for delta in deltas)
    readings = [lambda: read_stream({"choices": [{"delta": {"content": "4"}}]}, *chunks)[0]]
    readings += [lambda body=body: read(body) for body in bodies]  # type: ignore[misc] # bound now
    for reading in readings:
        try:
            completion = reading()
        except LiminError:
            continue
        sent = Conversation([completion.to_message()]).to_openai()
        json.dumps([sent, completion.to_dict()["choices"]], ensure_ascii=False).encode()
        assert all(call.to_openai() for call in completion.tool_calls)


def test_ordinary_streams_are_read_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of known servers without anything unknown are decoded once."""

    def refuse(*_: object) -> None:
        raise AssertionError

    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "service_tier": "default",
        "system_fingerprint": "fp",
        "provider": "P",
        "obfuscation": "x",
        "usage": None,
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": "4", "refusal": None},
                "logprobs": None,
                "finish_reason": None,
                "native_finish_reason": None,
                "stop_reason": None,
                "matched_stop": None,
                "token_ids": None,
            }
        ],
    }
    head = HttpResponse(200, {"content-type": "text/event-stream"}, b"")
    reader = AnswerReader(read_context({}), head)
    with monkeypatch.context() as patch:
        patch.setattr("limin.wire.assembly.Assembly._feed_odd", refuse)
        reader.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    raw: Any = reader.completion(TIMING).raw
    assert (raw["service_tier"], raw["provider"]) == ("default", "P")
    assert raw["system_fingerprint"] == "fp"
    assert "obfuscation" not in raw
