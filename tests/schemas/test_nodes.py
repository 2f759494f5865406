from typing import Any

import attrs
import pydantic
import pytest
from schema_kinds import Cow

from limin.schemas import nodes
from limin.schemas.json_schema import JsonSchema


def model(**fields: Any) -> Any:
    """A model called Cow, with a part called Part."""
    part: Any = pydantic.create_model("Part", **fields)
    return pydantic.create_model("Cow", part=(part, ...))


@attrs.frozen
class Herd:
    first: model(a=(int, ...))  # type: ignore[valid-type]  # made here
    second: model(b=(str, ...))  # type: ignore[valid-type]
    third: model(a=(int, ...))  # type: ignore[valid-type]
    cow: Cow


def test_definitions_of_one_name() -> None:
    """Different models of one name keep their own definitions; equal ones share one."""
    made = JsonSchema(Herd)
    definitions: Any = made.schema["$defs"]
    properties: Any = made.schema["properties"]
    parts = [properties[name]["properties"]["part"]["$ref"] for name in ("first", "second")]
    assert len(set(parts)) == 2
    assert parts[0] == properties["third"]["properties"]["part"]["$ref"]
    found = [nodes.resolve(part, made.schema) for part in parts]
    assert [list(part["properties"]) for part in found if part] == [["a"], ["b"]]  # type: ignore[call-overload]
    assert len(definitions) == 2
    text = """{"first": {"part": {"a": 1}}, "second": {"part": {"b": "x"}},
        "third": {"part": {"a": 2}}, "cow": {"kind": "cow"}}"""
    assert made.decode(text).cow == Cow(kind="cow")


def test_walk_enters_every_keyword() -> None:
    """A schema is found wherever JSON Schema lets one stand, and nowhere else."""
    leaf = {"type": "null"}
    root: nodes.Schema = {
        **{keyword: {"x": dict(leaf)} for keyword in ("properties", "$defs")},
        **{keyword: {"x": dict(leaf), "y": 5} for keyword in ("definitions",)},
        **{keyword: [dict(leaf), True] for keyword in ("anyOf", "oneOf", "prefixItems")},
        **{keyword: dict(leaf) for keyword in ("items", "not", "if")},
        "patternProperties": 5,
        "allOf": {},
        "default": {"type": "null"},
        "enum": [{"type": "null"}],
        "then": True,
    }
    assert sum(node == leaf for node in nodes.walk(root)) == 9


@pytest.mark.parametrize("reference", [None, 5, "", "#/x", "#/$defs/b", "#/$defs/c", "x#"])
def test_reference_that_leads_nowhere(reference: object) -> None:
    """Only definitions, and the root, can be referred to."""
    assert nodes.resolve(reference, {"$defs": {"a": {}, "c": True}}) is None
    assert nodes.resolve("#/$defs/a", {"$defs": {"a": {}}}) == {}


@pytest.mark.parametrize(
    ("tuple_", "opened"),
    [
        ({"prefixItems": [{}], "maxItems": 1, "items": False}, True),
        ({"prefixItems": [{}], "maxItems": 2, "items": False}, False),
        ({"prefixItems": [{}], "items": False}, False),
        ({"prefixItems": [{}], "maxItems": 1, "items": {}}, False),
    ],
)
def test_length_of_a_tuple_is_said_once(tuple_: dict[str, object], *, opened: bool) -> None:
    """llama.cpp refuses `items: false`, which goes where `maxItems` says the same."""
    root: nodes.Schema = {"properties": {"a": {"type": "array", **tuple_}}}
    nodes.open_tuples(root)
    rest = {key: value for key, value in tuple_.items() if key != "items" or not opened}
    assert root == {"properties": {"a": {"type": "array", **rest}}}
