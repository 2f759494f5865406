"""Calls of tools and names from outside, spelled for a reader.

Every output shares the spelling: `name(argument=...)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import attrs
import msgspec

from limin.rendering.symbols import show_on_one_line
from limin.values.tools import ToolCall

if TYPE_CHECKING:
    from limin.values.messages import Call

# Names of tools as servers take them. Any other name is quoted, so that it cannot look
# like a role, a rule or a second call.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_LONGEST_NAME = 64

# A tool of this name would stand in quotes.
_UNNAMED = "<call>"

_Arguments = dict[str, msgspec.Raw]


@attrs.frozen
class ShownCall:
    """A call as its reader sees it.

    Attributes:
        name: The name of the tool, harmless and on one line.
        arguments: `name=value` of each argument in JSON's spelling; or the text of all
            of them, if it is no JSON object. As the model wrote them, so not harmless.
    """

    name: str
    arguments: tuple[str, ...]

    @property
    def length(self) -> int:
        """Characters of all arguments."""
        return sum(map(len, self.arguments))


def show_call(call: Call) -> ShownCall:
    """Return *call* for a reader; a mapping as far as it is like a call."""
    name = call_name(call)
    return ShownCall(
        _UNNAMED if name is None else show_name(name), _spell(_argument_text(call))
    )


def call_id(call: Call) -> str | None:
    """Return the id of *call*; None if it has none."""
    if isinstance(call, ToolCall):
        return call.id
    value = call.get("id")
    return value if isinstance(value, str) else None


def call_name(call: Call) -> str | None:
    """Return the name of the tool that is called; None if there is none."""
    name = call.name if isinstance(call, ToolCall) else _body(call).get("name")
    return name if isinstance(name, str) else None


def show_name(name: str) -> str:
    """Return *name* on one line; in quotes, unless it is like the name of a tool."""
    return name if _PLAIN_NAME.fullmatch(name) else quote_name(name)


def quote_name(name: str) -> str:
    """Return *name* in quotes on one line, nothing of it invisible; a long one is cut."""
    shown = show_on_one_line(name[:_LONGEST_NAME]) if name else ""
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}{"…" if len(name) > _LONGEST_NAME else ""}"'


def _body(call: Mapping[str, object]) -> Mapping[str, object]:
    """Return what stands under the kind of *call*, or else *call* itself."""
    for kind in ("function", call.get("type")):
        body = call.get(kind) if isinstance(kind, str) else None
        if isinstance(body, Mapping):
            return cast("Mapping[str, object]", body)
    return call


def _argument_text(call: Call) -> str:
    if isinstance(call, ToolCall):
        return call.arguments
    body = _body(call)
    arguments = body if body is call else body.get("arguments", body.get("input"))
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    try:
        return json.dumps(arguments, ensure_ascii=False, default=_describe_other)
    except (RecursionError, TypeError, ValueError):
        return "<no JSON>"


def _describe_other(value: object) -> str:
    return f"<{type(value).__name__}>"


def _spell(arguments: str) -> tuple[str, ...]:
    """Return *arguments* one by one, if that is the whole of them.

    An object that has a name twice stays as it is.
    """
    try:
        line = msgspec.json.format(arguments, indent=0)
        values = msgspec.json.decode(line, type=_Arguments)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return (arguments,) if arguments.strip() else ()
    entries = {
        msgspec.json.encode(name).decode(): bytes(value).decode()
        for name, value in values.items()
    }
    whole = ", ".join(f"{name}: {value}" for name, value in entries.items())
    if f"{{{whole}}}" != line:
        return (arguments,)
    return tuple(f"{_as_keyword(name)}={value}" for name, value in entries.items())


def _as_keyword(name: str) -> str:
    """Return the *name* in quotes without them if it can be a keyword."""
    bare = name[1:-1]
    return bare if bare.isascii() and bare.isidentifier() else name
