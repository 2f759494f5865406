"""A JSON schema in the words of OpenAI's strict mode, if it can be said in them.

Source: https://developers.openai.com/api/docs/guides/structured-outputs, sections
"Supported schemas" to "Some type-specific keywords are not yet supported", as of
November 2026.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

from limin.schemas import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from limin.schemas.nodes import Schema

# "Supported properties", and the lengths of strings, which are refused only by models
# that were fine-tuned.
_CONSTRAINTS = frozenset(
    {
        *("pattern", "format", "minLength", "maxLength"),
        *("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("minItems", "maxItems"),
    }
)

_FORMATS = frozenset(
    {
        *("date-time", "time", "date", "duration", "email"),
        *("hostname", "ipv4", "ipv6", "uuid"),
    }
)

# Constraints that strict mode does not know. The model reads of them in the description,
# and they are checked when the answer is read.
_NOTED = frozenset({"uniqueItems", "contentEncoding", "contentMediaType"})

# Words that allow and forbid nothing.
_DROPPED = frozenset(
    {
        *("default", "examples", "example", "deprecated", "readOnly", "writeOnly"),
        *("$schema", "$id", "$comment", "discriminator"),
    }
)

_ANNOTATIONS = ("title", "description")
_ALTERNATIVES = ("anyOf", "oneOf", "allOf")

_KNOWN = frozenset(
    {
        *_CONSTRAINTS,
        *_NOTED,
        *_ANNOTATIONS,
        *_ALTERNATIVES,
        *("type", "enum", "const", "$ref", "$defs"),
        *("properties", "required", "additionalProperties", "items"),
    }
)

# `(?=`, `(?!`, `(?<=` and `(?<!` are refused: "regex lookaround is not supported".
_LOOKAROUND = re.compile(r"\(\?<?[=!]")

_TYPES = frozenset({"string", "number", "integer", "boolean", "null", "object", "array"})

_KINDS: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "null",
}

_MOST_PROPERTIES = 5_000
_MOST_LEVELS = 10
_MOST_CHARACTERS = 120_000
_MOST_ENUM_VALUES = 1_000
_LARGE_ENUM, _MOST_CHARACTERS_OF_A_LARGE_ENUM = 250, 15_000


class _UnsayableError(Exception):
    """Strict mode has no words for it."""


def to_strict(root: Schema) -> Schema | None:
    """Return *root*, whose root is an object, as strict mode takes it; None if it cannot.

    Every property is required, one with a default, too: the model decides on it. What
    strict mode has no keyword for becomes part of the description where it only narrows
    a value. Tuples and mappings with free keys cannot be said.
    """
    try:
        converted = _convert(root, root)
        definitions = nodes.mapping(root, "$defs")
        if definitions:
            converted["$defs"] = {
                name: _convert(schema, root) for name, schema in definitions.items()
            }
    except (_UnsayableError, RecursionError):
        return None
    return converted if _is_within_limits(converted) else None


def _convert(node: object, root: Schema) -> Schema:
    if not isinstance(node, dict):
        raise _UnsayableError
    node = {k: v for k, v in cast("Schema", node).items() if k not in _DROPPED}
    if not node.keys() <= _KNOWN:
        raise _UnsayableError
    annotations = {k: node[k] for k in _ANNOTATIONS if k in node}
    rest = {k: v for k, v in node.items() if k not in (*_ANNOTATIONS, "$defs")}
    if "$ref" in rest:
        return _reference(rest, annotations, root)
    if any(keyword in rest for keyword in _ALTERNATIVES):
        return _alternatives(rest, annotations, root)
    return _value(rest, annotations, root)


def _reference(rest: Schema, annotations: Schema, root: Schema) -> Schema:
    reference = rest["$ref"]
    if len(rest) > 1 or nodes.resolve(reference, root) is None:
        raise _UnsayableError
    # "$ref cannot have keywords {'description'}", but anyOf can. So the schema does not
    # grow, as it would if the definition were repeated here.
    return {**annotations, "anyOf": [rest]} if annotations else rest


def _alternatives(rest: Schema, annotations: Schema, root: Schema) -> Schema:
    """Return `oneOf`, and `allOf` a single schema, as `anyOf`."""
    if len(rest) > 1:
        raise _UnsayableError
    (keyword,) = rest
    options = nodes.listed(rest, keyword)
    if not options or (keyword == "allOf" and len(options) > 1):
        raise _UnsayableError
    return {**annotations, "anyOf": [_convert(option, root) for option in options]}


def _value(rest: Schema, annotations: Schema, root: Schema) -> Schema:
    kinds = _kinds(rest)
    converted: Schema = {"type": kinds[0] if len(kinds) == 1 else kinds}
    for keyword in ("enum", "const"):
        if keyword in rest:
            converted[keyword] = rest[keyword]
    if "object" in kinds:
        converted |= _object(rest, root)
    if "array" in kinds:
        converted["items"] = _convert(rest.get("items"), root)
    notes: list[str] = []
    for keyword in rest:
        if keyword in _NOTED or _is_unsayable_constraint(keyword, rest[keyword]):
            notes.append(f"{keyword}: {_spelled(rest[keyword])}")
        elif keyword in _CONSTRAINTS:
            converted[keyword] = rest[keyword]
    return {**_with_notes(annotations, notes), **converted}


def _object(rest: Schema, root: Schema) -> Schema:
    properties = rest.get("properties")
    # Without properties it takes any key, unless it says that there are none.
    if not isinstance(properties, dict) or rest.get("additionalProperties", False):
        raise _UnsayableError
    properties = cast("Schema", properties)
    return {
        "properties": {name: _convert(child, root) for name, child in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }


def _kinds(rest: Schema) -> list[str]:
    """Return the types of *rest*: as it tells them, or else those of its values."""
    told = rest.get("type")
    kinds = nodes.listed(rest, "type") or [told]
    if told is None and "properties" in rest:
        kinds = ["object"]
    elif told is None:
        kinds = list(dict.fromkeys(_kind(value) for value in _finite_values(rest)))
    if not kinds or not all(str(kind) in _TYPES for kind in kinds):
        raise _UnsayableError
    return cast("list[str]", kinds)


def _finite_values(rest: Mapping[str, object]) -> list[object]:
    return [rest["const"]] if "const" in rest else nodes.listed(rest, "enum")


def _kind(value: object) -> str | None:
    return _KINDS.get(type(value))


def _is_unsayable_constraint(keyword: str, value: object) -> bool:
    if keyword == "format":
        return value not in _FORMATS
    return keyword == "pattern" and _LOOKAROUND.search(str(value)) is not None


def _spelled(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _with_notes(annotations: Schema, notes: list[str]) -> Schema:
    if not notes:
        return annotations
    description = annotations.get("description")
    noted = "; ".join(notes)
    return {
        **annotations,
        "description": f"{description} ({noted})" if description else noted,
    }


def _is_within_limits(root: Schema) -> bool:
    properties = characters = enum_values = 0
    for node in nodes.walk(root):
        names = [*nodes.mapping(node, "properties"), *nodes.mapping(node, "$defs")]
        values = _finite_values(node)
        texts = [len(value) for value in values if isinstance(value, str)]
        if len(texts) > _LARGE_ENUM and sum(texts) > _MOST_CHARACTERS_OF_A_LARGE_ENUM:
            return False
        properties += len(nodes.mapping(node, "properties"))
        characters += sum(len(name) for name in names) + sum(texts)
        enum_values += len(values)
    return (
        properties <= _MOST_PROPERTIES
        and characters <= _MOST_CHARACTERS
        and enum_values <= _MOST_ENUM_VALUES
        and max(_levels(root)) <= _MOST_LEVELS
    )


def _levels(root: Schema) -> Iterator[int]:
    """Yield how many objects each schema stands in, not through references."""
    definitions = {id(schema) for schema in nodes.mapping(root, "$defs").values()}
    stack = [(root, 0)]
    while stack:
        node, level = stack.pop()
        level += "properties" in node
        yield level
        stack.extend(
            (child, 0 if id(child) in definitions else level)
            for child in nodes.children(node)
        )
