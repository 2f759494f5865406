"""Which part of a type has no JSON schema."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, ClassVar, NotRequired, Required

from limin.errors import ConfigurationError
from limin.schemas.names import display_name, is_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_FIELDS = (
    *("__attrs_attrs__", "__dataclass_fields__", "__struct_fields__"),
    *("_fields", "__total__"),
)

# What two objects in a union have in common in msgspec's messages.
_UNTAGGED = (
    "dataclass or attrs type",
    "TypedDict type",
    "dict-like type",
    "must be tagged",
)


def blame(
    types: Sequence[tuple[str, object]],
    error: Exception,
    make: Callable[[object], object],
) -> ConfigurationError:
    """Return the error that names the part of *types* which *make* fails for.

    Args:
        types: Types, each with its name.
        error: What *make* raised for all of them.
        make: Makes the schema of a type, or raises an exception.
    """
    search = _Search(make)
    for name, kind in types:
        blamed = search.find(name, kind)
        if blamed is not None:
            path, reason = blamed
            return ConfigurationError(f"{path}: {reason}")
    return ConfigurationError(f"{types[0][0]}: {_reason(types[0][1], error)}")


class _Search:
    """A search for the innermost part that has no schema."""

    def __init__(self, make: Callable[[object], object]) -> None:
        self._make = make
        self._seen: set[int] = set()
        self._kept: list[object] = []  # So that no id is used again.

    def find(self, path: str, kind: object) -> tuple[str, str] | None:
        """Return path and reason of the innermost bad part of *kind*, if it has one."""
        if id(kind) in self._seen:
            return None
        self._seen.add(id(kind))
        self._kept.append(kind)
        try:
            self._make(kind)
        except Exception as error:  # noqa: BLE001 (annotations and models raise anything)
            reason = _reason(kind, error)
        else:
            return None
        try:
            parts = list(_parts(kind))
        except Exception as error:  # noqa: BLE001 (so do they here)
            return path, _reason(kind, error)
        blamed = (self.find(path + step, part) for step, part in parts)
        return next(filter(None, blamed), None) or self._own(path, reason, parts)

    def _own(
        self, path: str, reason: str, parts: list[tuple[str, object]]
    ) -> tuple[str, str] | None:
        """Blame the type itself, unless a part of it is being searched already."""
        for _, part in parts:
            try:
                self._make(part)
            except Exception:  # noqa: BLE001 (the search has its reason)
                return None
        return path, reason


def _parts(kind: object) -> Iterator[tuple[str, object]]:
    """Yield the types that *kind* is made of, each with its step in a path."""
    arguments = [arg for arg in typing.get_args(kind) if is_type(arg)]
    origin = typing.get_origin(kind)
    if any(hasattr(origin or kind, name) for name in _FIELDS):
        hints = typing.get_type_hints(origin or kind, include_extras=True)
        for name, hint in hints.items():
            if typing.get_origin(hint) is not ClassVar:
                yield f".{name}", _without_qualifier(hint)
    elif origin is typing.Annotated:
        yield "", arguments[0]
    elif origin is not typing.Literal:
        step = "[]" if isinstance(origin, type) and hasattr(origin, "__iter__") else ""
        for argument in arguments:
            yield step, argument


def _without_qualifier(hint: object) -> object:
    if typing.get_origin(hint) in (Required, NotRequired):
        return typing.get_args(hint)[0]
    return hint


def _reason(kind: object, error: Exception) -> str:
    if not is_type(kind):
        return f"expected a type, found {display_name(kind)}"
    if isinstance(error, TypeError):
        return _reason_of_msgspec(kind, str(error))
    if isinstance(error, NameError):
        return f"the name {error.name!r} in its annotations is not defined"
    if isinstance(error, KeyError) and isinstance(error.args[0], type):
        # They cannot be told apart in msgspec's definitions.
        return f"two of its classes have the name {error.args[0].__qualname__}"
    return f"{display_name(kind)} has no JSON schema ({type(error).__name__})"


def _reason_of_msgspec(kind: object, message: str) -> str:
    """Return msgspec's *message*, which names types alone, in the user's terms."""
    if "custom types requires" in message:
        return f"{display_name(kind)} has no JSON schema"
    if any(words in message for words in _UNTAGGED):
        return (
            f"{message}. Nothing in the JSON would tell them apart; msgspec.Structs with "
            "tag=True can be told apart"
        )
    return message
