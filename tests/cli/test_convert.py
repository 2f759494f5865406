"""`limin convert`: a run in the order of its input, in another format."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import polars as pl
import pytest
from stored import answered, batch, checkpoint, failed

from limin.__main__ import main


@pytest.fixture(autouse=True)
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a run whose failure was asked for again."""
    monkeypatch.chdir(tmp_path)
    lines = [answered(2, answer="two"), failed(1), answered(1, answer="one"), failed(3)]
    Path("out.jsonl").write_bytes(b"".join(lines))


def converted(capsysbinary: pytest.CaptureFixture[bytes], form: str) -> str:
    """Return the run as *form*, from stdout."""
    assert main(["convert", "out.jsonl", "--to", form]) == 0
    written = capsysbinary.readouterr()
    assert written.err == b""
    return written.out.decode()


def test_json_lines(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Each input line is there once, in its order, without limin's own field."""
    lines = [json.loads(line) for line in converted(capsysbinary, "jsonl").splitlines()]
    assert [line["answer"] for line in lines] == ["one", "two", None]
    assert not any("limin" in line for line in lines)
    assert lines[2]["error"]["status"] == 400


def test_openai(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """A run of any shape becomes the output of OpenAI's Batch API."""
    lines = [json.loads(line) for line in converted(capsysbinary, "openai").splitlines()]
    assert [line["custom_id"] for line in lines] == ["line-1", "line-2", "line-3"]
    assert all(set(line) == {"id", "custom_id", "response", "error"} for line in lines)
    assert [line["response"]["status_code"] for line in lines] == [200, 200, 400]
    Path("out.jsonl").write_bytes(batch(1, "mine", {"choices": []}))
    assert json.loads(converted(capsysbinary, "openai"))["custom_id"] == "mine"
    Path("out.jsonl").write_bytes(checkpoint("kept", {}, "served"))
    body = json.loads(converted(capsysbinary, "openai"))["response"]["body"]
    assert body["choices"][0]["message"]["content"] == "kept"


def test_csv(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """A table has a row for each input line."""
    rows = list(csv.DictReader(io.StringIO(converted(capsysbinary, "csv"))))
    assert [row["answer"] for row in rows] == ["one", "two", ""]
    assert [row["error.type"] for row in rows] == ["", "", "BadRequestError"]


def test_parquet() -> None:
    """A file of parquet is made as a whole, and not replaced by chance."""
    command = ["convert", "out.jsonl", "--to", "parquet", "-o", "out.parquet"]
    assert main(command) == 0
    assert pl.read_parquet("out.parquet")["answer"].to_list() == ["one", "two", None]
    assert main(command) == 2
    assert main([*command, "--overwrite"]) == 0


def test_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a model wrote does not act on a terminal, and parquet is not written to one."""
    Path("out.jsonl").write_bytes(answered(1, answer="\x1b[2J\x9b"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["convert", "out.jsonl", "--to", "csv"]) == 0
    assert "␛[2J⟨U+009B⟩" in capsys.readouterr().out
    assert main(["convert", "out.jsonl", "--to", "parquet"]) == 2
    assert "expected -o with a file" in capsys.readouterr().err


def test_damaged_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged line is told as one of a checkpoint is, and nothing is made."""
    data = Path("out.jsonl").read_bytes().replace(b"two", b"too")
    Path("out.jsonl").write_bytes(data)
    assert main(["convert", "out.jsonl", "--to", "csv", "-o", "out.csv"]) == 1
    assert capsys.readouterr().err == (
        "limin: checkpoint out.jsonl: line 1: expected a line as it was written, found a "
        "damaged one\n"
    )
    assert not Path("out.csv").exists()


def test_output_is_not_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A run is never replaced by its conversion."""
    before = Path("out.jsonl").read_bytes()
    command = ["convert", "out.jsonl", "--to", "csv", "-o", "./out.jsonl"]
    assert main([*command, "--overwrite"]) == 2
    assert "expected an output that is not the run" in capsys.readouterr().err
    assert Path("out.jsonl").read_bytes() == before


@pytest.mark.parametrize("arguments", [[], ["--to", "excel"]])
def test_format_is_one_of_four(arguments: list[str]) -> None:
    """A format that there is not is told at once."""
    with pytest.raises(SystemExit) as ended:
        main(["convert", "out.jsonl", *arguments])
    assert ended.value.code == 2
