"""One file, used by several calls of a process, and by one process at a time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builders import body_of
from recorded import completed, request

from limin.checkpoint.file import Checkpoint, read_checkpoint
from limin.checkpoint.open_file import _open_files
from limin.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.checkpoint.line import RecordedAnswer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def write(path: Path, *prompts: str) -> None:
    """Write a checkpoint of *prompts*."""
    with Checkpoint.open(path) as checkpoint:
        for index, prompt in enumerate(prompts):
            body = body_of(f"answer {index}")  # Equal lines are one.
            checkpoint.add(request(prompt), completed(prompt, body))


def asked(path: Path) -> list[str]:
    """Return the prompts in the file."""
    return [c.conversation.messages[0].text for c in read_checkpoint(path)]


def offset_of(recorded: RecordedAnswer | None) -> int | None:
    return None if recorded is None else recorded.offset


OTHER = """
import sys
from limin.checkpoint.file import Checkpoint
from limin.errors import CheckpointError
try:
    Checkpoint.open(sys.argv[1]).close()
except CheckpointError as error:
    print(error.problem)
"""


def run_python(code: str, path: Path) -> str:
    """Run *code* in another process; return what it prints."""
    command = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 (ours)
    return run.stdout.strip()


def test_two_calls_share_the_file(path: Path) -> None:
    """Both write whole lines, and both know how many there are."""
    with Checkpoint.open(path) as first, Checkpoint.open(path) as second:
        first.add(request("a"), completed("a"))
        second.add(request("b"), completed("b"))
        first.add(request("c"), completed("c"))
        assert (first.size, second.size) == (3, 3)
    assert asked(path) == ["a", "b", "c"]
    assert not _open_files


def test_last_call_unlocks_the_file(path: Path) -> None:
    """Another process has to wait for all calls of this one."""
    first, second = Checkpoint.open(path), Checkpoint.open(path)
    first.close()
    first.close()
    second.add(request(), completed())
    assert run_python(OTHER, path) == "in use by another run"
    second.close()
    assert run_python(OTHER, path) == ""


@pytest.mark.usefixtures("small_steps")
def test_each_line_is_taken_once(path: Path) -> None:
    """Equal requests of two calls are two samples, as they are within one call."""
    write(path, "a", "a", "b")
    with Checkpoint.open(path) as first:
        offsets = [offset_of(first.take(request("a")))]
        with Checkpoint.open(path) as second:
            second.add(request("b"), completed("b", body_of("another")))
            offsets += [offset_of(c.take(request("a"))) for c in (second, second, first)]
            assert first.take(request("b")) is not None
            assert second.take(request("b")) is None
    assert offsets[0] == 0
    assert offsets[1] not in {0, None}
    assert offsets[2:] == [None, None]
    with Checkpoint.open(path) as again:
        assert [again.take(request("b")) is None for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_other_name_of_the_file(
    path: Path, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    """A file is told by what it is, not by its name."""
    write(path, "a")
    other = tmp_path / "other.jsonl"
    link(other, path)
    with Checkpoint.open(path) as first, Checkpoint.open(other) as second:
        assert first.take(request("a")) is not None
        assert second.take(request("a")) is None
        assert (first.path, second.path) == (str(path), str(other))


def test_other_file_of_the_name(path: Path) -> None:
    """A file that was put in the place of the first is another one."""
    write(path, "a")
    with Checkpoint.open(path) as first:
        path.unlink()
        with Checkpoint.open(path) as second:
            assert second.take(request("a")) is None
            second.add(request("b"), completed("b"))
        assert first.take(request("a")) is not None
    assert asked(path) == ["b"]


FORKED = """
import os, sys
from limin.checkpoint.file import Checkpoint
from limin.errors import CheckpointError
with Checkpoint.open(sys.argv[1]):
    if not os.fork():
        try:
            Checkpoint.open(sys.argv[1])
        except CheckpointError as error:
            os.write(1, error.problem.encode())
        os._exit(0)
    os.wait()
"""


def test_forked_process_is_another_one(path: Path) -> None:
    """A child that shared the parent's file would write into the midst of its lines."""
    assert run_python(FORKED, path) == "in use by another run"


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limin.checkpoint.open_file._STEP", 1)


@pytest.mark.usefixtures("small_steps")
def test_calls_read_the_file_together(path: Path) -> None:
    """Whoever has its turn reads on, and each line is known once."""
    prompts = [str(number) for number in range(6)]
    write(path, *prompts)
    first = Checkpoint.lock(path, fsync=False)
    with first, Checkpoint.lock(path, fsync=False) as second:
        readings = [first.read(), second.read()]
        n_steps = 0
        while readings:
            for reading in list(readings):
                n_steps += 1
                if next(reading, "end") == "end":
                    readings.remove(reading)
        assert n_steps == 5 + 2
        assert (first.size, second.size) == (6, 6)
        assert all(second.take(request(prompt)) is not None for prompt in prompts)
        assert first.take(request("0")) is None


