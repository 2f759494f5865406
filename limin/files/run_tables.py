"""A run as a table: a row for each line, with plain cells.

What is nested is JSON text. The counts of the usage and the parts of an error have columns
of their own, named as `pandas.json_normalize` names them. Log probabilities have none.
"""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import attrs
import msgspec

from limin.errors import ConfigurationError
from limin.files.results import ADDED
from limin.files.stored_lines import text_of
from limin.files.tables import load_polars
from limin.values.usage import Usage
from limin.wire.raw_json import is_null, kind_of, read_value, split_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from limin.files.new_file import Writable
    from limin.files.stored_lines import StoredLine

    Rows: TypeAlias = Callable[[], Iterable[StoredLine]]

_NULL = msgspec.Raw(b"null")

# Of each field that has several columns, the names behind its own.
_PARTS: dict[str, tuple[str, ...]] = {
    "usage": tuple(attrs.fields_dict(Usage)),
    "error": ("type", "message", "status"),
}
_LEFT_OUT = frozenset({"logprobs", "limin"})

# Fields with a column only if a line has them.
_OPTIONAL = frozenset(
    {"answers", "value", "reasoning", "refusal", "tool_calls", "warnings"}
)

# Types of columns whose cells may all be null.
_TYPES: dict[str, type] = {
    **{f"usage.{name}": int for name in _PARTS["usage"]},
    "error.status": int,
    "seconds": float,
}

# Rows of a table that are in memory at once, and bytes that are copied.
_ROWS, _PIECE = 10_000, 1 << 20

_LEAST_INT, _MOST_INT = -(2**63), 2**63 - 1  # Of a column of 64 bits.


def find_columns(lines: Iterable[StoredLine]) -> dict[str, type]:
    """Return the type of each column by its name.

    The fields of the input come in the order in which *lines* have them, and those of the
    answer behind them.

    Raises:
        ConfigurationError: If a field of the input has the name of a column of the answer.
    """
    inputs: dict[str, set[type]] = {}
    prefixes, optional = dict[str, None](), set[str]()
    for line in lines:
        prefixes[line.prefix] = None
        optional |= _OPTIONAL & line.fields().keys()
        for name, value in line.inputs().items():
            inputs.setdefault(name, set()).add(_type_of(value))
    own = {
        prefix + name: kind
        for prefix in prefixes or ("",)
        for name, kind in _own_columns(optional)
    }
    taken = sorted(own.keys() & inputs.keys())
    if taken:
        problem = f"the table would have two columns {taken[0]!r}; --to jsonl has none"
        raise ConfigurationError(problem)
    return {name: _join(types) for name, types in inputs.items()} | own


def _own_columns(optional: set[str]) -> Iterator[tuple[str, type]]:
    """Yield the name and the type of each column of the answer."""
    for name in ADDED:
        if name in _LEFT_OUT or (name in _OPTIONAL and name not in optional):
            continue
        columns = [f"{name}.{part}" for part in _PARTS.get(name, ())] or [name]
        yield from ((column, _TYPES.get(column, str)) for column in columns)


def _type_of(value: msgspec.Raw) -> type:
    """Return the type of a column for *value*; that of null fits every one."""
    kind = kind_of(value)
    if kind == b"n":
        return type(None)
    if kind in {b"t", b"f"}:
        return bool
    if kind in {b'"', b"{", b"["}:
        return str
    number = read_value(value)
    if isinstance(number, int):
        return int if _LEAST_INT <= number <= _MOST_INT else str
    return float


def _join(types: set[type]) -> type:
    """Return the type of a column that has values of all *types*."""
    present = types - {type(None)}
    if present == {int, float}:
        return float
    return present.pop() if len(present) == 1 else str


def _cells(line: StoredLine) -> dict[str, msgspec.Raw]:
    """Return the cells of *line* by the names of their columns."""
    cells = dict(line.inputs())
    for name, value in line.fields().items():
        if name in _PARTS:
            parts = split_fields(value)
            for part in _PARTS[name]:
                cells[f"{line.prefix}{name}.{part}"] = parts.get(part, _NULL)
        else:
            cells[line.prefix + name] = value
    return cells


def write_csv(rows: Rows, file: Writable) -> None:
    """Write a table as CSV: UTF-8, with lines that end in a newline alone.

    Texts are written as they are, also those that a spreadsheet would take for a formula.

    Args:
        rows: Returns the lines, each time it is called.
        file: Where to write it.

    Raises:
        ConfigurationError: See `find_columns`.
        OSError: If it cannot be written.
    """
    names = list(find_columns(rows()))
    file.write(_csv_row(names))
    for line in rows():
        cells = _cells(line)
        file.write(_csv_row([text_of(cells.get(name, _NULL)) for name in names]))


def _csv_row(cells: list[str]) -> bytes:
    # Only with this end of a line both of its characters are put into quotation marks.
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return (text.getvalue()[:-2] + "\n").encode(errors="replace")


def write_parquet(rows: Rows, file: Writable) -> None:
    """Write a table as parquet, with the types that its values have.

    A column with values of several types is one of texts.

    Args:
        rows: Returns the lines, each time it is called.
        file: Where to write it.

    Raises:
        ConfigurationError: If polars is not installed; see also `find_columns`.
        OSError: If it cannot be written.
    """
    polars = load_polars()
    types = find_columns(rows())
    kinds = {bool: polars.Boolean, int: polars.Int64, float: polars.Float64}
    schema = {name: kinds.get(kind, polars.String) for name, kind in types.items()}
    with tempfile.TemporaryDirectory() as folder:
        paths = list[Path]()
        for columns in _column_chunks(rows(), types):
            paths.append(Path(folder, f"{len(paths)}.parquet"))
            polars.DataFrame(columns, schema=schema).write_parquet(paths[-1])
        if len(paths) > 1:  # The table is never in memory as a whole.
            scanned, paths = polars.scan_parquet(paths), [Path(folder, "table.parquet")]
            scanned.sink_parquet(paths[0], row_group_size=_ROWS)
        with paths[0].open("rb") as written:
            while piece := written.read(_PIECE):
                file.write(piece)


def _column_chunks(
    lines: Iterable[StoredLine], types: Mapping[str, type]
) -> Iterator[dict[str, list[object]]]:
    """Yield the columns of some *lines* after the other; at least once, perhaps empty."""
    chunk: dict[str, list[object]] = {name: [] for name in types}
    for number, line in enumerate(lines, start=1):
        cells = _cells(line)
        for name, kind in types.items():
            chunk[name].append(_typed(cells.get(name, _NULL), kind))
        if number % _ROWS == 0:
            yield chunk
            chunk = {name: [] for name in types}
    yield chunk


def _typed(cell: msgspec.Raw, kind: type) -> object:
    """Return the value of *cell* in a column of this *kind*; None if it has another."""
    if is_null(cell):
        return None
    if kind is str:
        return text_of(cell).encode(errors="replace").decode()
    if _join({_type_of(cell), kind}) is not kind:
        return None
    return kind(read_value(cell))
