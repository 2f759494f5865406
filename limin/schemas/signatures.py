"""The JSON schema of a function's parameters, and JSON as the arguments of a call."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import attrs
import msgspec

from limin.errors import ConfigurationError
from limin.json_text.paths import step_of
from limin.schemas import misfits, nodes, sources
from limin.schemas.docstrings import parse_docstring
from limin.schemas.names import outgoing_name
from limin.schemas.strict import to_strict

if TYPE_CHECKING:
    from limin.schemas.nodes import Schema

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@attrs.frozen
class _Parameter:
    """One parameter of a function.

    Attributes:
        name: Its name.
        is_required: Whether it has no default.
        accepts_null: Whether None is of its type.
        decode: Reads an instance of its type, or raises a `MisfitError`.
    """

    name: str
    is_required: bool
    accepts_null: bool
    decode: Callable[[bytes], object]

    @property
    def path(self) -> str:
        """The place of the argument for it."""
        return f"${step_of(self.name)}"

    def is_left_out(self, data: bytes) -> bool:
        """Return whether *data* stands for no argument."""
        return data == b"null" and not self.is_required and not self.accepts_null

    def read(self, data: bytes) -> object:
        """Return the argument that *data* is."""
        try:
            return self.decode(data)
        except misfits.MisfitError as error:
            raise error.below(self.path) from error.__cause__


@attrs.frozen
class SignatureSchema:
    """The parameters of a function, as JSON has them.

    Attributes:
        name: The function's name, as OpenAI's rule takes it.
        description: The summary of its docstring; empty without one.
        schema: The JSON schema of an object with its parameters.
        is_strict: Whether `schema` is in the words of strict mode.
    """

    name: str
    description: str
    schema: dict[str, object]
    is_strict: bool
    _parameters: tuple[_Parameter, ...] = attrs.field(alias="parameters", repr=False)

    def decode_arguments(
        self, arguments: str | bytes | Mapping[str, object]
    ) -> dict[str, object]:
        """Return *arguments* as keyword arguments of the function's types.

        What is left out is not in the result, so that the function's own default applies;
        so is null for a parameter with a default whose type has no None.

        Args:
            arguments: An object as JSON, or one that was decoded already. Blank text
                stands for no arguments, as some servers send it.

        Raises:
            MisfitError: If they are no JSON, or do not fit; `path` is `$.city` for the
                parameter `city`.
        """
        given = _read_object(arguments)
        if not given.keys() <= {parameter.name for parameter in self._parameters}:
            names = ", ".join(parameter.name for parameter in self._parameters)
            problem = f"an unknown argument; the function takes {names or 'none'}"
            raise misfits.invalid(problem)
        read: dict[str, object] = {}
        for parameter in self._parameters:
            data = given.get(parameter.name)
            if data is None and parameter.is_required:
                problem = "missing"
                raise misfits.invalid(problem, parameter.path)
            if data is not None and not parameter.is_left_out(bytes(data)):
                read[parameter.name] = parameter.read(bytes(data))
        return read


def signature_schema(function: Callable[..., object], *, strict: bool) -> SignatureSchema:
    """Return the JSON schema of the parameters of *function*.

    A parameter with a default is optional. Strict mode knows no optional property, so
    there it may be null instead. What a `functools.partial` has bound by name, and the
    `self` of a method, is no parameter.

    Args:
        function: A function, sync or async; a method of an instance; a partial; or an
            object with `__call__`.
        strict: Whether to say it in strict mode, if that can be.

    Raises:
        ConfigurationError: If a parameter cannot be given by name or has no type, or if
            its type has no schema.
    """
    inner = _inner(function)
    name = str(getattr(inner, "__name__", type(inner).__name__))
    docstring = parse_docstring(_written_docstring(inner))
    parameters = _parameters(function, name)
    kinds = [
        (f"{name}.{parameter.name}", _resolve(parameter, inner, name))
        for parameter in parameters
    ]
    schemas, definitions = sources.schemas_of(kinds)
    properties: dict[str, Schema] = {}
    for parameter, schema in zip(parameters, schemas, strict=True):
        properties[parameter.name] = _described(
            schema, docstring.arguments.get(parameter.name)
        )
    names = functools.cache(
        lambda: nodes.property_names({"anyOf": schemas, "$defs": definitions})
    )
    readers = tuple(
        _reader(parameter, sources.type_decoder(kind), names)
        for parameter, (_, kind) in zip(parameters, kinds, strict=True)
    )
    said = to_strict(_object(properties, definitions, readers, nullable=True))
    is_strict = strict and said is not None
    loose = _object(properties, definitions, readers, nullable=False)
    return SignatureSchema(
        name=outgoing_name(name),
        description=docstring.summary,
        schema=said if strict and said is not None else loose,
        is_strict=is_strict,
        parameters=readers,
    )


def _inner(function: object) -> object:
    """Return the function that has the name and the docstring of *function*."""
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    if isinstance(function, type) or not callable(function):
        kind = "a class" if isinstance(function, type) else type(function).__name__
        problem = f"function: expected a function, found {kind}"
        raise ConfigurationError(problem)
    return inspect.unwrap(function)


def _routine(inner: object) -> Callable[..., object]:
    """Return what runs when *inner* is called: itself, or its class's `__call__`."""
    routine = inner if inspect.isroutine(inner) else type(inner).__call__
    return cast("Callable[..., object]", routine)


