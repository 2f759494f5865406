"""Rows of CSV and parquet."""

from __future__ import annotations

import datetime as dt
import io
import math
import sys

import polars as pl
import pytest

from limin import ConfigurationError
from limin.files.input_lines import InputLine, WrongLine
from limin.files.tables import read_csv, read_parquet, split_header


def rows(text: str | bytes) -> list[tuple[int, object]]:
    """Return number and fields, or number and problem, of each row of a table."""
    data = text.encode() if isinstance(text, str) else text
    return [
        (line.number, dict(line.fields) if isinstance(line, InputLine) else line.problem)
        for line in read_csv(io.BytesIO(data))
    ]


def test_commas_quotes_and_newlines_in_fields() -> None:
    """A quoted field holds anything; a row has the number of its first line."""
    text = '\ufeffid,text\r\n1,"a, ""b"""\r\n2,"two\nlines\n"\r\n\r\n3,c\r\n'
    assert rows(text) == [
        (2, {"id": "1", "text": 'a, "b"'}),
        (3, {"id": "2", "text": "two\nlines\n"}),
        (7, {"id": "3", "text": "c"}),
    ]


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_delimiter_is_told_by_the_header(delimiter: str) -> None:
    """Spreadsheets write other delimiters, too."""
    text = f"a{delimiter}b\n1{delimiter}2\n"
    assert rows(text) == [(2, {"a": "1", "b": "2"})]
    assert split_header(text.partition("\n")[0]) == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1", "expected 2 columns, as in the first row, found 1"),
        ("1,2,3", "expected 2 columns, as in the first row, found 3"),
        ('"x"y,2', "expected a row of CSV, found none"),
        (b"\xff,2", "expected UTF-8, found other bytes"),
    ],
)
def test_wrong_row(row: str | bytes, problem: str) -> None:
    """A wrong row is told by its number, and those after it are read."""
    data = row.encode() if isinstance(row, str) else row
    assert rows(b"a,b\n%b\n3,4\n" % data) == [(2, problem), (3, {"a": "3", "b": "4"})]


def test_open_quote() -> None:
    """A quotation mark that is not closed is told by the line where it is."""
    assert rows('a\n1\n"x\n3\n') == [
        (2, {"a": "1"}),
        (3, "expected a row of CSV, found none"),
    ]


def test_long_field() -> None:
    """A prompt may be longer than the limit of Python's reader."""
    (row,) = rows("a,b\n" + "x" * 300_000 + ",2\n")
    assert row[0] == 2


def test_empty_table() -> None:
    """A table without a row has none."""
    assert rows("") == []
    assert rows("a,b\n") == []


def test_columns_of_one_name() -> None:
    """Of two columns with one name, one would be lost."""
    with pytest.raises(ConfigurationError, match="expected columns of different names"):
        rows("a,a\n1,2\n")


def test_file_can_be_read_again() -> None:
    """Reading neither closes the file nor moves where it is read from again."""
    file = io.BytesIO(b"a,b\n1,2\n")
    first = list(read_csv(file))
    file.seek(0)
    assert list(read_csv(file)) == first


def parquet(**columns: list[object]) -> io.BytesIO:
    """Return a parquet file with *columns*."""
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    file.seek(0)
    return file


def test_parquet_rows_are_json() -> None:
    """Values keep their kinds; those that JSON has not are texts."""
    day = dt.date(2026, 1, 2)
    messages = [{"role": "user", "content": "hi"}]
    file = parquet(n=[1, None], day=[day, day], messages=[messages, []], raw=[b"a", b""])
    first, second = read_parquet(file)
    assert isinstance(first, InputLine)
    assert (first.number, second.number) == (1, 2)
    assert first.fields == {
        "n": 1,
        "day": "2026-01-02",
        "messages": messages,
        "raw": "YQ==",
    }
    assert first.to_json().startswith(b'{"n":1,"day":"2026-01-02"')


def test_parquet_without_a_number() -> None:
    """NaN and infinities, of pandas for example, are null, so that the line is JSON."""
    numbers = [math.nan, math.inf, 1e308]
    file = parquet(x=numbers, deep=[[{"y": number}] for number in numbers])
    assert [row.to_json() for row in read_parquet(file) if isinstance(row, InputLine)] == [
        b'{"x":null,"deep":[{"y":null}]}',
        b'{"x":null,"deep":[{"y":null}]}',
        b'{"x":1e+308,"deep":[{"y":1e+308}]}',
    ]


def test_parquet_that_is_none() -> None:
    """A file that only begins as one is refused."""
    with pytest.raises(ConfigurationError, match="expected a parquet file, found another"):
        list(read_parquet(io.BytesIO(b"PAR1 and no more")))


def test_parquet_without_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no polars is told what to install."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'limin\[tables\]'"):
        list(read_parquet(io.BytesIO()))


def test_wrong_line_is_a_value() -> None:
    """A wrong line is equal to another with the same number and problem."""
    assert WrongLine(1, "a") == WrongLine(1, "a")
