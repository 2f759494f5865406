"""Answers of every kind of type from a real model, behind the real llama.cpp server.

Its grammar forces the shape; what stands in it is a small model's guess.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypedDict

import anyio
import attrs
import msgspec
import pydantic
import pytest

from limin import (
    JsonSchema,
    StructuredOutputError,
    generate_text_completion,
    generate_text_completions,
    run_parallel,
    stream_text_completion,
)

if TYPE_CHECKING:
    from pathlib import Path

    from limin.local import LocalEndpoint

Word = Annotated[str, msgspec.Meta(max_length=4)]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class City:
    name: Word
    country: Literal["France", "Italy"]
    is_capital: bool


@dataclasses.dataclass(frozen=True)
class Point:
    x: Literal[1, 2]
    label: Word = ""


class Movie(TypedDict):
    title: Word


class Pair(NamedTuple):
    left: Literal[1, 2]
    right: bool


class Cat(msgspec.Struct, tag=True, frozen=True):
    is_old: bool


class Dog(msgspec.Struct, tag=True, frozen=True):
    color: Color


@attrs.frozen
class Node:
    next: Node | None


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=4)
    friend: Literal["Ann", "Bob"]


Two = Annotated[list[Literal["a", "b"]], msgspec.Meta(min_length=2, max_length=2)]
Digit = Annotated[int, msgspec.Meta(ge=0, le=9)]

# Each with the classes that its instance may have.
KINDS: dict[str, tuple[Any, Any]] = {
    "attrs": (City, City),
    "dataclass": (Point, Point),
    "TypedDict": (Movie, dict),
    "NamedTuple": (Pair, Pair),
    "Struct": (Cat, Cat),
    "Enum": (Color, Color),
    "Literal": (Literal["yes", "no"], str),
    "list": (Two, list),
    "dict": (dict[str, bool], dict),
    "tuple": (tuple[bool, bool], tuple),
    "set": (set[Literal["a"]], set),
    "Optional": (Literal["a"] | None, (str, type(None))),
    "tagged union": (Cat | Dog, (Cat, Dog)),
    "int": (Digit, int),
    "bool": (bool, bool),
    "str": (Word, str),
    "recursive": (Node, Node),
    "datetime": (dt.datetime, dt.datetime),
    "model of pydantic": (Person, Person),
    "TypeAdapter": (pydantic.TypeAdapter(Literal["yes", "no"]), str),
}

# The model copies the example, so that its answers are short.
LIKE = "Answer with one short line of minified JSON like "
PROMPT = LIKE + '{"value":null}'
PROMPTS = {"recursive": LIKE + '{"next":{"next":null}}'}
ENOUGH = 60


async def test_instance_of_each_kind(anyio_backend: str) -> None:
    """The value is an instance of its type, and nothing else is in the answer.

    Each event loop has every second kind, since the model takes a second for each.
    """
    mine = list(KINDS)[anyio_backend == "trio" :: 2]

    async def ask(name: str) -> None:
        kind, expected = KINDS[name]
        completion = await generate_text_completion(
            PROMPTS.get(name, PROMPT),
            response_type=kind,
            max_tokens=ENOUGH,
            temperature=0,
        )
        assert isinstance(completion.value, expected), (name, completion.message)
        assert completion.parse(kind) == completion.value, name

    await run_parallel(mine, ask, 4, show_progress=False)


async def test_raw_schema_gives_plain_data() -> None:
    """A JSON schema of the user's own is sent as it is."""
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
    }
    completion = await generate_text_completion(
        PROMPT, response_type=JsonSchema(schema, strict=False), max_tokens=ENOUGH
    )
    assert isinstance(completion.value, dict)
    assert isinstance(completion.value["ok"], bool)


async def test_cut_off_answer_is_truncated() -> None:
    """A small `max_tokens` is told, and not asked again."""
    with pytest.raises(StructuredOutputError) as caught:
        await generate_text_completion(PROMPT, response_type=City, max_tokens=4, reask=3)
    assert caught.value.reason == "truncated"
    assert caught.value.completion.finish_reason == "length"
    assert caught.value.earlier == ()


async def test_other_text_is_no_json() -> None:
    """Nothing is guessed from a plain answer."""
    completion = await generate_text_completion("Say hello.", max_tokens=8, temperature=0)
    with pytest.raises(StructuredOutputError) as caught:
        attrs.evolve(
            completion,
            choices=(attrs.evolve(completion.choices[0], finish_reason="stop"),),
        ).parse(City)
    assert caught.value.reason == "not-json"


