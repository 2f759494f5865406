"""Finished completions on disk, one JSON line each, so that a run can be resumed.

This module only remembers them; the caller decides what is asked again. The fields of
a line stand in `checkpoint.line`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from limin.calls.served_model import warn_of_other_model
from limin.checkpoint.folder import OtherFiles, find_files, is_folder, share_file
from limin.checkpoint.line import decode_line, encode_line, read_line, restore_completion
from limin.checkpoint.lines import Lines, damaged_line
from limin.checkpoint.open_file import OpenFile, explain_os_errors, open_to_read
from limin.errors import CheckpointError, ConfigurationError, LiminError
from limin.values.checks import check_choice, describe_type, refuse
from limin.values.warning_codes import has_warning
from limin.values.warnings import WarningCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limin.checkpoint.line import RecordedAnswer
    from limin.checkpoint.request import RecordedRequest
    from limin.values.completion import TextCompletion


class Checkpoint:
    """A file of finished completions, for one process at a time.

    Several calls of the process may use it at once. Each line is taken by one of them. In
    a folder each process has a file of its own, and takes lines of the others, too.

    Attributes:
        path: Path of the file, or of the folder.
        served_model: The name that `find_served_model` found; None if it found none.
    """

    def __init__(
        self, path: str, file: OpenFile, *, fsync: bool, own: str, others: OtherFiles | None
    ) -> None:
        """Use *file*, which is locked; call `open` or `lock` instead."""
        self.path, self._file, self._fsync = path, file, fsync
        self._own, self._others = own, others
        self.served_model: str | None = None
        self._closing = ExitStack()
        self._closing.callback(file.release)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, fsync: bool = False) -> Checkpoint:
        """Open the checkpoint at *path*, made if there is none, and lock it.

        A last line that was torn is cut off, and one that lacks only its newline gets
        it. Only the offsets of the lines are kept in memory.

        Args:
            path: The file; if it is made, only its owner can read it. Or a folder, in
                which a file is used that no other process uses.
            fsync: Whether to wait after each line added here until the disk has it.

        Raises:
            CheckpointError: If the file cannot be opened, is in use by another
                process, or is no checkpoint; then it is left as it was.
            ConfigurationError: If *path* is no path.
        """
        with ExitStack() as stack:
            checkpoint = stack.enter_context(cls.lock(path, fsync=fsync))
            for _ in checkpoint.read():
                pass
            stack.pop_all()
        return checkpoint

    @classmethod
    def lock(cls, path: str | os.PathLike[str], *, fsync: bool) -> Checkpoint:
        """Open and lock the checkpoint at *path*, but do not read it; see `open`."""
        name = check_path(path)
        with explain_os_errors(name):
            if not is_folder(name):
                file = OpenFile.share(name)
                return cls(name, file, fsync=fsync, own=name, others=None)
            own, file = share_file(name)
        return cls(name, file, fsync=fsync, own=own, others=OtherFiles(name, own))

    @property
    def size(self) -> int:
        """Number of completions in the file, or the folder, of other calls included."""
        return self._file.size + (0 if self._others is None else self._others.size)

    def read(self) -> Iterator[None]:
        """Read the lines, unless another call has, and repair the end of the file.

        Yields:
            None, now and then: nothing else may have its turn meanwhile.

        Raises:
            CheckpointError: If the file is no checkpoint; it is left as it was.
        """
        with explain_os_errors(self._own):
            while self._file.read_on():
                yield
        if self._others is not None:
            yield from self._others.read()

    def take(self, request: RecordedRequest) -> RecordedAnswer | None:
        """Take the next line recorded for *request*; None if there is none left.

        Equal requests take different lines, in the order of the file, also those of
        other calls that use the file at the same time. Lines that were added meanwhile
        are not taken.

        Args:
            request: The request that would be sent.

        Raises:
            CheckpointError: If the line cannot be read any more.
        """
        with explain_os_errors(self._own):
            taken = self._file.take(request.digest)
        if taken is None:
            return self._take_of_others(request)
        offset, data = taken
        line = decode_line(data)
        if line is None or line.request != request.digest.hex():
            raise damaged_line(self._own, f"at byte {offset}")
        if line.crc32 is None and self._file.must_have_checksum(offset):
            raise damaged_line(self._own, f"at byte {offset}")
        return read_line(line, offset)

    def _take_of_others(self, request: RecordedRequest) -> RecordedAnswer | None:
        """Take the next line for *request* that stands in another file of the folder."""
        taken = None if self._others is None else self._others.take(request.digest)
        if taken is None:
            return None
        path, offset, data = taken
        line = decode_line(data)
        if line is None:
            raise damaged_line(path, f"at byte {offset}")
        # The digest of another request may begin with the same bytes.
        is_same = line.request == request.digest.hex()
        return read_line(line, offset) if is_same else None

    def find_served_model(self, model: str) -> Iterator[None]:
        """Find the name that the server gave to *model* in the first line with it.

        It becomes `served_model`, unless there is no such line, or the server gave no
        name. In a folder the file of this process comes first, and then the others.

        Yields:
            None, now and then: nothing else may have its turn meanwhile.

        Raises:
            CheckpointError: If the file cannot be read any more.
        """
        with explain_os_errors(self._own):
            completion, offset = self._file.find_completion(model, 0)
            while completion is None and offset >= 0:
                yield
                completion, offset = self._file.find_completion(model, offset)
        if completion is None and self._others is not None:
            completion = yield from self._others.find_completion(model)
        self.served_model = None if completion is None else completion.served_model

    def add(self, request: RecordedRequest, completion: TextCompletion[object]) -> None:
        """Write *completion*, the answer to *request*, as a line.

        Args:
            request: The request that was sent.
            completion: The answer to it.

        Raises:
            CheckpointError: If it cannot be written; no part of the line stays.
        """
        line = encode_line(request, completion)
        with explain_os_errors(self._own):
            self._file.add(line, fsync=self._fsync)

    def close(self) -> None:
        """Close the file, and unlock it unless another call uses it."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_reason: object) -> None:
        self.close()


