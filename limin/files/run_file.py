"""The output of a run, which is its own checkpoint."""

from __future__ import annotations

import os
import stat
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

import msgspec

from limin.checkpoint.lines import damaged_line, split_end
from limin.checkpoint.open_file import OpenFile, explain_os_errors, open_to_read
from limin.errors import CheckpointError, ConfigurationError
from limin.files.pipes import as_broken_pipe
from limin.files.run_lines import Mark, read_mark
from limin.files.sources import describe_problem
from limin.files.terminals import harmless, open_stdout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limin.files.questions import Question
    from limin.files.run_lines import Shape
    from limin.files.terminals import Terminal

STANDARD_OUTPUT = "-"

_KEY_BYTES = 16
_TO_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY
_MODE = 0o666  # Less what the user's mask takes, as for every output.


class Output(Protocol):
    """Where the lines of a run go."""

    def add(self, line: bytes) -> None:
        """Write *line*, which ends with a newline."""

    def close(self) -> None:
        """Write no more."""


class Stream:
    """A pipe, a terminal or a device, which keeps nothing."""

    def __init__(
        self, file: BinaryIO | Terminal | None, name: str, *, is_own: bool
    ) -> None:
        """Write to *file*; None for a closed stdout, which takes nothing.

        Args:
            file: It is written to at once.
            name: What a message calls it.
            is_own: Whether it was opened for this run.
        """
        self._file, self._name, self._is_own = file, name, is_own

    def add(self, line: bytes) -> None:
        """Write *line* at once.

        Raises:
            BrokenPipeError: If nobody reads it any more.
            CheckpointError: If it cannot be written, for example to a full disk.
        """
        if self._file is None:
            return
        try:
            with as_broken_pipe():
                self._file.write(line)
                self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CheckpointError(describe_problem(error), self._name) from error

    def close(self) -> None:
        """Close what was opened for this run; stdout stays open."""
        if self._file is not None and self._is_own:
            self._file.close()


class RunFile:
    """A file of answers, for one run at a time."""

    def __init__(self, file: OpenFile, path: str) -> None:
        """Use *file*, which is locked; call `open` instead."""
        self._file, self._path = file, path

    @classmethod
    def open(cls, path: str, *, resume: bool) -> Self:
        """Open and lock the file *path*; make it if there is none.

        Raises:
            ConfigurationError: If there is one, and it is not to be resumed.
            CheckpointError: If it cannot be opened, or another run uses it.
        """
        with explain_os_errors(path):
            is_new = _create(path)
        if not is_new and not resume:
            raise _existing(path)
        with explain_os_errors(path):
            return cls(OpenFile.share(path), path)

    def add(self, line: bytes) -> None:
        """Write *line*, which ends with a newline.

        Raises:
            CheckpointError: If it cannot be written; no part of it stays.
        """
        with explain_os_errors(self._path):
            self._file.add(line.removesuffix(b"\n"), fsync=False)

    def read(self, shape: Shape, prefix: str) -> Answered:
        """Return what the file has answers to, and repair its end.

        A last line that was torn is cut off, and one that lacks only its newline gets it.

        Args:
            shape: The shape of the run's lines.
            prefix: What stands before the names of its fields.

        Raises:
            CheckpointError: See `read_answered`; then the file is left as it was.
        """
        answered, end = read_answered(self._path, shape, prefix)
        with explain_os_errors(self._path):
            self._repair(end)
        return answered

    def _repair(self, end: int) -> None:
        """Cut the file at *end*, where its last whole line ends but for a newline."""
        size = Path(self._path).stat().st_size
        if size < end:
            self._file.add(b"", fsync=False)
        elif size > end:
            os.truncate(self._path, end)

    def close(self) -> None:
        """Close and unlock the file."""
        self._file.release()


def check_output(path: str, *, resume: bool) -> bool:
    """Return whether there is a file *path*, which the run goes on with.

    Raises:
        ConfigurationError: If it is not to be resumed, or cannot be.
    """
    if path == STANDARD_OUTPUT or is_stream(path):
        if resume:
            problem = "--resume needs -o with a file, which is read first"
            raise ConfigurationError(problem)
        return False
    exists = os.path.lexists(path)
    if exists and not resume:
        raise _existing(path)
    return exists


def _create(path: str) -> bool:
    """Make the file *path*, and return whether there was none."""
    try:
        os.close(os.open(path, _TO_CREATE, _MODE))
    except FileExistsError:
        return False
    return True


def _existing(path: str) -> ConfigurationError:
    return ConfigurationError(f"{path} exists; --resume goes on with it")


def open_stream(path: str) -> Stream:
    """Return the pipe or device at *path*; stdout for `-`. Nothing acts on a terminal.

    Raises:
        CheckpointError: If it cannot be opened.
    """
    if path == STANDARD_OUTPUT:
        return Stream(open_stdout(), "stdout", is_own=False)
    with explain_os_errors(path):
        return Stream(harmless(Path(path).open("wb", buffering=0)), path, is_own=True)


