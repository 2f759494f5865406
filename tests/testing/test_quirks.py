"""limin survives each odd answer of the catalogue as it is documented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import limin
from limin import Client, WarningCode
from limin.testing import QUIRKS, scripted_endpoint

if TYPE_CHECKING:
    from limin.testing import Quirk

PARIS, SENTENCE = "Paris.", "Paris is the capital."
THINKING = "Which city was it?"
CITY = '{"city":"Paris"}'
USAGE = limin.Usage(prompt_tokens=9, completion_tokens=2, total_tokens=11)


@attrs.frozen(kw_only=True)
class Read:
    """What limin reads in an odd answer."""

    text: str = PARIS
    finish_reason: str | None = "stop"
    codes: tuple[str, ...] = ()
    reasoning: str | None = None
    refusal: str | None = None
    usage: limin.Usage | None = USAGE
    arguments: str | None = None
    name: str | None = "get_weather"


@attrs.frozen
class Failed:
    """The error that limin raises, a part of its message, and how often it was sent."""

    error: type[limin.LiminError]
    message: str
    requests: int = 2
    cause: type[BaseException] | None = None


def sentence(**fields: Any) -> Read:
    """Return what is read in an answer of several words."""
    return Read(text=SENTENCE, **fields)


def calls(arguments: str = CITY, finish_reason: str = "tool_calls") -> Read:
    """Return what is read in an answer with a call."""
    return Read(text="", arguments=arguments, finish_reason=finish_reason)


def broken(message: str, cause: type[BaseException] | None = limin.StatusError) -> Failed:
    """Return the error of a stream that broke off."""
    return Failed(limin.StreamError, message, cause=cause)


NO_TOKENS = ("log-probs-missing",)

# What is the same whole and streamed.
SAME: dict[str, Read | Failed] = {
    "content-null": Read(text="", refusal=PARIS, codes=NO_TOKENS),
    "content-absent": Read(text="", finish_reason="content_filter", codes=NO_TOKENS),
    "content-parts": Read(reasoning="Hm.", codes=("body-mended",)),
    "reasoning": Read(reasoning=THINKING),
    "reasoning-content": Read(reasoning=THINKING),
    "half-surrogate": Read(text="Paris.\ufffd", codes=("half-surrogate", *NO_TOKENS)),
    "choices-fewer": Read(codes=("fewer-choices",)),
    "model-other": Read(),
    "metadata-odd": Read(),
    "finish-eos": Read(),
    "finish-model-length": Read(finish_reason="length"),
    "finish-abort": Read(finish_reason="abort", codes=("failed-finish",)),
    "finish-no-resource": Read(
        finish_reason="insufficient_system_resource", codes=("failed-finish",)
    ),
    "usage-absent": Read(usage=None),
    "usage-null": Read(usage=None),
    "usage-text": Read(usage=limin.Usage(), codes=("body-mended",)),
    "usage-in-choice": Read(),
    "tool-arguments-broken": calls(CITY[:-1]),
    "tool-arguments-object": calls('{"city":"{\\"city\\":\\"Paris\\"}"}'),
    "tool-id-absent": calls(),
    "tool-finish-stop": calls(finish_reason="stop"),
    "function-call": calls(finish_reason="function_call"),
    "log-probs-null": Read(codes=NO_TOKENS),
    "log-probs-empty": Read(codes=NO_TOKENS),
    "log-probs-sentinel": Read(codes=("log-prob-sentinel",)),
    "log-probs-lowest": Read(codes=("log-prob-sentinel",)),
    "log-probs-nan": Read(codes=("body-mended", "log-prob-unknown")),
    "log-probs-positive": Read(codes=("probabilities-exceed-one",)),
    "log-probs-without-bytes": Read(),
    "log-probs-replaced": Read(codes=("replacement-character", "text-mismatch")),
    "log-probs-token-ids": Read(codes=("token-ids-as-text",)),
    "log-probs-legacy": Read(codes=("legacy-log-probs",)),
    "log-probs-as-probs": Read(codes=("probabilities-converted", "fewer-alternatives")),
    "log-probs-unlisted": Read(codes=("fewer-alternatives",)),
    "log-probs-stale": sentence(codes=("stale-alternatives",)),
    "log-probs-end-token": Read(codes=("fewer-alternatives",)),
    "whole-for-stream": Read(),
    "blank-lines": Read(),
    "content-type-text": Read(),
    "content-encoding-charset": Read(),
    "early-hints": Read(),
    "body-cut": Failed(limin.ProtocolError, "in the middle of its answer"),
    "hang-up": Failed(limin.ProtocolError, "without an answer"),
    "head-cut": Failed(limin.ProtocolError, "in the middle of its answer"),
    "not-http": Failed(limin.ProtocolError, "look like SSH", 1),
    "error-in-200": Failed(limin.ServerError, "Provider returned error"),
    "error-text-in-200": Failed(limin.StatusError, "Unexpected endpoint", 1),
    "error-base-resp": Failed(limin.RateLimitError, "rate limit"),
    "error-success-false": Failed(limin.ServerError, "Upstream service unavailable"),
    "html-in-200": Failed(limin.ResponseError, "found no JSON", 1),
    "string-in-200": Failed(limin.ResponseError, "found text", 1),
    "error-list": Failed(limin.BadRequestError, "Unknown name", 1),
    "error-flat": Failed(limin.BadRequestError, "bad", 1),
    "error-text": Failed(limin.AuthenticationError, "Unauthorized", 1),
    "error-detail": Failed(limin.BadRequestError, "none is not allowed", 1),
    "error-wrapped": Failed(limin.BadRequestError, "bad temperature", 1),
    "error-context": Failed(limin.ContextLengthError, "exceeds the available context", 1),
    "error-filter": Failed(limin.ContentFilterError, "The response was filtered", 1),
    "error-quota": Failed(limin.QuotaError, "exceeded your current quota", 1),
    "error-wait-in-body": Failed(limin.RateLimitError, "asks to wait 0.01 seconds"),
    "error-wait-in-words": Failed(limin.RateLimitError, "asks to wait 0.01 seconds"),
    "error-html": Failed(limin.ServerError, "502: Bad gateway"),
    "error-plain": Failed(limin.ServerError, "upstream connect error"),
    "error-empty": Failed(limin.ServerError, "the server answered 500"),
    "error-529": Failed(limin.ServerError, "Overloaded"),
}

# Whole, and streamed.
DIFFERENT: dict[str, tuple[Read | Failed, Read | Failed]] = {
    "message-absent": (
        Read(
            text="",
            finish_reason="length",
            codes=("body-mended", *NO_TOKENS),
            usage=limin.Usage(prompt_tokens=9, total_tokens=512),
        ),
        Read(
            text="",
            finish_reason="length",
            codes=NO_TOKENS,
            usage=limin.Usage(prompt_tokens=9, total_tokens=512),
        ),
    ),
    "finish-null": (
        Read(finish_reason=None),
        Read(finish_reason=None, codes=("finish-reason-missing",)),
    ),
    "finish-empty": (
        Read(finish_reason=None),
        Read(finish_reason=None, codes=("finish-reason-missing",)),
    ),
    "stream-for-whole": (Failed(limin.ResponseError, "found no JSON", 1), Read()),
    "stream-bytewise": (Read(text="Paris, 東京 🏯."), Read(text="Paris, 東京 🏯.")),
}

# Streamed; a whole answer is without faults.
STREAMED: dict[str, Read | Failed] = {
    **dict.fromkeys(
        (
            "stream-comments",
            "stream-comments-as-data",
            "stream-empty-data",
            "stream-crlf",
            "stream-cr",
            "stream-no-blank",
            "stream-byte-order-mark",
            "stream-done-absent",
            "stream-done-twice",
            "stream-cut-after-done",
            "stream-filter-first",
            "stream-delta-absent",
            "stream-usage-everywhere",
            "stream-choices-null",
            "stream-finish-everywhere",
        ),
        sentence(),
    ),
    "stream-json-lines": Failed(limin.ResponseError, "found no JSON", 1),
    "stream-finish-absent": sentence(finish_reason=None, codes=("finish-reason-missing",)),
    "stream-cut": broken("in the middle of its answer", limin.ProtocolError),
    "stream-ends-early": broken("it ended without a finish reason", None),
    "stream-repeats": Read(
        text="ParisParis isParis is theParis is the capital.",
        codes=("repeated-deltas", "text-mismatch"),
    ),
    **dict.fromkeys(
        (
            "stream-error",
            "stream-error-flat",
            "stream-error-field",
            "stream-error-event",
            "stream-error-list",
            "stream-error-in-choice",
        ),
        broken("the engine died"),
    ),
}

EXPECTED = (
    {name: (expected, expected) for name, expected in SAME.items()}
    | DIFFERENT
    | {name: (sentence(), expected) for name, expected in STREAMED.items()}
)


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: what is tried here is reading."""
    return "asyncio"


