"""Types of every kind, each with its schema in strict mode and an answer."""

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
)

import attrs
import msgspec
import pydantic

T = TypeVar("T")


class Color(enum.Enum):
    """Colours."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class City:
    """A city.

    Of any size.
    """

    name: Annotated[str, msgspec.Meta(description="As its people say.", min_length=1)]
    country: Literal["Italy", "France"]
    inhabitants: int = attrs.field(default=1, validator=attrs.validators.ge(1))


@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    label: str = ""
    tags: set[str] = dataclasses.field(default_factory=set)


class Movie(TypedDict):
    title: str
    reasons: NotRequired[list[str]]
    answer: bool


class Pair(NamedTuple):
    left: int
    right: dt.datetime = dt.datetime(2026, 1, 1)  # noqa: DTZ001 (naive, as JSON may be)


class Cat(msgspec.Struct, tag=True, frozen=True):
    lives: int


class Dog(msgspec.Struct, tag=True, frozen=True):
    name: str = "Rex"


@attrs.frozen
class Node:
    value: int
    children: "list[Node]"
    twin: "Annotated[Node | None, msgspec.Meta(description='Its twin.')]" = None


@attrs.frozen
class Box(Generic[T]):
    content: T


class Person(pydantic.BaseModel):
    """A person."""

    name: str = pydantic.Field(description="Full name.", max_length=9)
    friend: Optional["Person"] = None
    pet: Annotated["Cow | Pig", pydantic.Field(discriminator="kind")]

    @pydantic.field_validator("name")
    @classmethod
    def check_name(cls, name: str) -> str:
        """Refuse one name, and quote it."""
        if name == "Nobody":
            raise ValueError(name)
        return name


class Cow(pydantic.BaseModel):
    kind: Literal["cow"]


class Pig(pydantic.BaseModel):
    kind: Literal["pig"]


@attrs.frozen
class Household:
    people: list[Person]


Person.model_rebuild()

CITY = {
    "title": "City",
    "description": "A city.\n\nOf any size.",
    "type": "object",
    "properties": {
        "name": {"description": "As its people say.", "type": "string", "minLength": 1},
        "country": {"type": "string", "enum": ["France", "Italy"]},
        "inhabitants": {"type": "integer"},
    },
    "required": ["name", "country", "inhabitants"],
    "additionalProperties": False,
}

NODE = {
    "title": "Node",
    "type": "object",
    "properties": {
        "value": {"type": "integer"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        "twin": {
            "description": "Its twin.",
            "anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}],
        },
    },
    "required": ["value", "children", "twin"],
    "additionalProperties": False,
}

PET = {
    "Cow": {
        "title": "Cow",
        "type": "object",
        "properties": {"kind": {"title": "Kind", "type": "string", "const": "cow"}},
        "required": ["kind"],
        "additionalProperties": False,
    },
    "Pig": {
        "title": "Pig",
        "type": "object",
        "properties": {"kind": {"title": "Kind", "type": "string", "const": "pig"}},
        "required": ["kind"],
        "additionalProperties": False,
    },
}

PERSON = {
    "title": "Person",
    "description": "A person.",
    "type": "object",
    "properties": {
        "name": {
            "title": "Name",
            "description": "Full name.",
            "type": "string",
            "maxLength": 9,
        },
        "friend": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
        "pet": {
            "title": "Pet",
            "anyOf": [{"$ref": "#/$defs/Cow"}, {"$ref": "#/$defs/Pig"}],
        },
    },
    "required": ["name", "friend", "pet"],
    "additionalProperties": False,
}


def strict_object(title: str, /, **properties: object) -> dict[str, object]:
    """The schema of a class without a docstring, in strict mode."""
    return {
        "title": title,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def wrapped(schema: object, **definitions: object) -> dict[str, object]:
    """The schema of an object around a value that is no object."""
    outer: dict[str, object] = {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"],
        "additionalProperties": False,
    }
    return {**outer, "$defs": definitions} if definitions else outer


def text(**keywords: object) -> dict[str, object]:
    """The wrapped schema of a string."""
    return wrapped({"type": "string", **keywords})


CAT = strict_object(
    "Cat", type={"type": "string", "enum": ["Cat"]}, lives={"type": "integer"}
)
DOG = strict_object(
    "Dog", type={"type": "string", "enum": ["Dog"]}, name={"type": "string"}
)
PETS = {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}
COLOR = {
    "title": "Color",
    "description": "Colours.",
    "type": "string",
    "enum": ["blue", "red"],
}

# Type, schema, an answer, its instance.
STRICT: list[tuple[Any, dict[str, object], str, object]] = [
    (
        City,
        CITY,
        '{"name": "Paris", "country": "France", "inhabitants": 2000000}',
        City("Paris", "France", 2_000_000),
    ),
    (
        Point,
        strict_object(
            "Point",
            x={"type": "number"},
            label={"type": "string"},
            tags={
                "description": "uniqueItems: true",
                "type": "array",
                "items": {"type": "string"},
            },
        ),
        '{"x": 1, "label": "here", "tags": ["a", "b"]}',
        Point(1.0, "here", {"a", "b"}),
    ),
    (
        Movie,
        strict_object(
            "Movie",
            title={"type": "string"},
            reasons={"type": "array", "items": {"type": "string"}},
            answer={"type": "boolean"},
        ),
        '{"title": "Ran", "reasons": [], "answer": true}',
        {"title": "Ran", "reasons": [], "answer": True},
    ),
    (Dog, DOG, '{"type": "Dog", "name": "Bello"}', Dog("Bello")),
    (
        Cat | Dog,
        wrapped(PETS, Cat=CAT, Dog=DOG),
        '{"value":{"type":"Cat","lives":9}}',
        Cat(9),
    ),
    (
        Cat | Dog | None,
        wrapped({"anyOf": [PETS, {"type": "null"}]}, Cat=CAT, Dog=DOG),
        '{"value": null}',
        None,
    ),
    (
        Cat | Dog | int,
        wrapped({"anyOf": [{"type": "integer"}, PETS]}, Cat=CAT, Dog=DOG),
        '{"value": 7}',
        7,
    ),
    (
        Node,
        {**NODE, "$defs": {"Node": NODE}},
        '{"value": 1, "children": [{"value": 2, "children": [], "twin": null}]}',
        Node(1, [Node(2, [])]),
    ),
    (
        Box[dt.date],
        {
            **strict_object("Box[date]", content={"type": "string", "format": "date"}),
        },
        '{"content": "2026-11-26"}',
        Box(dt.date(2026, 11, 26)),
    ),
    (Color, wrapped(COLOR), '{"value": "red"}', Color.RED),
    (
        Level,
        wrapped({"title": "Level", "type": "integer", "enum": [1, 2]}),
        '{"value": 2}',
        Level.HIGH,
    ),
    (Literal["b", "a"], text(enum=["a", "b"]), '{"value": "b"}', "b"),
    (bool, wrapped({"type": "boolean"}), '{"value": false}', False),
    (int, wrapped({"type": "integer"}), '{"value": -3}', -3),
    (float, wrapped({"type": "number"}), '{"value": 2}', 2.0),
    (str, text(), '{"value": "é\\u00e9"}', "éé"),
    (type(None), wrapped({"type": "null"}), '{"value": null}', None),
    (
        Annotated[int, msgspec.Meta(ge=0, lt=10, multiple_of=2, title="Even")],
        wrapped(
            {
                "title": "Even",
                "type": "integer",
                "minimum": 0,
                "exclusiveMaximum": 10,
                "multipleOf": 2,
            }
        ),
        '{"value": 8}',
        8,
    ),
    (
        Annotated[str, msgspec.Meta(pattern="^a", examples=["ab"])],
        text(pattern="^a"),
        '{"value": "ab"}',
        "ab",
    ),
    (
        Annotated[str, msgspec.Meta(pattern="^(?!b)", description="A word.")],
        wrapped({"description": "A word. (pattern: ^(?!b))", "type": "string"}),
        '{"value": "ab"}',
        "ab",
    ),
    (
        list[City],
        wrapped({"type": "array", "items": {"$ref": "#/$defs/City"}}, City=CITY),
        '{"value": [{"name": "Rom", "country": "Italy", "inhabitants": 3}]}',
        [City("Rom", "Italy", 3)],
    ),
    (
        Annotated[list[int], msgspec.Meta(min_length=1, max_length=2)],
        wrapped(
            {"type": "array", "items": {"type": "integer"}, "maxItems": 2, "minItems": 1}
        ),
        '{"value": [1]}',
        [1],
    ),
    (
        frozenset[int],
        wrapped(
            {
                "description": "uniqueItems: true",
                "type": "array",
                "items": {"type": "integer"},
            }
        ),
        '{"value": [2, 1]}',
        frozenset({1, 2}),
    ),
    (
        tuple[int, ...],
        wrapped({"type": "array", "items": {"type": "integer"}}),
        '{"value": [2, 1]}',
        (2, 1),
    ),
    (
        int | None,
        wrapped({"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        '{"value": null}',
        None,
    ),
    (
        dt.datetime,
        text(format="date-time"),
        '{"value": "2026-11-26T10:00:00Z"}',
        dt.datetime(2026, 11, 26, 10, tzinfo=dt.UTC),
    ),
    (
        Annotated[dt.datetime, msgspec.Meta(tz=True)],
        text(format="date-time"),
        '{"value": "2026-11-26T10:00:00Z"}',
        dt.datetime(2026, 11, 26, 10, tzinfo=dt.UTC),
    ),
    (
        Annotated[dt.datetime, msgspec.Meta(tz=False)],
        wrapped(
            {
                "description": "a date and a time without an offset, such as "
                "2026-01-31T12:00:00",
                "type": "string",
            }
        ),
        '{"value": "2026-11-26T10:00:00"}',
        dt.datetime(2026, 11, 26, 10),  # noqa: DTZ001 (naive is asked for)
    ),
    (
        list[dt.time | None],
        wrapped(
            {
                "type": "array",
                "items": {
                    "anyOf": [{"type": "string", "format": "time"}, {"type": "null"}]
                },
            }
        ),
        '{"value": ["10:00:00", null]}',
        [dt.time(10), None],
    ),
    (
        Annotated[dt.time, msgspec.Meta(tz=False)],
        wrapped({"description": "format: partial-time", "type": "string"}),
        '{"value": "10:00:00"}',
        dt.time(10),
    ),
    (dt.timedelta, text(format="duration"), '{"value": "PT90S"}', dt.timedelta(0, 90)),
    (
        uuid.UUID,
        text(format="uuid"),
        '{"value": "00000000-0000-0000-0000-000000000001"}',
        uuid.UUID(int=1),
    ),
    (
        Decimal,
        wrapped({"description": "format: decimal", "type": "string"}),
        '{"value": "1.10"}',
        Decimal("1.10"),
    ),
    (
        bytes,
        wrapped({"description": "contentEncoding: base64", "type": "string"}),
        '{"value": "aGk="}',
        b"hi",
    ),
    (
        Person,
        {**PERSON, "$defs": {"Cow": PET["Cow"], "Person": PERSON, "Pig": PET["Pig"]}},
        '{"name": "Ada", "pet": {"kind": "cow"}}',
        Person(name="Ada", pet=Cow(kind="cow")),
    ),
    (
        pydantic.TypeAdapter(list[Cow]),
        wrapped({"type": "array", "items": {"$ref": "#/$defs/Cow"}}, Cow=PET["Cow"]),
        '{"value": [{"kind": "cow"}]}',
        [Cow(kind="cow")],
    ),
    (
        Household,
        {
            **strict_object(
                "Household", people={"type": "array", "items": {"$ref": "#/$defs/Person"}}
            ),
            "$defs": {**PET, "Person": PERSON},
        },
        '{"people": [{"name": "Ada", "pet": {"kind": "pig"}}]}',
        Household([Person(name="Ada", pet=Pig(kind="pig"))]),
    ),
    (
        {"title": "A word", "type": "object", "properties": {"word": {"type": "string"}}},
        strict_object("A word", word={"type": "string"}),
        '{"word": "hi"}',
        {"word": "hi"},
    ),
    (
        {"type": "array", "items": {"type": "null"}},
        wrapped({"type": "array", "items": {"type": "null"}}),
        '{"value": [null]}',
        [None],
    ),
]

ANY_INTEGER = {"type": "integer"}

# What strict mode cannot say: type, schema, an answer, its instance.
LOOSE: list[tuple[Any, dict[str, object], str, object]] = [
    (
        tuple[int, str],
        wrapped(
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "prefixItems": [ANY_INTEGER, {"type": "string"}],
            }
        ),
        '{"value": [1, "a"]}',
        (1, "a"),
    ),
    (
        Pair,
        wrapped(
            {
                "title": "Pair",
                "type": "array",
                "prefixItems": [
                    ANY_INTEGER,
                    {
                        "type": "string",
                        "default": "2026-01-01T00:00:00",
                        "format": "date-time",
                    },
                ],
                "minItems": 1,
                "maxItems": 2,
            }
        ),
        '{"value": [1, "2026-11-26T10:00:00Z"]}',
        Pair(1, dt.datetime(2026, 11, 26, 10, tzinfo=dt.UTC)),
    ),
    (
        dict[str, dt.datetime],
        {
            "type": "object",
            "additionalProperties": {"type": "string", "format": "date-time"},
        },
        '{"a": "2026-11-26T10:00:00Z"}',
        {"a": dt.datetime(2026, 11, 26, 10, tzinfo=dt.UTC)},
    ),
    (
        dict[str, int] | list[tuple[dt.time, int]] | None,
        wrapped(
            {
                "anyOf": [
                    {"type": "object", "additionalProperties": ANY_INTEGER},
                    {
                        "type": "array",
                        "items": {
                            "type": "array",
                            "minItems": 2,
                            "maxItems": 2,
                            "prefixItems": [
                                {"type": "string", "format": "time"},
                                ANY_INTEGER,
                            ],
                        },
                    },
                    {"type": "null"},
                ]
            }
        ),
        '{"value": [["10:00:00", 1]]}',
        [(dt.time(10), 1)],
    ),
    (dict, {"type": "object"}, '{"a": [1]}', {"a": [1]}),
    (list, wrapped({"type": "array"}), '{"value": [1, "a"]}', [1, "a"]),
    (Any, wrapped({}), '{"value": {"a": 1}}', {"a": 1}),
    (
        {"type": "array", "items": {"$ref": "#"}},
        wrapped({"type": "array", "items": {"$ref": "#/properties/value"}}),
        '{"value": [[], []]}',
        [[], []],
    ),
]
