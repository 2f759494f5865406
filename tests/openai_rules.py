"""OpenAI's published rules for schemas in strict mode, as a checker.

Source: https://developers.openai.com/api/docs/guides/structured-outputs, section
"Supported schemas", read in November 2026. Each rule is quoted from there, but those of
the API's error messages, which name the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES = {"string", "number", "boolean", "integer", "object", "array", "null"}

# "Supported properties", by type; lengths are among those that only fine-tuned models
# refuse ("For fine-tuned models, we additionally do not support").
KEYWORDS = {
    "string": {"pattern", "format", "minLength", "maxLength"},
    "number": {
        *("multipleOf", "maximum", "exclusiveMaximum"),
        *("minimum", "exclusiveMinimum"),
    },
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
    "boolean": set(),
    "null": set(),
}
KEYWORDS["integer"] = KEYWORDS["number"]

FORMATS = {
    *("date-time", "time", "date", "duration", "email"),
    *("hostname", "ipv4", "ipv6", "uuid"),
}

ANYWHERE = {"title", "description"}


def broken_rules(schema: dict[str, Any]) -> list[str]:
    """Return what strict mode would refuse in *schema*; empty if it takes it."""
    return [*_root(schema), *_limits(schema), *_node(schema, schema, "#")]


def _root(schema: dict[str, Any]) -> Iterator[str]:
    """Root objects must not be `anyOf` and must be an object."""
    if schema.get("type") != "object":
        yield "#: the root is no object"


def _node(node: Any, root: dict[str, Any], place: str) -> Iterator[str]:
    if not isinstance(node, dict):
        yield f"{place}: no schema but {node!r}"
    elif "$ref" in node:
        yield from _reference(node, root, place)
    elif "anyOf" in node:
        yield from _any_of(node, root, place)
    else:
        yield from _value(node, root, place)
    if place == "#":
        for name, definition in node.get("$defs", {}).items():
            yield from _node(definition, root, f"#/$defs/{name}")


def _reference(node: dict[str, Any], root: dict[str, Any], place: str) -> Iterator[str]:
    """Definitions and recursive schemas are supported.

    Message: "$ref cannot have keywords {'description'}".
    """
    if len(node) > 1:
        yield f"{place}: $ref has siblings"
    reference = node["$ref"]
    name = reference.removeprefix("#/$defs/")
    if reference != "#" and name not in root.get("$defs", {}):
        yield f"{place}: {reference} leads nowhere"


def _any_of(node: dict[str, Any], root: dict[str, Any], place: str) -> Iterator[str]:
    """For anyOf, the nested schemas must each be a valid JSON Schema per this subset."""
    if not node.keys() <= {"anyOf", *ANYWHERE}:
        yield f"{place}: anyOf has siblings"
    if not node["anyOf"]:
        yield f"{place}: anyOf is empty"
    for number, option in enumerate(node["anyOf"]):
        yield from _node(option, root, f"{place}/anyOf/{number}")


def _value(node: dict[str, Any], root: dict[str, Any], place: str) -> Iterator[str]:
    """Check the supported types and properties.

    Message: "schema must have a 'type' key".
    """
    kinds = node.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not kinds or not set(kinds) <= TYPES:
        yield f"{place}: the type is {kinds}"
        return
    allowed = {"type", "enum", "const", *ANYWHERE, *(["$defs"] if place == "#" else [])}
    for kind in kinds:
        allowed |= KEYWORDS[kind]
    for keyword in node.keys() - allowed:
        yield f"{place}: {keyword} is not permitted"
    if node.get("format", "date") not in FORMATS:
        yield f"{place}: the format {node['format']}"
    if any(words in node.get("pattern", "") for words in ("(?=", "(?!", "(?<=", "(?<!")):
        yield f"{place}: regex lookaround is not supported"
    if "object" in kinds:
        yield from _object(node, root, place)
    if "array" in kinds:
        yield from _node(node.get("items"), root, f"{place}/items")
    yield from _enum(node, place)


def _object(node: dict[str, Any], root: dict[str, Any], place: str) -> Iterator[str]:
    """All fields must be required; additionalProperties: false must always be set."""
    if node.get("additionalProperties") is not False:
        yield f"{place}: additionalProperties is not false"
    if sorted(node.get("required", [])) != sorted(node.get("properties", {})):
        yield f"{place}: not all properties are required"
    for name, child in node.get("properties", {}).items():
        yield from _node(child, root, f"{place}/properties/{name}")


def _enum(node: dict[str, Any], place: str) -> Iterator[str]:
    """Check the size of one enum.

    For a single enum property with string values, the total string length of all enum
    values cannot exceed 15,000 characters when there are more than 250 enum values.
    """
    values = node.get("enum", [])
    if "enum" in node and not values:
        yield f"{place}: the enum is empty"
    if len(values) > 250 and sum(len(str(value)) for value in values) > 15_000:
        yield f"{place}: the enum is too large"


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    """Check the limits of the whole schema.

    A schema may have up to 5000 object properties total, with up to 10 levels of nesting.
    The total string length of all property names, definition names, enum values, and
    const values cannot exceed 120,000 characters. A schema may have up to 1000 enum
    values across all enum properties.
    """
    nodes = list(_walk(schema, 0))
    properties = [name for node, _ in nodes for name in node.get("properties", {})]
    values = [value for node, _ in nodes for value in node.get("enum", [])]
    constants = [node["const"] for node, _ in nodes if "const" in node]
    names = [*properties, *schema.get("$defs", {}), *values, *constants]
    if len(properties) > 5000:
        yield "too many properties"
    if sum(len(name) for name in names if isinstance(name, str)) > 120_000:
        yield "too many characters"
    if len(values) > 1000:
        yield "too many enum values"
    if max(level for _, level in nodes) > 10:
        yield "too many levels"


def _walk(node: Any, level: int) -> Iterator[tuple[dict[str, Any], int]]:
    if not isinstance(node, dict):
        return
    level += "properties" in node
    yield node, level
    children = [*node.get("properties", {}).values(), *node.get("anyOf", [])]
    for child in [*children, node.get("items")]:
        yield from _walk(child, level)
    for definition in node.get("$defs", {}).values():
        yield from _walk(definition, 0)
