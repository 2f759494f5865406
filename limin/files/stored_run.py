"""A run or a checkpoint that is read: where its lines are, in the order of the input.

The lines stay in the file, however many there are.
"""

from __future__ import annotations

from array import array
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Self

from limin.checkpoint.file import check_served_model, no_completion
from limin.checkpoint.line import decode_line, restore_completion
from limin.checkpoint.lines import FIRST_BYTES, Lines, damaged_line, split_end
from limin.checkpoint.open_file import explain_os_errors, open_to_read
from limin.errors import CheckpointError, LiminError
from limin.files.run_file import read_custom_id, read_lines
from limin.files.run_lines import read_mark
from limin.files.sources import STANDARD_INPUT, describe_problem, open_source
from limin.files.stored_lines import BatchLine, CheckpointLine, FieldsLine
from limin.wire.raw_json import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from limin.files.stored_lines import StoredLine


class StoredRun:
    """An output of `limin run`, or a checkpoint of the library.

    Another process may be writing to it: what is whole now is read.

    Attributes:
        n_replaced: Number of answers that are left out because a newer line has their
            number or id, and another request.
    """

    def __init__(self, file: BinaryIO, path: str) -> None:
        """Read *file*, which can be read again; call `open` instead."""
        self.n_replaced = 0
        self._file, self._path = file, path
        self._closing = ExitStack()
        self._closing.enter_context(file)
        self._is_checkpoint = False
        self._numbers: Iterable[int] = ()
        self._offsets: Iterable[int] = ()

    @classmethod
    def open(cls, name: str) -> Self:
        """Open the file *name*, or stdin for `-`, and find its lines.

        Raises:
            CheckpointError: If it cannot be read, is neither a run nor a checkpoint, or has
                a damaged line.
        """
        path = "stdin" if name == STANDARD_INPUT else name
        try:
            opened = cls(open_source(name), path)
        except (OSError, ValueError) as error:
            raise CheckpointError(describe_problem(error), path) from error
        with ExitStack() as stack:
            stack.enter_context(opened)
            with explain_os_errors(path):
                opened._find_lines()
            stack.pop_all()
        return opened

    def lines(self) -> Iterator[StoredLine]:
        """Yield the lines in the order of the input; of a checkpoint, of the file.

        Raises:
            CheckpointError: If a line cannot be read any more, or holds no completion.
        """
        read = self._read_checkpoint if self._is_checkpoint else self._read_run
        with explain_os_errors(self._path):
            yield from read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        self._closing.close()

    def _find_lines(self) -> None:
        first = self._file.readline()
        self._file.seek(0)
        is_run = read_mark(first.removesuffix(b"\n")) is not None
        if first.startswith(FIRST_BYTES) and not is_run:
            self._is_checkpoint = True
            self._find_completions()
        elif is_run or not first or b'limin":{"version":' in first:
            self._find_answers()
        else:
            problem = "line 1: expected a line of a run or a checkpoint, found another"
            raise CheckpointError(problem, self._path)

    def _find_completions(self) -> None:
        lines = Lines(self._file, self._path, decode_line)
        numbers, offsets = array("q"), array("q")
        for offset, _ in lines:
            numbers.append(lines.number)
            offsets.append(offset)
        self._numbers, self._offsets = numbers, offsets

    def _find_answers(self) -> None:
        """Find the newest line of each number, or of each id where lines have one."""
        numbers, offsets, requests = array("q"), array("q"), array("Q")
        newest: dict[int | str, int] = {}
        for index, (mark, line, offset) in enumerate(read_lines(self._file, self._path)):
            key = read_custom_id(line) if mark.shape == "openai" else mark.number
            request = 0 if mark.failed else int.from_bytes(mark.request[:8], "big")
            older = requests[newest[key]] if key in newest else 0
            self.n_replaced += older not in {0, request}
            newest[key] = index
            numbers.append(mark.number)
            offsets.append(offset)
            requests.append(request)
        order = sorted(newest.values(), key=numbers.__getitem__)
        self._numbers = array("q", map(numbers.__getitem__, order))
        self._offsets = array("q", map(offsets.__getitem__, order))

    def _read_run(self) -> Iterator[StoredLine]:
        for offset in self._offsets:
            yield _read_stored_line(self._file, self._path, offset)

    def _read_checkpoint(self) -> Iterator[StoredLine]:
        """Yield the completions; those by another model than the first have a warning."""
        served_models: dict[str, str | None] = {}
        for number, offset in zip(self._numbers, self._offsets, strict=True):
            line = decode_line(_read_line(self._file, offset))
            if line is None:
                raise damaged_line(self._path, f"line {number}")
            try:
                completion = restore_completion(line)
            except LiminError as error:
                raise no_completion(self._path, f"line {number}") from error
            checked = check_served_model(completion, served_models)
            yield CheckpointLine(number, line.request, checked)


def read_served_models(path: str, offsets: Mapping[str, int]) -> dict[str, str]:
    """Return the server's name for each model that was asked, if the output has one.

    Args:
        path: The output.
        offsets: The offset of a line by the model that was asked.

    Raises:
        CheckpointError: If a line cannot be read any more.
    """
    names: dict[str, str] = {}
    with explain_os_errors(path), open_to_read(path) as file:
        for model, offset in offsets.items():
            fields = _read_stored_line(file, path, offset).fields()
            name = read_text(fields["served_model"]) if "served_model" in fields else None
            if name is not None:
                names[model] = name
    return names


def _read_stored_line(file: BinaryIO, path: str, offset: int) -> StoredLine:
    """Return the line of a run at *offset* of *file*, which is at *path*.

    Raises:
        CheckpointError: If it is damaged.
    """
    line = _read_line(file, offset)
    mark = read_mark(line)
    if mark is None:
        raise damaged_line(path, f"at byte {offset}")
    return BatchLine(line, mark) if mark.shape == "openai" else FieldsLine(line, mark)


def _read_line(file: BinaryIO, offset: int) -> bytes:
    """Return the line at *offset*, without its newline or the zeros behind it."""
    file.seek(offset)
    return split_end(file.readline())[0]