def _written_docstring(inner: object) -> str | None:
    """Return the docstring of *inner*: of its class's `__call__`, if that has one."""
    own = None if inspect.isroutine(inner) else _routine(inner).__doc__
    return own or inspect.getdoc(inner)


def _parameters(function: Callable[..., object], name: str) -> list[inspect.Parameter]:
    """Return the parameters that a model gives."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        problem = f"{name}: Python does not know its parameters"
        raise ConfigurationError(problem) from None
    bound: set[str] = set()
    while isinstance(function, functools.partial):
        bound.update(function.keywords)
        function = function.func
    for parameter in parameters:
        if parameter.kind in _VARIADIC:
            problem = f"{name}: expected named parameters, found {parameter}"
        elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            problem = (
                f"{name}: the parameter {parameter.name} is positional only; arguments "
                "are given by name"
            )
        else:
            continue
        raise ConfigurationError(problem)
    return [parameter for parameter in parameters if parameter.name not in bound]


def _resolve(parameter: inspect.Parameter, inner: object, name: str) -> object:
    """Return the type of *parameter*, which may be written as a string."""
    if parameter.annotation is inspect.Parameter.empty:
        problem = f"{name}: the parameter {parameter.name} has no annotation"
        raise ConfigurationError(problem)
    written = inspect.unwrap(_routine(inner))
    holder = types.SimpleNamespace(
        __annotations__={parameter.name: parameter.annotation},
        __type_params__=getattr(written, "__type_params__", ()),
    )
    try:
        hints = typing.get_type_hints(
            holder, getattr(written, "__globals__", {}), include_extras=True
        )
    except Exception as error:  # noqa: BLE001 (an annotation is any expression)
        reason = f"{error.name!r} is not defined" if isinstance(error, NameError) else ""
        problem = (
            f"{name}: the annotation of {parameter.name} cannot be resolved where the "
            f"function is defined: {reason or type(error).__name__}"
        )
        raise ConfigurationError(problem) from None
    return hints[parameter.name]


def _described(schema: Schema, description: str | None) -> Schema:
    """Return *schema* with *description*, unless its type has one."""
    if not description or "description" in schema:
        return schema
    return {"description": description, **schema}


def _reader(
    parameter: inspect.Parameter,
    decode: Callable[[bytes], object],
    names: misfits.Names,
) -> _Parameter:
    def read(data: bytes) -> object:
        return misfits.read(data, decode, names)

    try:
        read(b"null")
    except misfits.MisfitError:
        accepts_null = False
    else:
        accepts_null = True
    is_required = parameter.default is inspect.Parameter.empty
    return _Parameter(parameter.name, is_required, accepts_null, read)


def _object(
    properties: Mapping[str, Schema],
    definitions: Schema,
    parameters: tuple[_Parameter, ...],
    *,
    nullable: bool,
) -> Schema:
    """Return the schema of an object with *properties*.

    Args:
        properties: The schemas of the parameters by name.
        definitions: What they refer to.
        parameters: The parameters.
        nullable: Whether an optional parameter may be null, instead of not required.
    """
    shown = dict(properties)
    for parameter in parameters:
        if nullable and not parameter.is_required and not parameter.accepts_null:
            shown[parameter.name] = _nullable(properties[parameter.name])
    root: Schema = {
        "type": "object",
        "properties": shown,
        "required": [parameter.name for parameter in parameters if parameter.is_required],
        "additionalProperties": False,
    }
    return {**root, "$defs": definitions} if definitions else root


def _nullable(schema: Schema) -> Schema:
    inner = {key: value for key, value in schema.items() if key != "description"}
    outer = {key: value for key, value in schema.items() if key == "description"}
    return {**outer, "anyOf": [inner, {"type": "null"}]}


def _read_object(
    arguments: str | bytes | Mapping[str, object],
) -> dict[str, msgspec.Raw]:
    if isinstance(arguments, Mapping):
        try:
            data = msgspec.json.encode(dict(arguments))
        except Exception:  # noqa: BLE001 (what the values of the mapping raise)
            problem = "a mapping that is no JSON"
            raise misfits.invalid(problem) from None
    else:
        data = misfits.encode(arguments)
    if not data.strip():
        return {}
    return misfits.read(data, _OBJECT.decode, frozenset)
