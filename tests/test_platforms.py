"""What differs on Windows and macOS, with the platform pretended as far as that goes."""

from __future__ import annotations

import errno
import io
import os
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from limin import local
from limin.checkpoint import open_file
from limin.cli import ask, console
from limin.files.pipes import as_broken_pipe
from limin.files.run_file import Stream
from limin.rendering import terminal
from limin.transport import connection

if TYPE_CHECKING:
    from pathlib import Path

FULL_SYNC = 51  # F_FULLFSYNC of macOS.


class Unread(io.RawIOBase):
    """A pipe that nobody reads, as Windows reports it."""

    def writable(self) -> bool:
        return True

    def write(self, _data: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")


@pytest.fixture
def _windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the platform is Windows."""
    monkeypatch.setattr(sys, "platform", "win32")


@pytest.mark.usefixtures("_windows")
def test_unread_pipe_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that nobody reads ends a run on Windows as elsewhere."""
    with pytest.raises(BrokenPipeError):
        Stream(Unread(), "-", is_own=True).add(b"line\n")  # type: ignore[arg-type]  # raw
    stdout = io.TextIOWrapper(io.BufferedWriter(Unread()), write_through=True)
    monkeypatch.setattr(sys, "stdout", stdout)
    for write in (console.write, console.write_styled):
        with pytest.raises(BrokenPipeError):
            write("answer")
    monkeypatch.undo()
    with pytest.raises(OSError, match="Invalid argument"):
        stdout.close()


@pytest.mark.parametrize("platform", ["win32", "linux"])
def test_other_errors_stay(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """A full disk is no pipe, and an invalid argument is none elsewhere."""
    monkeypatch.setattr(sys, "platform", platform)
    number = errno.ENOSPC if platform == "win32" else errno.EINVAL
    with pytest.raises(OSError, match="no") as caught, as_broken_pipe():
        raise OSError(number, "no")
    assert not isinstance(caught.value, BrokenPipeError)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_files_get_utf_8(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A code page without emoji does not end the program."""
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="cp1252", errors="replace")
    monkeypatch.setattr(sys, name, stream)
    console.write_every_character()
    stream.write("\N{SNOWMAN}")
    stream.flush()
    assert written.getvalue().decode() == "\N{SNOWMAN}"
    assert stream.errors == "replace"


def test_encoding_that_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept, and what it cannot say is escaped."""
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", None)
    console.write_every_character()
    stream.write("\u00fc\N{SNOWMAN}")
    stream.flush()
    assert written.getvalue() == b"\xfc\\u2603"


def test_stdin_of_powershell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte order mark and the line end of Windows are no part of the question."""
    stdin = SimpleNamespace(buffer=io.BytesIO(b"\xef\xbb\xbfhi\r\n"), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    assert ask._read_stdin() == "hi"


def test_errors_of_sockets_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows' numbers of errors of sockets are said in words."""
    names = {10061: "Connection refused."}
    monkeypatch.setattr(socket, "errorTab", names, raising=False)
    with pytest.raises(OSError, match=r"Connection refused\."):
        connection._raise_failure(10061)
    with pytest.raises(ConnectionRefusedError):
        connection._raise_failure(errno.ECONNREFUSED)


def test_local_server_gets_no_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C reaches the program alone, on every platform."""
    assert local._apart() == {"start_new_session": True}
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 512, raising=False)
    assert local._apart() == {"creationflags": 512}


def test_console_without_escape_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old console of Windows gets no colors."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: True))
    assert terminal._wants_color()
    monkeypatch.setattr(terminal, "detect_legacy_windows", lambda: True)
    assert not terminal._wants_color()


@pytest.mark.parametrize("knows_it", [True, False])
def test_sync_on_macos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, knows_it: bool
) -> None:
    """A line survives a power cut on macOS; where a disk cannot, fsync does what it can."""
    calls: list[Any] = []

    def fcntl(_descriptor: int, command: int) -> None:
        calls.append(command)
        if not knows_it:
            raise OSError(errno.ENOTSUP, "not supported")

    pretended = SimpleNamespace(F_FULLFSYNC=FULL_SYNC, fcntl=fcntl)
    monkeypatch.setattr(open_file, "fcntl", pretended)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: calls.append("fsync"))
    with (tmp_path / "a").open("wb") as file:
        open_file._sync(file.fileno())
    assert calls == ([FULL_SYNC] if knows_it else [FULL_SYNC, "fsync"])
