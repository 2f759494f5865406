"""What a JSON schema is made of: its nodes, and the references between them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Schema = dict[str, object]

_NAMED = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "propertyNames", "contains"),
    *("not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties"),
)

DEFINITIONS = "#/$defs/"
_OLD_DEFINITIONS = "#/definitions/"  # Until the draft of 2019.


def children(node: Mapping[str, object]) -> Iterator[Schema]:
    """Yield the schemas that stand in *node*, not those in them."""
    for keyword in node:
        values: Iterable[object] = ()
        if keyword in _NAMED:
            values = mapping(node, keyword).values()
        elif keyword in _LISTED:
            values = listed(node, keyword)
        elif keyword in _SINGLE:
            values = (node[keyword],)
        for child in values:
            if isinstance(child, dict):
                yield cast("Schema", child)


def mapping(node: Mapping[str, object], keyword: str) -> Schema:
    """Return the mapping under *keyword* in *node*; an empty one for anything else."""
    value = node.get(keyword)
    return cast("Schema", value) if isinstance(value, dict) else {}


def listed(node: Mapping[str, object], keyword: str) -> list[object]:
    """Return the list under *keyword* in *node*; an empty one for anything else."""
    value = node.get(keyword)
    return cast("list[object]", value) if isinstance(value, list) else []


def walk(root: Schema) -> Iterator[Schema]:
    """Yield *root*, and every schema in it."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(children(node))


def property_names(root: Schema) -> set[str]:
    """Return the names of all properties in *root*."""
    return {name for node in walk(root) for name in mapping(node, "properties")}


def resolve(reference: object, root: Mapping[str, object]) -> Schema | None:
    """Return the definition in *root* that *reference* names; None if it has none."""
    if reference == "#":
        return cast("Schema", root)
    name = definition_name(reference)
    target = None if name is None else mapping(root, "$defs").get(name)
    return cast("Schema", target) if isinstance(target, dict) else None


def definition_name(reference: object) -> str | None:
    """Return the name of the definition that *reference* leads to; None for another."""
    if not isinstance(reference, str) or not reference.startswith(DEFINITIONS):
        return None
    return reference.removeprefix(DEFINITIONS).replace("~1", "/").replace("~0", "~")


def rewrite_references(root: Schema, rewrite: Callable[[str], str]) -> None:
    """Replace every reference in *root* by what *rewrite* makes of it."""
    seen: set[int] = set()  # What stands in two places is replaced once.
    for node in walk(root):
        reference = node.get("$ref")
        if isinstance(reference, str) and id(node) not in seen:
            seen.add(id(node))
            node["$ref"] = rewrite(reference)


def modernize(root: Schema) -> None:
    """Bring the definitions of *root* together under `$defs`."""
    old = root.pop("definitions", None)
    if isinstance(old, dict):
        root["$defs"] = {**old, **mapping(root, "$defs")}
        rewrite_references(
            root, lambda reference: reference.replace(_OLD_DEFINITIONS, DEFINITIONS, 1)
        )


def open_tuples(root: Schema) -> None:
    """Leave `items: false` out of the tuples in *root*, whose length says the same.

    llama.cpp (b11549) refuses the word: "schema must be an object".
    """
    for node in walk(root):
        length = len(listed(node, "prefixItems"))
        if node.get("items") is False and node.get("maxItems") == length:
            del node["items"]


def hoist_definitions(root: Schema) -> None:
    """Bring the definitions that stand inside of *root* to its top, under new names.

    A schema that was made by another library stands inside of one of msgspec's, with
    references as if it were at the top.
    """
    top = mapping(root, "$defs")
    for node in list(walk(root)):
        if node is root or not isinstance(node.get("$defs"), dict):
            continue
        inner = cast("Schema", node.pop("$defs"))
        renamed = {name: _name_for(name, schema, top) for name, schema in inner.items()}
        references = {DEFINITIONS + old: DEFINITIONS + new for old, new in renamed.items()}
        holder: Schema = {"$defs": inner, "anyOf": [node]}
        rewrite_references(holder, functools.partial(_look_up, references))
        top.update({renamed[name]: schema for name, schema in inner.items()})
    if top:
        root["$defs"] = top


def _look_up(references: Mapping[str, str], reference: str) -> str:
    return references.get(reference, reference)


def _name_for(name: str, schema: object, top: Schema) -> str:
    """Return *name*, or another if *top* has that for another schema."""
    number, candidate = 2, name
    while candidate in top and top[candidate] != schema:
        candidate = f"{name}-{number}"
        number += 1
    return candidate


def inline_root(root: Schema) -> Schema:
    """Return *root* with the definition that it refers to in its place.

    The root has to be an object, and no reference, on OpenAI and others. A definition
    that nothing refers to any more is left out.
    """
    seen: set[str] = set()
    while isinstance(reference := root.get("$ref"), str) and reference not in seen:
        seen.add(reference)
        target = resolve(reference, root)
        if target is None or target is root:
            break
        own = {keyword: value for keyword, value in root.items() if keyword != "$ref"}
        root = {**target, **own}
    return _without_unused(root)


def _without_unused(root: Schema) -> Schema:
    definitions = mapping(root, "$defs")
    used: dict[str, None] = {}
    stack = [{k: v for k, v in root.items() if k != "$defs"}]
    while stack:
        for node in walk(stack.pop()):
            name = definition_name(node.get("$ref"))
            target = definitions.get(name or "")
            if name is not None and name not in used and isinstance(target, dict):
                used[name] = None
                stack.append(cast("Schema", target))
    kept = {name: schema for name, schema in definitions.items() if name in used}
    rest = {keyword: value for keyword, value in root.items() if keyword != "$defs"}
    return {**rest, "$defs": kept} if kept else rest


def is_object(root: Mapping[str, object]) -> bool:
    """Return whether every instance of *root* is an object, as far as its type tells."""
    if "type" in root:
        return root["type"] == "object"
    return "properties" in root


def wrap(root: Schema) -> Schema:
    """Return the schema of an object whose only property, `value`, is of *root*."""
    rewrite_references(root, _below_value)
    definitions = root.pop("$defs", None)
    wrapped: Schema = {
        "type": "object",
        "properties": {"value": root},
        "required": ["value"],
        "additionalProperties": False,
    }
    return {**wrapped, "$defs": definitions} if definitions else wrapped


def _below_value(reference: str) -> str:
    if reference.startswith(DEFINITIONS) or not reference.startswith("#"):
        return reference
    return "#/properties/value" + reference[1:]
