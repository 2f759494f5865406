"""Tables: rows of CSV and parquet as lines of an input."""

from __future__ import annotations

import csv
import io
import re
import sys
from typing import TYPE_CHECKING

import msgspec

from limin.errors import ConfigurationError
from limin.files.input_lines import InputLine, WrongLine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import BinaryIO

    import polars as pl

_DELIMITERS = (",", "\t", ";")

# What stands for bytes that are no UTF-8 (PEP 383).
_UNDECODABLE = re.compile("[\udc80-\udcff]")

# A C long, which is shorter on Windows: prompts are longer than the 128 kB by default.
_LONGEST_FIELD = min(sys.maxsize, 2**31 - 1)


def split_header(line: str) -> list[str]:
    """Return the names of columns in *line*, if it is the first of a table as text."""
    try:
        return next(csv.reader([line], delimiter=find_delimiter(line)), list[str]())
    except csv.Error:  # Any text may come here.
        return []


def find_delimiter(line: str) -> str:
    """Return what separates the columns of a table whose first line is *line*."""
    return max(_DELIMITERS, key=line.count)


def read_csv(file: BinaryIO) -> Iterator[InputLine | WrongLine]:
    """Yield the rows of *file*, a table as text, with the number of their first line.

    The first row names the columns. Fields in quotation marks may hold line ends.

    Raises:
        ConfigurationError: If two columns have the same name.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _read_rows(text)
    finally:
        text.detach()  # The file is read twice, and closed by whoever opened it.


def _read_rows(text: io.TextIOWrapper) -> Iterator[InputLine | WrongLine]:
    first = text.readline()
    text.seek(0)
    reader = csv.reader(text, delimiter=find_delimiter(first), strict=True)
    names = next(reader, list[str]())
    if len(set(names)) < len(names):
        problem = "expected columns of different names, found two of the same name"
        raise ConfigurationError(problem)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error:
            yield WrongLine(number, "expected a row of CSV, found none")
            continue
        if row is None:
            return
        if row:
            yield _read_row(names, row, number)


def _read_row(names: list[str], row: list[str], number: int) -> InputLine | WrongLine:
    if len(row) != len(names):
        problem = f"expected {len(names)} columns, as in the first row, found {len(row)}"
        return WrongLine(number, problem)
    if any(map(_UNDECODABLE.search, row)):
        return WrongLine(number, "expected UTF-8, found other bytes")
    return InputLine(number, dict(zip(names, row, strict=True)))


def read_parquet(file: BinaryIO) -> Iterator[InputLine | WrongLine]:
    """Yield the rows of *file*, a parquet file, which is read as a whole.

    Dates, bytes and other values that JSON has not are texts. NaN and infinities are null.

    Raises:
        ConfigurationError: If polars is not installed, or cannot read the file.
    """
    frame = _load_frame(file)
    for number, row in enumerate(frame.iter_rows(named=True), start=1):
        # msgspec writes null for a number that JSON has not, however deep it stands.
        fields = msgspec.json.decode(msgspec.json.encode(row), type=dict[str, object])
        yield InputLine(number, fields)


def load_polars() -> ModuleType:
    """Return polars, which is an extra and slow to load.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        import polars  # noqa: ICN001, PLC0415 (an extra, and slow to load)
    except ImportError:
        problem = "parquet needs polars: run `pip install 'limin[tables]'`, or use CSV"
        raise ConfigurationError(problem) from None
    return polars


def _load_frame(file: BinaryIO) -> pl.DataFrame:
    polars = load_polars()
    try:
        frame: pl.DataFrame = polars.read_parquet(file)
    except (polars.exceptions.PolarsError, OSError) as error:
        problem = "expected a parquet file, found another"
        raise ConfigurationError(problem) from error
    return frame
