"""The types that mypy and pyright must infer for a `JsonSchema`."""

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


def inferred(text: str) -> None:
    assert_type(limin.JsonSchema(City), limin.JsonSchema[City])
    assert_type(limin.JsonSchema(City, strict=False, name="city").decode(text), City)
    assert_type(limin.JsonSchema(list[City]).decode(text), list[City])
    assert_type(limin.JsonSchema(Literal["a", "b"]).decode(text), Literal["a", "b"])
    assert_type(limin.JsonSchema(Cat | Dog).decode_or_unwrap(text), Cat | Dog)
    assert_type(limin.JsonSchema(City | None).decode(text), City | None)
    assert_type(limin.JsonSchema(Movie).decode(text), Movie)
    assert_type(limin.JsonSchema(Person).decode(text), Person)
    assert_type(limin.JsonSchema(pydantic.TypeAdapter(list[int])).decode(text), list[int])
    assert_type(limin.JsonSchema(dict[str, int]).decode(text), dict[str, int])


def raw(schema: Mapping[str, object], text: str) -> None:
    assert_type(limin.JsonSchema(schema).decode(text), object)
    assert_type(limin.JsonSchema({"type": "string"}).decode(text), object)


def attributes(schema: limin.JsonSchema[City]) -> None:
    assert_type(schema.schema, dict[str, object])
    assert_type(schema.is_strict, bool)
    assert_type(schema.is_wrapped, bool)
    assert_type(schema.name, str)
    assert_type(schema.description, str | None)


def widened(schema: limin.JsonSchema[City]) -> limin.JsonSchema[City | None]:
    return schema
