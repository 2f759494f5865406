"""The output of a run: what is written, and what a resumed run finds."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from limin import CheckpointError, ConfigurationError, ModelConfiguration
from limin.files.input_lines import InputLine
from limin.files.new_file import new_file
from limin.files.questions import BatchReader, PromptReader, Question
from limin.files.run_file import (
    Answered,
    RunFile,
    Stream,
    check_output,
    is_stream,
    open_stream,
    read_answered,
    read_lines,
)
from limin.files.run_lines import Mark, Shape, encode_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READER = PromptReader(ModelConfiguration(model="m"))


def question(number: int, prompt: str = "hi") -> Question:
    """Return the question on a line."""
    return READER.read(InputLine(number, {"prompt": prompt}))


def batch_question(number: int, custom_id: str) -> Question:
    """Return the question on a line of OpenAI's."""
    messages = [{"role": "user", "content": "hi"}]
    fields = {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": messages},
    }
    return BatchReader(None, None).read(InputLine(number, fields))


def line(asked: Question, *, failed: bool = False, shape: Shape = "fields") -> bytes:
    """Return the line of an answer."""
    fields = b'{"custom_id":"%b"}' % (asked.custom_id or "").encode()
    mark = Mark(
        number=asked.line.number,
        request=asked.hash(),
        shape=shape,
        failed=failed,
        time=1.0,
    )
    return encode_line(fields, mark)


def left(answered: Answered, questions: list[Question]) -> list[int]:
    """Return the numbers of *questions* that have no answer."""
    for each in questions:
        answered.match(each, each.hash())
    n_answered = answered.match_others()
    numbers = [q.line.number for q in questions if not answered.take(q, q.hash())]
    assert len(numbers) == len(questions) - n_answered
    return numbers


def resumed(path: Path, lines: list[bytes], questions: list[Question]) -> list[int]:
    """Return the numbers of *questions* that a run asks that goes on with *lines*."""
    path.write_bytes(b"".join(lines))
    shape: Shape = "fields" if questions[0].custom_id is None else "openai"
    return left(read_answered(str(path), shape, "")[0], questions)


def test_answers_are_not_asked_for_again(tmp_path: Path) -> None:
    """What is in the file is not sent."""
    asked = [question(n, str(n)) for n in (1, 2, 3)]
    assert resumed(tmp_path / "out", [line(asked[2]), line(asked[0])], asked) == [2]


def test_failure_is_asked_again_and_the_newer_line_counts(tmp_path: Path) -> None:
    """A failure is no answer, until one follows."""
    asked = [question(1), question(2, "other")]
    failures = [line(each, failed=True) for each in asked]
    assert resumed(tmp_path / "out", failures, asked) == [1, 2]
    assert resumed(tmp_path / "out", [*failures, line(asked[1])], asked) == [1]


def test_equal_lines_are_told_apart(tmp_path: Path) -> None:
    """Three equal lines are three questions; the one that failed is asked again."""
    asked = [question(n) for n in (7, 8, 9)]
    lines = [line(asked[0]), line(asked[1], failed=True), line(asked[2])]
    assert resumed(tmp_path / "out", lines, asked) == [8]


def test_shifted_lines_keep_their_answers(tmp_path: Path) -> None:
    """After a line was put in, each request is found under its new number, by count."""
    before = [question(1, "a"), question(2, "b"), question(3, "b")]
    after = [question(n, p) for n, p in enumerate(["new", "a", "b", "b", "b"], start=1)]
    assert resumed(tmp_path / "out", [line(each) for each in before], after) == [1, 5]


def test_changed_line_is_asked_again(tmp_path: Path) -> None:
    """Another prompt on the same line is another request."""
    assert resumed(tmp_path / "out", [line(question(1, "a"))], [question(1, "b")]) == [1]


def test_batch_lines_are_told_by_their_ids(tmp_path: Path) -> None:
    """An equal request of another id has no answer yet, and lines may move."""
    answer = line(batch_question(1, "a"), shape="openai")
    asked = [batch_question(1, "b"), batch_question(2, "a")]
    assert resumed(tmp_path / "out", [answer], asked) == [1]


