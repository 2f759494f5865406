import datetime as dt
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import attrs
import msgspec
import quoted
from schema_kinds import Movie

from limin.schemas.json_schema import JsonSchema
from limin.schemas.refinement import refine

T = TypeVar("T")
DATE_TIME = {"type": "string", "format": "date-time"}


@attrs.frozen
class Place:
    """Another place.

    Indented.
    """

    seen: list[dt.datetime]


@attrs.frozen
class Trip:
    start: quoted.Place
    end: Place
    times: dict[str, Annotated[dt.datetime, msgspec.Meta(description="d")] | int]


class Page(TypedDict, Generic[T]):
    z: T
    a: T


class Tagged(msgspec.Struct, tag="t", tag_field="kind"):
    when: dt.datetime
    page: Page[dt.datetime]
    odd: Annotated[dt.datetime, msgspec.Meta(extra_json_schema={"format": "x"})]


def test_classes_of_one_name_in_two_modules() -> None:
    """Each is refined, though msgspec gives them their full names."""
    made = JsonSchema(Trip, strict=False)
    definitions: Any = made.schema["$defs"]
    (name,) = (name for name in definitions if "test_refinement" in name)
    assert definitions[name]["properties"]["seen"]["items"] == DATE_TIME
    assert definitions[name]["description"] == "Another place.\n\nIndented."
    properties: Any = made.schema["properties"]
    assert properties["times"]["additionalProperties"]["anyOf"] == [
        {"description": "d", **DATE_TIME},
        {"type": "integer"},
    ]


def test_generic_and_tagged_classes() -> None:
    """A tag stands before the fields, and a generic class has its own name."""
    made = JsonSchema(Tagged, strict=False)
    properties: Any = made.schema["properties"]
    assert list(properties) == ["kind", "when", "page", "odd"]
    assert properties["when"] == DATE_TIME
    assert properties["odd"] == {"type": "string", "format": "x"}
    definitions: Any = made.schema["$defs"]
    page = definitions["Page_datetime_"]
    assert list(page["properties"]) == page["required"] == ["z", "a"]
    assert page["properties"]["z"] == DATE_TIME


def test_definition_of_another_name() -> None:
    """A definition that msgspec names in another way is left as it is."""
    definitions: dict[str, object] = {"Other": {}}
    refine([Movie], [{"$ref": "#/$defs/Other"}], definitions)
    assert definitions == {"Other": {}}
