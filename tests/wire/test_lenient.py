import json
import math
from typing import Any

import msgspec
import pytest
from builders import TIMING, body_of, read

from limin.errors import LiminError
from limin.values.conversation import Conversation
from limin.values.tokens import TokenLogProb
from limin.values.usage import Usage
from limin.values.warnings import WarningCode
from limin.wire.http import HttpResponse
from limin.wire.lenient import NoAnswerError, join_reasoning, mend_completion
from limin.wire.response import ReadingContext
from limin.wire.stream import AnswerReader

CONTEXT = ReadingContext(conversation=Conversation.from_prompts("hi"), model="m")


def mended(body: Any) -> tuple[Any, dict[str, str]]:
    """Return *body* after mending, and the problem at each path."""
    completion, warnings = mend_completion(json.dumps(body).encode())
    assert {warning.code for warning in warnings} <= {WarningCode.BODY_MENDED}
    return completion, {warning.path: warning.problem for warning in warnings}


def test_standard_body_needs_no_mending() -> None:
    """A body of the standard shape comes out as it went in, without a warning."""
    body = {
        "id": "chatcmpl-1",
        "model": "m",
        "choices": [
            {
                "index": 3,
                "message": {
                    "content": "4",
                    "refusal": "no",
                    "reasoning": "a",
                    "reasoning_content": "b",
                    "reasoning_details": [{"text": "c"}],
                },
                "finish_reason": "stop",
                "logprobs": {
                    "content": [{"token": "4"}],
                    "refusal": None,
                    "tokens": ["4"],
                    "token_logprobs": [-1],
                    "top_logprobs": [],
                },
            }
        ],
        "prompt_logprobs": [None],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }
    completion, warnings = mended(body)
    assert warnings == {}
    assert (completion.id, completion.model) == ("chatcmpl-1", "m")
    (choice,) = completion.choices
    assert (choice.index, choice.finish_reason) == (3, "stop")
    message = choice.message
    assert (message.content, message.refusal) == ("4", "no")
    assert (message.reasoning, message.reasoning_content) == ("a", "b")
    assert bytes(message.reasoning_details) == b'[{"text": "c"}]'
    assert bytes(choice.logprobs.content) == b'[{"token": "4"}]'
    assert bytes(choice.logprobs.refusal) == b""
    assert bytes(choice.logprobs.tokens) == b'["4"]'
    assert bytes(choice.logprobs.token_logprobs) == b"[-1]"
    assert bytes(choice.logprobs.top_logprobs) == b"[]"
    assert bytes(completion.prompt_logprobs) == b"[null]"
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (1, 2, 3)
    assert usage.prompt_tokens_details.cached_tokens == 4
    assert usage.completion_tokens_details.reasoning_tokens == 5


@pytest.mark.parametrize(
    ("body", "problem", "path"),
    [
        (b"no", "expected a JSON object, found no JSON", "$"),
        (b"[]", "expected a JSON object, found a list", "$"),
        (b"{}", "expected a list of choices, found nothing", "$.choices"),
        (
            b'{"choices": 5}',
            "expected a list of choices, found a number",
            "$.choices",
        ),
    ],
)
def test_nothing_to_mend(body: bytes, problem: str, path: str) -> None:
    """A body without a list of choices cannot be mended."""
    with pytest.raises(NoAnswerError) as caught:
        mend_completion(body)
    assert (caught.value.problem, caught.value.path) == (problem, path)


def test_error_is_handed_on() -> None:
    """A body with an error is not mended: there is no answer in it."""
    completion, warnings = mended({"error": {"message": "größe"}, "choices": 5})
    assert json.loads(bytes(completion.error)) == {"message": "größe"}
    assert (completion.choices, warnings) == ([], {})


@pytest.mark.parametrize("choice", [None, "4", [], 5, True])
def test_choice_that_is_no_object(choice: object) -> None:
    """It becomes an empty choice, with a warning for it and one for its message."""
    completion, warnings = mended({"choices": [{"message": {}}, choice]})
    assert completion.choices[1].message.content is None
    assert completion.choices[1].index is None
    assert set(warnings) == {"$.choices[1]", "$.choices[1].message"}
    assert warnings["$.choices[1].message"] == "expected an object, found nothing"


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("finish_reason", 5, "expected text, found a number"),
        ("finish_reason", {"reason": "stop"}, "expected text, found an object"),
        ("index", "one", "expected a count, found text"),
        ("index", -1, "expected a count, found a number"),
        ("logprobs", [], "expected an object, found a list"),
        ("logprobs", "none", "expected an object, found text"),
        ("message", "4", "expected an object, found text"),
    ],
)
def test_odd_field_of_a_choice(field: str, value: object, problem: str) -> None:
    """A field of the wrong type is left out, and a warning has its path."""
    choice = {"message": {"content": "4"}, field: value}
    completion, warnings = mended({"choices": [choice]})
    assert warnings == {f"$.choices[0].{field}": problem}
    mended_choice = completion.choices[0]
    assert (mended_choice.finish_reason, mended_choice.index) == (None, None)


