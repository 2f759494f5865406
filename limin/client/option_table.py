"""The options of a function as a table: for `help`, and for the documentation.

Names, types and defaults are read from the code, so that each is written once: the names
and types from the typed dictionaries of `values.options`, the defaults from
`ModelConfiguration`, `Client` and `values.options`, the names in the request from
`wire.request`.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import attrs

from limin.client.connected import ConnectedClient
from limin.values.configuration import ModelConfiguration
from limin.values.options import DECISION_DEFAULTS, DEFAULTS, DecisionOptions
from limin.wire.request import wire_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ForwardRef

F = TypeVar("F")

_FIELDS = attrs.fields_dict(ModelConfiguration)
# What cannot be read from the code in few words.
_IN_WORDS = {
    "client": "None",
    "model_configuration": "ModelConfiguration()",
    "base_url": "the environment's",
    "api_key": "the environment's",
}
_OF_CLIENT = ConnectedClient.__init__.__kwdefaults__ or {}
_DECISION_NAMES = DecisionOptions.__annotations__.keys()
# Its `max_tokens` is computed from the labels.
_OF_DECISIONS = {name: repr(value) for name, value in DECISION_DEFAULTS.items()}
_OF_DECISIONS["max_tokens"] = "enough for a label"


class OptionRow(NamedTuple):
    """One option.

    Attributes:
        name: Its name.
        wire_name: The name of its field in the body of a request; empty for none.
        default: What holds if it is left out.
        type: Its type, as it is annotated.
    """

    name: str
    wire_name: str
    default: str
    type: str


HEADING = "Options, which `ModelConfiguration` and `AskOptions` describe:"
_HEAD = OptionRow("option", "in the request", "default", "type")


def option_rows(options: type) -> list[OptionRow]:
    """Return a row for each option of the typed dictionary *options*."""
    names = options.__annotations__
    decides = names.keys() >= _DECISION_NAMES
    return [
        _row(name, cast("ForwardRef", type_).__forward_arg__, decides)
        for name, type_ in names.items()
    ]


def with_options(options: type) -> Callable[[F], F]:
    """Return a decorator that adds the table of *options* to a docstring."""

    def add_table(function: F) -> F:
        text = function.__doc__
        if text is not None:  # Python has none if it runs with -OO.
            function.__doc__ = f"{inspect.cleandoc(text)}\n\n{_table(options)}"
        return function

    return add_table


@cache  # As below: most options are those of every function, and `import limin` waits.
def _table(options: type) -> str:
    """Return the table of *options* as lines of text."""
    return "\n".join((HEADING, _line(_HEAD), *map(_line, option_rows(options))))


@cache
def _line(row: OptionRow) -> str:
    return f"    {row.name:23}{row.wire_name:23}{row.default:24}{row.type}"


@cache
def _row(name: str, type_: str, decides: bool) -> OptionRow:  # noqa: FBT001 (cached)
    """Return the row of an option, which is one of a decision or not."""
    return OptionRow(name, wire_name(name) or "", _default(name, decides=decides), type_)


def _default(name: str, *, decides: bool) -> str:
    """Return the default of an option, in a few words."""
    if name in _IN_WORDS:
        return _IN_WORDS[name]
    if decides and name in _OF_DECISIONS:
        return _OF_DECISIONS[name]
    if name in DEFAULTS:
        return repr(DEFAULTS[name])
    if name in _FIELDS:
        return repr(_FIELDS[name].default)
    return f"the client's, {_OF_CLIENT[name]!r}"
