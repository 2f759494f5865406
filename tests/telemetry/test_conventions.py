"""Spans, metrics and events beside the published tables of the conventions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from loopback import Request, completion, http, serve
from spans import Memory, facts
from streaming import CHUNKED, CLOSE, HELLO, chunked, serve_scripts, streamed

import limin
from limin import Client, Conversation, Message
from limin.telemetry import Telemetry, names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

DATA = Path(__file__).parent.parent / "data"
TABLE = DATA / "conventions" / "opentelemetry-genai-024a4f9.json"
PUBLISHED: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
ATTRIBUTES: dict[str, dict[str, str]] = PUBLISHED["span"]["attributes"]

USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 20,
    "total_tokens": 50,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
OPTIONS: dict[str, Any] = {
    "model": "m",
    "temperature": 1,
    "top_p": 1,
    "max_completion_tokens": 9,
    "stop": ["a", "b"],
    "seed": 7,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "reasoning_effort": "low",
    "extra_body": {"n": 2, "top_k": 40},
    "tools": [{"type": "function", "function": {"name": "look"}}],
}
TALK = Conversation(
    [
        Message("system", "Be brief."),
        Message("user", ["Look:", limin.Image("https://p.test/a.png")]),
        Message("assistant", None, tool_calls=[limin.ToolCall("t-1", "look", "{}")]),
        Message("tool", "a cat", tool_call_id="t-1"),
        Message("user", [limin.File(file_id="f-1"), limin.Image(b"\x89PNG\r\n\x1a\n")]),
    ]
)
TYPES = {"string": str, "int": int, "double": float, "boolean": bool}


async def respond(request: Request) -> bytes:
    """Answer with all that there is to tell, or refuse."""
    if b'"bad"' in request.body:
        return http(b"{}", "400 No")
    message = {"role": "assistant", "content": "A cat.", "reasoning_content": "Whiskers."}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = json.loads(completion("", model="m-2026", usage=USAGE)) | {"choices": [choice]}
    return http(json.dumps(body).encode())


async def ask_in_every_way(client: Client, streaming: Client, broken: Client) -> None:
    """Ask for answers, streams, failures and cancellations."""
    await client.generate_text_completion_for_conversation(TALK, **OPTIONS)
    with pytest.raises(limin.BadRequestError):
        await client.generate_text_completion("bad", model="m", response_type=int)
    async with streaming.stream_text_completion("hi", model="m") as stream:
        await stream.until_done()
    async with streaming.stream_text_completion("hi", model="m"):
        pass
    with anyio.CancelScope() as scope:
        scope.cancel()
        await client.generate_text_completion("hi", model="m")
    with pytest.raises(limin.StreamError):
        await broken.generate_text_completion("hi", model="m", stream=True)


@pytest.fixture(params=[False, True], ids=["default", "latest"])
async def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Return what is exported of calls of every kind."""
    value = "gen_ai_latest_experimental" if request.param else ""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", value)
    memory = Memory()
    observers = [Telemetry(**memory.providers, capture_content=True)]
    async with (
        serve(respond) as server,
        serve_scripts([streamed(*HELLO)]) as streams,
        serve_scripts([CHUNKED + chunked(*HELLO[:3]), CLOSE]) as broken,
        Client(server.base_url, observers=observers) as client,
        Client(streams.base_url, observers=observers) as streaming,
        Client(broken.base_url, observers=observers, max_retries=1) as breaking,
    ):
        await ask_in_every_way(client, streaming, breaking)
    return memory


def check_type(name: str, value: object) -> None:
    """Hold the type of *value* against the one that is published for *name*."""
    kind = ATTRIBUTES[name]["type"]
    if kind == "string[]":
        assert isinstance(value, tuple)
        assert all(isinstance(item, str) for item in value)
    elif kind == "any":
        assert isinstance(json.loads(str(value)), list)
    else:
        assert type(value) is TYPES[kind], name


