"""A type and its JSON schema: what goes out, and what comes back."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, TypeVar, cast, overload

import attrs
import msgspec

from limin.errors import ConfigurationError
from limin.json_text import paths
from limin.schemas import choices, misfits, nodes, sources
from limin.schemas.names import NAME, display_name, is_type, outgoing_name
from limin.schemas.strict import to_strict
from limin.values.checks import check_flag, check_text, plain_json, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import TypeForm

    from limin.schemas.nodes import Schema

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# A program has a few types, and a notebook makes new ones again and again.
_CACHED_TYPES = 256


class _Wrapped(msgspec.Struct):
    """A value that is no object, in an object."""

    value: msgspec.Raw


_WRAPPED = msgspec.json.Decoder(_Wrapped)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@attrs.frozen
class _Compiled:
    """What is made of a type once.

    Attributes:
        read: Reads an instance, not wrapped; raises a `MisfitError`.
        encoded: The schema that goes out, as JSON.
        is_strict: Whether `encoded` is in the words of strict mode.
        is_wrapped: Whether `encoded` is that of an object with the value in it.
        name: The name that goes out with it.
    """

    read: Callable[[bytes], object]
    encoded: bytes
    is_strict: bool
    is_wrapped: bool
    name: str


@attrs.frozen(init=False, repr=False)
class JsonSchema(Generic[T_co]):
    """A type with its JSON schema, or a JSON schema of your own.

    The schema is sent in OpenAI's strict mode if it can be said in it: all properties are
    required, those with a default, too, so that the model decides on them. Tuples,
    NamedTuples and mappings with free keys cannot be said. `is_strict` tells.

    A root that is no object is wrapped in one, under `value`, strict or not: OpenAI takes
    no other root.

    Validators of attrs and pydantic run when an answer is read. Converters of attrs do
    not: msgspec never calls them.

    Args:
        type: A type: attrs, dataclass, TypedDict, NamedTuple, msgspec.Struct, Enum,
            Literal, collections, unions that JSON can tell apart, scalars, dates; a model
            or a `TypeAdapter` of pydantic. Or a JSON schema as a mapping: the value is
            plain data then, and is not checked against it.
        strict: Whether to send strict mode; with False, the schema is sent as msgspec or
            pydantic makes it, or as you gave it.
        name: A name for the schema, of 1 to 64 letters of ASCII, digits, `_` and `-`;
            that of the type by default.
        description: What the value is, for the model.

    Attributes:
        type: The type, or the mapping.
        strict: Whether strict mode was asked for.
        name: The name that is sent.
        description: The description that is sent; None for none.
        schema: The JSON schema that is sent.
        is_strict: Whether `schema` is in the words of strict mode.
        is_wrapped: Whether `schema` is that of an object with the value in it.

    Raises:
        ConfigurationError: If a part of the type has no schema, which the error names; if
            the mapping is no JSON; or if an argument is wrong.
    """

    type: object
    strict: bool
    name: str
    description: str | None
    schema: dict[str, object] = attrs.field(eq=False)
    is_strict: bool = attrs.field(eq=False)
    is_wrapped: bool = attrs.field(eq=False)
    _read: Callable[[bytes], object] = attrs.field(eq=False)

    @overload
    def __init__(
        self: JsonSchema[object],
        type: Mapping[str, object],
        *,
        strict: bool = True,
        name: str | None = None,
        description: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: JsonSchema[T],
        type: TypeForm[T],
        *,
        strict: bool = True,
        name: str | None = None,
        description: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: JsonSchema[T],
        type: sources.SchemaAdapter[T],
        *,
        strict: bool = True,
        name: str | None = None,
        description: str | None = None,
    ) -> None: ...
    def __init__(
        self,
        type: object,  # noqa: A002
        *,
        strict: bool = True,
        name: str | None = None,
        description: str | None = None,
    ) -> None:
        compiled = _compiled(type, strict=check_flag("strict", strict))
        if description is not None:
            description = check_text("description", description)
        values = {
            "type": type,
            "strict": strict,
            "name": compiled.name if name is None else _check_name(name),
            "description": description,
            "schema": msgspec.json.decode(compiled.encoded),
            "is_strict": compiled.is_strict,
            "is_wrapped": compiled.is_wrapped,
            "_read": compiled.read,
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)

    def __repr__(self) -> str:
        shown = (
            "a JSON schema" if isinstance(self.type, Mapping) else display_name(self.type)
        )
        return f"<JsonSchema {self.name}: {shown}>"

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to make it again: a decoder cannot be pickled."""
        make = functools.partial(
            JsonSchema, strict=self.strict, name=self.name, description=self.description
        )
        return make, (self.type,)

    def decode(self, text: str | bytes) -> T_co:
        """Return the instance that *text* is, unwrapped.

        Raises:
            MisfitError: If *text* is no JSON, or does not fit.
        """
        data = misfits.encode(text)
        if self.is_wrapped:
            data = bytes(misfits.read(data, _WRAPPED.decode, frozenset).value)
        return cast("T_co", self._read(data))

    def decode_or_unwrap(self, text: str | bytes) -> T_co:
        """Return the instance that *text* is, wrapped or not.

        Only an object with `value` alone is unwrapped, and only if the root of the type is
        no object. So an answer can be read as another type than was asked for.

        Raises:
            MisfitError: If *text* is no JSON, or does not fit.
        """
        data = misfits.encode(text)
        if self.is_wrapped and _has_value_alone(data):
            return self.decode(data)
        return cast("T_co", self._read(data))

    def allowed_values(self, path: str) -> tuple[choices.Scalar, ...] | None:
        """Return the values that may stand at *path*; None if they are not finitely many.

        They are those of a Literal, of an Enum, of a bool and of None, as JSON has them.

        Args:
            path: A place in the value, as `$.country`; `$` is the value itself.

        Raises:
            ValueError: If *path* is no path.
        """
        keys = paths.keys_of(path)
        keys = ("value", *keys) if self.is_wrapped else keys
        return choices.allowed_values(self.schema, keys)


