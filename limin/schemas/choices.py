"""Which finite set of values a schema allows at a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from limin.schemas import nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from limin.schemas.nodes import Schema

Scalar = str | int | float | bool | None


def allowed_values(root: Schema, keys: Iterable[str | int]) -> tuple[Scalar, ...] | None:
    """Return the values that *root* allows at *keys*; None if they are not finitely many.

    A place that *root* does not have has no values, and is None, too.
    """
    places = _expand([root], root)
    for key in keys:
        below = (child for node in places for child in _child(node, key))
        places = _expand(below, root)
    values: dict[tuple[type, Scalar], Scalar] = {}
    for node in places:
        finite = _values(node)
        if finite is None:
            return None
        values.update({(type(value), value): value for value in finite})
    return tuple(values.values()) or None


def _expand(schemas: Iterable[Schema], root: Schema) -> list[Schema]:
    """Return the schemas behind references and alternatives, each once."""
    expanded: list[Schema] = []
    stack = list(schemas)[::-1]
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        target = nodes.resolve(node.get("$ref"), root)
        options = [
            cast("Schema", option)
            for keyword in ("anyOf", "oneOf", "allOf")
            for option in nodes.listed(node, keyword)
            if isinstance(option, dict)
        ]
        further = options if target is None else [target]
        stack.extend(further[::-1])
        if not further:
            expanded.append(node)
    return expanded


def _child(node: Schema, key: str | int) -> Iterator[Schema]:
    """Yield the schema of what stands at *key* in an instance of *node*."""
    child: object
    if isinstance(key, str):
        properties = nodes.mapping(node, "properties")
        child = properties.get(key, node.get("additionalProperties"))
    else:
        prefix = nodes.listed(node, "prefixItems")
        child = prefix[key] if key < len(prefix) else node.get("items")
    if isinstance(child, dict):
        yield cast("Schema", child)


def _values(node: Schema) -> list[Scalar] | None:
    """Return the values that *node* allows; None if they are not finitely many scalars."""
    if "const" in node or "enum" in node:
        values = [node["const"]] if "const" in node else nodes.listed(node, "enum")
        scalars = [value for value in values if isinstance(value, Scalar)]
        return scalars if len(scalars) == len(values) else None
    finite: list[Scalar] = []
    for kind in nodes.listed(node, "type") or [node.get("type")]:
        if kind not in ("boolean", "null"):
            return None
        finite.extend([True, False] if kind == "boolean" else [None])
    return finite
