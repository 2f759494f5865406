"""What OpenTelemetry is told of calls, by its real SDK."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from loopback import Request, completion, http, serve
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from spans import Memory, facts
from streaming import CHUNKED, CLOSE, HELLO, WAIT, chunked, serve_scripts, streamed

import limin
from limin import Client, ConfigurationError, Conversation, Message, ModelConfiguration
from limin.telemetry import Telemetry, content, instrument, uninstrument
from limin.telemetry.attributes import describe_call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limin import ObservedCall

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
STABILITY = "OTEL_SEMCONV_STABILITY_OPT_IN"
KEY = "sk-very-secret-key-0123456789"
PROMPT = "nobody's business"
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 20,
    "total_tokens": 50,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Return providers with exporters in memory, where the environment says nothing."""
    monkeypatch.delenv(CONTENT, raising=False)
    monkeypatch.delenv(STABILITY, raising=False)
    return Memory()


def observed(base_url: str, memory: Memory, **options: Any) -> Client:
    """Return a client of whose calls *memory* is told."""
    telemetry = Telemetry(**memory.providers, **options)
    return Client(base_url, KEY, observers=[telemetry], max_retries=1)


async def answer(_request: Request) -> bytes:
    """Answer with everything that telemetry tells."""
    return http(completion("fine", id="c-1", model="m-2026", usage=USAGE))


async def test_span_of_a_call(memory: Memory) -> None:
    """One of kind CLIENT, with request, response, usage and finish reason."""
    options: dict[str, Any] = {
        "temperature": 0,
        "top_p": 0.5,
        "max_tokens": 100,
        "stop": "x",
        "seed": 7,
        "presence_penalty": 1,
        "frequency_penalty": 2,
        "reasoning_effort": "low",
        "extra_body": {"n": 2, "top_k": 40, "response_format": {"type": "json_object"}},
    }
    async with serve(answer) as server, observed(server.base_url, memory) as client:
        await client.generate_text_completion(PROMPT, model="m", **options)
    span = memory.chat()
    assert (span.name, span.kind, span.parent) == ("chat m", SpanKind.CLIENT, None)
    assert span.status.status_code is StatusCode.UNSET
    assert facts(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai_compatible",
        "gen_ai.request.model": "m",
        "server.address": "127.0.0.1",
        "server.port": int(server.base_url.split(":")[2].removesuffix("/v1")),
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ("x",),
        "gen_ai.request.seed": 7,
        "gen_ai.request.presence_penalty": 1.0,
        "gen_ai.request.frequency_penalty": 2.0,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.top_k": 40,
        "gen_ai.output.type": "json",
        "gen_ai.response.id": "c-1",
        "gen_ai.response.model": "m-2026",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 5,
    }


async def test_replica_that_answered(memory: Memory) -> None:
    """The span and the metrics are those of the server that answered, not of the first."""

    async def refuse(_request: Request) -> bytes:
        return http(b"{}", "503 Away")

    async with serve(refuse) as away, serve(answer) as server:
        telemetry = Telemetry(**memory.providers)
        urls = [away.base_url, server.base_url]
        async with Client(urls, KEY, observers=[telemetry]) as client:
            await client.generate_text_completion(PROMPT, model="m")
    ports = [int(url.split(":")[2].removesuffix("/v1")) for url in urls]
    assert [facts(span)["server.port"] for span in memory.attempts()] == ports
    assert facts(memory.chat())["server.port"] == ports[1]
    points = [point for name in memory.metrics() for point in memory.points(name)]
    assert {point.attributes["server.port"] for point in points} == {ports[1]}