async def ask(quirk: Quirk, *, stream: bool) -> Read | tuple[limin.LiminError, int]:
    """Return what a client reads in *quirk*, or its error and the number of requests."""
    n_choices = 2 if quirk.name == "choices-fewer" else None
    async with (
        scripted_endpoint(lambda _: quirk) as endpoint,
        Client(endpoint.base_url, max_retries=1) as client,
    ):
        try:
            answer = await client.generate_text_completion(
                "Which is the capital of France?",
                log_probs=True,
                top_log_probs=3,
                stream=stream,
                on_warning="ignore",
                extra_body={"n": n_choices} if n_choices else None,
            )
        except limin.LiminError as error:
            return error, len(endpoint.requests)
    choice = answer.choices[0]
    call = choice.tool_calls[0] if choice.tool_calls else None
    return Read(
        text=answer.message,
        finish_reason=answer.finish_reason,
        codes=tuple(warning.code for warning in answer.warnings),
        reasoning=choice.reasoning,
        refusal=choice.refusal,
        usage=answer.usage,
        arguments=None if call is None else call.arguments,
        name="get_weather" if call is None else call.name,
    )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", EXPECTED)
async def test_odd_answer_is_read_or_told(name: str, *, stream: bool) -> None:
    """An answer is used with all that it says, and a failure has its own class."""
    expected = EXPECTED[name][stream]
    found = await ask(QUIRKS[name], stream=stream)
    if isinstance(expected, Read):
        assert found == expected
        return
    assert isinstance(found, tuple)
    error, n_requests = found
    assert isinstance(error, expected.error)
    assert expected.message in str(error)
    assert n_requests == expected.requests
    if isinstance(error, limin.StreamError):
        assert error.partial.message == "Paris is"
        assert error.cause is None or isinstance(error.cause, expected.cause or ())