def read_checkpoint(
    path: str | os.PathLike[str],
    *more_paths: str | os.PathLike[str],
    with_warnings: Iterable[WarningCode | str] = (),
    without_warnings: Iterable[WarningCode | str] = (),
) -> Iterator[TextCompletion]:
    """Read the completions in the checkpoint at *path* one by one, and then in others.

    A run may be writing to a file meanwhile. A last line that was torn is left out, and a
    line that stands in the files twice counts once.

    Of each requested model the first completion tells how the server calls it. Those
    behind it by another model have the warning `served-model-changed`.

    Args:
        path: The file, or a folder of files.
        *more_paths: More files, such as those of other shards of the run.
        with_warnings: Codes of warnings; only completions that have one of them are
            read. All are read by default.
        without_warnings: Codes of warnings; completions that have one of them are left
            out.

    Yields:
        The completions in the order in which they came. Their attempts' errors
        are plain `LiminError` objects that name their classes.

    Raises:
        CheckpointError: If a file cannot be read, or a line is no line of a
            checkpoint; while iterating, not when called.
        ConfigurationError: If there is no such warning; while iterating, too.
    """
    wanted = _check_codes("with_warnings", with_warnings)
    unwanted = _check_codes("without_warnings", without_warnings)
    identities: set[bytes] = set()
    served_models: dict[str, str | None] = {}
    for each in (path, *more_paths):
        for completion in _read_files(check_path(each), identities):
            checked = check_served_model(completion, served_models)
            if (not wanted or has_warning(checked, wanted)) and not (
                unwanted and has_warning(checked, unwanted)
            ):
                yield checked


def check_served_model(
    completion: TextCompletion, served_models: dict[str, str | None]
) -> TextCompletion:
    """Return *completion*, with one more warning if another model answered before.

    Args:
        completion: The next completion of a file.
        served_models: How the server calls each requested model; this adds to it.
    """
    model = completion.model
    if served_models.get(model) is None:
        served_models[model] = completion.served_model
    secrets = completion.conversation.texts()
    return warn_of_other_model(completion, served_models[model], secrets)


def _read_files(name: str, identities: set[bytes]) -> Iterator[TextCompletion]:
    """Read the completions in the file *name*, or in the files of the folder *name*."""
    names = [name]
    if is_folder(name):
        with explain_os_errors(name):
            names = find_files(name)
    for each in names:
        yield from _read_file(each, identities)


def _read_file(name: str, identities: set[bytes]) -> Iterator[TextCompletion]:
    """Read the completions in the file *name*, but for lines with these *identities*."""
    with explain_os_errors(name), open_to_read(name) as file:
        lines = Lines(file, name, decode_line, identities)
        for _, line in lines:
            try:
                completion = restore_completion(line)
            except LiminError as error:
                raise no_completion(name, f"line {lines.number}") from error
            yield completion


def _check_codes(name: str, codes: Iterable[WarningCode | str]) -> frozenset[WarningCode]:
    """Return the *codes*, or the one code, of the argument *name*.

    Raises:
        ConfigurationError: If there is no such warning.
    """
    several = [codes] if isinstance(codes, str) else codes
    if not isinstance(several, Iterable):
        refuse(name, several, "codes of warnings")
    known = {str(code): code for code in WarningCode}
    texts = [check_choice(name, code, tuple(known)) for code in several]
    return frozenset(known[text] for text in texts)


def no_completion(path: str, position: str) -> CheckpointError:
    """Return the error that a line holds an answer in which there is no completion."""
    return CheckpointError(f"{position}: expected a completion, found none", path)


def check_path(path: str | os.PathLike[str]) -> str:
    """Return *path* as text.

    Raises:
        ConfigurationError: If it is no path.
    """
    try:
        return os.fsdecode(path)
    except TypeError:
        problem = f"checkpoint: expected a path, found {describe_type(path)}"
        raise ConfigurationError(problem) from None