def test_new_file_is_made_with_the_users_mask(tmp_path: Path) -> None:
    """The output is a file as any program makes it."""
    path = tmp_path / "out"
    previous = os.umask(0o027)
    try:
        RunFile.open(str(path), resume=False).close()
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_lines_are_added_and_read(tmp_path: Path) -> None:
    """Lines are in the file at once, and are added behind those of an earlier run."""
    path = tmp_path / "out"
    first, second = question(1, "a"), question(2, "b")
    output = RunFile.open(str(path), resume=True)
    output.add(line(first))
    assert path.read_bytes() == line(first)
    output.close()
    output = RunFile.open(str(path), resume=True)
    assert left(output.read("fields", ""), [first, second]) == [2]
    output.add(line(second))
    output.close()
    with path.open("rb") as file:
        lines = list(read_lines(file, str(path)))
    assert [mark.number for mark, _, _ in lines] == [1, 2]
    assert [start for _, _, start in lines] == [0, len(line(first))]


def test_existing_file_is_left_alone(tmp_path: Path) -> None:
    """Without --resume a file is never written to."""
    path = tmp_path / "out"
    path.write_text("precious")
    for attempt in (RunFile.open, check_output):
        with pytest.raises(ConfigurationError, match="exists; --resume goes on with it"):
            attempt(str(path), resume=False)
    assert path.read_text() == "precious"


def test_file_in_use_is_refused(tmp_path: Path) -> None:
    """Two runs never write to one file."""
    path = tmp_path / "out"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CheckpointError, match="in use by another run"):
            RunFile.open(str(path), resume=True)


@pytest.mark.parametrize("missing", [1, 2, 40])
def test_torn_last_line(tmp_path: Path, missing: int) -> None:
    """A torn line is cut off; one that lacks only its newline gets it."""
    path = tmp_path / "out"
    whole, torn = line(question(1, "a")), line(question(2, "b"))
    path.write_bytes(whole + torn[:-missing])
    output = RunFile.open(str(path), resume=True)
    answered = output.read("fields", "")
    output.close()
    assert path.read_bytes() == whole + (torn if missing == 1 else b"")
    asked = [question(1, "a"), question(2, "b")]
    assert left(answered, asked) == ([] if missing == 1 else [2])


def test_zeros_of_a_power_cut(tmp_path: Path) -> None:
    """Zeros behind the last line are no part of it."""
    path = tmp_path / "out"
    path.write_bytes(line(question(1)) + bytes(100))
    output = RunFile.open(str(path), resume=True)
    output.read("fields", "")
    output.close()
    assert path.read_bytes() == line(question(1))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (line(question(1)) + line(question(2)).replace(b"time", b"tame"), 2),
        (line(question(1)) + b"\n", 2),
        (b'{"prompt":"a"}\n', 1),
        (b"another file", 1),
    ],
)
def test_damaged_line_is_named_and_left(tmp_path: Path, text: bytes, number: int) -> None:
    """A line that is not as a run wrote it is told by its number, and nothing changes."""
    path = tmp_path / "out"
    path.write_bytes(text)
    output = RunFile.open(str(path), resume=True)
    with pytest.raises(CheckpointError) as caught:
        output.read("fields", "")
    output.close()
    expectation = "expected a line as it was written, found a damaged one"
    assert str(caught.value) == f"checkpoint {path}: line {number}: {expectation}"
    assert path.read_bytes() == text


@pytest.mark.parametrize(("shape", "prefix"), [("openai", ""), ("fields", "out_")])
def test_lines_of_another_shape(tmp_path: Path, shape: Shape, prefix: str) -> None:
    """A file has lines of one kind."""
    path = tmp_path / "out"
    path.write_bytes(line(question(1)))
    with pytest.raises(CheckpointError, match="of the same --format and --prefix"):
        read_answered(str(path), shape, prefix)


def test_missing_file() -> None:
    """A file that is not there is told by its name."""
    with pytest.raises(CheckpointError, match="missing: No such file"):
        read_answered("/missing", "fields", "")


