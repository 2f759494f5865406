"""A template of prompts: a text with the names of columns in braces."""

from __future__ import annotations

import json
from string import Formatter
from typing import TYPE_CHECKING, Self

import attrs

from limin.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


class WrongFieldsError(Exception):
    """Fields of a line that make no prompt; the message says why."""


@attrs.frozen
class Template:
    """A text in which `{name}` stands for the field `name`; `{{` and `}}` are braces.

    Attributes:
        parts: Literal texts, each with the name of the field behind it; None for none.
    """

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the template in *text*.

        Raises:
            ConfigurationError: If a brace is open, or braces hold more than a name.
        """
        try:
            parsed = list(Formatter().parse(text))
        except ValueError as error:
            problem = f"template: expected {{column}}, and {{{{ for a brace; {error}"
            raise ConfigurationError(problem) from None
        if any(name == "" or spec or conversion for _, name, spec, conversion in parsed):
            problem = "template: expected the name of a column alone between braces"
            raise ConfigurationError(problem)
        return cls(tuple((literal, name) for literal, name, _, _ in parsed))

    @property
    def names(self) -> frozenset[str]:
        """The names of the fields in it."""
        return frozenset(name for _, name in self.parts if name is not None)

    def fill(self, fields: Mapping[str, object]) -> str:
        """Return the text with *fields* in it; what is no text is there as JSON.

        Raises:
            WrongFieldsError: If a field is missing, is null, or holds a number that is
                too large for JSON.
        """
        return "".join(
            literal + ("" if name is None else _text_of(fields, name))
            for literal, name in self.parts
        )


def _text_of(fields: Mapping[str, object], name: str) -> str:
    if name not in fields:
        problem = f"expected a column {name!r}, as the template has it, found none"
        raise WrongFieldsError(problem)
    value = fields[name]
    if value is None:
        problem = f"expected a value in the column {name!r}, found null"
        raise WrongFieldsError(problem)
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:  # JSON may hold 1e999, which Python reads as an infinity.
        problem = f"expected numbers below 1e308 in the column {name!r}, found a larger one"
        raise WrongFieldsError(problem) from None
