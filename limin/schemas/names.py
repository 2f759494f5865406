"""Names of types: for a message, and for the schema that goes out."""

from __future__ import annotations

import re
import types
import typing

# OpenAI's rule for the names of schemas and of functions.
# Source: https://platform.openai.com/docs/api-reference/chat/create
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_OTHER = re.compile(r"[^a-zA-Z0-9_-]+")


def is_type(value: object) -> bool:
    """Return whether *value* may stand in an annotation: a class, or a form of typing."""
    return (
        isinstance(value, (type, typing.TypeVar))
        or typing.get_origin(value) is not None
        or type(value).__module__ in {"typing", "typing_extensions", "types"}
    )


def display_name(kind: object) -> str:
    """Return *kind* as an annotation spells it, without modules and without values."""
    origin = typing.get_origin(kind)
    if not is_type(kind):
        return f"a value of {type(kind).__name__}"
    if kind in (None, type(None)):
        return "None"
    if origin is None:
        return str(getattr(kind, "__name__", kind))
    if origin is typing.Annotated:
        return display_name(typing.get_args(kind)[0])
    name = str(getattr(origin, "__name__", origin))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(display_name, typing.get_args(kind)))
    arguments = [arg for arg in typing.get_args(kind) if is_type(arg)]
    return f"{name}[{', '.join(map(display_name, arguments))}]" if arguments else name


def outgoing_name(text: str) -> str:
    """Return the name nearest to *text* that OpenAI's rule takes."""
    return _OTHER.sub("_", text).strip("_")[:64] or "answer"