@pytest.mark.parametrize("field", ["content", "refusal", "reasoning", "reasoning_content"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(5, "a number"), (True, "a truth value"), ({"text": "4"}, "an object")],
)
def test_odd_field_of_a_message(field: str, value: object, kind: str) -> None:
    """Text that is no text is left out, and never turned into some."""
    completion, warnings = mended({"choices": [{"message": {field: value}}]})
    assert getattr(completion.choices[0].message, field) is None
    assert warnings == {f"$.choices[0].message.{field}": f"expected text, found {kind}"}


@pytest.mark.parametrize("field", ["id", "model"])
def test_odd_field_of_the_body(field: str) -> None:
    """A name that is no text is left out."""
    completion, warnings = mended({"choices": [], field: 5})
    assert getattr(completion, field) is None
    assert warnings == {f"$.{field}": "expected text, found a number"}


@pytest.mark.parametrize(
    ("parts", "content", "reasoning"),
    [
        ([], "", None),
        (["4"], "", None),
        ([{"type": "text", "text": "4"}], "4", None),
        ([{"text": "4"}, {"text": "2"}, 5, None], "42", None),
        ([{"text": ["no", {"text": "4"}]}], "4", None),
        ([{"thinking": "hm"}, {"text": "4"}], "4", "hm"),
        ([{"thinking": [{"text": "h"}, {"text": "m"}]}], "", "hm"),
        ([{"image_url": {"url": "x"}}], "", None),
    ],
)
def test_content_in_parts(parts: list[Any], content: str, reasoning: str | None) -> None:
    """Text in parts is joined, and thinking goes where reasoning goes."""
    body = {"choices": [{"message": {"content": parts}}]}
    completion, warnings = mended(body)
    message = completion.choices[0].message
    assert (message.content, getattr(message, "thinking", None)) == (content, reasoning)
    (choice,) = read(body).choices
    source = None if reasoning is None else "content"
    assert (choice.message, choice.reasoning) == (content, reasoning)
    assert choice.reasoning_source == source
    assert warnings == {"$.choices[0].message.content": "expected text, found a list"}


def test_own_reasoning_wins_over_thinking() -> None:
    """Reasoning that has a field of its own is not replaced by a part's."""
    message = {"content": [{"thinking": "part"}], "reasoning": "own"}
    (choice,) = read({"choices": [{"message": message}]}).choices
    assert (choice.reasoning, choice.reasoning_source) == ("own", "reasoning")


@pytest.mark.parametrize(
    ("details", "reasoning"),
    [
        ('[{"type": "reasoning.text", "text": "h"}, {"text": "m"}]', "hm"),
        ('[{"type": "reasoning.summary", "summary": "in short"}]', "in short"),
        ('[{"type": "reasoning.encrypted", "data": "eyJ"}]', None),
        ('[null, "text", 5, {"text": null}]', None),
        ("[]", None),
        ('{"text": "no list"}', None),
        ("no JSON", None),
    ],
)
def test_reasoning_details(details: str, reasoning: str | None) -> None:
    """Texts and summaries are joined; encrypted parts are left out."""
    assert join_reasoning(msgspec.Raw(details.encode())) == reasoning


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("9", 9),
        (9.0, 9),
        ("9.0", 9),
        (2.5, None),
        ("", None),
        ("nine", None),
        (True, None),
        ([9], None),
        (math.nan, None),
        (math.inf, None),
        ("1" * 400, None),
        (-1, None),
        (2**53 + 1, None),
        (float(2**60), None),
        (10**320, None),
        (10**4200, None),
        (str(2**60), None),
    ],
)
def test_odd_count(value: object, count: int | None) -> None:
    """A count of another type is read if it can be, and has a warning in any case."""
    completion = read({**body_of("4"), "usage": {"total_tokens": value}})
    assert completion.usage == Usage(total_tokens=count)
    (warning,) = completion.warnings
    assert warning.path == "$.usage.total_tokens"
    assert warning.problem.startswith("expected a count, found ")


def test_largest_count() -> None:
    """It is taken as it is."""
    completion = read({**body_of("4"), "usage": {"total_tokens": 2**53}})
    assert (completion.usage, completion.warnings) == (Usage(total_tokens=2**53), ())