async def test_spans_of_attempts(memory: Memory) -> None:
    """One for each below that of the call, and each sends its own `traceparent`."""
    sent: list[str] = []

    async def busy_once(request: Request) -> bytes:
        head = request.head.decode()
        sent.append(head.partition("traceparent: ")[2].split("\r\n")[0])
        if len(sent) == 1:
            return http(json.dumps({"error": {"message": PROMPT}}).encode(), "503 Busy")
        return await answer(request)

    async with serve(busy_once) as server, observed(server.base_url, memory) as client:
        await client.generate_text_completion(PROMPT, model="m")
    call, attempts = memory.chat(), memory.attempts()
    assert [span.kind for span in attempts] == [SpanKind.INTERNAL] * 2
    for span, header in zip(attempts, sent, strict=True):
        assert span.parent == call.context
        assert span.context is not None
        ids = f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
        assert header.startswith(f"00-{ids}-")
        assert int(header[-2:], 16) & 1  # Sampled.
        assert facts(span)["server.address"] == "127.0.0.1"
    assert [facts(span)["limin.attempt.number"] for span in attempts] == [1, 2]
    assert facts(attempts[0])["error.type"] == "ServerError"
    assert facts(attempts[0])["limin.attempt.wait"] == 0.0
    assert attempts[0].status.description == "ServerError, status 503"
    assert attempts[1].status.status_code is StatusCode.UNSET
    assert call.status.status_code is StatusCode.UNSET
    assert call.end_time >= attempts[1].end_time  # type: ignore[operator]  # both have ended


async def test_metrics(memory: Memory) -> None:
    """Duration and tokens by the names of 1.41.0, in the buckets that are advised."""
    async with serve(answer) as server, observed(server.base_url, memory) as client:
        await client.generate_text_completion(PROMPT, model="m")
    assert set(memory.metrics()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
    }
    (duration,) = memory.points("gen_ai.client.operation.duration")
    assert duration.explicit_bounds[:2] == (0.01, 0.02)
    assert duration.explicit_bounds[-1] == 81.92
    assert dict(duration.attributes)["gen_ai.response.model"] == "m-2026"
    span = memory.chat()
    seconds = (span.end_time - span.start_time) / 1e9  # type: ignore[operator]  # it has ended
    assert 0 < duration.sum <= seconds
    tokens = memory.points("gen_ai.client.token.usage")
    assert {p.attributes["gen_ai.token.type"]: p.sum for p in tokens} == {
        "input": 30,
        "output": 20,
    }
    assert tokens[0].explicit_bounds[:3] == (1.0, 4.0, 16.0)
    assert tokens[0].explicit_bounds[-1] == 67108864.0


