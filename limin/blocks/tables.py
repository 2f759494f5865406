"""Blocks as Arrow tables, of which limin uses a small part.

pyarrow has no types of its own, so this part is described here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from limin.errors import ConfigurationError
from limin.values.checks import describe_type

if TYPE_CHECKING:
    from collections.abc import Sequence


class Column(Protocol):
    """A column of a table."""

    def to_pylist(self) -> list[object]:
        """Return its values."""
        ...


class Table(Protocol):
    """An Arrow table: a `pyarrow.Table`."""

    @property
    def column_names(self) -> list[str]:
        """The names of its columns."""
        ...

    @property
    def num_rows(self) -> int:
        """The number of its rows."""
        ...

    def column(self, name: str, /) -> Column:
        """Return a column."""
        ...

    def append_column(self, name: str, column: Column, /) -> Table:
        """Return a table with one more column."""
        ...


def load_pyarrow() -> Any:  # noqa: ANN401 (it has no types)
    """Return the module `pyarrow`.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        problem = "blocks need pyarrow: run `pip install 'limin[ray]'`"
        raise ConfigurationError(problem) from None


def as_table(block: object) -> Table:
    """Return *block* as an Arrow table.

    A `pyarrow.Table` is returned as it is. Arrow finds out the types of other columns.

    Args:
        block: A table of pyarrow or pandas, or a mapping from names to arrays of one
            dimension, or lists.

    Raises:
        ConfigurationError: If it is something else, or holds what no column can.
    """
    arrow = load_pyarrow()
    if isinstance(block, arrow.Table):
        return cast("Table", block)
    try:
        if isinstance(block, Mapping):
            columns = cast("Mapping[str, Sequence[object]]", block)
            return cast("Table", arrow.table(dict(columns)))
        if hasattr(block, "columns"):
            return cast("Table", arrow.Table.from_pandas(block, preserve_index=False))
    except (arrow.ArrowException, TypeError) as error:
        problem = "a column has values of no Arrow type; pass batch_format='pyarrow'"
        raise ConfigurationError(problem) from error
    problem = f"expected a block of pyarrow, pandas or numpy, found {describe_type(block)}"
    raise ConfigurationError(problem)
