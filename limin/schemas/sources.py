"""Types and their JSON schemas, as msgspec and pydantic make them.

Models of pydantic are known by their shape, wherever they stand in a type; limin never
imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import msgspec

from limin.errors import ConfigurationError
from limin.schemas import misfits, nodes
from limin.schemas.blame import blame
from limin.schemas.refinement import refine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import TypeIs

    from limin.schemas.nodes import Schema

T_co = TypeVar("T_co", covariant=True)


class SchemaAdapter(Protocol[T_co]):
    """The shape of pydantic's `TypeAdapter`."""

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        ...

    def validate_json(self, data: bytes, /) -> T_co:
        """Return the instance that *data* is."""
        ...


class _Model(Protocol):
    """The shape of pydantic's `BaseModel`."""

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]: ...

    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> object: ...


def is_foreign(kind: object) -> TypeIs[SchemaAdapter[object] | type[_Model]]:
    """Return whether *kind* is a model or a `TypeAdapter` of pydantic, by its shape."""
    return _is_model(kind) or (
        not isinstance(kind, type) and _has_methods(kind, "json_schema", "validate_json")
    )


def _is_model(kind: object) -> TypeIs[type[_Model]]:
    return isinstance(kind, type) and _has_methods(
        kind, "model_json_schema", "model_validate_json"
    )


def _has_methods(value: object, *names: str) -> bool:
    return all(callable(getattr(value, name, None)) for name in names)


def schemas_of(
    types: Sequence[tuple[str, object]],
) -> tuple[list[Schema], Schema]:
    """Return the schemas of *types*, and the definitions that they refer to.

    Args:
        types: Each with the name that it has in an error.

    Raises:
        ConfigurationError: If a part of a type has no schema; it names the part.
    """
    try:
        return _schemas_of([kind for _, kind in types])
    except Exception as error:  # noqa: BLE001 (annotations and models raise anything)
        problem = blame(types, error, lambda kind: _schemas_of([kind]))
    raise problem from None


def _schemas_of(types: Sequence[object]) -> tuple[list[Schema], Schema]:
    schemas, definitions = msgspec.json.schema_components(
        cast("Sequence[Any]", types), schema_hook=_model_schema
    )
    refine(types, schemas, definitions)
    holder: Schema = {"anyOf": list(schemas), "$defs": definitions}
    nodes.hoist_definitions(holder)
    nodes.open_tuples(holder)
    return list(schemas), nodes.mapping(holder, "$defs")


def _model_schema(kind: type) -> dict[str, Any]:
    if _is_model(kind):
        return kind.model_json_schema()
    raise NotImplementedError


def type_decoder(kind: object) -> Callable[[bytes], object]:
    """Return the function that reads an instance of *kind*."""
    decoder = msgspec.json.Decoder(cast("Any", kind), dec_hook=_read_model)
    return decoder.decode


def _read_model(kind: type, value: object) -> object:
    """Return the instance of a model that stands inside of one of msgspec's types."""
    model = cast("type[_Model]", kind)
    return misfits.read(
        msgspec.json.encode(value),
        model.model_validate_json,
        lambda: nodes.property_names(model.model_json_schema()),
    )


def foreign(
    kind: SchemaAdapter[object] | type[_Model],
) -> tuple[Schema, Callable[[bytes], object], str]:
    """Return the schema of *kind*, the reader of an instance, and a name.

    Raises:
        ConfigurationError: If pydantic makes no schema of it.
    """
    if isinstance(kind, type):
        name, make = kind.__name__, kind.model_json_schema
        validate = kind.model_validate_json
    else:
        name, make, validate = "the TypeAdapter", kind.json_schema, kind.validate_json
    try:
        root = make()
    except Exception as error:  # noqa: BLE001 (whatever the types in it raise)
        problem = f"{name} has no JSON schema ({type(error).__name__})"
        raise ConfigurationError(problem) from None
    title = str(root.get("title", ""))
    return root, _after_msgspec(validate), name if isinstance(kind, type) else title


def _after_msgspec(validate: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Return pydantic's *validate*, which takes NaN, for what is JSON."""

    def decode(data: bytes) -> object:
        msgspec.json.decode(data)
        return validate(data)

    return decode