@pytest.mark.parametrize("digits", [17, 309, 320, 4300, 4301, 5000])
@pytest.mark.parametrize("place", ["usage", "choice", "index", "stream"])
def test_count_beyond_all_bounds(digits: int, place: str) -> None:
    """It is none, whatever its place; whatever computes with counts has none of them."""
    huge = "9" * digits
    usage = f'{{"prompt_tokens": 1, "completion_tokens": {huge}, "total_tokens": {huge}}}'
    body = json.dumps({**body_of("4", finish_reason="stop"), "created": "HUGE"})
    body = body.replace('"HUGE"', huge)
    if place == "index":
        body = body.replace('"index": 0', f'"index": {huge}')
    elif place == "choice":
        body = body.replace('"finish_reason"', f'"usage": {usage}, "finish_reason"')
    else:
        body = body[:-1] + f', "usage": {usage}}}'
    if place == "stream":
        reader = AnswerReader(CONTEXT, HttpResponse(200, {}, b""))
        event = b"data: " + body.replace('"message"', '"delta"').encode() + b"\n\n"
        assert reader.feed(event + b"data: [DONE]\n\n").error is None
        completion = reader.completion(TIMING)
    else:
        completion = read(body)
    assert (completion.message, completion.choices[0].index) == ("4", 0)
    assert completion.usage == (None if place == "index" else Usage(prompt_tokens=1))
    assert {str(each.code) for each in completion.warnings} == {"body-mended"}
    assert isinstance(completion.raw, dict)
    assert "4" in completion.to_pretty_string()
    assert "4" in completion.to_html()
    assert repr(completion)
    json.dumps(completion.to_dict())


@pytest.mark.parametrize("name", ["prompt_tokens_details", "completion_tokens_details"])
def test_odd_details(name: str) -> None:
    """Details of the wrong type are left out, and the counts beside them are kept."""
    completion = read({**body_of("4"), "usage": {"prompt_tokens": 9, name: 5}})
    assert completion.usage == Usage(prompt_tokens=9)
    assert [warning.path for warning in completion.warnings] == [f"$.usage.{name}"]


def test_odd_count_in_details() -> None:
    """The path of a warning leads down to the odd value."""
    usage = {"prompt_tokens_details": {"cached_tokens": "4"}}
    completion = read({**body_of("4"), "usage": usage})
    assert completion.usage == Usage(cached_tokens=4)
    assert [warning.path for warning in completion.warnings] == [
        "$.usage.prompt_tokens_details.cached_tokens"
    ]


def test_warnings_come_in_the_order_of_the_body() -> None:
    """A body with several odd fields has a warning for each."""
    completion = read(
        {
            "choices": [{"message": {"content": ["4"]}, "finish_reason": 5}, None],
            "id": 5,
            "usage": "none",
        },
        asks_log_probs=True,
    )
    assert {warning.path for warning in completion.warnings} == {
        "$.choices[0].message.content",
        "$.choices[0].finish_reason",
        "$.choices[1]",
        "$.choices[1].message",
        "$.id",
        "$.usage",
        "$.choices[0].logprobs",
        "$.choices[1].logprobs",
    }
    assert len(completion.choices) == 2
    assert completion.id is None


def test_mended_log_probs_are_the_same() -> None:
    """Log probabilities of a body that needed mending elsewhere are not touched."""
    logprobs = {"content": [{"token": "é", "logprob": -0.5, "bytes": [195, 169], "id": 7}]}
    plain, odd = (
        read(body_of("é", logprobs=logprobs)),
        read({**body_of("é", logprobs=logprobs), "id": 5}),
    )
    assert odd.warnings
    assert odd.log_probs == plain.log_probs


def tokens(content: bytes) -> object:
    body = b'{"choices":[{"message":{"content":"x"},"logprobs":{"content":%b}}]}'
    return read(body % content).token_log_probs


@pytest.mark.parametrize("values", [[300], [-1], [233, 256]])
def test_code_points_instead_of_bytes(values: list[int]) -> None:
    """Clients that send code points instead of bytes are not believed (B8)."""
    content = [{"token": "x", "logprob": -1, "bytes": values}]
    tokens = read(body_of("x", logprobs={"content": content})).token_log_probs
    assert tokens == [TokenLogProb("x", -1.0)]


@pytest.mark.parametrize("name", [b'"id"', b'"vendor"'])
def test_number_of_5000_digits(name: bytes) -> None:
    """A number that Python will not convert does no harm."""
    content = b'[{"token":"x","logprob":"-1",%b:%b}]' % (name, b"1" * 5000)
    assert tokens(content) == [TokenLogProb("x", -1.0)]


def test_deep_unknown_field_of_a_token() -> None:
    """Looking at log probabilities never raises, whatever else is in a token."""
    for depth in range(700, 1100):
        content = b'[{"token":"x","logprob":"-1","u":%b%b}]' % (b"[" * depth, b"]" * depth)
        try:
            tokens(content)
        except LiminError:
            continue


def test_deep_content_parts() -> None:
    """Content parts nested however deep are read or refused."""
    for depth in range(200, 1100):
        content = b'[{"text":' * depth + b'"a"' + b"}]" * depth
        try:
            read(b'{"choices":[{"message":{"content":%b}}]}' % content)
        except LiminError:
            continue
