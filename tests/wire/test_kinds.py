"""Values at unusual places, and ends of answers: whole as streamed."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from builders import body_of, read, read_stream
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import LiminError, ResponseError
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.tokens import TokenLogProb
from limin.values.usage import Usage
from limin.wire.finish_reasons import is_failure, normalize_finish_reason
from limin.wire.sampling import Sampling

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion


def chunk_of(content: str | None = None, index: int = 0, **choice: Any) -> dict[str, Any]:
    """Return a chunk of one choice."""
    delta = {} if content is None else {"content": content}
    return {"choices": [{"index": index, "delta": delta, **choice}]}


END = chunk_of(finish_reason="stop")


def codes(completion: TextCompletion) -> list[str]:
    """Return the codes of the warnings."""
    return [str(warning.code) for warning in completion.warnings]


SENT = {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32}
COUNTED = Usage(prompt_tokens=19, completion_tokens=13, total_tokens=32)


@pytest.mark.parametrize(
    "chunks",
    [
        (chunk_of("4"), chunk_of(finish_reason="stop", usage=SENT)),
        (chunk_of("4", usage={"prompt_tokens": 19}), chunk_of(None, usage=SENT), END),
        ({**chunk_of("4"), "usage": {"prompt_tokens": 1}}, {**END, "usage": SENT}),
        (chunk_of("4"), {**END, "x_groq": {"usage": SENT}}),
        (chunk_of("4"), END, {"choices": [], "usage": SENT}),
    ],
    ids=["choice", "each choice", "each chunk", "vendor", "last chunk"],
)
def test_usage_of_a_stream(chunks: tuple[dict[str, Any], ...]) -> None:
    """The usage counts wherever it stands, and the last one counts."""
    completion, _ = read_stream(*chunks)
    assert completion.usage == COUNTED
    raw: Any = completion.raw
    assert raw.get("usage", SENT) == SENT
    assert "usage" in json.dumps(raw)


# Source: mlx-lm, which sends ids in the place of texts.
MLX = {
    "tokens": [791, 6864],
    "token_logprobs": [-0.171875, -0.5],
    "top_logprobs": [
        {"791": -0.171875, "89342": -2.28125},
        {"6864": -0.5, "3363": -1.5},
    ],
}
MLX_TOKENS = [
    [TokenLogProb("", -0.171875, None, 791), TokenLogProb("", -2.28125, None, 89342)],
    [TokenLogProb("", -0.5, None, 6864), TokenLogProb("", -1.5, None, 3363)],
]


def test_ids_in_the_place_of_texts() -> None:
    """They are ids, and never shown as the text of a token."""
    context: Any = {"asks_log_probs": True, "top_log_probs": 2}
    whole = read(body_of("The capital", logprobs=MLX, finish_reason="stop"), **context)
    streamed, _ = read_stream(chunk_of("The capital", logprobs=MLX), END, **context)
    for completion in (whole, streamed):
        assert completion.full_token_log_probs == MLX_TOKENS
        assert completion.token_log_probs == [first for first, _ in MLX_TOKENS]
        assert completion.log_probs is not None
        assert completion.log_probs.text() == ""
        assert codes(completion) == ["legacy-log-probs", "token-ids-as-text"]


@pytest.mark.parametrize(
    "choice",
    [
        {"logprobs": {"content": [{"token": "a", "logprob": -1, "id": 7}]}},
        {"logprobs": {"content": [{"token": "a", "logprob": -1, "token_id": 7}]}},
        {"logprobs": {"content": [{"token": "a", "logprob": -1}]}, "token_ids": [7]},
        {"logprobs": {"content": [{"token": "a", "logprob": -1}], "token_ids": [7]}},
        {"logprobs": {"tokens": ["a"], "token_logprobs": [-1], "token_ids": [7]}},
    ],
    ids=["llama.cpp", "fireworks", "vllm", "beside", "together"],
)
def test_names_of_ids(choice: dict[str, Any]) -> None:
    """An id counts under every name that is in use."""
    token = TokenLogProb("a", -1.0, None, 7)
    assert read(body_of("a", **choice)).token_log_probs == [token]
    completion, deltas = read_stream(chunk_of("a", **choice), END)
    assert completion.token_log_probs == [token]
    assert deltas[0].log_probs is not None
    assert deltas[0].log_probs.sampled == [token]


def test_ids_without_texts_in_the_old_shape() -> None:
    """Ids alone are tokens, too."""
    log_probs = {"token_ids": [7], "token_logprobs": [-1]}
    completion = read(body_of("a", logprobs=log_probs))
    assert completion.token_log_probs == [TokenLogProb("", -1.0, None, 7)]


@pytest.mark.parametrize("ids", [[7, 8], [], "7", None, {"a": 1}])
def test_ids_that_do_not_fit(ids: object) -> None:
    """Ids that are not one for each token belong to none."""
    log_probs = {"content": [{"token": "a", "logprob": -1}]}
    completion = read(body_of("a", logprobs=log_probs, token_ids=ids))
    assert completion.token_log_probs == [TokenLogProb("a", -1.0)]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("text", ["4", ""])
def test_log_probs_of_the_reasoning(name: str, text: str) -> None:
    """They are kept, and stand for those of the answer only if there is no answer."""
    log_probs = {"content": None, name: [{"token": "hm", "logprob": -1}]}
    message = {"content": text, name: "hm"}
    choice = {"message": message, "logprobs": log_probs, "finish_reason": "stop"}
    whole = read({"choices": [choice]}, asks_log_probs=True)
    chunk = {"choices": [{**choice, "delta": message, "message": None}]}
    streamed, deltas = read_stream(chunk, asks_log_probs=True)
    for completion in (whole, streamed):
        (read_choice,) = completion.choices
        assert read_choice.reasoning_log_probs is not None
        assert read_choice.reasoning_log_probs.text() == "hm"
        assert (read_choice.log_probs is None) == bool(text)
        assert completion.warnings == ()
    assert deltas[0].log_probs is not None


def test_details_of_the_reasoning_without_a_list() -> None:
    """One of OpenRouter's details counts as a list of one."""
    details = {"type": "reasoning.text", "text": "hm"}
    chunk = {"choices": [{"index": 0, "delta": {"reasoning_details": details}}]}
    completion, deltas = read_stream(chunk, chunk_of("4"), END)
    assert completion.reasoning == "hm"
    assert deltas[0].reasoning == "hm"


