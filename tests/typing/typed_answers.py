"""The types that mypy and pyright must infer where a `response_type` is given."""

from collections.abc import Mapping
from typing import Literal, TypedDict, assert_type

import attrs
import msgspec
import pydantic

import limin


@attrs.frozen
class City:
    name: str


class Movie(TypedDict):
    title: str


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str


class Person(pydantic.BaseModel):
    name: str


CONVERSATION = limin.Conversation.from_prompts("hello")


async def single(client: limin.Client) -> None:
    city = await client.generate_text_completion("hello", response_type=City, reask=1)
    assert_type(city, limin.TextCompletion[City])
    assert_type(city.value.name, str)
    assert_type(city.earlier, tuple[limin.TextCompletion[object], ...])
    assert_type(city.total_usage, limin.Usage | None)
    assert_type(city.fields, Mapping[str, limin.FieldLogProbs] | None)
    letter = await client.generate_text_completion("hi", response_type=Literal["a", "b"])
    assert_type(letter.value, Literal["a", "b"])
    cities = await client.generate_text_completion("hi", response_type=list[City])
    assert_type(cities.value, list[City])
    pet = await client.generate_text_completion("hi", response_type=Cat | Dog)
    assert_type(pet.value, Cat | Dog)
    perhaps = await client.generate_text_completion("hi", response_type=City | None)
    assert_type(perhaps.value, City | None)
    movie = await client.generate_text_completion("hi", response_type=Movie)
    assert_type(movie.value, Movie)
    person = await client.generate_text_completion("hi", response_type=Person)
    assert_type(person.value, Person)
    schema = limin.JsonSchema(City, strict=False)
    loose = await client.generate_text_completion("hi", response_type=schema)
    assert_type(loose.value, City)
    adapter = limin.JsonSchema(pydantic.TypeAdapter(list[int]))
    numbers = await client.generate_text_completion("hi", response_type=adapter)
    assert_type(numbers.value, list[int])
    raw = limin.JsonSchema({"type": "object"})
    data = await client.generate_text_completion("hi", response_type=raw)
    assert_type(data.value, object)


async def untyped(client: limin.Client) -> None:
    plain = await client.generate_text_completion("hello")
    assert_type(plain, limin.TextCompletion)
    assert_type(plain.value, None)
    none = await client.generate_text_completion("hello", response_type=None)
    assert_type(none, limin.TextCompletion[None])
    function = await limin.generate_text_completion("hello")
    assert_type(function, limin.TextCompletion[None])


async def functions() -> None:
    city = await limin.generate_text_completion("hello", response_type=City)
    assert_type(city, limin.TextCompletion[City])
    letter = await limin.generate_text_completion_for_conversation(
        CONVERSATION, response_type=Literal["a", "b"]
    )
    assert_type(letter, limin.TextCompletion[Literal["a", "b"]])
    cities = await limin.generate_text_completions(["hello"], response_type=list[City])
    assert_type(cities, list[limin.TextCompletion[list[City]]])
    either = await limin.generate_text_completions_for_conversations(
        [CONVERSATION], response_type=City, on_error="return"
    )
    assert_type(either, list[limin.TextCompletion[City] | limin.LiminError])
    none = await limin.generate_text_completions(["hello"], on_error="return")
    assert_type(none, list[limin.TextCompletion | limin.LiminError])
    async with limin.iter_text_completions(["hello"], response_type=City) as results:
        assert_type(results, limin.Results[limin.TextCompletion[City]])
    async with limin.stream_text_completion("hello", response_type=City) as stream:
        assert_type(stream, limin.CompletionStream[City])
    run = await limin.run_tools("hello", [], response_type=City)
    assert_type(run, limin.ToolRun[City])


async def batches(client: limin.Client) -> None:
    cities = await client.generate_text_completions(["hello"], response_type=City)
    assert_type(cities, list[limin.TextCompletion[City]])
    letters = await client.generate_text_completions(
        ["hello"], 2, response_type=Literal["a", "b"], on_error="return", reask=1
    )
    assert_type(letters, list[limin.TextCompletion[Literal["a", "b"]] | limin.LiminError])
    lists = await client.generate_text_completions_for_conversations(
        [CONVERSATION], response_type=list[City], on_error="raise"
    )
    assert_type(lists, list[limin.TextCompletion[list[City]]])
    plain = await client.generate_text_completions(["hello"])
    assert_type(plain, list[limin.TextCompletion])
    async with client.iter_text_completions(["hello"], response_type=City) as results:
        async for index, result in results:
            assert_type(index, int)
            assert_type(result, limin.TextCompletion[City] | limin.LiminError)
    async with client.iter_text_completions(["hello"]) as untyped_results:
        assert_type(untyped_results, limin.Results[limin.TextCompletion[None]])


async def streams(client: limin.Client) -> None:
    async with client.stream_text_completion("hello", response_type=City) as stream:
        async for delta in stream:
            assert_type(delta, limin.Delta)
            assert_type(stream.partial, object)
        assert_type(stream.completion, limin.TextCompletion[City])
        assert_type((await stream.until_done()).value, City)
    async with client.stream_text_completion_for_conversation(
        CONVERSATION, response_type=Literal["a", "b"]
    ) as letters:
        assert_type(letters, limin.CompletionStream[Literal["a", "b"]])
    async with client.stream_text_completion("hello") as plain:
        assert_type(plain, limin.CompletionStream[None])
    client.stream_text_completion("hello", reask=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def tools(client: limin.Client) -> None:
    run = await client.run_tools("hello", [], response_type=City)
    assert_type(run, limin.ToolRun[City])
    assert_type(run.completion.value, City)
    plain = await client.run_tools("hello", [])
    assert_type(plain, limin.ToolRun[None])


def parsed(completion: limin.TextCompletion) -> None:
    assert_type(completion.parse(City), City)
    assert_type(completion.parse(list[City]), list[City])
    assert_type(completion.parse(Literal["a", "b"]), Literal["a", "b"])
    assert_type(completion.parse(limin.JsonSchema(City)), City)
    assert_type(completion.parse(Cat | Dog), Cat | Dog)


def misfit(error: limin.StructuredOutputError) -> None:
    assert_type(error.completion, limin.TextCompletion[object])
    assert_type(
        error.reason, Literal["truncated", "refused", "filtered", "not-json", "invalid"]
    )
    assert_type(error.path, str)
    assert_type(error.earlier, tuple[limin.TextCompletion[object], ...])


async def passed_on(client: limin.Client) -> None:
    plain = await limin.run_parallel(["hello"], client.generate_text_completion)
    assert_type(plain, list[limin.TextCompletion])

    async def ask(prompt: str) -> City:
        return (await client.generate_text_completion(prompt, response_type=City)).value

    assert_type(await limin.run_parallel(["hello"], ask), list[City])


def widened(completion: limin.TextCompletion[City]) -> limin.TextCompletion[object]:
    return completion
