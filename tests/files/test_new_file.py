"""A file that a command makes: as a whole, or not at all."""

from __future__ import annotations

import io
import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from limin import ConfigurationError, LiminError
from limin.files.new_file import explain_write_errors, new_file

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path | str, *, overwrites: bool = False) -> None:
    """Write a file."""
    with new_file(str(path), "the run", overwrites=overwrites) as file:
        file.write(b"new")


def test_file_appears_at_the_end(tmp_path: Path) -> None:
    """Nobody sees half of a file, and it has the rights that every output has."""
    path = tmp_path / "out"
    previous = os.umask(0o027)
    try:
        with new_file(str(path), "the run", overwrites=False) as file:
            file.write(b"new")
            assert not path.exists()
    finally:
        os.umask(previous)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_file_that_is_there(tmp_path: Path) -> None:
    """It is replaced only if that was asked for."""
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(ConfigurationError, match="out exists; --overwrite replaces it"):
        write(path)
    assert path.read_text() == "old"
    write(path, overwrites=True)
    assert path.read_text() == "new"


def test_link_stays_a_link(tmp_path: Path) -> None:
    """The file that a link names is replaced, not the link."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write(link, overwrites=True)
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_run_is_never_replaced(tmp_path: Path) -> None:
    """The file that is read is not written."""
    path = tmp_path / "run"
    path.write_text("precious")
    with (
        pytest.raises(ConfigurationError, match="an output that is not the run"),
        new_file(str(path), str(path), overwrites=True),
    ):
        pass
    assert path.read_text() == "precious"


def test_nothing_stays_of_a_failure(tmp_path: Path) -> None:
    """What failed leaves no file, and an older one as it was."""
    path = tmp_path / "out"
    path.write_text("old")
    problem = "the run is damaged"

    def fail() -> None:
        with new_file(str(path), "the run", overwrites=True) as file:
            file.write(b"new")
            raise LiminError(problem)

    with pytest.raises(LiminError, match=problem):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be made is told by its name."""
    with pytest.raises(ConfigurationError, match=r"output .*missing/out: No such file"):
        write(tmp_path / "missing" / "out")


def test_device(tmp_path: Path) -> None:
    """A device is written to at once; if it is full, that is told."""
    write("/dev/null")
    with pytest.raises(LiminError, match="output /dev/full: No space left"):
        write("/dev/full")
    assert list(tmp_path.iterdir()) == []


def test_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` is stdout, and a closed one takes nothing."""
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stdout)
    write("-")
    assert stdout.buffer.getvalue() == b"new"  # type: ignore[attr-defined]  # a BytesIO
    monkeypatch.setattr(sys, "stdout", None)
    write("-")


def test_closed_pipe_is_no_failure_to_write() -> None:
    """Whoever reads no more is no error of the output."""
    with pytest.raises(BrokenPipeError), explain_write_errors("stdout"):
        raise BrokenPipeError