async def test_latest_metrics(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the latest names if the environment asks for them; a failure counts 0."""
    monkeypatch.setenv(STABILITY, "http, gen_ai_latest_experimental")
    picture = Conversation([Message("user", ["What?", limin.Image(b"\x89PNG\r\n\x1a\n")])])

    async def refuse_pictures(request: Request) -> bytes:
        is_picture = b"image_url" in request.body
        return http(b"{}", "400 No") if is_picture else await answer(request)

    options: Any = {"model": "m", "extra_body": {"modalities": ["text", "audio"]}}
    async with (
        serve(refuse_pictures) as server,
        observed(server.base_url, memory) as client,
    ):
        await client.generate_text_completion(PROMPT, **options)
        with pytest.raises(limin.BadRequestError):
            await client.generate_text_completion_for_conversation(picture, **options)
    begin = "gen_ai.client.inference."
    counts: dict[str, Counter[str]] = {}
    for name in memory.metrics():
        if ".usage." in name:
            by_modality = counts.setdefault(name.removeprefix(begin), Counter())
            for point in memory.points(name):
                by_modality[point.attributes["gen_ai.token.modality"]] += point.value
    assert counts == {
        "usage.input_tokens": {"text": 30, "unknown": 0},
        "usage.output_tokens": {"unknown": 20},
        "usage.cache_read.input_tokens": {"text": 10, "unknown": 0},
        "usage.reasoning.output_tokens": {"unknown": 5},
    }
    assert len(memory.points(begin + "duration")) == 2
    for name in ("input_tokens", "output_tokens"):
        points = memory.points(f"{begin}operation.{name}")
        assert min(point.sum for point in points) == 0
    scope = memory.chat_scope()
    assert scope.schema_url == "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"


async def test_stream(memory: Memory) -> None:
    """Its first token is timed, on the span and in a metric, and no span is current."""
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        observed(server.base_url, memory) as client,
        client.stream_text_completion(PROMPT, model="m") as stream,
    ):
        assert trace.get_current_span() is trace.INVALID_SPAN
        await stream.until_done()
    attributes = facts(memory.chat())
    assert attributes["gen_ai.request.stream"] is True
    seconds = attributes["gen_ai.response.time_to_first_chunk"]
    (point,) = memory.points("gen_ai.client.operation.time_to_first_chunk")
    assert point.sum == seconds > 0
    assert len(memory.attempts()) == 1


async def test_stream_that_breaks_off(memory: Memory) -> None:
    """Its spans have failed, and its finish reason says so."""
    script = [CHUNKED + chunked(*HELLO[:3]), CLOSE]
    async with (
        serve_scripts(script) as server,
        observed(server.base_url, memory) as client,
        client.stream_text_completion(PROMPT, model="m") as stream,
    ):
        with pytest.raises(limin.StreamError):
            await stream.until_done()
    for span in (memory.chat(), *memory.attempts()):
        assert facts(span)["error.type"] == "StreamError"
        assert span.status.status_code is StatusCode.ERROR
    assert facts(memory.chat())["gen_ai.response.finish_reasons"] == ("error",)
    (duration,) = memory.points("gen_ai.client.operation.duration")
    assert duration.attributes["error.type"] == "StreamError"


async def test_stream_that_is_retried(memory: Memory) -> None:
    """The first chunk is that of the answer, and not of the one that broke off."""
    scripts: list[Any] = [[CHUNKED + chunked(*HELLO[:3]), CLOSE], [http(b"{}", "400 No")]]
    async with (
        serve_scripts(*scripts) as server,
        observed(server.base_url, memory) as client,
    ):
        with pytest.raises(limin.BadRequestError):
            await client.generate_text_completion(PROMPT, model="m", stream=True)
    assert len(memory.attempts()) == 2
    assert "gen_ai.response.time_to_first_chunk" not in facts(memory.chat())


async def test_stream_that_is_left(memory: Memory) -> None:
    """It is no failure; its answer came to no end."""
    async with (
        serve_scripts([streamed(*HELLO)]) as server,
        observed(server.base_url, memory) as client,
        client.stream_text_completion(PROMPT, model="m"),
    ):
        pass
    assert memory.chat().status.status_code is StatusCode.UNSET
    assert facts(memory.chat())["gen_ai.response.finish_reasons"] == ("error",)
    assert "error.type" not in facts(memory.chat())


async def test_cancellation(memory: Memory) -> None:
    """It ends the spans, as a failure of its own type, on every event loop."""

    async def silent(_request: Request) -> bytes:
        scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    async with serve(silent) as server, observed(server.base_url, memory) as client:
        with anyio.CancelScope() as scope:
            await client.generate_text_completion(PROMPT, model="m")
    check_cancelled(memory)


async def test_stream_that_is_cancelled(memory: Memory) -> None:
    """It has failed, too."""
    async with (
        serve_scripts([CHUNKED + chunked(*HELLO[:3]), WAIT]) as server,
        observed(server.base_url, memory) as client,
    ):
        with anyio.CancelScope() as scope:
            async with client.stream_text_completion(PROMPT, model="m") as stream:
                scope.cancel()
                await stream.until_done()
    check_cancelled(memory)


def check_cancelled(memory: Memory) -> None:
    """Hold that the one call was cancelled in its one attempt."""
    (attempt,) = memory.attempts()
    for span in (memory.chat(), attempt):
        assert facts(span)["error.type"] == "cancelled"
        assert span.status.description == "cancelled"


async def test_no_content_by_default(memory: Memory) -> None:
    """Neither prompt nor answer nor a server's words are exported, and never the key."""

    async def quote(request: Request) -> bytes:
        if b'"stop"' in request.body:
            body = {"error": {"message": f"Not {PROMPT[:9]} {KEY}"}}
            return http(json.dumps(body).encode(), "400 No")
        body_ = completion("a wise answer", id=KEY, model=PROMPT)
        return http(body_.replace(b'"stop"', b'"no\\nword"'))

    async with serve(quote) as server, observed(server.base_url, memory) as client:
        await client.generate_text_completion(PROMPT, model="m")
        with pytest.raises(limin.BadRequestError):
            await client.generate_text_completion(PROMPT, model="m", stop="x")
    exported = "".join(span.to_json() for span in memory.spans.get_finished_spans())
    exported += str(memory.metrics())
    for secret in (KEY, PROMPT[:9], "a wise answer"):
        assert secret not in exported
    assert '"_OTHER"' in exported
    assert memory.logs.get_finished_logs() == ()


TALK = Conversation(
    [
        Message("system", "Be brief.", name="boss"),
        Message(
            "user",
            [
                "Look:",
                limin.Image(b"\x89PNG\r\n\x1a\n12345678"),
                limin.Image("https://pictures.test/a.png"),
                limin.File(file_id="f-1"),
                {"type": "video_url", "video_url": {"url": "https://v.test"}},
            ],
        ),
        Message(
            "assistant",
            None,
            tool_calls=[limin.ToolCall("t-1", "look", '{"at": 1}'), {"type": "custom"}],
        ),
        Message("tool", "a cat", tool_call_id="t-1"),
        Message("user", ""),
    ]
)
TALK_SHAPED = [
    {
        "role": "system",
        "parts": [{"type": "text", "content": "Be brief."}],
        "name": "boss",
    },
    {
        "role": "user",
        "parts": [
            {"type": "text", "content": "Look:"},
            {
                "type": "omitted_blob",
                "modality": "image",
                "mime_type": "image/png",
                "size": 16,
            },
            {"type": "uri", "modality": "image", "uri": "https://pictures.test/a.png"},
            {"type": "file", "modality": "document", "file_id": "f-1"},
            {"type": "video_url", "video_url": {"url": "https://v.test"}},
        ],
    },
    {
        "role": "assistant",
        "parts": [
            {"type": "tool_call", "id": "t-1", "name": "look", "arguments": '{"at": 1}'},
            {"type": "other_tool_call"},
        ],
    },
    {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "t-1", "response": "a cat"}],
    },
    {"role": "user", "parts": []},
]