def test_each_odd_answer_is_tried() -> None:
    """The table above has the whole catalogue, and the catalogue describes it."""
    assert EXPECTED.keys() == QUIRKS.keys()
    for name, quirk in QUIRKS.items():
        assert quirk.name == name
        assert quirk.description.endswith(".")
        assert quirk.servers
    codes = {
        code
        for pair in EXPECTED.values()
        for expected in pair
        if isinstance(expected, Read)
        for code in expected.codes
    }
    assert codes <= set(WarningCode)


async def test_text_can_be_chosen() -> None:
    """Code that wants JSON, or a tool of its own, is tried as well."""
    broken_call = QUIRKS["tool-arguments-object"].with_text("Rome")
    script = [QUIRKS["stream-comments"].with_text({"name": "Paris"}), broken_call]
    tool = limin.Tool("find_city", "Find a city.", {"type": "object"})
    async with (
        scripted_endpoint(script) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        typed = await client.generate_text_completion(
            "?", response_type=dict[str, str], stream=True
        )
        called = await client.generate_text_completion("?", tools=[tool])
    assert typed.value == {"name": "Paris"}
    assert [call.name for call in called.tool_calls] == ["find_city"]
    assert called.tool_calls[0].parse() == {"city": "Rome"}
    assert QUIRKS["stream-comments"].text == SENTENCE


async def test_choices_end_each_with_its_own_text() -> None:
    """Odd streams of several choices stay apart."""
    async with (
        scripted_endpoint([QUIRKS["stream-repeats"]]) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        answer = await client.generate_text_completion(
            "?", stream=True, extra_body={"n": 2}, on_warning="ignore"
        )
    first, second = answer.choices
    assert first.message == second.message
