import copy
import json
import math
import pickle
from typing import Any

import attrs
import pytest
from builders import TIMING, body_of, capture, captures, read, read_capture
from hypothesis import example, given
from hypothesis import strategies as st

from limin.errors import LiminError, ServerError
from limin.values.choice import Choice
from limin.values.completion import TextCompletion
from limin.values.conversation import Conversation
from limin.values.log_probs import LogProbs, Position, TokenLogProb, TokenPosition
from limin.values.messages import Message
from limin.values.timing import Attempt, Latency, Timing
from limin.values.tools import ToolCall
from limin.values.usage import Usage
from limin.values.warnings import LiminWarning, ResponseWarning, WarningCode

HOT = "llama.cpp-b11549-logprobs_top1_hot"


def completion_of(*choices: Choice, **fields: Any) -> TextCompletion:
    """A completion of *choices*, requested at a fixed time."""
    return TextCompletion(
        conversation=Conversation.from_prompts("hi"),
        model="asked-model",
        choices=choices,
        timing=TIMING,
        **fields,
    )


def test_first_choice_is_the_answer() -> None:
    """What a completion says of its answer is what its first choice says."""
    log_probs = LogProbs(lambda: ([Position("four", -0.5)], ()))
    first = Choice(
        message="four",
        finish_reason="stop",
        refusal="no",
        reasoning="2 + 2",
        log_probs=log_probs,
    )
    completion = completion_of(first, Choice(message="five", index=1))
    assert completion.message == completion.content == "four"
    assert completion.finish_reason == "stop"
    assert completion.refusal == "no"
    assert completion.reasoning == "2 + 2"
    assert completion.log_probs is log_probs
    assert completion.token_log_probs == [TokenLogProb("four", -0.5)]
    assert completion.full_token_log_probs == [[]]
    assert [choice.message for choice in completion.choices] == ["four", "five"]


def test_what_was_not_sent_is_none() -> None:
    """What the server did not send is None, never zero and never a guess."""
    completion = completion_of(Choice())
    assert completion.message == ""
    for name in (
        "finish_reason",
        "refusal",
        "reasoning",
        "log_probs",
        "token_log_probs",
        "full_token_log_probs",
        "prompt_log_probs",
        "served_model",
        "endpoint",
        "usage",
        "id",
        "request_id",
    ):
        assert getattr(completion, name) is None, name
    assert completion.warnings == ()
    assert set(attrs.asdict(Usage()).values()) == {None}


def test_no_fields_without_log_probs() -> None:
    """What was not sent is not made up of the text."""
    assert read(body_of('{"name": "Paris"}')).fields is None


def test_times() -> None:
    """The times of the completion are those of its timing."""
    completion = completion_of(Choice())
    assert completion.start_time == 1000.0
    assert completion.end_time == 1002.5
    assert completion.duration == 2.25
    assert completion.timing == Timing(start_time=1000.0, end_time=1002.5, duration=2.25)


def test_to_message_goes_on() -> None:
    """The answer can be put at the end of the conversation that it answers."""
    completion = completion_of(Choice(message="hello"))
    completion.conversation.add_message(completion.to_message())
    assert completion.conversation.messages[-1] == Message("assistant", "hello")


@pytest.mark.parametrize("message", ["hello", "", "two\nlines \x1b[31m"])
def test_str_is_the_message(message: str) -> None:
    """`print` shows the answer of the first choice, and nothing else."""
    completion = completion_of(Choice(message=message), Choice(message="more", index=1))
    assert str(completion) == f"{completion}" == message


