"""What msgspec's schema of a type leaves out: the order of fields, and dates.

Fields are written in the order of the schema, so a field for the reasons stands before
the one for the answer only if the schema has it there; msgspec sorts those of a
TypedDict, and has those with a default last. A date with time that may lack an offset
is any text in msgspec's schema. That a set has no member twice, and where null stands in
a union, depends on the version of msgspec.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, cast

from msgspec import inspect as mi

from limin.schemas import nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.schemas.nodes import Schema

_CLASSES = (mi.StructType, mi.TypedDictType, mi.DataclassType, mi.NamedTupleType)

# How msgspec makes the name of a definition from that of a class.
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9.\-_]")

_NAIVE = "a date and a time without an offset, such as 2026-01-31T12:00:00"


def refine(types: Sequence[object], schemas: Sequence[Schema], definitions: Schema) -> None:
    """Complete *schemas* and *definitions*, which msgspec made of *types*, in place.

    Raises:
        TypeError: For a dataclass of pydantic, which msgspec takes for any other.
    """
    refinement = _Refinement(definitions)
    infos = mi.multi_type_info(cast("Any", types))
    for info, schema in zip(infos, schemas, strict=True):
        refinement.visit(info, schema)


class _Refinement:
    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._seen: set[int] = set()

    def visit(self, info: mi.Type, node: object) -> None:
        """Refine *node*, the schema of *info*, and all that is in it."""
        while isinstance(info, mi.Metadata):
            info = info.type
        if isinstance(info, _CLASSES):
            self._visit_class(info)
        elif isinstance(node, dict):
            self._visit_node(info, cast("Schema", node))

    def _visit_node(self, info: mi.Type, node: Schema) -> None:
        if isinstance(info, (mi.DateTimeType, mi.TimeType)):
            _tell_format(info, node)
        elif isinstance(info, mi.CollectionType):
            self.visit(info.item_type, node.get("items"))
            if isinstance(info, (mi.SetType, mi.FrozenSetType)):
                node["uniqueItems"] = True
        elif isinstance(info, mi.TupleType):
            for item, child in zip(
                info.item_types, nodes.listed(node, "prefixItems"), strict=True
            ):
                self.visit(item, child)
        elif isinstance(info, mi.DictType):
            self.visit(info.value_type, node.get("additionalProperties"))
        elif isinstance(info, mi.UnionType):
            options = cast("list[Schema]", nodes.listed(node, "anyOf"))
            node["anyOf"] = sorted(options, key=_is_null)
            for member in info.types:
                self.visit(member, _option(member, options))

    def _visit_class(
        self,
        info: mi.StructType | mi.TypedDictType | mi.DataclassType | mi.NamedTupleType,
    ) -> None:
        if hasattr(info.cls, "__pydantic_validator__"):
            problem = (
                "nothing would run the validators of a pydantic dataclass; a BaseModel's "
                "do run"
            )
            raise TypeError(problem)
        node = self._definition(info.cls)
        if node is None or id(node) in self._seen:
            return
        self._seen.add(id(node))
        if "description" in node:
            node["description"] = inspect.cleandoc(str(node["description"]))
        properties = nodes.mapping(node, "properties")
        children = list(properties.values()) or nodes.listed(node, "prefixItems")
        children = children[len(children) - len(info.fields) :]  # Behind a tag.
        fields = [field.encode_name for field in info.fields]
        for field, child in zip(info.fields, children, strict=True):
            self.visit(field.type, child)
        if properties and not isinstance(info, mi.StructType):
            order = [name for name in _definition_order(info.cls) if name in fields]
            node["properties"] = {name: properties[name] for name in order}
            required = nodes.listed(node, "required")
            node["required"] = [name for name in order if name in required]

    def _definition(self, kind: object) -> Schema | None:
        """Return the definition of the class *kind*, by the name that msgspec gives it."""
        origin = cast("type", getattr(kind, "__origin__", kind))
        full = f"{origin.__module__}.{origin.__qualname__}"
        for name in (_class_name(kind, origin), full):
            node = self._definitions.get(_NOT_IN_A_NAME.sub("_", name))
            if isinstance(node, dict):
                return cast("Schema", node)
        return None


def _class_name(kind: object, origin: type) -> str:
    if kind is origin:
        return origin.__name__
    arguments = cast("Any", kind).__args__
    shown = (arg.__name__ if isinstance(arg, type) else repr(arg) for arg in arguments)
    return f"{origin.__name__}[{', '.join(shown)}]"


def _definition_order(kind: object) -> list[str]:
    """Return the names of the fields of the class *kind*, as they were written."""
    origin = getattr(kind, "__origin__", kind)
    attributes = getattr(origin, "__attrs_attrs__", None)
    if attributes is not None:
        return [attribute.name for attribute in attributes]
    return list(getattr(origin, "__dataclass_fields__", origin.__annotations__))


def _tell_format(info: mi.DateTimeType | mi.TimeType, node: Schema) -> None:
    if info.tz is None:
        is_time = isinstance(info, mi.TimeType)
        node.setdefault("format", "time" if is_time else "date-time")
    elif info.tz is False and isinstance(info, mi.DateTimeType):
        node.setdefault("description", _NAIVE)


def _is_null(option: Schema) -> bool:
    return option.get("type") == "null"


def _option(member: mi.Type, options: Sequence[Schema]) -> object:
    """Return the schema of *member* among those of a union.

    msgspec lets no union have two members of one type of JSON, but those of classes,
    which are found by their name.
    """
    while isinstance(member, mi.Metadata):
        member = member.type
    kind = "string"
    if isinstance(member, (mi.CollectionType, mi.TupleType)):
        kind = "array"
    elif isinstance(member, mi.DictType):
        kind = "object"
    matching = (option for option in options if option.get("type") == kind)
    return next(matching, None)
