"""A folder of checkpoints: a file for each process, and the answers of all."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from builders import body_of
from loopback import Request, completion, http, serve
from recorded import completed, request

from limin import Client, WarningCode
from limin.checkpoint import folder
from limin.checkpoint.file import Checkpoint, read_checkpoint
from limin.errors import CheckpointError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDER = """
import sys
from limin.checkpoint.file import Checkpoint
with Checkpoint.open(sys.argv[1]) as checkpoint:
    print(checkpoint.size, flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[int]:
    """Have another process use *path*; yield how many completions it finds there."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(  # noqa: S603 (our own program)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def write(path: Path, *prompts: str) -> None:
    """Write a checkpoint of *prompts*, whose answers name the file."""
    with Checkpoint.open(path) as checkpoint:
        for index, prompt in enumerate(prompts):
            body = body_of(f"{path.name} {index}")
            checkpoint.add(request(prompt), completed(prompt, body))


def files(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


def test_folder_is_made_and_used_again(tmp_path: Path) -> None:
    """One process after the other has one file, whatever its name is."""
    run = tmp_path / "run"
    with Checkpoint.open(f"{run}/") as checkpoint:
        checkpoint.add(request("a"), completed("a"))
    (name,) = files(run)
    with Checkpoint.open(run) as checkpoint:
        assert checkpoint.size == 1
        assert checkpoint.take(request("a")) is not None
        assert checkpoint.take(request("a")) is None
    assert files(run) == [name]
    assert name.endswith(".jsonl")
    assert run.stat().st_mode & 0o777 == 0o700


def test_two_processes_have_two_files(tmp_path: Path) -> None:
    """Each takes a file that nobody has, and both find all answers."""
    write(tmp_path / "one.jsonl", "a", "b")
    write(tmp_path / "two.jsonl", "c")
    with held_elsewhere(tmp_path) as found:
        assert found == 3
        with Checkpoint.open(tmp_path) as checkpoint:
            assert checkpoint.size == 3
            assert [checkpoint.take(request(p)) is None for p in "abc"] == [False] * 3
            checkpoint.add(request("d"), completed("d"))
        with Checkpoint.open(tmp_path) as again:
            assert again.size == 4
    assert files(tmp_path) == ["one.jsonl", "two.jsonl"]
    last = [*read_checkpoint(tmp_path / "two.jsonl")][-1]
    assert last.conversation.messages[-1].text == "d"


def test_new_file_if_all_are_in_use(tmp_path: Path) -> None:
    """A file with a lock is left to its process."""
    write(tmp_path / "one.jsonl", "a")
    with held_elsewhere(tmp_path), Checkpoint.open(tmp_path) as checkpoint:
        assert len(files(tmp_path)) == 2
        taken = checkpoint.take(request("a"))
    assert taken is not None


def test_equal_requests_are_counted_over_all_files(tmp_path: Path) -> None:
    """Each line is the answer to one of them; a line that was copied counts once."""
    for name in ("1", "2", "3"):
        write(tmp_path / f"{name}.jsonl", "a", "a")
    (tmp_path / "4.jsonl").write_bytes((tmp_path / "3.jsonl").read_bytes())
    with Checkpoint.open(tmp_path) as checkpoint:
        taken = [checkpoint.take(request("a")) for _ in range(7)]
    assert [each is None for each in taken] == [False] * 6 + [True]
    bodies = {each.answer.body for each in taken if each is not None}
    assert len(bodies) == 6


def test_long_files_are_read_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other tasks have their turns while files of gigabytes are read."""
    monkeypatch.setattr(folder, "_STEP", 1)
    write(tmp_path / "1.jsonl", "a")
    write(tmp_path / "2.jsonl", "b", "c")
    with Checkpoint.lock(tmp_path, fsync=False) as checkpoint:
        assert len(list(checkpoint.read())) == 2
        assert checkpoint.size == 3


def test_other_files_tell_how_the_server_calls_its_model(tmp_path: Path) -> None:
    """A new process expects the model that answered the others."""
    names = {"1.jsonl": ("other", "no"), "2.jsonl": ("m", "served"), "3.jsonl": ("m", "no")}
    for file, (model, served) in names.items():
        with Checkpoint.open(tmp_path / file) as checkpoint:
            body = body_of("hi") | {"model": served}
            checkpoint.add(request("a", model=model), completed("a", body))
    with ExitStack() as stack:
        for file in names:
            stack.enter_context(held_elsewhere(tmp_path / file))
        checkpoint = stack.enter_context(Checkpoint.open(tmp_path))
        assert len(list(checkpoint.find_served_model("m"))) == 1
        assert checkpoint.served_model == "served"
        assert len(list(checkpoint.find_served_model("missing"))) == 3
        assert checkpoint.served_model is None


async def test_process_that_meets_another_model(tmp_path: Path) -> None:
    """Its first answer has a warning, although its own file is empty."""
    first = tmp_path / "1.jsonl"

    async def respond(asked: Request) -> bytes:
        return http(completion(asked.prompt, model=f"served for {asked.prompt}"))

    async with serve(respond) as server, Client(server.base_url) as client:
        ask = partial(client.generate_text_completions, show_progress=False)
        await ask(["a"], checkpoint=first)
        with held_elsewhere(first):
            (answer,) = await ask(["b"], checkpoint=tmp_path)
    assert [each.code for each in answer.warnings] == [WarningCode.SERVED_MODEL_CHANGED]


@pytest.mark.parametrize("path", ["", "/"])
def test_all_files_are_read(tmp_path: Path, path: str) -> None:
    """The folder stands for its files; others in it are left alone."""
    write(tmp_path / "2.jsonl", "b")
    write(tmp_path / "1.jsonl", "a")
    (tmp_path / "notes.txt").write_text("hello")
    prompts = [
        c.conversation.messages[0].text for c in read_checkpoint(f"{tmp_path}{path}")
    ]
    assert prompts == ["a", "b"]


def test_other_file_in_the_folder_is_no_checkpoint(tmp_path: Path) -> None:
    """It is named, and stays as it is."""
    write(tmp_path / "1.jsonl", "a")
    other = tmp_path / "2.jsonl"
    other.write_text('{"a": 1}\n')
    with pytest.raises(CheckpointError, match="expected a line of a checkpoint") as caught:
        Checkpoint.open(tmp_path)
    assert caught.value.path == str(other)
    assert other.read_text() == '{"a": 1}\n'


def test_line_of_another_file_that_changed_meanwhile(tmp_path: Path) -> None:
    """It is no answer to anything."""
    write(tmp_path / "1.jsonl", "a")
    write(tmp_path / "2.jsonl", "b")
    with Checkpoint.open(tmp_path) as checkpoint:
        (tmp_path / "2.jsonl").write_bytes(b"{}\n")
        with pytest.raises(CheckpointError, match="damaged") as caught:
            checkpoint.take(request("b"))
        write(tmp_path / "3.jsonl", "b")
    assert caught.value.path == str(tmp_path / "2.jsonl")


def test_digests_that_begin_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request gets the answer to another; it is asked again."""
    monkeypatch.setattr(folder, "_SHORT", 0)
    write(tmp_path / "1.jsonl")
    write(tmp_path / "2.jsonl", "a", "b")
    with Checkpoint.open(tmp_path) as checkpoint:
        assert checkpoint.take(request("b")) is None
        assert checkpoint.take(request("b")) is not None


def test_folder_where_a_file_is(tmp_path: Path) -> None:
    """It cannot be made, and that is said before anything is sent."""
    (tmp_path / "run").write_text("")
    with pytest.raises(CheckpointError, match="File exists"):
        Checkpoint.open(f"{tmp_path}/run/")


@pytest.mark.parametrize("path", [5, True, ["run"]])
def test_value_that_is_no_folder(path: object) -> None:
    """It is a wrong argument."""
    with pytest.raises(ConfigurationError, match="checkpoint: expected a path"):
        folder.as_folder(path)


async def test_batch_with_a_folder(tmp_path: Path) -> None:
    """Every function that takes a checkpoint takes a folder."""
    write(tmp_path / "1.jsonl", "x")
    async with serve() as server, Client(server.base_url) as client:
        for _ in range(2):
            results = await client.generate_text_completions(
                ["a", "b"], checkpoint=tmp_path, show_progress=False
            )
            assert [result.message for result in results] == ["a", "b"]
    assert len(server.requests) == 2
    assert files(tmp_path) == ["1.jsonl"]