@pytest.mark.parametrize(
    ("completion", "facts"),
    [
        (completion_of(Choice()), "asked-model: 0 characters, 2.25 s"),
        (
            completion_of(
                Choice(message="x", finish_reason="stop"), usage=Usage(completion_tokens=1)
            ),
            "asked-model: 1 character, stop, 1 token, 2.25 s",
        ),
        (
            completion_of(
                Choice(message="x" * 5000, finish_reason="length"),
                Choice(index=1),
                usage=Usage(prompt_tokens=3, completion_tokens=1200),
            ),
            "asked-model: 2 choices, 5000 characters, length, 1200 tokens, 2.25 s",
        ),
        (completion_of(Choice(), usage=Usage()), "asked-model: 0 characters, 2.25 s"),
        (
            completion_of(Choice(finish_reason="a\n\x1b[31m" + "b" * 100)),
            "asked-model: 0 characters, an odd finish reason, 2.25 s",
        ),
        (
            completion_of(Choice(finish_reason="sk-live-0123456789abcdefghij")),
            "asked-model: 0 characters, an odd finish reason, 2.25 s",
        ),
        (
            completion_of(Choice(finish_reason="MALFORMED_FUNCTION_CALL")),
            "asked-model: 0 characters, MALFORMED_FUNCTION_CALL, 2.25 s",
        ),
    ],
)
def test_repr_is_one_short_line(completion: TextCompletion, facts: str) -> None:
    """The repr holds numbers and names, and no control character that a server sent."""
    assert repr(completion) == f"<limin.TextCompletion of {facts}>"


def test_repr_holds_no_content() -> None:
    """Neither prompt nor answer nor body is in a repr, since reprs end up in logs."""
    completion = read({**body_of("my secret"), "vendor": "my secret"})
    assert "secret" not in repr(completion)
    assert "2 + 2" not in repr(completion)


def test_dictionary_for_a_log() -> None:
    """A completion becomes plain JSON with everything but the prompt and the raw body."""
    warning = ResponseWarning(WarningCode.BODY_MENDED, "$.id", "expected text", 2)
    error = ServerError(500, "no")
    attempt = Attempt(start_time=1.0, duration=0.5, error=error, endpoint="http://b/v1")
    latency = Latency(mean=0.5, median=0.5, percentile_95=0.5, percentile_99=0.5)
    completion = TextCompletion(
        conversation=Conversation.from_prompts("my secret", "Be brief."),
        model="asked-model",
        choices=(
            Choice(
                message="four",
                finish_reason="stop",
                tool_calls=(ToolCall("call00001", "f", "{}", extra={"x": 1}),),
            ),
        ),
        timing=Timing(
            start_time=1.0,
            end_time=3.0,
            duration=2.0,
            attempts=(attempt,),
            inter_token_latency=latency,
            delta_times=(0.5, 1.0),
        ),
        usage=Usage(completion_tokens=1),
        id="c-1",
        endpoint="http://a/v1",
        body_warnings=(warning,),
    )
    fields = completion.to_dict()
    assert (
        fields
        == json.loads(json.dumps(fields, allow_nan=False))
        == {
            "message": "four",
            "finish_reason": "stop",
            "model": "asked-model",
            "served_model": None,
            "endpoint": "http://a/v1",
            "id": "c-1",
            "request_id": None,
            "choices": [
                {
                    "message": "four",
                    "finish_reason": "stop",
                    "raw_finish_reason": None,
                    "index": 0,
                    "refusal": None,
                    "reasoning": None,
                    "reasoning_source": None,
                    "tool_calls": [
                        {
                            "id": "call00001",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                            "x": 1,
                        }
                    ],
                }
            ],
            "usage": {
                "prompt_tokens": None,
                "completion_tokens": 1,
                "total_tokens": None,
                "cached_tokens": None,
                "reasoning_tokens": None,
            },
            "timing": {
                "start_time": 1.0,
                "end_time": 3.0,
                "duration": 2.0,
                "attempts": [
                    {
                        "start_time": 1.0,
                        "duration": 0.5,
                        "error": "ServerError: the server answered 500: no",
                        "waited": 0.0,
                        "endpoint": "http://b/v1",
                    }
                ],
                "time_to_first_byte": None,
                "time_to_first_token": None,
                "time_to_first_reasoning": None,
                "time_to_first_text": None,
                "inter_token_latency": attrs.asdict(latency),
                "tokens_per_second": None,
            },
            "warnings": [
                {
                    "code": "body-mended",
                    "path": "$.id",
                    "problem": "expected text",
                    "count": 2,
                }
            ],
        }
    )
    assert completion.to_dict(conversation=True) == {
        **fields,
        "conversation": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "my secret"},
        ],
    }