def test_log_probs_of_answer_and_reasoning() -> None:
    """Both are there, each for itself."""
    log_probs = {
        "content": [{"token": "4", "logprob": -2}],
        "reasoning_content": [{"token": "hm", "logprob": -1}],
    }
    body = body_of("4", logprobs=log_probs)
    body["choices"][0]["message"]["reasoning_content"] = "hm"
    (choice,) = read(body, asks_log_probs=True).choices
    assert choice.log_probs is not None
    assert choice.reasoning_log_probs is not None
    assert choice.log_probs.text() == "4"
    assert choice.reasoning_log_probs.text() == "hm"


# Deltas, and whether they repeat what came before.
DELTAS: list[tuple[list[str], bool]] = [
    (["The", "The capital", "The capital of France", "The capital of France."], True),
    (["The capital", "The capital of France is Paris."], True),
    (["The ", "capital ", "of France.", "The capital of France."], True),
    (["", "a", "ab", "", "abc"], True),
    (["ha", "haha", "!"], False),
    (["ha", "haha"], False),
    (["ha", "ha", "ha"], False),
    (["1", "10"], False),
    (["1", "10", "100"], False),
    ([" ", "  ", "    "], False),
    (["-", "--", "---"], False),
    (["The", " capital", " of", " France"], False),
    (["a b c d e", "a b c d e"], False),
    ([], False),
]


