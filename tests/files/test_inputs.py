"""Inputs: what can be opened, and what format it has."""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import TYPE_CHECKING

import polars as pl
import pytest

from limin import ConfigurationError
from limin.files.input_lines import InputLine
from limin.files.inputs import Input
from limin.files.templates import Template

if TYPE_CHECKING:
    from pathlib import Path

BATCH = '{"custom_id": "a", "method": "POST", "url": "u", "body": {}}'


def told(path: Path, template: str | None = None, given: str = "auto") -> str:
    """Return the format of the file at *path*."""
    parsed = None if template is None else Template.parse(template)
    with Input.open(str(path), given, parsed) as opened:
        return opened.format


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("What is 1 + 1?\nAnd 2, 2?\n", "lines"),
        ("", "lines"),
        ("\n\n", "lines"),
        ("[1, 2]\n", "lines"),
        ('{"prompt": "a"}\n', "jsonl"),
        ('\ufeff\n\n{"prompt": "a"}\n', "jsonl"),
        ('broken\n{"prompt": "a"}\n', "jsonl"),
        (f"{BATCH}\n", "openai"),
        ("id,prompt\n1,hi\n", "csv"),
        ("prompt\nhi\n", "lines"),
        ("a,b\n1,2\n", "lines"),
        ("a\rprompt,b\n", "lines"),
    ],
)
def test_format_is_told_by_the_first_lines(tmp_path: Path, text: str, form: str) -> None:
    """The first lines tell the format, whatever the name."""
    path = tmp_path / "in.txt"
    path.write_text(text)
    assert told(path) == form


@pytest.mark.parametrize(
    ("template", "form"),
    [("{a}", "csv"), ("{b} {a}", "csv"), ("{c}", "lines"), ("none", "lines")],
)
def test_template_tells_a_table(tmp_path: Path, template: str, form: str) -> None:
    """A first line that names the template's columns is the header of a table."""
    path = tmp_path / "in"
    path.write_text("a,b\n1,2\n")
    assert told(path, template) == form


def test_suffix_tells_a_table(tmp_path: Path) -> None:
    """A file that is called a table is one."""
    path = tmp_path / "in.CSV"
    path.write_text("text\nhi\n")
    assert told(path) == "csv"


def test_parquet_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    """A parquet file is known whatever its name, and read."""
    path = tmp_path / "in"
    pl.DataFrame({"prompt": ["a", "b"]}).write_parquet(path)
    with Input.open(str(path), "auto", None) as opened:
        assert opened.format == "parquet"
        assert [line.number for line in opened] == [1, 2]


def test_given_format_wins(tmp_path: Path) -> None:
    """Whoever says what it is knows better."""
    path = tmp_path / "in"
    path.write_text('{"prompt": "a"}\n')
    assert told(path, given="lines") == "lines"


@pytest.mark.parametrize("form", ["lines", "jsonl", "csv"])
def test_lines_can_be_read_again(tmp_path: Path, form: str) -> None:
    """Every pass begins with the first line."""
    path = tmp_path / "in"
    path.write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    with Input.open(str(path), form, None) as opened:
        first = list(opened)
        next(iter(opened))
        assert list(opened) == first


def test_stdin_that_is_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes by a pipe is kept, and so can be read twice."""
    end, start = os.pipe()
    text = b"line\n" * 40_000

    def feed() -> None:
        with os.fdopen(start, "wb") as file:
            file.write(text)

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(end) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        with Input.open("-", "auto", None) as opened:
            assert not opened.is_same_file("-")
            assert len(list(opened)) == len(list(opened)) == 40_000
    thread.join()


@pytest.mark.parametrize("n_read", [0, 1])
def test_stdin_that_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_read: int
) -> None:
    """Lines that another program has read before are no part of the input."""
    path = tmp_path / "in.txt"
    path.write_text("header\none\ntwo\n")
    descriptor = os.open(path, os.O_RDONLY)
    os.lseek(descriptor, n_read * len("header\n"), os.SEEK_SET)
    with os.fdopen(descriptor) as file:
        monkeypatch.setattr(sys, "stdin", file)
        with Input.open("-", "auto", None) as opened:
            rows = [list(opened) for _ in range(2)]
    texts = [row.fields["prompt"] for row in rows[0] if isinstance(row, InputLine)]
    assert texts == ["header", "one", "two"][n_read:]
    assert rows[0] == rows[1]


def test_closed_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stdin there is no input."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigurationError, match="input -: it cannot be opened"):
        Input.open("-", "auto", None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "No such file or directory"),
        (".", "Is a directory"),
        ("a\0b", "it cannot be opened"),
    ],
)
def test_input_that_cannot_be_opened(
    tmp_path: Path, name: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name and the reason are told."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=f": {reason}"):
        Input.open(name, "auto", None)


def test_same_file_is_known(tmp_path: Path) -> None:
    """A file is the same under another name."""
    path, link = tmp_path / "in", tmp_path / "link"
    path.write_text("a\n")
    link.symlink_to(path)
    with Input.open(str(path), "auto", None) as opened:
        assert opened.is_same_file(str(link))
        assert not opened.is_same_file(str(tmp_path / "other"))
        assert not opened.is_same_file("a\0b")


def test_lines_of_a_plain_file(tmp_path: Path) -> None:
    """The lines are those of the file."""
    path = tmp_path / "in"
    path.write_bytes(io.BytesIO(b"a\n").getvalue())
    with Input.open(str(path), "auto", None) as opened:
        assert list(opened) == [InputLine(1, {"prompt": "a"})]