@pytest.mark.usefixtures("small_steps")
def test_call_that_gives_up_while_it_reads(path: Path) -> None:
    """The other one reads on, and knows all lines."""
    write(path, "a", "b", "c", "d")
    first = Checkpoint.lock(path, fsync=False)
    next(first.read())
    with Checkpoint.lock(path, fsync=False) as second:
        first.close()
        assert len(list(second.read())) == 2
        assert second.size == 4


def test_interrupt_while_reading(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C in the middle of a step, the next one begins anew."""
    write(path, "a", "b")
    with Checkpoint.lock(path, fsync=False) as first:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fstat", interrupt)
            with pytest.raises(KeyboardInterrupt):
                list(first.read())
        with Checkpoint.open(path) as second:
            assert second.size == 2
            assert second.take(request("a")) is not None
            assert second.take(request("a")) is None


def interrupt(_descriptor: int) -> None:
    raise KeyboardInterrupt


def test_damage_is_told_to_each_call(path: Path) -> None:
    """No call goes on with half of a file, and the file is left as it was."""
    write(path, "a", "b")
    data = path.read_bytes().replace(b"answer 0", b"answer 9")
    path.write_bytes(data)
    with Checkpoint.lock(path, fsync=False) as first:
        for checkpoint in (first, first):
            with pytest.raises(CheckpointError, match=r"line 1: .* found a damaged one"):
                list(checkpoint.read())
        with pytest.raises(CheckpointError, match=r"line 1: .* found a damaged one"):
            Checkpoint.open(path)
    assert path.read_bytes() == data
    assert not _open_files


def note_syncs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list that grows by the path of all that is synced."""
    synced: list[Path] = []

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    return synced


def test_each_call_decides_about_fsync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call waits for the disk if it says so, whatever the others say."""
    synced = note_syncs(monkeypatch)
    with Checkpoint.open(path, fsync=True) as safe, Checkpoint.open(path) as fast:
        fast.add(request("a"), completed("a"))
        assert not synced
        safe.add(request("b"), completed("b"))
        assert synced.count(path) == 1
    with Checkpoint.open(path) as fast, Checkpoint.open(path, fsync=True) as safe:
        fast.add(request("c"), completed("c"))
        safe.add(request("d"), completed("d"))
    assert synced.count(path) == 2


def test_fsync_covers_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in new folders is found after a power cut; its names are synced once."""
    synced = note_syncs(monkeypatch)
    monkeypatch.chdir(tmp_path)
    with Checkpoint.open("new/runs/", fsync=True) as checkpoint:
        monkeypatch.chdir("/")
        assert not synced
        for prompt in ("a", "b"):
            checkpoint.add(request(prompt), completed(prompt))
    (path,) = (tmp_path / "new" / "runs").iterdir()
    assert synced[:4] == [path, path.parent, tmp_path / "new", tmp_path]
    assert [each for each in synced if each == path or path in each.parents] == [path] * 2
    assert synced[-1] == path
    assert len(set(synced)) == len(synced) - 1


def test_folder_that_cannot_be_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no folder can be opened, as on Windows, the line is kept all the same."""
    open_any = os.open

    def open_file(name: Path | str, flags: int, mode: int = 0o777) -> int:
        if os.path.isdir(name):  # noqa: PTH112 (any path)
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_any(name, flags, mode)

    with Checkpoint.open(path, fsync=True) as checkpoint:
        monkeypatch.setattr(os, "open", open_file)
        checkpoint.add(request("a"), completed("a"))
    assert [each.message for each in read_checkpoint(path)] == ["re: a"]


def test_threads_share_the_file(path: Path) -> None:
    """Lines stay whole, and each is taken once, whoever has its turn."""
    n_lines, taken = 40, []
    write(path, *["a"] * n_lines)
    start = threading.Barrier(4)

    def work(name: str) -> None:
        start.wait()
        with Checkpoint.open(path) as checkpoint:
            start.wait()  # All have it open.
            for index in range(n_lines):
                recorded = checkpoint.take(request("a"))
                if recorded is not None:
                    taken.append(recorded.offset)
                checkpoint.add(request(name), completed(name, body_of(f"{index}")))

    threads = [threading.Thread(target=work, args=(name,)) for name in "bcde"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == n_lines
    assert sorted(asked(path)) == sorted("abcde" * n_lines)
    assert not _open_files