@pytest.mark.parametrize(("texts", "repeats"), DELTAS)
@pytest.mark.parametrize("name", ["content", "reasoning_content"])
def test_deltas_that_repeat(texts: list[str], name: str, *, repeats: bool) -> None:
    """They have a warning; an answer that itself repeats has none."""
    chunks = [{"choices": [{"index": 0, "delta": {name: text}}]} for text in texts]
    completion, deltas = read_stream(*chunks, END)
    text = completion.message if name == "content" else completion.reasoning or ""
    assert text == "".join(texts)
    assert "".join(delta.text + delta.reasoning for delta in deltas) == text
    assert codes(completion) == ["repeated-deltas"] * repeats


def test_message_behind_its_deltas() -> None:
    """A chunk with the whole message once more adds nothing."""
    last = {"index": 0, "message": {"content": "haha!"}, "finish_reason": "stop"}
    completion, deltas = read_stream(chunk_of("ha"), chunk_of("ha!"), {"choices": [last]})
    assert completion.message == "".join(delta.text for delta in deltas) == "haha!"
    assert codes(completion) == ["body-mended"]


@pytest.mark.parametrize("is_done", [False, True])
def test_server_that_ignores_the_number_of_choices(*, is_done: bool) -> None:
    """Fewer choices than requested are a completion with a warning, however it ends."""
    completion, _ = read_stream(chunk_of("4"), END, is_done=is_done, n_choices=2)
    assert codes(completion) == ["fewer-choices"]
    whole = read(body_of("4", finish_reason="stop"), n_choices=2)
    assert whole.choices == completion.choices
    assert whole.warnings == completion.warnings


def test_most_choices() -> None:
    """More choices than anybody requests are refused, whole as streamed."""
    message: dict[str, Any] = {"message": {"content": "x"}}
    assert len(read({"choices": [message] * 1024}).choices) == 1024
    with pytest.raises(ResponseError, match="at most 1024 choices, found more") as caught:
        read({"choices": [message] * 1025})
    assert caught.value.path == "$.choices"


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        *((name, "content_filter") for name in ("SAFETY", "RECITATION", "SPII")),
        *((name, "content_filter") for name in ("content-filter", "Moderation")),
        *((name, "content_filter") for name in ("refusal", "guardrail_intervened")),
        *((name, "content_filter") for name in ("blocked", "risk", "内容过滤", "敏感内容")),
        *((name, "content_filter") for name in ("FINISH_REASON_SAFETY", "IMAGE_SAFETY")),
        *((name, "stop") for name in ("COMPLETE", "Stop", "FINISH_REASON_STOP", "eos")),
        *((name, "length") for name in ("MAX_TOKENS", "Length", "max_output_tokens")),
        *((name, "length") for name in ("model_context_window_exceeded", "model_length")),
        *((name, "tool_calls") for name in ("tool_use", "Tool_Calls")),
        *((name, None) for name in ("", "null", "None", " NULL ")),
        ("function_call", "function_call"),
        ("safe", "safe"),
    ],
)
def test_content_filter_of_any_name(reason: str, name: str) -> None:
    """It can be told from a normal end, and is no failure."""
    assert normalize_finish_reason(reason) == name
    assert not is_failure(reason)
    assert read(body_of("4", finish_reason=reason)).choices[0].raw_finish_reason == reason


@pytest.mark.parametrize(
    "reason",
    [
        *("preempted", "oom", "OOM", "incomplete", "TOO_MANY_TOOL_CALLS", "killed"),
        *("network_error", "insufficient_system_resource", "MALFORMED_FUNCTION_CALL"),
        *("OTHER", "FINISH_REASON_OTHER", "FINISH_REASON_UNSPECIFIED", "timed out"),
    ],
)
def test_end_that_is_a_failure(reason: str) -> None:
    """The answer is handed over with a warning, and the server's own word."""
    completion = read(body_of("4", finish_reason=reason))
    assert codes(completion) == ["failed-finish"]
    assert completion.finish_reason == reason


def answer(text: str, *tokens: str, **fields: object) -> dict[str, Any]:
    """Return the body of an answer, with log probabilities if there are tokens."""
    content = [{"token": token, "logprob": -1} for token in tokens]
    choice = {"logprobs": {"content": content}} if tokens else {}
    return {**body_of(text, **choice), **fields}