def _check_name(value: object) -> str:
    name = check_text("name", value)
    if NAME.fullmatch(name) is None:
        problem = (
            "name: expected 1 to 64 of the characters a-z, A-Z, 0-9, _ and -, found "
            "another str"
        )
        raise ConfigurationError(problem)
    return name


def _has_value_alone(data: bytes) -> bool:
    try:
        return misfits.read(data, _OBJECT.decode, frozenset).keys() == {"value"}
    except misfits.MisfitError:
        return False


def _compiled(kind: object, *, strict: bool) -> _Compiled:
    try:
        hash(kind)
    except TypeError:
        return _compile(kind, strict=strict)
    # Types that are equal may have their members in another order: int | str, str | int.
    spelled = "" if isinstance(kind, type) else repr(kind)
    return _compile_once(kind, spelled, strict=strict)


@functools.lru_cache(_CACHED_TYPES)
def _compile_once(kind: object, spelled: str, *, strict: bool) -> _Compiled:  # noqa: ARG001 (a part of the key)
    return _compile(kind, strict=strict)


def _compile(kind: object, *, strict: bool) -> _Compiled:
    root, decode, name = _source(kind)
    names = functools.cache(lambda: nodes.property_names(root))
    read = functools.partial(_read_with, decode, names)
    nodes.modernize(root)
    outgoing = nodes.inline_root(root)
    is_wrapped = not nodes.is_object(outgoing)
    outgoing = nodes.wrap(outgoing) if is_wrapped else outgoing
    said = to_strict(outgoing) if strict else None
    encoded = msgspec.json.encode(outgoing if said is None else said)
    return _Compiled(read, encoded, said is not None, is_wrapped, outgoing_name(name))


def _read_with(
    decode: Callable[[bytes], object], names: misfits.Names, data: bytes
) -> object:
    return misfits.read(data, decode, names)


def _source(kind: object) -> tuple[Schema, Callable[[bytes], object], str]:
    """Return the schema of *kind* as it is, the reader of an instance, and a name."""
    if isinstance(kind, Mapping):
        root = _plain_schema(cast("Mapping[str, object]", kind))
        return root, msgspec.json.decode, str(root.get("title", ""))
    if sources.is_foreign(kind):
        return sources.foreign(kind)
    if kind is None or not is_type(kind):
        refuse("type", kind, "a type or a JSON schema")
    name = display_name(kind)
    (schema,), definitions = sources.schemas_of([(name, kind)])
    root = {**schema, "$defs": definitions} if definitions else schema
    return root, sources.type_decoder(kind), name


def _plain_schema(schema: Mapping[str, object]) -> Schema:
    """Return a copy of *schema* as plain data."""
    try:
        copy = msgspec.json.decode(msgspec.json.encode(plain_json(schema)))
    except Exception:  # noqa: BLE001 (what the values of the mapping raise)
        problem = "type: expected a JSON schema, found a mapping that is no JSON"
        raise ConfigurationError(problem) from None
    return cast("Schema", copy)
