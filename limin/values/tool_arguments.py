"""The arguments of a model's call, read by the types of a function's parameters."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from limin.errors import ConfigurationError, ToolCallError
from limin.schemas.json_schema import JsonSchema
from limin.schemas.misfits import MisfitError
from limin.schemas.signatures import SignatureSchema, signature_schema

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNATURES_KEPT = 256


def read_signature(function: Callable[..., object], *, strict: bool) -> SignatureSchema:
    """Return the schema of the parameters of *function*; see `Tool.from_function`.

    Raises:
        ConfigurationError: If it has none, or *strict* mode cannot say it.
    """
    signature = signature_schema(function, strict=strict)
    if strict and not signature.is_strict:
        problem = f"{signature.name}: strict mode cannot say the types of its parameters"
        raise ConfigurationError(problem)
    return signature


def read_arguments(
    arguments: str,
    signature: SignatureSchema | None,
    function: Callable[..., object] | None,
) -> dict[str, object]:
    """Return *arguments* as keyword arguments.

    Args:
        arguments: The text of a JSON object.
        signature: The parameters; None to look at the *function*.
        function: The function; None, or one without annotations, for plain JSON values.

    Raises:
        ToolCallError: If they are no JSON object, or do not fit.
    """
    if signature is None and function is not None:
        signature = _find_signature(function)
    if signature is None:
        return cast("dict[str, object]", parse_arguments(arguments, dict))
    try:
        return signature.decode_arguments(arguments)
    except MisfitError as misfit:
        raise _error(misfit) from misfit.__cause__


def parse_arguments(arguments: str, arguments_type: object) -> object:
    """Return *arguments* as an instance of *arguments_type*; see `ToolCall.parse`.

    Raises:
        ToolCallError: If they are no JSON, or do not fit.
    """
    kind: Any = dict[str, Any] if arguments_type is dict else arguments_type
    schema: JsonSchema[object] = JsonSchema(kind)
    try:
        return schema.decode_or_unwrap(arguments if arguments.strip() else "{}")
    except MisfitError as misfit:
        raise _error(misfit) from misfit.__cause__


@functools.lru_cache(_SIGNATURES_KEPT)
def _find_signature(function: Callable[..., object]) -> SignatureSchema | None:
    """Return the parameters of *function*; None if its annotations do not tell them."""
    try:
        return signature_schema(function, strict=False)
    except ConfigurationError:
        return None


def _error(misfit: MisfitError) -> ToolCallError:
    problem = misfit.problem
    if misfit.reason == "not-json":
        problem = f"expected a JSON object, found no JSON ({problem})"
    return ToolCallError(f"the arguments do not fit: {problem}", misfit.path)
