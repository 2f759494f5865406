"""The lines of an input, whatever its format: fields with a number, or what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

Format: TypeAlias = Literal["lines", "jsonl", "openai", "csv", "parquet"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@attrs.frozen
class InputLine:
    """One line of an input, or one row.

    Attributes:
        number: Number of the line in its file, from 1; of a row of parquet, that of the
            row.
        fields: Its fields by name.
        text: The fields as the JSON object that the input holds; None if it holds none.
    """

    number: int
    fields: Mapping[str, object] = attrs.field(repr=False)
    text: bytes | None = attrs.field(default=None, repr=False)

    def to_json(self) -> bytes:
        """Return the fields as a JSON object on one line, unchanged if it was one."""
        if self.text is not None:
            return self.text
        text = json.dumps(self.fields, ensure_ascii=False, separators=(",", ":"))
        return text.encode()


@attrs.frozen
class WrongLine:
    """A line of an input that is no prompt.

    Attributes:
        number: Number of the line, from 1.
        problem: Expectation and finding.
    """

    number: int
    problem: str


def read_plain_lines(file: BinaryIO) -> Iterator[InputLine | WrongLine]:
    """Yield each line of *file* that is not blank, with its text as `prompt`."""
    for number, data in _lines(file):
        try:
            yield InputLine(number, {"prompt": data.decode()})
        except UnicodeDecodeError:
            yield WrongLine(number, "expected UTF-8, found other bytes")


def read_json_lines(file: BinaryIO) -> Iterator[InputLine | WrongLine]:
    """Yield each line of *file* that is not blank, with the fields of its JSON object."""
    for number, data in _lines(file):
        fields = read_object(data)
        if fields is None:
            yield WrongLine(number, "expected a JSON object, found none")
        else:
            yield InputLine(number, fields, data.strip())


def read_object(data: bytes) -> dict[str, object] | None:
    """Return the JSON object in *data*; None if there is none."""
    try:
        value: object = json.loads(data.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and infinities are Python's own.


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of *file* with their numbers, without their ends; no blank ones."""
    for number, data in enumerate(file, start=1):
        line = data.removeprefix(_BYTE_ORDER_MARK) if number == 1 else data
        text = line.rstrip(b"\r\n")
        if text.strip():
            yield number, text
