"""An input: a file that can be read twice, and the format that it has."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, TypeAlias, cast

from limin.errors import ConfigurationError
from limin.files import input_lines
from limin.files.input_lines import Format, InputLine, WrongLine

if TYPE_CHECKING:
    from limin.files.templates import Template

_Reader: TypeAlias = Callable[[BinaryIO], Iterator[InputLine | WrongLine]]

STANDARD_INPUT = "-"

_PARQUET = b"PAR1"

# Lines that are looked at to tell the format, and bytes of each.
_FIRST_LINES, _LONGEST_LINE = 8, 1 << 20

_TABLE_SUFFIXES = frozenset({".csv", ".tsv"})


class Input:
    """An open input, whose lines can be iterated again and again.

    Attributes:
        format: What its lines are.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Use *file*, which can be read again; call `open` instead."""
        self._file, self._name = file, name
        self._closing = ExitStack()
        self._closing.enter_context(file)
        self.format: Format = "lines"
        self._read: _Reader = input_lines.read_plain_lines

    @classmethod
    def open(cls, name: str, given: str, template: Template | None) -> Self:
        """Open the file *name*, or stdin for `-`.

        What cannot be read again, a pipe for example, is copied to a temporary file.

        Args:
            name: Path of the file, or `-`.
            given: The format, or `auto`: then the first lines tell.
            template: The template of the prompts, if there is one.

        Raises:
            ConfigurationError: If there is no such file, or a table of another kind.
        """
        try:
            source = _open(name)
            opened = cls(source if source.seekable() else _spool(source), name)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it cannot be opened"
            problem = f"input {name}: {reason}"
            raise ConfigurationError(problem) from error
        opened.format = _as_format(given) or opened._tell_format(template)
        opened._read = _reader(opened.format)
        return opened

    def __iter__(self) -> Iterator[InputLine | WrongLine]:
        """Yield the lines from the first one on.

        Raises:
            ConfigurationError: If it is a table that cannot be read.
        """
        self._file.seek(0)
        return self._read(self._file)

    def is_same_file(self, path: str) -> bool:
        """Return whether it was read from the file *path*."""
        with suppress(OSError, ValueError):
            return self._name != STANDARD_INPUT and Path(path).samefile(self._name)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        self._closing.close()

    def _tell_format(self, template: Template | None) -> Format:
        """Return the format that the first lines, or the name, are of."""
        if self._file.read(len(_PARQUET)) == _PARQUET:
            return "parquet"
        self._file.seek(0)
        first = list(_first_lines(self._file))
        objects = [each for each in map(input_lines.read_object, first) if each is not None]
        if objects:
            is_batch = {"custom_id", "body"} <= objects[0].keys()
            return "openai" if is_batch else "jsonl"
        if Path(self._name).suffix.lower() in _TABLE_SUFFIXES:
            return "csv"
        return "csv" if first and _is_header(first[0], template) else "lines"


def _open(name: str) -> BinaryIO:
    """Open the file *name*, or stdin.

    Raises:
        OSError, ValueError: If there is none.
    """
    if name != STANDARD_INPUT:
        return Path(name).open("rb")
    if sys.stdin is None:
        problem = "stdin is closed"
        raise ValueError(problem)
    return sys.stdin.buffer


def _spool(source: BinaryIO) -> BinaryIO:
    """Return a copy of *source* that can be read again."""
    spooled = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the input)
    with source:
        shutil.copyfileobj(source, spooled)
    return cast("BinaryIO", spooled)  # On Windows it is wrapped.


def _first_lines(file: BinaryIO) -> Iterator[bytes]:
    lines = iter(partial(file.readline, _LONGEST_LINE), b"")
    texts = (line.removeprefix(b"\xef\xbb\xbf").strip() for line in lines)
    return islice(filter(None, texts), _FIRST_LINES)


def _is_header(line: bytes, template: Template | None) -> bool:
    """Return whether *line* names the columns of a table that prompts can be made of."""
    from limin.files.tables import split_header  # noqa: PLC0415 (loads csv)

    names = split_header(line.decode(errors="replace"))
    wanted = {"prompt"} if template is None else template.names
    return len(names) > 1 and bool(wanted) and wanted <= set(names)


def _as_format(given: str) -> Format | None:
    formats: dict[str, Format] = {
        "lines": "lines",
        "jsonl": "jsonl",
        "openai": "openai",
        "csv": "csv",
        "parquet": "parquet",
    }
    return formats.get(given)


def _reader(form: Format) -> _Reader:
    if form == "lines":
        return input_lines.read_plain_lines
    if form in {"jsonl", "openai"}:
        return input_lines.read_json_lines
    from limin.files import tables  # noqa: PLC0415 (loads csv)

    return tables.read_csv if form == "csv" else tables.read_parquet