def look(at: int) -> str:
    """Look at a picture."""
    raise AssertionError(at)


CUSTOM = [
    {"type": "function", "function": {"name": "find"}},
    {"type": "web_search"},
]


async def wise(request: Request) -> bytes:
    """Answer with reasoning, text, a refusal and a call; or else with nothing at all."""
    if b'"seed"' in request.body:
        return http(completion(""))
    call = {
        "id": "t-2",
        "type": "function",
        "function": {"name": "look", "arguments": "{}"},
    }
    message = {"role": "assistant", "content": "A cat.", "refusal": "But no dog."}
    message |= {"reasoning_content": "Whiskers.", "tool_calls": [call]}
    return http(json.dumps({"choices": [{"index": 0, "message": message}]}).encode())


ANSWER_SHAPED = [
    {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "Whiskers."},
            {"type": "text", "content": "A cat."},
            {"type": "refusal", "content": "But no dog."},
            {"type": "tool_call", "id": "t-2", "name": "look", "arguments": "{}"},
        ],
        "finish_reason": "error",
    }
]


@pytest.mark.parametrize(
    ("argument", "variable", "on_spans", "in_events"),
    [
        (True, "no_content", True, True),
        ("span_only", "", True, False),
        (None, "EVENT_ONLY", False, True),
        (None, "true", True, True),
        (False, "true", False, False),
        (None, " ", False, False),
    ],
)
async def test_content(
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
    argument: Any,
    variable: str,
    *,
    on_spans: bool,
    in_events: bool,
) -> None:
    """The argument says where it is recorded, and else the environment."""
    monkeypatch.setenv(CONTENT, variable)
    async with (
        serve(wise) as server,
        observed(server.base_url, memory, capture_content=argument) as client,
    ):
        await client.generate_text_completion_for_conversation(
            TALK, model="m", tools=[look, *CUSTOM]
        )
        empty = await client.generate_text_completion("hi", seed=1, model="other")
    assert content.shape_output(empty.choices)[0]["parts"] == []
    names = ("input.messages", "output.messages", "tool.definitions")
    tools = [
        {"type": "function", "name": "look"},
        {"type": "function", "name": "find"},
        {"type": "web_search", "name": "web_search"},
    ]
    span = facts(memory.of("chat m")[0])
    found = [span.get(f"gen_ai.{name}") for name in names]
    texts = [json.loads(text) for text in found if text]
    assert texts == ([TALK_SHAPED, ANSWER_SHAPED, tools] if on_spans else [])
    events = [data.log_record for data in memory.logs.get_finished_logs()]
    assert len(events) == 2 * in_events
    for event in events[:1]:
        assert event.event_name == "gen_ai.client.inference.operation.details"
        attributes = json.loads(json.dumps(dict(event.attributes or {}), default=list))
        assert attributes["gen_ai.output.messages"] == ANSWER_SHAPED
        assert attributes["gen_ai.request.model"] == "m"
        assert event.span_id == memory.of("chat m")[0].context.span_id  # type: ignore[union-attr]  # it has one


