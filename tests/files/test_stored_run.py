"""A run or a checkpoint that is read: which lines count, and in which order."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest
from builders import body_of
from stored import answered, batch, checkpoint, failed, marked, unanswered_batch

from limin import CheckpointError
from limin.files.stored_run import StoredRun, read_served_models

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a run."""
    return tmp_path / "out.jsonl"


def read(path: Path, *lines: bytes) -> list[tuple[int, str]]:
    """Return the number and the answer, or the kind of error, of each line that counts."""
    path.write_bytes(b"".join(lines))
    with StoredRun.open(str(path)) as run:
        records = [line.record() for line in run.lines()]
    return [
        (
            record.number,
            record.error.kind if record.error else str(record.completion),
        )
        for record in records
    ]


def test_lines_are_in_the_order_of_the_input(path: Path) -> None:
    """A run writes in the order of finishing, and is read in that of its input."""
    lines = [answered(number, answer=str(number)) for number in (10, 2, 1)]
    assert read(path, *lines) == [(1, "1"), (2, "2"), (10, "10")]


def test_newest_line_counts(path: Path) -> None:
    """A failure that was asked for again is there once; an older answer is not."""
    lines = [failed(1), answered(2, answer="old"), answered(1), answered(2, answer="new")]
    assert read(path, *lines) == [(1, "hi"), (2, "new")]


def test_newest_line_of_an_id_counts(path: Path) -> None:
    """Lines of OpenAI's are told by their ids, wherever they stand in the input."""
    hi, ho = ({"choices": [{"message": {"content": text}}]} for text in ("hi", "ho"))
    lines = [unanswered_batch(1, "a"), batch(1, "b", ho), batch(2, "a", hi)]
    assert read(path, *lines) == [(1, "ho"), (2, "hi")]


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ([answered(1), answered(1)], 0),
        ([failed(1), answered(1, request="other")], 0),
        ([answered(1), failed(1, request="other")], 1),
        ([answered(1), answered(1, request="other")], 1),
        ([answered(1), failed(1, request="other"), answered(1, request="other")], 1),
    ],
)
def test_answers_to_other_requests_are_counted(
    path: Path, lines: list[bytes], number: int
) -> None:
    """Whoever changed the input between two runs can know that answers do not count."""
    path.write_bytes(b"".join(lines))
    with StoredRun.open(str(path)) as run:
        assert run.n_replaced == number


def test_line_that_is_being_written_is_left_out(path: Path) -> None:
    """A run may be writing: what is whole is read."""
    assert read(path, answered(1), answered(2)[:-9]) == [(1, "hi")]
    assert read(path, answered(1), answered(2)[:-1] + b"\0\0") == [(1, "hi"), (2, "hi")]
    assert read(path) == []


def test_lines_that_come_while_it_is_read(path: Path) -> None:
    """Lines that were not there at first do not matter."""
    path.write_bytes(answered(1)[:-1])
    with StoredRun.open(str(path)) as run:
        with path.open("ab") as file:
            file.write(b"\n" + answered(2))
        assert [line.number for line in run.lines()] == [1]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([answered(1), b"x\n", answered(2)], "line 2: .* found a damaged one"),
        ([answered(1).replace(b"hi", b"ho")], "line 1: .* found a damaged one"),
        ([b'{"prompt":"hi"}\n'], "line 1: expected a line of a run or a checkpoint"),
        ([checkpoint("a", {}, "s"), b"{}\n"], "line 2: .* found a damaged one"),
    ],
)
def test_damaged_line(path: Path, lines: list[bytes], problem: str) -> None:
    """A damaged line is told by its number, and a file of another kind by its first."""
    path.write_bytes(b"".join(lines))
    with pytest.raises(CheckpointError, match=f"out.jsonl: {problem}"):
        StoredRun.open(str(path))


def test_missing_file() -> None:
    """A file that is not there is told by its name."""
    with pytest.raises(CheckpointError, match="/missing: No such file"):
        StoredRun.open("/missing")


@pytest.mark.parametrize(
    ("line", "position"), [(answered(1), "at byte 0"), (checkpoint("a", {}, "s"), "line 1")]
)
def test_file_that_changes_while_it_is_read(path: Path, line: bytes, position: str) -> None:
    """A line that was written over meanwhile is no answer."""
    path.write_bytes(line)
    with StoredRun.open(str(path)) as run:
        path.write_bytes(b"x" * len(line))
        with pytest.raises(CheckpointError, match=position):
            list(run.lines())


def test_checkpoint(path: Path) -> None:
    """A checkpoint has completions alone; one by another model has its warning."""
    lines = [checkpoint("a", {}, "one"), checkpoint("b", {}, "two")]
    path.write_bytes(b"".join(lines) + b'{"limin_checkpoint":2,"crc')
    with StoredRun.open(str(path)) as run:
        first, second = (line.record() for line in run.lines())
    assert (first.number, str(first.completion), first.warnings) == (
        1,
        "a",
        ("log-probs-missing",),
    )
    assert (second.number, str(second.completion)) == (2, "b")
    assert "served-model-changed" in second.warnings


def test_checkpoint_without_a_completion(path: Path) -> None:
    """A line that holds an answer in which there is no completion is told by its number."""
    line = checkpoint("a", {}, "s")
    no_completion = line.replace(b'"limin_checkpoint":2', b'"limin_checkpoint":1')
    start, end = no_completion.index(b'"crc32"'), no_completion.index(b'"request"')
    no_completion = no_completion[:start] + no_completion[end:]
    no_completion = no_completion.replace(b'\\"choices\\"', b'\\"voices\\"')
    path.write_bytes(no_completion)
    with (
        StoredRun.open(str(path)) as run,
        pytest.raises(CheckpointError, match="line 1: expected a completion, found none"),
    ):
        list(run.lines())


def test_names_of_models(path: Path) -> None:
    """A line tells how the server called its model, if the server told it."""
    lines = [answered(1, served_model=None), batch(2, "a", body_of("hi") | {"model": "s"})]
    path.write_bytes(b"".join(lines) + answered(3))
    second = len(lines[0])
    offsets = {"a": 0, "b": second, "c": second + len(lines[1])}
    assert read_served_models(str(path), offsets) == {"b": "s", "c": "served"}
    path.write_bytes(marked(1, {}, "fields"))
    assert read_served_models(str(path), {"a": 0}) == {}
    with pytest.raises(CheckpointError, match="at byte 5: expected a line as it was"):
        read_served_models(str(path), {"a": 5})


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that comes through a pipe is read as often as it must be."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(answered(2) + answered(1))))
    with StoredRun.open("-") as run:
        for _ in range(2):
            assert [line.number for line in run.lines()] == [1, 2]


def test_stdin_that_is_a_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that stdin stands in the middle of, only the rest is read."""
    path.write_bytes(answered(1) + answered(3) + answered(2))
    descriptor = os.open(path, os.O_RDONLY)
    os.lseek(descriptor, len(answered(1)), os.SEEK_SET)
    with os.fdopen(descriptor) as file:
        monkeypatch.setattr(sys, "stdin", file)
        with StoredRun.open("-") as run:
            assert [line.number for line in run.lines()] == [2, 3]