async def test_schema_that_the_server_ignores() -> None:
    """What llama.cpp does not hold the model to is checked here, and asked again."""

    @attrs.frozen
    class Town:
        name: Word = attrs.field(validator=attrs.validators.in_(["Nowhere"]))

    with pytest.raises(StructuredOutputError) as caught:
        await generate_text_completion(
            PROMPT, response_type=Town, max_tokens=ENOUGH, temperature=0, reask=1
        )
    error = caught.value
    assert (error.reason, error.path) == ("invalid", "$")
    assert len(error.earlier) == 1
    asked = error.completion.conversation.messages
    assert [message.role for message in asked] == ["user", "assistant", "user"]
    assert asked[1].text == error.earlier[0].message
    assert "ValueError of a validator at `$`" in asked[2].text
    assert error.completion.total_usage is not None


async def test_streamed_equals_unstreamed() -> None:
    """The values so far are parts of the last, which is the one of the whole answer."""
    options: dict[str, Any] = {"max_tokens": ENOUGH, "temperature": 0}
    whole = await generate_text_completion(PROMPT, response_type=City, **options)
    async with stream_text_completion(PROMPT, response_type=City, **options) as stream:
        partials = [json.dumps(stream.partial or {}) async for _ in stream]
        completion = stream.completion
    assert completion.value == whole.value
    final = json.loads(partials[-1])
    assert final == json.loads(completion.message)
    for partial in map(json.loads, partials):
        assert partial.items() <= final.items()
    assert {len(json.loads(partial)) for partial in partials} == {0, 1, 2, 3}
    assert [len(partial) for partial in partials] == sorted(map(len, partials))


async def test_fields_join_to_the_scalars() -> None:
    """Each scalar has its tokens, and what is chosen from a list a distribution."""
    completion = await generate_text_completion(
        PROMPT,
        response_type=City,
        max_tokens=ENOUGH,
        temperature=0,
        log_probs=True,
        top_log_probs=20,
    )
    fields, log_probs, value = completion.fields, completion.log_probs, completion.value
    assert fields is not None
    assert log_probs is not None
    assert list(fields) == ["$.name", "$.country", "$.is_capital"]
    assert fields["$.name"].text == json.dumps(value.name, ensure_ascii=False)[1:-1]
    assert fields["$.country"].text == value.country
    assert fields["$.is_capital"].text == json.dumps(value.is_capital)
    for field in fields.values():
        tokens = "".join(
            str(position.sampled.token)
            for position in log_probs[field.first : field.last + 1]
        )
        assert field.text in tokens
        assert field.log_prob is not None
        assert field.prob is not None
        assert 0 <= field.prob <= 1.001
    country = fields["$.country"].distribution
    assert country is not None
    assert set(country.probs) == {"France", "Italy"}
    capital = fields["$.is_capital"].distribution
    assert capital is not None
    assert set(capital.probs) == {True, False}
    assert fields["$.name"].distribution is None
    codes = {str(warning.code) for warning in completion.warnings}
    assert codes & {"constrained-before-mask", "constrained-unknown"}


async def test_fields_of_a_value_that_is_no_object() -> None:
    """Paths are the user's: the object around the value is left out."""
    completion = await generate_text_completion(
        PROMPT, response_type=Two, max_tokens=ENOUGH, log_probs=True, top_log_probs=5
    )
    assert completion.fields is not None
    assert list(completion.fields) == ["$[0]", "$[1]"]
    texts = [field.text for field in completion.fields.values()]
    assert texts == completion.value


# A program that asks 50 prompts, tells of each answer, and can be killed at any time.
PROGRAM = """
import asyncio, sys, typing
from limin import iter_text_completions

async def main():
    async with iter_text_completions(
        [f"{sys.argv[3]} {n}" for n in range(50)],
        4,
        response_type=typing.TypedDict("One", {"a": typing.Literal[1]}),
        base_url=sys.argv[1],
        api_key="",
        checkpoint=sys.argv[2],
        max_tokens=16,
        temperature=0,
    ) as results:
        async for _ in results:
            print("answered", flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of POSIX")
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_killed_batch_goes_on(tmp_path: Path, llama: LocalEndpoint) -> None:
    """50 prompts with a checkpoint, killed on asyncio and resumed on trio, lose nothing."""
    path, prompt = tmp_path / "run.jsonl", LIKE + '{"a":1}'
    command = [sys.executable, "-c", PROGRAM, llama.base_url, str(path), prompt]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout is not None
        told = b""
        while told.count(b"\n") < 10:
            told += await process.stdout.receive()
        process.send_signal(signal.SIGKILL)
    kept = path.read_bytes().count(b"\n")
    assert 10 <= kept < 50
    completions = await generate_text_completions(
        [f"{prompt} {n}" for n in range(50)],
        4,
        response_type=TypedDict("One", {"a": Literal[1]}),
        checkpoint=path,
        show_progress=False,
        max_tokens=16,
        temperature=0,
    )
    assert path.read_bytes().count(b"\n") == 50
    assert [completion.value for completion in completions] == [{"a": 1}] * 50
