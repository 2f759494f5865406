import copy
import pickle
from typing import Any, Literal

import jsonschema
import msgspec
import pydantic
import pytest
from openai_rules import broken_rules
from schema_kinds import CITY, LOOSE, STRICT, City, Color, Node, Person, Point, wrapped

import limin
from limin.errors import ConfigurationError
from limin.schemas.json_schema import JsonSchema


@pydantic.dataclasses.dataclass
class Positive:
    number: int = pydantic.Field(gt=0)


KINDS = [*STRICT, *LOOSE]


def identify(value: object) -> str:
    """A name for the type of a case."""
    return JsonSchema(value).name  # type: ignore[call-overload]  # of any kind


@pytest.mark.parametrize(
    ("kind", "schema"), [case[:2] for case in STRICT], ids=[identify(k) for k, *_ in STRICT]
)
def test_strict_schema(kind: Any, schema: dict[str, Any]) -> None:
    """A type goes out in the words of OpenAI's strict mode, in the order of its fields."""
    made = JsonSchema(kind)
    assert made.schema == schema
    assert made.is_strict
    assert broken_rules(made.schema) == []


@pytest.mark.parametrize(
    ("kind", "schema"), [case[:2] for case in LOOSE], ids=[identify(k) for k, *_ in LOOSE]
)
def test_loose_schema(kind: Any, schema: dict[str, Any]) -> None:
    """What strict mode cannot say goes out as it is, and says so."""
    made = JsonSchema(kind)
    assert made.schema == schema
    assert made.strict
    assert not made.is_strict
    assert broken_rules(made.schema)


@pytest.mark.parametrize(
    ("kind", "schema", "text", "value"), KINDS, ids=[identify(k) for k, *_ in KINDS]
)
@pytest.mark.parametrize("strict", [True, False])
def test_decode(
    kind: Any, schema: dict[str, Any], text: str, value: object, *, strict: bool
) -> None:
    """An answer becomes an instance, from text and from bytes, unwrapped."""
    made = JsonSchema(kind, strict=strict)
    assert made.decode(text) == value
    assert made.decode(text.encode()) == value
    assert type(made.decode(text)) is type(value)
    assert made.is_wrapped is (
        "value" in schema.get("properties", {}) and "title" not in schema
    )


@pytest.mark.parametrize(("kind", "schema", "text", "value"), KINDS)
def test_answer_conforms_to_the_schema_that_is_sent(
    kind: Any, schema: dict[str, Any], text: str, value: object
) -> None:
    """A schema that is not strict takes the answer, so that no server forbids it."""
    del schema, value
    made = JsonSchema(kind, strict=False)
    jsonschema.Draft202012Validator.check_schema(made.schema)
    jsonschema.validate(msgspec.json.decode(text), made.schema)


def test_order_of_fields() -> None:
    """Fields are written in the order of the class, a TypedDict's and defaults too."""
    for kind, schema, *_ in STRICT:
        made: dict[str, Any] = JsonSchema(kind).schema
        assert list(made["properties"]) == list(schema["properties"])  # type: ignore[call-overload]
        assert made["required"] == schema["required"]


def test_not_strict() -> None:
    """With strict=False, defaults and optional properties go out as msgspec gives them."""
    made = JsonSchema(City, strict=False)
    assert not made.is_strict
    assert made.schema == {
        "title": "City",
        "description": "A city.\n\nOf any size.",
        "type": "object",
        "properties": {
            "name": {"description": "As its people say.", "type": "string", "minLength": 1},
            "country": {"enum": ["France", "Italy"]},
            "inhabitants": {"type": "integer", "default": 1},
        },
        "required": ["name", "country"],
    }
    assert JsonSchema(list[int], strict=False).is_wrapped


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (City, "City"),
        (list[City], "list_City"),
        (City | None, "City_None"),
        (dict[str, Color], "dict_str_Color"),
        (Literal["secret"], "Literal"),
        (pydantic.TypeAdapter(list[int]), "answer"),
        ({"title": "Städte der Welt", "type": "null"}, "St_dte_der_Welt"),
        ({"type": "null"}, "answer"),
        (type("K" * 90, (Point,), {}), "K" * 64),
    ],
)
def test_name(kind: Any, name: str) -> None:
    """The name is that of the type, as OpenAI's rule takes it."""
    assert JsonSchema(kind).name == name


def test_options() -> None:
    """A name and a description of your own are kept, and nothing else shows the type."""
    made = JsonSchema(City, name="a-b_9", description="A town.")
    assert (made.name, made.description, made.type, made.strict) == (
        "a-b_9",
        "A town.",
        City,
        True,
    )
    assert repr(made) == "<JsonSchema a-b_9: City>"
    assert repr(JsonSchema({"type": "null"})) == "<JsonSchema answer: a JSON schema>"
    assert limin.JsonSchema is JsonSchema


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": ""}, "name: expected 1 to 64 of the characters"),
        ({"name": "a b"}, "name: expected 1 to 64 of the characters"),
        ({"name": "a\n"}, "name: expected 1 to 64 of the characters"),
        ({"name": "a" * 65}, "name: expected 1 to 64 of the characters"),
        ({"name": 5}, "name: expected a str, found an int"),
        ({"description": 5}, "description: expected a str, found an int"),
        ({"strict": None}, "strict: expected True or False, found None"),
    ],
)
def test_wrong_option(options: dict[str, Any], problem: str) -> None:
    """A wrong option is refused at construction."""
    with pytest.raises(ConfigurationError, match=problem):
        JsonSchema(City, **options)