@pytest.mark.parametrize(
    "name",
    [name for name in captures() if "error" not in name and "stream" not in name],
)
def test_dictionary_of_every_capture(name: str) -> None:
    """Whatever a server answered, `json.dumps` takes the dictionary."""
    completion = read_capture(name)
    fields = completion.to_dict()
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields
    assert fields["message"] == str(completion)


def test_completion_cannot_change() -> None:
    """An answer cannot be changed."""
    with pytest.raises(AttributeError):
        completion_of(Choice()).model = "other"  # type: ignore[misc]  # the mistake itself


@pytest.mark.parametrize(
    ("raw_bytes", "raw"),
    [
        (b'{"a": [1, null]}', {"a": [1, None]}),
        (b'\xef\xbb\xbf\n\n{"a": 1}', {"a": 1}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b'{"a": -Infinity}', {"a": -math.inf}),
    ],
)
def test_raw(raw_bytes: bytes, raw: object) -> None:
    """The parsed body holds everything that the server sent, NaN included."""
    assert completion_of(Choice(), raw_bytes=raw_bytes).raw == raw


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\tb"', "a\tb"),
        ('"a\x00\nb"', "a\x00\nb"),
        ("9" * 4400, math.inf),
        ("-" + "9" * 4400, -math.inf),
        ("9" * 301, 1e301),
        ("NaN", None),
        ('"\\ud800"', "\ud800"),
        ("[" * 200 + "]" * 200, None),
    ],
)
@pytest.mark.parametrize("start", ["", "\ufeff", "\n"])
def test_raw_of_what_was_accepted(text: str, value: object, start: str) -> None:
    """An answer that was read has a parsed body, whatever JSON forbids in it."""
    body = start + json.dumps(body_of("4", created="HERE")).replace('"HERE"', text)
    raw: Any = read(body.encode()).raw
    assert raw["choices"][0]["created"] == value or value is None


@given(st.binary(max_size=24), st.sampled_from(['"%b"', "%b", '{"a": %b}', "[%b]"]))
@example(b"\xff\x01", '"%b"')
@example(b"-Infinity", "%b")
def test_raw_of_any_accepted_body(data: bytes, form: str) -> None:
    """Whatever bytes stand in a field that limin does not know."""
    body = json.dumps(body_of("4", created="HERE")).encode()
    body = body.replace(b'"HERE"', form.encode() % data)
    try:
        completion = read(body)
    except LiminError:
        return
    assert isinstance(completion.raw, dict)


def test_raw_is_parsed_anew() -> None:
    """Whoever changes the parsed body changes a copy."""
    completion = read(body_of("4"))
    first: Any = completion.raw
    first.clear()
    assert completion.raw == body_of("4")


def test_vendor_fields_are_in_raw() -> None:
    """A field that only one server sends can be looked up in the parsed body."""
    raw: Any = read(capture(HOT)["body"]).raw
    assert raw["timings"]["predicted_n"] == 16


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_completion_can_be_pickled(protocol: int, *, looked_at: bool) -> None:
    """A completion goes to another process with everything, log probabilities too."""
    completion = read(capture(HOT)["body"], headers={"x-request-id": "req-1"})
    if looked_at:
        assert completion.token_log_probs
    restored = pickle.loads(pickle.dumps(completion, protocol))  # noqa: S301 (our own bytes)
    assert restored == completion
    assert restored.token_log_probs == completion.token_log_probs
    assert restored.full_token_log_probs == completion.full_token_log_probs
    assert restored.raw_bytes == completion.raw_bytes
    assert restored.request_id == "req-1"
    assert restored.conversation is not completion.conversation


def test_completion_with_warnings_can_be_pickled() -> None:
    """The warnings about an answer go to another process with it."""
    completion = read({"choices": [{"finish_reason": "length"}]}, asks_log_probs=True)
    restored = pickle.loads(pickle.dumps(completion))  # noqa: S301 (our own bytes)
    assert len(restored.warnings) == 2
    assert restored.warnings == completion.warnings


def odd(code: WarningCode) -> ResponseWarning:
    """A warning whose code is all that matters."""
    return ResponseWarning(code, "$.here", "expected this, found that")