# The start of the answer, the request, the body, what was repeated, and the message.
PREFILLS: list[tuple[str, dict[str, object], dict[str, Any], str | None, str]] = [
    ("The", {}, answer("The end", system_fingerprint="b0-unknown"), "The", " end"),
    ("The", {}, answer("The end"), "The", " end"),
    ("The ", {}, answer("The end"), "The ", "end"),
    ("The\n", {}, answer("The end"), "The", " end"),
    ("The", {}, answer("The end", " end"), "The", " end"),
    ("The", {}, answer("The end", "The", " end"), None, "The end"),
    ("The", {}, answer("The end", system_fingerprint="vllm-0.32.0-1"), None, "The end"),
    ("The", {}, answer("The end", system_fingerprint="fp_44709d6fcb"), None, "The end"),
    (
        "The",
        {"echo": True},
        answer("The end", system_fingerprint="vllm-0.32.0-1"),
        "The",
        " end",
    ),
    ("The", {}, answer("An end"), None, "An end"),
    ("The", {}, answer(""), None, ""),
    ("", {}, answer("An end"), None, "An end"),
]


@pytest.mark.parametrize(("start", "request_fields", "body", "repeated", "text"), PREFILLS)
def test_repeated_start(
    start: str,
    request_fields: dict[str, object],
    body: dict[str, Any],
    repeated: str | None,
    text: str,
) -> None:
    """It is no part of the message, unless the answer begins so by itself."""
    messages = [Message("user", "Say it"), Message("assistant", start)]
    completion = read(body, conversation=Conversation(messages), request=request_fields)
    assert (completion.prefill, completion.message) == (repeated, text)
    assert completion.warnings == ()
    asked_by_user = Conversation([Message("user", start or "x")])
    completion = read(body, conversation=asked_by_user, request=request_fields)
    assert completion.prefill is None


def test_every_choice_repeats_the_start() -> None:
    """If one choice does not begin so, none repeats it."""
    conversation = Conversation([Message("user", "hi"), Message("assistant", "The")])
    choices = [{"message": {"content": text}} for text in ("The end", "", "An end")]
    completion = read({"choices": choices[:2]}, conversation=conversation)
    assert [choice.message for choice in completion.choices] == [" end", ""]
    completion = read({"choices": choices}, conversation=conversation)
    assert completion.prefill is None


def test_sampling_of_a_request() -> None:
    """A request says where its answer ends, and what it may be."""
    assert Sampling.of({}) == Sampling()
    assert Sampling.of({"stop": ["a", "", 5]}).stops == ("a",)
    assert Sampling.of({"stop": ("a", "b")}).stops == ("a", "b")
    assert Sampling.of({"stop": "a"}).stops == ("a",)
    assert Sampling.of({"echo": True, "stop_token_ids": [2]}) == Sampling(
        echoes=True, stops_at_ids=True
    )


@pytest.mark.parametrize("depth", [50, 200, 450, 700, 900, 2000])
def test_any_depth(depth: int) -> None:
    """What is nested deeply is left out, kept as it came, or an error."""
    nested: Any = "x"
    for _ in range(40):
        nested = [nested]
    text = json.dumps(nested).replace('"x"', "[" * depth + "]" * depth)
    usage = f'{{"choices":[{{"message":{{"content":"4"}},"usage":{text}}}]}}'
    calls = f'{{"choices":[{{"delta":{{"content":"4","tool_calls":{text}}}}}]}}'
    with suppress(LiminError):
        assert read(usage).message == "4"
    with suppress(LiminError):
        assert read_stream(calls.encode())[0].message == "4"


def seconds_for(size: int, kind: str) -> float:
    """Return the least time of three that reading an answer of *size* takes."""
    make = LINEAR[kind]
    body = make(size)
    times: list[float] = []
    for _ in range(3):
        before = time.process_time()
        completion = read_stream(*body)[0] if isinstance(body, list) else read(body)
        assert isinstance(completion.warnings, tuple)
        times.append(time.process_time() - before)
    return min(times)


def entry(text: str, listed: str, token_id: int) -> dict[str, Any]:
    """Return a position whose token is listed with another text."""
    top = [{"token": listed, "logprob": -1, "id": token_id}]
    return {"token": text, "logprob": -1, "id": token_id, "top_logprobs": top}


