"""Answers that are JSON, in the parts that every output shows.

The text stays as the model wrote it: its layout, and its escapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from limin.errors import JSONTextError
from limin.json_text.answer import is_closed, strip_answer
from limin.values.field_reader import LocatedField, locate_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.schemas.json_schema import JsonSchema
    from limin.values.choice import Choice


@attrs.frozen
class JsonPart:
    """A scalar of an answer, or the text between two of them.

    Attributes:
        text: The part as the model wrote it; of a string what stands between its
            quotation marks, and of an empty one these.
        located: The scalar and its log probabilities; None for text between scalars.
    """

    text: str
    located: LocatedField | None = None


def json_parts(
    choice: Choice, schema: JsonSchema[object] | None = None
) -> list[JsonPart] | None:
    """Return the answer of *choice* in parts, if it is a whole object or array of JSON.

    Args:
        choice: One choice of a completion.
        schema: The type that was asked for, if any was.

    Returns:
        None if it is something else, holds no scalar, or nothing is known of its tokens.
    """
    text, tokens = choice.message, choice.log_probs
    if tokens is None or strip_answer(text).text[:1] not in ("{", "["):
        return None
    if not is_closed(text):
        return None
    try:
        located = locate_fields(text, tokens, schema)
    except JSONTextError:  # Paths that are too long in all.
        return None
    return _split(text, located) if located else None


def _split(text: str, located: Sequence[LocatedField]) -> list[JsonPart]:
    """Return *text* in parts; between scalars it is cut behind each end of a line."""
    parts: list[JsonPart] = []
    offset = 0
    for field in located:
        scalar = field.scalar
        # Nothing stands between these quotation marks, and colors need something.
        margin = 1 if scalar.start == scalar.end else 0
        start, end = scalar.start - margin, scalar.end + margin
        parts += map(JsonPart, text[offset:start].splitlines(keepends=True))
        parts.append(JsonPart(text[start:end], field))
        offset = end
    parts += map(JsonPart, text[offset:].splitlines(keepends=True))
    return parts