async def test_content_of_a_failure(memory: Memory) -> None:
    """Where content is recorded, so is the whole message of an error."""

    async def refuse(_request: Request) -> bytes:
        return http(b'{"error": {"message": "too odd"}}', "400 No")

    async with (
        serve(refuse) as server,
        observed(server.base_url, memory, capture_content=True) as client,
    ):
        with pytest.raises(limin.BadRequestError):
            await client.generate_text_completion(PROMPT, model="m")
    assert "too odd" in str(memory.chat().status.description)
    assert "gen_ai.output.messages" not in facts(memory.chat())


@pytest.mark.parametrize("value", ["sometimes", 5, []])
def test_capture_that_makes_no_sense(value: Any) -> None:
    """A wrong argument is refused."""
    with pytest.raises(ConfigurationError, match="capture_content: expected True, False"):
        Telemetry(capture_content=value)
    with pytest.raises(ConfigurationError, match="provider_name: expected a str"):
        Telemetry(provider_name=5)  # type: ignore[arg-type]  # the mistake itself


def test_variable_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong variable is told by a warning, and nothing is recorded."""
    monkeypatch.setenv(CONTENT, "sometimes")
    with pytest.warns(RuntimeWarning, match="no content is recorded") as caught:
        telemetry = Telemetry()
    assert not any(telemetry._capture)
    assert caught[0].filename == __file__


class Fixed:
    """A call that no client makes."""

    conversation = Conversation.from_prompts("hi")
    configuration = ModelConfiguration()
    response_type = None
    number = 0

    def __init__(self, url: str) -> None:
        self.endpoint = limin.values.endpoint.Endpoint(base_url=url)  # type: ignore[attr-defined]  # a room inside


@pytest.mark.parametrize(
    ("url", "provider", "port"),
    [
        ("https://api.openai.com/v1", "openai", 443),
        ("https://a.openai.azure.com/openai", "azure.ai.openai", 443),
        ("http://localhost/v1", "openai_compatible", 80),
        ("https://api.openai.com.evil.test:8443/v1", "openai_compatible", 8443),
        ("https://us-aiplatform.googleapis.com/v1", "gcp.vertex_ai", 443),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/v1", "aws.bedrock", 443),
        ("https://ec2-1-2-3-4.compute.amazonaws.com/v1", "openai_compatible", 443),
        ("https://notapi.x.ai/v1", "openai_compatible", 443),
    ],
)
def test_provider(url: str, provider: str, port: int) -> None:
    """It is told by the host, and the port by the scheme if the URL has none."""
    found = describe_call(Fixed(url), None)
    assert (found["gen_ai.provider.name"], found["server.port"]) == (provider, port)
    assert describe_call(Fixed(url), "mine")["gen_ai.provider.name"] == "mine"


@pytest.mark.parametrize(
    ("extra_body", "response_type", "expected"),
    [
        ({}, int, "json"),
        ({"response_format": {"type": "json_schema"}}, None, "json"),
        ({"response_format": {"type": "text"}}, None, "text"),
        ({"response_format": {"type": "grammar"}}, None, None),
        ({"response_format": 5, "n": 1, "top_k": "5"}, None, None),
    ],
)
async def test_output_type(
    memory: Memory, extra_body: Any, response_type: Any, expected: str | None
) -> None:
    """It is told if the request names it."""

    async def five(_request: Request) -> bytes:
        return http(completion('{"value": 5}'))

    async with serve(five) as server, observed(server.base_url, memory) as client:
        await client.generate_text_completion(
            PROMPT, stop=["a", "b"], extra_body=extra_body, response_type=response_type
        )
    attributes = facts(memory.chat())
    assert attributes.get("gen_ai.output.type") == expected
    assert "gen_ai.request.choice.count" not in attributes
    assert "gen_ai.request.top_k" not in attributes
    assert attributes["gen_ai.request.stop_sequences"] == ("a", "b")


async def test_span_of_the_program(memory: Memory) -> None:
    """The span that is current when a call begins is above it, also in a batch."""
    tracer = memory.providers["tracer_provider"].get_tracer("program")
    async with serve(answer) as server, observed(server.base_url, memory) as client:
        with tracer.start_as_current_span("program") as span:
            await client.generate_text_completions(["a", "b"], 2, show_progress=False)
            assert trace.get_current_span() is span
    calls = memory.of("chat ")
    assert [call.parent for call in calls] == [span.get_span_context()] * 2


async def test_call_that_is_not_sampled(memory: Memory) -> None:
    """Nothing is exported, the header says so, and metrics count it all the same."""
    memory.providers["tracer_provider"] = TracerProvider(sampler=ALWAYS_OFF)
    async with serve(answer) as server, observed(server.base_url, memory) as client:
        await client.generate_text_completion(PROMPT, model="m")
    assert memory.spans.get_finished_spans() == ()
    header = server.requests[0].head.decode().partition("traceparent: ")[2]
    assert not int(header.split("\r\n")[0][-2:], 16) & 1  # Sampled.
    assert len(memory.points("gen_ai.client.operation.duration")) == 1


async def test_without_an_sdk() -> None:
    """The API alone records nothing, and sends no header."""
    async with (
        serve(answer) as server,
        Client(server.base_url, observers=[Telemetry()]) as client,
    ):
        await client.generate_text_completion(PROMPT)
    assert b"traceparent" not in server.requests[0].head


@pytest.fixture
def _instrumented(memory: Memory) -> Iterator[None]:
    """Observe every client of the process, as long as the test lasts."""
    instrument(**memory.providers)
    yield
    uninstrument()


@pytest.mark.usefixtures("_instrumented")
async def test_every_client_of_the_process(memory: Memory) -> None:
    """Also those that were made before, until it is undone; the last call wins."""
    async with serve(answer) as server, Client(server.base_url) as client:
        await limin.generate_text_completion(PROMPT, base_url=server.base_url)
        await client.generate_text_completion(PROMPT)
        assert len(memory.of("chat ")) == 2
        instrument(**memory.providers)
        await client.generate_text_completion(PROMPT)
        assert len(memory.of("chat ")) == 3
        uninstrument()
        uninstrument()
        await client.generate_text_completion(PROMPT)
    assert len(memory.of("chat ")) == 3


async def test_call_that_began_unheard(memory: Memory) -> None:
    """What is told of a call whose begin was not told is left alone."""
    telemetry, call = Telemetry(**memory.providers), Fixed("http://m.test/v1")
    observed_call: ObservedCall = call
    telemetry.attempt(observed_call, {})
    telemetry.waiting(observed_call, 0.0, limin.LiminError())
    telemetry.first_token(observed_call)
    telemetry.finished(observed_call, None)
    telemetry.begun(observed_call)
    telemetry.waiting(observed_call, 0.0, limin.LiminError())
    telemetry.finished(observed_call, KeyboardInterrupt())
    assert facts(memory.chat())["error.type"] == "KeyboardInterrupt"


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ("opentelemetry", "no telemetry: run `pip install 'limin[telemetry]'`"),
        ("limin.telemetry.names", "import of limin.telemetry.names halted"),
    ],
)
def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, missing: str, text: str
) -> None:
    """Importing it says what to install, and hides no other fault."""
    for name in [name for name in sys.modules if name.startswith("limin.telemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=text.replace("[", r"\[")):
        __import__("limin.telemetry")


def test_limin_loads_no_telemetry() -> None:
    """`import limin` and a client do without OpenTelemetry."""
    code = (
        "import sys, limin; limin.Client('http://m.test/v1'); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(  # noqa: S603 (our own interpreter)
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