def test_values() -> None:
    """Equal types and options are equal; a pickle is made again."""
    made = JsonSchema(list[Node], name="nodes")
    assert made == JsonSchema(list[Node], name="nodes")
    assert hash(made) == hash(JsonSchema(list[Node], name="nodes"))
    assert made != JsonSchema(list[Node])
    again = pickle.loads(pickle.dumps(JsonSchema(int, strict=False)))  # noqa: S301 (our own)
    assert again == JsonSchema(int, strict=False)
    assert again.decode('{"value": 3}') == 3


def test_made_once() -> None:
    """A type is compiled once, and changing a schema changes no other."""
    first, second = JsonSchema(City), JsonSchema(City)
    assert first._read is second._read
    first.schema.clear()
    assert second.schema == CITY


def test_adapter_of_a_pydantic_dataclass() -> None:
    """A dataclass of pydantic is checked by pydantic, through its adapter."""
    made = JsonSchema(pydantic.TypeAdapter(Positive))
    assert made.decode('{"number": 1}') == Positive(1)
    with pytest.raises(ValueError, match="greater_than"):
        made.decode('{"number": 0}')


def test_order_of_a_union() -> None:
    """Types that are equal keep their own order, so that a request is always the same."""
    one: Any = JsonSchema(int | str).schema["properties"]
    other: Any = JsonSchema(str | int).schema["properties"]
    assert [option["type"] for option in one["value"]["anyOf"]] == ["integer", "string"]
    assert [option["type"] for option in other["value"]["anyOf"]] == ["string", "integer"]


def test_raw_schema_is_copied() -> None:
    """Your own schema is sent as it was when you gave it, and never changed."""
    mine: dict[str, Any] = {"type": "object", "properties": {"a": {"enum": [1]}}}
    before = copy.deepcopy(mine)
    made = JsonSchema(mine)
    assert mine == before
    mine["properties"]["b"] = {}
    assert list(made.schema["properties"]) == ["a"]  # type: ignore[call-overload]
    assert JsonSchema(before, strict=False).schema == before


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (
            {
                "$ref": "#/definitions/List",
                "definitions": {"List": {"type": "array", "items": {"$ref": "#/$defs/N"}}},
                "$defs": {"N": {"type": "null"}},
            },
            wrapped({"type": "array", "items": {"$ref": "#/$defs/N"}}, N={"type": "null"}),
        ),
        (
            {
                "$ref": "#/$defs/A",
                "$defs": {"A": {"type": "array", "items": {"$ref": "#"}}},
            },
            wrapped({"type": "array", "items": {"$ref": "#/properties/value"}}),
        ),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
            wrapped({"$ref": "#/$defs/A"}, A={"$ref": "#/$defs/A"}),
        ),
        ({"$ref": "https://a/b"}, wrapped({"$ref": "https://a/b"})),
        ({"$ref": "#"}, wrapped({"$ref": "#/properties/value"})),
        ({"properties": {}}, {"properties": {}}),
    ],
)
def test_references_of_a_raw_schema(schema: dict[str, Any], sent: dict[str, Any]) -> None:
    """References lead to the same schema after the root was wrapped or replaced."""
    assert JsonSchema(schema, strict=False).schema == sent


def test_sets_are_lists() -> None:
    """A list that names a member twice is a set all the same."""
    assert JsonSchema(set[str]).decode('{"value": ["b", "a", "b"]}') == {"a", "b"}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (list[int], "[1, 2]", [1, 2]),
        (list[int], '{"value": [1, 2]}', [1, 2]),
        (int, "3", 3),
        (City | None, '{"name": "Rom", "country": "Italy"}', City("Rom", "Italy")),
        (dict[str, int], '{"value": 1}', {"value": 1}),
        (dict[str, int] | None, '{"value": 1, "x": 2}', {"value": 1, "x": 2}),
        (dict[str, int] | None, '{"value": {"value": 1}}', {"value": 1}),
        (Person | None, '{"value": null}', None),
    ],
)
def test_decode_or_unwrap(kind: Any, text: str, value: object) -> None:
    """An answer is unwrapped if it is an object with `value` alone."""
    assert JsonSchema(kind).decode_or_unwrap(text) == value


def test_decode_or_unwrap_what_does_not_fit() -> None:
    """What is no answer of either shape is an error of the bare shape."""
    with pytest.raises(ValueError, match="Expected `int`, got `object` - at `\\$`"):
        JsonSchema(int).decode_or_unwrap('{"other": 1}')
    with pytest.raises(ValueError, match="JSON is malformed"):
        JsonSchema(int).decode_or_unwrap("nothing")
