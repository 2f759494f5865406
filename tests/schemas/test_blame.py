import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, NotRequired, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from schema_kinds import City, Movie, Person, Point

from limin.errors import ConfigurationError
from limin.schemas.json_schema import JsonSchema
from limin.schemas.signatures import signature_schema


class Mayor:
    """A class of no kind that has a schema."""


@attrs.frozen
class Town:
    name: str
    mayor: Mayor | None = None
    kind: ClassVar[Mayor] = Mayor()


@dataclasses.dataclass
class Region:
    neighbours: "list[Region]"
    towns: dict[str, list[Town]]


@attrs.frozen
class First:
    second: "Second"


@attrs.frozen
class Second:
    first: First
    bad: Callable[[], int]


class Record(TypedDict):
    town: NotRequired[Annotated[Town, msgspec.Meta(description="x")]]


class Row(NamedTuple):
    region: Region


class Message(msgspec.Struct):
    row: Row


@attrs.frozen
class Unknown:
    city: "Cty"  # type: ignore[name-defined]  # noqa: F821 (misspelt)


@attrs.frozen
class Holder:
    unknown: Unknown


@attrs.frozen
class Instance:
    city: City("s3cret", "Italy")  # type: ignore[valid-type]


class Model(pydantic.BaseModel, arbitrary_types_allowed=True):
    mayor: Mayor


@pydantic.dataclasses.dataclass
class Unchecked:
    value: int


UNCHECKED = "nothing would run the validators of a pydantic dataclass; a BaseModel's do run"


@attrs.frozen
class WithModel:
    models: list[Model]


@attrs.frozen
class InitVar:
    value: int = attrs.field(default=attrs.Factory(id, takes_self=True))


def make() -> Any:
    """A new class of one name, as a notebook has it after a change."""

    @attrs.frozen
    class City:
        name: str

    return City


ONE, OTHER = make(), make()


@attrs.frozen
class Both:
    one: ONE  # type: ignore[valid-type]  # made above
    other: list[OTHER]  # type: ignore[valid-type]


def compare(one: ONE, other: OTHER) -> None:  # type: ignore[valid-type]
    """Compare."""


class Untagged(msgspec.Struct):
    name: str


class AlsoUntagged(msgspec.Struct):
    name: str


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (Mayor, "Mayor: Mayor has no JSON schema"),
        (object, "object: object has no JSON schema"),
        (Town, "Town.mayor: Mayor has no JSON schema"),
        (list[Town], "list[Town][].mayor: Mayor has no JSON schema"),
        (Region, "Region.towns[][].mayor: Mayor has no JSON schema"),
        (First, "First.second.bad: Callable[int] has no JSON schema"),
        (Record, "Record.town.mayor: Mayor has no JSON schema"),
        (Message, "Message.row.region.towns[][].mayor: Mayor has no JSON schema"),
        (Unknown, "Unknown: the name 'Cty' in its annotations is not defined"),
        (Holder, "Holder.unknown: the name 'Cty' in its annotations is not defined"),
        (Instance, "Instance.city: expected a type, found a value of City"),
        (Model, "Model has no JSON schema (PydanticInvalidForJsonSchema)"),
        (
            WithModel,
            "WithModel.models[]: Model has no JSON schema (PydanticInvalidForJsonSchema)",
        ),
        (
            dict[str, Unchecked],
            f"dict[str, Unchecked][]: {UNCHECKED}",
        ),
        (
            pydantic.TypeAdapter(Callable[[], int]),
            "the TypeAdapter has no JSON schema (PydanticInvalidForJsonSchema)",
        ),
        (
            Both,
            "Both: two of its classes have the name make.<locals>.City",
        ),
        (InitVar, "InitVar: InitVar has no JSON schema (NotImplementedError)"),
    ],
)
def test_part_without_a_schema(kind: Any, problem: str) -> None:
    """The error names the innermost part that has no schema, through recursive types."""
    with pytest.raises(ConfigurationError) as caught:
        JsonSchema(kind)
    assert str(caught.value) == problem
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "kind", [City | Point, City | Movie, Untagged | AlsoUntagged, list[City | Point] | None]
)
def test_untagged_union(kind: Any) -> None:
    """Two objects that JSON cannot tell apart are an error that hints at tags."""
    with pytest.raises(ConfigurationError) as caught:
        JsonSchema(kind)
    assert "msgspec.Structs with tag=True can be told apart" in str(caught.value)


@pytest.mark.parametrize("kind", [Literal[b"s"], dict[str, Literal[1.5]], Person | int])
def test_unsupported_form(kind: Any) -> None:
    """Another form that msgspec does not know is refused in msgspec's words."""
    with pytest.raises(ConfigurationError, match="is not supported"):
        JsonSchema(kind)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("City", "a str"),
        (None, "None"),
        (5, "5"),
        (City("s3cret", "Italy"), "a City"),
    ],
)
def test_no_type(kind: Any, found: str) -> None:
    """What is no type is refused by its own type, and never shown."""
    with pytest.raises(ConfigurationError) as caught:
        JsonSchema(kind)
    assert str(caught.value) == f"type: expected a type or a JSON schema, found {found}"


class Odd(dict[str, object]):
    """A mapping that breaks."""

    def items(self) -> Any:
        """Fail."""
        raise LookupError


def deep(depth: int) -> dict[str, object]:
    """A schema in a schema in a schema."""
    schema: dict[str, object] = {"type": "null"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema", [{"a": object()}, {1j: 1}, Odd(), {"type": "s\ud800"}, deep(100_000)]
)
def test_mapping_that_is_no_json(schema: dict[str, object]) -> None:
    """A schema of your own has to be JSON."""
    with pytest.raises(ConfigurationError, match="found a mapping that is no JSON"):
        JsonSchema(schema)


def test_classes_of_one_name_in_two_parameters() -> None:
    """Nothing is wrong with either of them."""
    with pytest.raises(ConfigurationError, match="two of its classes have the name"):
        signature_schema(compare, strict=True)
