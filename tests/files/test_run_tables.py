"""A run as a table of CSV or parquet."""

from __future__ import annotations

import csv
import io
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored import answered, batch, failed, marked

from limin import ConfigurationError
from limin.files.run_tables import write_csv, write_parquet
from limin.files.stored_run import StoredRun

if TYPE_CHECKING:
    from pathlib import Path

OWN = [
    "answer",
    "finish_reason",
    "served_model",
    "usage.prompt_tokens",
    "usage.completion_tokens",
    "usage.total_tokens",
    "usage.cached_tokens",
    "usage.reasoning_tokens",
    "seconds",
    "error.type",
    "error.message",
    "error.status",
]


def to_csv(folder: Path, *lines: bytes) -> str:
    """Return a run of *lines* as CSV."""
    path, file = folder / "out.jsonl", io.BytesIO()
    path.write_bytes(b"".join(lines))
    with StoredRun.open(str(path)) as run:
        write_csv(run.lines, file)
    return file.getvalue().decode()


def to_frame(folder: Path, *lines: bytes) -> pl.DataFrame:
    """Return a run of *lines* as parquet, read by polars."""
    path, file = folder / "out.jsonl", io.BytesIO()
    path.write_bytes(b"".join(lines))
    with StoredRun.open(str(path)) as run:
        write_parquet(run.lines, file)
    return pl.read_parquet(io.BytesIO(file.getvalue()))


def test_csv(tmp_path: Path) -> None:
    """Each field has a column, and so have counts and errors; null is an empty cell."""
    table = to_csv(tmp_path, failed(2), answered(1, id=7, answer="a, b", logprobs={}))
    assert table.splitlines() == [
        ",".join(["prompt", "id", *OWN]),
        'p1,7,"a, b",stop,served,3,7,10,,2,0.5,,,',
        "p2,,,,,,,,,,,BadRequestError,no,400",
    ]
    assert "\r" not in table


def test_optional_columns(tmp_path: Path) -> None:
    """What few answers have gets a column if one has it; what is nested is JSON."""
    line = answered(1, warnings=["a"], value={"n": 1}, answers=["x", "y"], flag=True)
    (row,) = csv.DictReader(io.StringIO(to_csv(tmp_path, line)))
    assert row["warnings"] == '["a"]'
    assert row["value"] == '{"n": 1}'
    assert row["answers"] == '["x", "y"]'
    assert row["flag"] == "true"
    assert "reasoning" not in row


def test_texts_are_as_they_are(tmp_path: Path) -> None:
    """No cell is changed, also not one that a spreadsheet would compute."""
    texts = ["=1+1", "+1", "-1", "@x", " a ", '"q"', "two\nlines", "r\rn", "\t", "\0"]
    lines = [answered(number, answer=text) for number, text in enumerate(texts, start=1)]
    rows = csv.DictReader(io.StringIO(to_csv(tmp_path, *lines), newline=""))
    assert [row["answer"] for row in rows] == texts


@given(texts=st.lists(st.text(), min_size=1, max_size=3))
def test_any_text_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    """Whatever a model wrote, a reader of CSV gets it back."""
    lines = [answered(number, answer=text) for number, text in enumerate(texts, start=1)]
    table = to_csv(tmp_path_factory.mktemp("table"), *lines)
    rows = csv.DictReader(io.StringIO(table, newline=""))
    assert [row["answer"] for row in rows] == texts


def test_run_without_a_line(tmp_path: Path) -> None:
    """A run that has just begun is a table without a row."""
    assert to_csv(tmp_path) == ",".join(OWN) + "\n"
    frame = to_frame(tmp_path)
    assert (frame.columns, frame.height) == (OWN, 0)


def test_prefix(tmp_path: Path) -> None:
    """The answer's columns are named as its fields are."""
    line = marked(1, {"answer": "in", "x_answer": "out"}, "fields", prefix="x_")
    (row,) = csv.DictReader(io.StringIO(to_csv(tmp_path, line)))
    assert (row["answer"], row["x_answer"]) == ("in", "out")
    assert "x_usage.total_tokens" in row


def test_column_of_two(tmp_path: Path) -> None:
    """A field of the input never takes the place of a column of the answer."""
    with pytest.raises(ConfigurationError, match=r"two columns 'error\.type'"):
        to_csv(tmp_path, answered(1, **{"error.type": "mine"}))


def test_lines_of_openai(tmp_path: Path) -> None:
    """Lines of OpenAI's have their id as the only field of the input."""
    body = {"choices": [{"message": {"content": "hi"}}]}
    (row,) = csv.DictReader(io.StringIO(to_csv(tmp_path, batch(1, "a", body))))
    assert list(row) == ["custom_id", *OWN]
    assert (row["custom_id"], row["answer"]) == ("a", "hi")


def test_parquet(tmp_path: Path) -> None:
    """Numbers stay numbers; a column of several types is one of texts."""
    first = answered(1, n=1, part=1, x=0.5, mixed=1, flag=True, big=2**70, none=None)
    second = failed(2, n=-(2**63), part=0.5, x=2, mixed="é\n", flag=False, big=1)
    frame = to_frame(tmp_path, second, first)
    assert frame.columns[8:] == OWN
    assert dict(frame.schema) | {
        "n": pl.Int64,
        "part": pl.Float64,
        "x": pl.Float64,
        "mixed": pl.String,
        "flag": pl.Boolean,
        "big": pl.String,
        "none": pl.String,
        "usage.cached_tokens": pl.Int64,
        "seconds": pl.Float64,
        "error.status": pl.Int64,
        "error.type": pl.String,
    } == dict(frame.schema)
    assert frame["n"].to_list() == [1, -(2**63)]
    assert frame["part"].to_list() == [1.0, 0.5]
    assert frame["mixed"].to_list() == ["1", "é\n"]
    assert frame["flag"].to_list() == [True, False]
    assert frame["big"].to_list() == [str(2**70), "1"]
    assert frame["answer"].to_list() == ["hi", None]
    assert frame["error.status"].to_list() == [None, 400]


def test_parquet_of_odd_numbers(tmp_path: Path) -> None:
    """What no count can be is not told; a file may come from anywhere."""
    usage = {"prompt_tokens": 10**30, "completion_tokens": 1.5, "total_tokens": "many"}
    frame = to_frame(tmp_path, answered(1, usage=usage, seconds=2), failed(2))
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert [frame[f"usage.{name}"].to_list() for name in counts] == [[None, None]] * 3
    assert frame["seconds"].to_list()[0] == 2.0


def test_parquet_of_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is written in parts is one table, in the order of the input."""
    monkeypatch.setattr("limin.files.run_tables._ROWS", 2)
    lines = [answered(number, answer=str(number)) for number in range(1, 6)]
    frame = to_frame(tmp_path, *lines)
    assert frame["answer"].to_list() == ["1", "2", "3", "4", "5"]


def test_half_a_surrogate_pair(tmp_path: Path) -> None:
    """What is no character becomes a question mark."""
    line = answered(1, x="\ud800")
    assert to_frame(tmp_path, line)["x"].to_list() == ["?"]
    (row,) = csv.DictReader(io.StringIO(to_csv(tmp_path, line)))
    assert row["x"] == "?"


def test_parquet_without_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no polars is told what to install."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'limin\[tables\]'"):
        to_frame(tmp_path, answered(1))
