from typing import Any

import pytest
from openai_rules import broken_rules

from limin.schemas.strict import to_strict

NULL = {"type": "null"}


def around(schema: object, **definitions: object) -> dict[str, Any]:
    """An object with *schema* as its only property."""
    outer: dict[str, Any] = {"type": "object", "properties": {"a": schema}}
    return {**outer, "$defs": definitions} if definitions else outer


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"oneOf": [NULL], "discriminator": {}}, {"anyOf": [NULL]}),
        ({"allOf": [NULL], "default": 1}, {"anyOf": [NULL]}),
        ({"const": "a"}, {"type": "string", "const": "a"}),
        (
            {"enum": [1, 2.5, True]},
            {"type": ["integer", "number", "boolean"], "enum": [1, 2.5, True]},
        ),
        ({"type": ["string", "null"], "enum": ["a", None]},) * 2,
        (
            {"type": "string", "format": "uri"},
            {"type": "string", "description": "format: uri"},
        ),
        (
            {"type": "string", "format": "email", "$comment": "x"},
            {"type": "string", "format": "email"},
        ),
        (
            {"properties": {}},
            {
                "type": "object",
                "properties": {},
                "required": [],
                "additionalProperties": False,
            },
        ),
        (
            {"type": "integer", "readOnly": True, "maximum": 3},
            {"type": "integer", "maximum": 3},
        ),
    ],
)
def test_said_otherwise(schema: dict[str, Any], said: dict[str, Any]) -> None:
    """What strict mode says in other words means the same."""
    converted = to_strict(around(schema))
    assert converted is not None
    assert converted["properties"] == {"a": said}
    assert broken_rules(converted) == []


def nested(levels: int) -> dict[str, Any]:
    """Objects in objects."""
    schema: dict[str, Any] = NULL
    for _ in range(levels):
        schema = around(schema)
    return schema


def deep(depth: int) -> dict[str, Any]:
    """Arrays in arrays."""
    schema: dict[str, Any] = NULL
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def texts(count: int, length: int) -> list[str]:
    """Different texts of one length."""
    return [f"{number:0{length}}" for number in range(count)]


def many(count: int, length: int) -> dict[str, Any]:
    """An object with many properties."""
    return {"properties": dict.fromkeys(texts(count, length), NULL), "type": "object"}


@pytest.mark.parametrize(
    "schema",
    [
        around(schema=True),
        around({}),
        around({"description": "anything"}),
        around({"type": "any"}),
        around({"type": []}),
        around({"type": ["string", {}]}),
        around({"enum": []}),
        around({"enum": [[1]]}),
        around({"type": "array"}),
        around({"type": "array", "items": {}}),
        around({"type": "array", "prefixItems": [NULL], "items": False}),
        around({"type": "object"}),
        around({"type": ["object", "null"]}),
        around({"type": "object", "properties": {}, "additionalProperties": True}),
        around({"type": "object", "properties": {}, "additionalProperties": NULL}),
        around({"type": "object", "properties": {}, "minProperties": 1}),
        around({"allOf": [NULL, NULL]}),
        around({"anyOf": []}),
        around({"anyOf": NULL}),
        around({"anyOf": [NULL], "oneOf": [NULL]}),
        around({"anyOf": [NULL], "type": "null"}),
        around({"not": NULL, "type": "string"}),
        around({"type": "string", "nullable": True}),
        around({"if": NULL, "then": NULL, "type": "null"}),
        around({"$ref": "#/$defs/Nowhere"}),
        around({"$ref": "#/properties/b"}),
        around({"$ref": "https://example.org"}),
        around({"$ref": "#/$defs/N", "minimum": 1}, N=NULL),
        around({"$ref": "#/$defs/N"}, N={"type": "object"}),
        {"type": "object", "properties": [], "$defs": 5},
        nested(11),
        around(deep(10_000)),
        many(5_001, 5),
        many(3_000, 41),
        around({"enum": texts(1_001, 4)}),
        around({"enum": texts(251, 60)}),
        around(NULL, **{"N" * 121_000: NULL}),
        around({"const": "a" * 121_000}),
    ],
)
def test_cannot_be_said(schema: dict[str, Any]) -> None:
    """What strict mode has no words for, or no room, is not said at all."""
    assert to_strict(schema) is None


@pytest.mark.parametrize(
    "schema",
    [
        nested(10),
        many(5_000, 5),
        around({"enum": list(range(1_000))}),
        around({"enum": texts(250, 61)}),
        around({"enum": texts(251, 59)}),
        around({"$ref": "#"}),
        around({"$ref": "#/$defs/a~1b~0c"}, **{"a/b~c": nested(10)}),
    ],
)
def test_within_limits(schema: dict[str, Any]) -> None:
    """The limits themselves are allowed; a definition is not nested where it is used."""
    assert to_strict(schema) is not None


def test_described_reference() -> None:
    """A reference stands alone, and its description beside an anyOf."""
    reference = {"$ref": "#/$defs/N"}
    converted = to_strict(around({**reference, "description": "d", "default": 1}, N=NULL))
    assert converted is not None
    assert converted["properties"] == {"a": {"description": "d", "anyOf": [reference]}}
    assert broken_rules(converted) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": NULL},
        around(NULL),
        {**around({"$ref": "#/$defs/N", "title": "x"}), "required": ["a"]},
        nested(11),
        around({"enum": ["a"]}),
        around({"anyOf": [NULL], "type": "null"}),
        around({"anyOf": []}),
        around({"type": "string", "format": "uri"}),
        around({"type": "string", "pattern": "(?=a)"}),
        around({"type": "string", "enum": []}),
        around({"type": "string", "enum": texts(251, 60)}),
        around({"type": "string", "enum": texts(1_001, 4)}),
        around({"type": "string", "const": "a" * 121_000}),
        around(schema=False),
        many(5_001, 5),
    ],
)
def test_rules_can_be_broken(schema: dict[str, Any]) -> None:
    """The checker of the tests finds what OpenAI refuses."""
    assert broken_rules(schema)