@pytest.mark.parametrize("name", ["-", "/dev/null"])
def test_stream_is_no_checkpoint(name: str) -> None:
    """A pipe or a device cannot be gone on with, and needs no --resume."""
    assert check_output(name, resume=False) is False
    with pytest.raises(ConfigurationError, match="--resume needs -o with a file"):
        check_output(name, resume=True)


def test_what_exists(tmp_path: Path) -> None:
    """A new file is begun, an old one gone on with; a folder is no stream."""
    path = tmp_path / "out"
    assert check_output(str(path), resume=True) is False
    path.touch()
    assert check_output(str(path), resume=True) is True
    assert not is_stream(str(tmp_path))
    assert not is_stream("a\0b")


def test_streams_are_written_at_once(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A line on stdout or in a pipe is not held back."""
    output = open_stream("-")
    output.add(b"a line\n")
    output.close()
    assert capfdbinary.readouterr().out == b"a line\n"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    output = open_stream(str(pipe))
    output.add(b"a line\n")
    output.close()
    assert os.read(reader, 99) == b"a line\n"
    os.close(reader)


def written_to_terminal(write: Callable[[str], None]) -> bytes:
    """Return what a terminal gets when *write* was called with its path."""
    ours, its = pty.openpty()
    try:
        write(os.ttyname(its))
        return os.read(ours, 999).replace(b"\r\n", b"\n")
    finally:
        os.close(its)
        os.close(ours)


ACTING = "␛: \x1b \x7f \x9b \u202e\n"
HARMLESS = "␛: ␛ ␡ ⟨U+009B⟩ ⟨U+202E⟩\n"


def add_line(path: str) -> None:
    """Write a line that acts to the stream at *path*, as a run does."""
    output = open_stream(path)
    output.add(ACTING.encode())
    output.close()


def convert(path: str) -> None:
    """Write a line that acts to *path*, as a conversion does."""
    with new_file(path, "the run", overwrites=False) as file:
        file.write(ACTING.encode())


@pytest.mark.parametrize("write", [add_line, convert])
def test_nothing_acts_on_a_terminal(write: Callable[[str], None]) -> None:
    """A terminal that is named as the output shows symbols for what would act on it."""
    assert written_to_terminal(write).decode() == HARMLESS


@pytest.mark.parametrize("write", [add_line, convert])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_nothing_acts_on_stdout(
    write: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    """Stdout that is a terminal shows symbols; anything else gets each byte."""
    stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
    monkeypatch.setattr(stdout, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stdout", stdout)
    write("-")
    written = stdout.buffer.getvalue()  # type: ignore[attr-defined]  # a BytesIO
    assert written.decode() == (HARMLESS if is_terminal else ACTING)


def test_terminal_without_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of another encoding shows escapes for what that lacks."""
    stdout = io.TextIOWrapper(io.BytesIO(), "latin-1")
    monkeypatch.setattr(stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", stdout)
    open_stream("-").add("\u00fc \x9b\n".encode())
    written = stdout.buffer.getvalue()  # type: ignore[attr-defined]  # a BytesIO
    assert written == b"\xfc \\u27e8U+009B\\u27e9\n"


def test_closed_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stdout the lines go nowhere."""
    monkeypatch.setattr(sys, "stdout", None)
    open_stream("-").add(b"a line\n")


def test_stream_without_space_or_reader() -> None:
    """A full disk is told by the stream's name; a reader that has gone is no failure."""
    output = open_stream("/dev/full")
    with pytest.raises(CheckpointError, match="/dev/full: No space left"):
        output.add(b"a line\n")
    output.close()
    read, write = os.pipe()
    os.close(read)
    output = Stream(os.fdopen(write, "wb", buffering=0), "a pipe", is_own=True)
    with pytest.raises(BrokenPipeError):
        output.add(b"a line\n")
    output.close()


def test_stream_that_cannot_be_opened(tmp_path: Path) -> None:
    """A device that is not there is told by its name."""
    with pytest.raises(CheckpointError, match="No such file"):
        open_stream(str(tmp_path / "missing" / "pipe"))