# Each makes an answer of a size.
LINEAR: dict[str, Any] = {
    "choices of one event": lambda n: [
        {
            "choices": [
                {"index": i, "delta": {"content": "x"}, "finish_reason": "a"}
                for i in range(n // 8)
            ]
        }
    ],
    "choices in a row": lambda n: [
        chunk_of("x", index, finish_reason="a") for index in range(n // 8)
    ],
    "deltas": lambda n: [*(chunk_of("x" * 9) for _ in range(n)), END],
    "halves": lambda n: [*(chunk_of("\ud83e") for _ in range(n)), END],
    "cumulative": lambda n: [*(chunk_of("x" * 64) for _ in range(n)), END],
    "fragments": lambda n: [
        *(
            {
                "choices": [
                    {"index": 0, "delta": {"tool_calls": [{"function": {"name": "ab"}}]}}
                ]
            }
            for _ in range(n)
        ),
        END,
    ],
    "unknown parts": lambda n: [
        *(
            {"choices": [{"index": 0, "delta": {"x": "ab", "y": [{"index": 0, "z": "c"}]}}]}
            for _ in range(n // 2)
        ),
        END,
    ],
    "unknown states": lambda n: [
        *({"choices": [], "x": {"y": {f"z{i}": i}}} for i in range(n // 2)),
        chunk_of("x"),
        END,
    ],
    "whole objects": lambda n: [
        *(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {"tool_calls": [{"function": {"arguments": "{}"}}]},
                    }
                ]
            }
            for _ in range(n // 2)
        ),
        END,
    ],
    "calls without ids": lambda n: {
        "choices": [
            {
                "message": {
                    "tool_calls": [
                        {"id": f"call{i:05d}" if i % 2 else "", "function": {"name": "f"}}
                        for i in range(n)
                    ]
                }
            }
        ]
    },
    "finish reasons": lambda n: [
        chunk_of("x", finish_reason="a", **{f"field_{i}": i}) for i in range(n)
    ],
    "held back": lambda n: body_of(
        "x", logprobs={"content": [entry("", "x" * 20, i) for i in range(n)]}
    ),
    "odd usage": lambda n: {**body_of("4"), "usage": {"prompt_tokens": ["x"] * n}},
    "control tokens": lambda n: body_of(
        "x" * n,
        logprobs={"content": [{"token": "<|x|>x", "logprob": -1} for _ in range(n)]},
    ),
}


@pytest.mark.timed
@pytest.mark.parametrize("kind", LINEAR)
def test_time_grows_with_the_size(kind: str) -> None:
    """Four times the size takes about four times as long; a square would be sixteen."""
    assert seconds_for(8000, kind) < 12 * max(seconds_for(2000, kind), 0.01)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["stop", "error", "4", "\ud800", "token_id:5", "-1", 10**400])
)
KEYS = st.sampled_from(
    [
        *("choices", "message", "content", "logprobs", "usage", "index", "token_ids"),
        *("tool_calls", "function", "name", "arguments", "id", "token", "logprob"),
        *("reasoning_content", "top_logprobs", "x_groq", "prompt_tokens", "delta"),
        *("finish_reason", "\ud800", "prompt_logprobs", "rank", "tokens"),
    ]
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=16,
)


@given(JSON, JSON)
def test_any_values(first: Any, second: Any) -> None:
    """Whatever stands in an answer, it is a completion that can be used, or an error."""
    choice = {"message": first, "delta": first, "logprobs": second, "usage": second}
    body = {"choices": [{**choice, "finish_reason": "stop"}], "usage": second}
    for reading in (lambda: read(body), lambda: read_stream(body)[0]):
        try:
            completion = reading()
        except LiminError as error:
            assert str(error).encode()  # noqa: PT017 (any other exception is what fails)
            continue
        assert completion.message.encode() is not None
        assert (completion.finish_reason or "").encode() is not None
        assert all(str(warning).encode() for warning in completion.warnings)
        assert completion.to_pretty_string().encode()