def calls(memory: Memory) -> list[ReadableSpan]:
    """Return the spans of calls; those below them have no attribute of GenAI's."""
    below = memory.attempts()
    assert len(below) >= 6
    assert not any(name.startswith("gen_ai.") for span in below for name in facts(span))
    return memory.of("chat ")


async def test_spans(memory: Memory) -> None:
    """Kind, name, attributes and types are published, and what is required is there."""
    spans = calls(memory)
    assert len(spans) == 6
    levels = {"required", "conditionally_required"}
    required = {n for n, row in ATTRIBUTES.items() if row["requirement"] == "required"}
    seen: set[str] = set()
    for span in spans:
        attributes = facts(span)
        assert span.kind.name == PUBLISHED["span"]["kind"]
        operation, model = (
            attributes[f"gen_ai.{name}"] for name in ("operation.name", "request.model")
        )
        assert span.name == f"{operation} {model}"
        assert required <= set(attributes)
        for name, value in attributes.items():
            assert name in ATTRIBUTES
            check_type(name, value)
        seen |= set(attributes)
    not_told = {n for n, row in ATTRIBUTES.items() if row["requirement"] in levels} - seen
    assert not_told == {
        "gen_ai.conversation.id",  # limin has none.
        "gen_ai.prompt.name",
        "gen_ai.prompt.version",
    }
    failed = [span for span in spans if not span.status.is_ok]
    assert {facts(span)["error.type"] for span in failed} == {
        "BadRequestError",
        "StreamError",
        "cancelled",
    }


async def test_metrics(memory: Memory) -> None:
    """Name, kind, unit, buckets and attributes are published; nothing else is there."""
    metrics = memory.metrics()
    is_latest = "gen_ai.client.inference.duration" in metrics
    table = PUBLISHED["metrics" if is_latest else "metrics_1_41_0"]
    cache_write = {"gen_ai.client.inference.usage.cache_write.input_tokens"}  # Not known.
    assert set(metrics) == set(table) - cache_write
    for name, metric in metrics.items():
        row = table[name]
        assert metric.unit == row["unit"]
        for point in metric.data.data_points:
            assert set(row["required"]) <= set(point.attributes) <= set(row["attributes"])
            if row["instrument"] == "histogram":
                assert list(point.explicit_bounds) == row["boundaries"]
            else:
                assert metric.data.is_monotonic


def parts_in(messages: object) -> list[Mapping[str, object]]:
    """Return the parts of *messages*, each of which has a role."""
    assert isinstance(messages, Sequence)
    assert all(isinstance(message["role"], str) for message in messages)
    return [part for message in messages for part in message["parts"]]


async def test_content(memory: Memory) -> None:
    """A part of a published type has what it must have; in events it is a value."""
    published: dict[str, list[str]] = PUBLISHED["parts"]
    on_span = facts(memory.of("chat ")[0])
    events = [data.log_record for data in memory.logs.get_finished_logs()]
    assert {event.event_name for event in events} == {PUBLISHED["event"]}
    in_event = dict(events[0].attributes or {})
    kinds: set[str] = set()
    for name in (names.INPUT_MESSAGES, names.OUTPUT_MESSAGES):
        for part in parts_in(json.loads(on_span[name])) + parts_in(in_event[name]):
            kind = str(part["type"])
            kinds.add(kind)
            assert set(published.get(kind, [])) <= set(part)
    assert kinds - set(published) == {"omitted_blob"}
    assert len(kinds) == 7


def test_names() -> None:
    """Every name of an attribute in limin's table is in the published one."""
    own = {
        value
        for name, value in vars(names).items()
        if name.isupper() and isinstance(value, str) and value.startswith("gen_ai.")
    }
    of_metrics = {"gen_ai.token.type", "gen_ai.token.modality"}
    assert own - of_metrics - {PUBLISHED["event"]} <= set(ATTRIBUTES)