def odd_choice(mended: WarningCode, diagnosed: WarningCode) -> Choice:
    """A choice of one token, with a warning about its shape and one about its numbers."""
    log_probs = LogProbs(
        lambda: ([Position("4", -0.5)], (odd(mended),)),
        lambda _positions: (odd(diagnosed),),
    )
    return Choice(message="4", log_probs=log_probs)


def test_warnings_are_those_of_the_body_and_of_every_choice() -> None:
    """Each part of the answer adds its warnings, after those of the body."""
    completion = completion_of(
        odd_choice(WarningCode.LOG_PROB_SENTINEL, WarningCode.TEXT_MISMATCH),
        Choice(message="none came"),
        odd_choice(WarningCode.LOG_PROB_UNKNOWN, WarningCode.STALE_ALTERNATIVES),
        body_warnings=(odd(WarningCode.BODY_MENDED),),
    )
    assert [warning.code for warning in completion.warnings] == [
        "body-mended",
        "log-prob-sentinel",
        "text-mismatch",
        "log-prob-unknown",
        "stale-alternatives",
    ]
    assert completion.body_warnings == (odd(WarningCode.BODY_MENDED),)


def test_warnings_of_the_body_need_no_decoding() -> None:
    """Reading only the body's warnings decodes no log probabilities."""
    loads: list[str] = []
    choice = Choice(log_probs=LogProbs(lambda: (loads.append("load") or (), ())))
    assert completion_of(choice).body_warnings == ()
    assert loads == []


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "expected this, found that (at `$.here`; body-mended)"),
        (4, "expected this, found that (at `$.here` and 3 more; body-mended)"),
    ],
)
def test_warning_says_where_and_how_often(count: int, text: str) -> None:
    """One sentence holds the path, the number of occurrences, and the stable name."""
    warning = ResponseWarning(
        WarningCode.BODY_MENDED, "$.here", "expected this, found that", count
    )
    assert str(warning) == text


def test_codes_are_stable() -> None:
    """A code is its own text, no two are the same, and the category is a warning."""
    assert len({str(code) for code in WarningCode}) == len(WarningCode) == 33
    assert all(code.value == code.name.lower().replace("_", "-") for code in WarningCode)
    assert issubclass(LiminWarning, UserWarning)


PROMPT = [
    None,
    {
        "6": {"logprob": -7.5, "rank": 90, "decoded_token": "What"},
        "1": {"logprob": -0.5, "rank": 1, "decoded_token": "The"},
    },
    {"11": {"logprob": -0.25, "rank": 1, "decoded_token": " is"}},
]


def test_log_probs_of_the_prompt() -> None:
    """The first token has none; each later position has the token and its alternatives."""
    prompt = read({**body_of("4"), "prompt_logprobs": PROMPT}).prompt_log_probs
    assert prompt is not None
    what, the = TokenLogProb("What", -7.5, None, 6), TokenLogProb("The", -0.5, None, 1)
    be = TokenLogProb(" is", -0.25, None, 11)
    assert list(prompt) == [
        None,
        TokenPosition(sampled=what, alternatives=(the, what)),
        TokenPosition(sampled=be, alternatives=(be,)),
    ]


@pytest.mark.parametrize("value", [None, []])
def test_no_log_probs_of_the_prompt(value: object) -> None:
    """Without them there is None, never an empty prompt."""
    assert read({**body_of("4"), "prompt_logprobs": value}).prompt_log_probs is None


def test_prompt_stays_out_of_the_repr() -> None:
    """The log probabilities of the prompt hold the prompt, and the repr does not."""
    completion = read({**body_of("4"), "prompt_logprobs": PROMPT})
    assert "prompt_log_probs" not in repr(completion)


def test_completion_can_be_copied() -> None:
    """A deep copy equals the original, and is another object."""
    completion = read(capture(HOT)["body"])
    assert copy.deepcopy(completion) == completion
    assert copy.copy(completion) == completion


def test_pretty_log_probs_when_there_are_none() -> None:
    """Without log probabilities a sentence says so."""
    assert completion_of(Choice(message="4")).to_pretty_log_probs_string() == (
        "No token log probabilities available."
    )