def is_stream(path: str) -> bool:
    """Return whether *path* is a pipe or a device."""
    with suppress(OSError, ValueError):
        mode = Path(path).stat().st_mode
        return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
    return False


def read_answered(path: str, shape: Shape, prefix: str) -> tuple[Answered, int]:
    """Return what the file *path* has answers to, and where its last whole line ends.

    Args:
        path: The file.
        shape: The shape of the run's lines.
        prefix: What stands before the names of its fields.

    Raises:
        CheckpointError: If a line is damaged, is none of a run, or is one of a run of
            another shape.
    """
    answered, whole = Answered(), 0
    with explain_os_errors(path), open_to_read(path) as file:
        for mark, line, start in read_lines(file, path):
            whole = start + len(line) + 1
            if (mark.shape, mark.prefix) != (shape, prefix):
                problem = "expected lines of the same --format and --prefix, found others"
                raise CheckpointError(problem, path)
            is_batch = mark.shape == "openai"
            answered.note(mark, read_custom_id(line) if is_batch else None, start)
    return answered, whole


def read_lines(file: BinaryIO, path: str) -> Iterator[tuple[Mark, bytes, int]]:
    """Yield the mark of each line of *file*, the line, and its offset.

    A last line that was torn is left out. One that lacks only its newline is whole.

    Raises:
        CheckpointError: If a line of the file, which is at *path*, is damaged or none of a
            run.
    """
    start = 0
    for number, data in enumerate(file, start=1):
        line, is_finished = split_end(data)
        mark = read_mark(line)
        if mark is None:
            if is_finished or number == 1:
                raise damaged_line(path, f"line {number}")
            return
        yield mark, line, start
        start += len(data)


class _WithId(msgspec.Struct):
    custom_id: str = ""


_id_decoder = msgspec.json.Decoder(_WithId)


def read_custom_id(line: bytes) -> str:
    """Return the id of *line*, one of OpenAI's."""
    return _id_decoder.decode(line).custom_id


class Answered:
    """Which lines of an input have an answer in an output already.

    A line is told by its number and its request; if lines were put in or taken out, by
    its request alone. Equal requests are counted. A line of OpenAI's is told by its id
    and its request.

    Attributes:
        first_answers: By the model that was asked, the offset of the first line of the
            output that has an answer to a question of the input, once all were matched.
    """

    def __init__(self) -> None:
        """Know of no answer yet."""
        self.first_answers: dict[str, int] = {}
        self._untaken: dict[bytes, int] = {}
        self._matched: set[int] = set()
        self._asked = Counter[bytes]()
        self._elsewhere = Counter[bytes]()
        self._model = ""

    def note(self, mark: Mark, custom_id: str | None, offset: int) -> None:
        """Note that the output has a line with *mark* at *offset*; a newer one counts."""
        key = _key(mark.request, custom_id, mark.number)
        if mark.failed:
            self._untaken.pop(key, None)
        else:
            self._untaken[key] = offset

    def match(self, question: Question, request: bytes) -> None:
        """Note that *question* is in the input, with the hash *request*."""
        number, model = question.line.number, question.configuration.model
        offset = self._untaken.pop(_key(request, question.custom_id, number), None)
        if offset is not None:
            self._matched.add(number)
            self._note_first(model, offset)
        elif question.custom_id is None:  # Then all questions have one model.
            self._asked[request[:_KEY_BYTES]] += 1
            self._model = model

    def _note_first(self, model: str, offset: int) -> None:
        """Note that the line at *offset* has an answer to a question for *model*."""
        first = self.first_answers.setdefault(model, offset)
        self.first_answers[model] = min(first, offset)

    def match_others(self) -> int:
        """Match answers to lines of other numbers, after all questions were matched.

        Return how many of the questions have an answer.
        """
        others = Counter(key[:_KEY_BYTES] for key in self._untaken)
        self._elsewhere = others & self._asked
        for key, offset in self._untaken.items():
            if key[:_KEY_BYTES] in self._elsewhere:
                self._note_first(self._model, offset)
        self._untaken.clear()
        self._asked.clear()
        return len(self._matched) + self._elsewhere.total()

    def take(self, question: Question, request: bytes) -> bool:
        """Return whether *question* has an answer, which no other line takes then."""
        if question.line.number in self._matched:
            return True
        key = request[:_KEY_BYTES]
        has_answer = self._elsewhere[key] > 0 if key in self._elsewhere else False
        if has_answer:
            self._elsewhere[key] -= 1
        return has_answer


def _key(request: bytes, custom_id: str | None, number: int) -> bytes:
    """Return what tells a line: its request, and its id or its number."""
    identity = str(number) if custom_id is None else custom_id
    return request[:_KEY_BYTES] + identity.encode(errors="surrogatepass")
