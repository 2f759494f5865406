"""A call around a call: completions in a checkpoint are not asked for again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

import limin
from limin import Client
from limin.checkpoint.file import Checkpoint
from limin.checkpoint.open_file import _open_files
from limin.testing import Answer, Request, scripted_endpoint

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS = ["a", "b", "c"]


def answer(request: Request) -> Answer:
    """Answer each prompt with itself, in 7 tokens."""
    return Answer(request.messages[-1]["content"], usage={"completion_tokens": 7})


async def test_second_run_asks_only_for_the_rest(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Completions of the first run are read from the file, and the bar counts them."""
    path = tmp_path / "run.jsonl"
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        first = await client.generate_text_completions(
            PROMPTS[:2], checkpoint=path, show_progress=False
        )
        second = await client.generate_text_completions(PROMPTS, checkpoint=path)
    assert [each.messages[-1]["content"] for each in server.requests] == PROMPTS
    assert [result.message for result in second] == PROMPTS
    assert [result.raw for result in second[:2]] == [result.raw for result in first]
    assert ", 2 from the checkpoint, 7 tokens (" in capfd.readouterr().err


async def test_results_of_a_file_come_as_they_finish(tmp_path: Path) -> None:
    """The checkpoint is open in the block, and others may open it afterwards."""
    path = tmp_path / "run.jsonl"
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        for _ in range(2):
            async with client.iter_text_completions(PROMPTS, 1, checkpoint=path) as results:
                assert [index async for index, _ in results] == [0, 1, 2]
    assert len(server.requests) == 3
    assert not _open_files


async def test_checkpoint_that_cannot_be_used_sends_nothing(tmp_path: Path) -> None:
    """A wrong path is refused before anything is paid for."""
    path = tmp_path / "missing" / "run.jsonl"
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        with pytest.raises(limin.CheckpointError):
            await client.generate_text_completions(
                PROMPTS, checkpoint=path, show_progress=False
            )
        with pytest.raises(limin.CheckpointError):
            async with client.iter_text_completions(PROMPTS, checkpoint=path):
                pass
    assert server.requests == []


async def test_client_of_a_call_is_closed_if_the_checkpoint_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was opened for the call is closed, and nothing warns."""
    closed: list[Client] = []
    close = Client.aclose

    async def note(client: Client) -> None:
        closed.append(client)
        await close(client)

    monkeypatch.setattr(Client, "aclose", note)
    results = limin.iter_text_completions(
        PROMPTS, base_url="http://model.test/v1", checkpoint=tmp_path / "missing" / "run"
    )
    with pytest.raises(limin.CheckpointError):
        async with results:
            pass
    assert len(closed) == 1


FULL = limin.CheckpointError("no space left on device", "run.jsonl")


async def stopped_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, **options: Any
) -> tuple[limin.BatchError, int]:
    """Ask all prompts where *problem* keeps each line from being written.

    Returns:
        The error of the batch, and the number of requests.
    """

    def refuse(*_: object) -> None:
        raise problem

    monkeypatch.setattr(Checkpoint, "add", refuse)
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        with pytest.raises(limin.BatchError) as caught:
            await client.generate_text_completions(
                PROMPTS,
                1,
                checkpoint=folder / "run.jsonl",
                show_progress=False,
                **options,
            )
    return caught.value, len(server.requests)


@pytest.mark.parametrize("on_error", ["raise", "return"])
@pytest.mark.parametrize(
    ("problem", "message"),
    [(FULL, "no space left on device"), (MemoryError(), "not be written: MemoryError")],
)
async def test_completion_that_cannot_be_written_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
    message: str,
    on_error: str,
) -> None:
    """The batch stops, whatever *on_error*, and returns the completion all the same."""
    error, _ = await stopped_batch(tmp_path, monkeypatch, problem, on_error=on_error)
    assert isinstance(error.stopped_by, limin.CheckpointError)
    first, *rest = error.results
    assert isinstance(first, limin.TextCompletion)
    assert [type(result) for result in rest] == [limin.NotSentError] * 2
    assert str(error).endswith(message)


@pytest.mark.filterwarnings("error::limin.LiminWarning")
@pytest.mark.parametrize("on_warning", ["raise", "warn"])
@pytest.mark.parametrize("stream", [False, True])
async def test_answer_whose_warnings_are_raised_is_paid_once(
    tmp_path: Path, on_warning: Any, *, stream: bool
) -> None:
    """It is in the file before its warnings are raised, and each run raises them."""
    path = tmp_path / "run.jsonl"
    errors: list[Any] = []
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        for _ in range(2):
            errors += await client.generate_text_completions(
                ["a"],
                checkpoint=path,
                show_progress=False,
                on_error="return",
                on_warning=on_warning,
                log_probs=True,
                stream=stream,
            )
        (ignored,) = await client.generate_text_completions(
            ["a"], checkpoint=path, show_progress=False, log_probs=True
        )
    assert len(server.requests) == 1
    assert [type(error) for error in errors] == [limin.AnswerWarningError] * 2
    assert errors[0].warnings == errors[1].warnings
    assert [error.completion.message for error in errors] == ["a", "a"]
    assert [error.conversation.messages[-1].text for error in errors] == ["a", "a"]
    assert ignored.message == "a"


async def test_answer_whose_warnings_are_raised_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch stops, and the answer is not lost."""
    error, n_requests = await stopped_batch(
        tmp_path, monkeypatch, FULL, on_warning="raise", log_probs=True
    )
    first, *others = error.results
    assert isinstance(first, limin.TextCompletion)
    assert first.message == "a"
    assert [type(each) for each in others] == [limin.NotSentError] * 2
    assert n_requests == 1


async def test_line_without_completion_is_not_blamed_on_the_server(
    tmp_path: Path,
) -> None:
    """Without a checksum only reading the answer shows the damage."""
    path = tmp_path / "run.jsonl"
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        await client.generate_text_completions(PROMPTS, 1, checkpoint=path)
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        for line in lines:
            line["limin_checkpoint"] = 1
            del line["crc32"]
        lines[1]["body"] = lines[1]["body"].replace("choices", "chmices")
        text = "".join(json.dumps(line) + "\n" for line in lines)
        path.write_text(text, encoding="utf-8")
        results = await client.generate_text_completions(
            PROMPTS, checkpoint=path, show_progress=False, on_error="return"
        )
    assert len(server.requests) == 3
    assert [type(result) for result in results] == [
        limin.TextCompletion,
        limin.CheckpointError,
        limin.TextCompletion,
    ]
    assert "at byte" in str(results[1])
    assert "expected a completion, found none" in str(results[1])


@pytest.mark.parametrize("n_parallel", [1, 32])
async def test_taking_lines_gives_way(tmp_path: Path, n_parallel: int) -> None:
    """Other tasks have their turns, and a cancellation takes effect."""
    path, prompts = tmp_path / "run.jsonl", [str(n) for n in range(300)]
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        await client.generate_text_completions(
            prompts, 32, checkpoint=path, show_progress=False
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count_turns)
            await client.generate_text_completions(
                prompts, n_parallel, checkpoint=path, show_progress=False
            )
            tasks.cancel_scope.cancel()
        with anyio.move_on_after(0) as scope:
            await client.generate_text_completions(
                prompts, n_parallel, checkpoint=path, show_progress=False
            )
    assert turns >= 10
    assert scope.cancelled_caught
    assert len(server.requests) == len(prompts)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_opening_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cancelled: bool
) -> None:
    """A large file is read and searched in steps, and unlocked if that does not end."""
    path, turns = tmp_path / "run.jsonl", 0
    monkeypatch.setattr("limin.checkpoint.open_file._STEP", 1000)

    async def count_turns() -> None:
        nonlocal turns
        while turns < 3 or not cancelled:
            await anyio.lowlevel.checkpoint()
            turns += 1
        batch.cancel_scope.cancel()

    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        prompts = [str(n) for n in range(100)]
        await client.generate_text_completions(
            prompts, checkpoint=path, show_progress=False, model="another"
        )
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as batch:
                tasks.start_soon(count_turns)
                async with client.iter_text_completions([], checkpoint=path):
                    pass
            tasks.cancel_scope.cancel()
    assert turns == 3 if cancelled else turns > 20
    assert batch.cancel_scope.cancelled_caught == cancelled
    assert not _open_files


async def test_bad_item_fails_in_its_own_place(tmp_path: Path) -> None:
    """With a checkpoint as without one."""
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            ["a", None, "c"],  # type: ignore[list-item] # no prompt
            checkpoint=tmp_path / "run.jsonl",
            show_progress=False,
            on_error="return",
        )
    assert [type(result) for result in results] == [
        limin.TextCompletion,
        limin.ConversationError,
        limin.TextCompletion,
    ]


@pytest.mark.parametrize("path_type", [str, np.str_])
async def test_texts_of_numpy_are_found_again(tmp_path: Path, path_type: type[str]) -> None:
    """A prompt is the same question as an element of an array and as a plain text."""
    path = path_type(tmp_path / "run.jsonl")
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        for prompts in (np.array(PROMPTS), PROMPTS):
            results = await client.generate_text_completions(
                prompts, checkpoint=path, show_progress=False
            )
            assert [result.message for result in results] == PROMPTS
    assert len(server.requests) == 3


async def test_two_batches_at_once_share_their_file(tmp_path: Path) -> None:
    """Neither is refused, each has its answers, and the next run asks for nothing."""
    path = tmp_path / "run.jsonl"

    async def ask(client: Client, prompts: list[str]) -> None:
        results = await client.generate_text_completions(
            prompts, checkpoint=path, show_progress=False
        )
        assert [result.message for result in results] == prompts

    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, client, ["a", "b", "same"])
                tasks.start_soon(ask, client, ["same", "c", "d"])
    assert len(server.requests) == 6
    assert len(list(limin.read_checkpoint(path))) == 6


async def test_each_item_of_a_run_has_the_same_file(tmp_path: Path) -> None:
    """Functions of one's own, many at once, resume from one file."""
    path, prompts = tmp_path / "run.jsonl", [str(number) for number in range(12)]

    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:

        async def ask_twice(prompt: str) -> str:
            pair = [f"{prompt}, first", f"{prompt}, second"]
            results = await client.generate_text_completions(
                pair, checkpoint=path, show_progress=False
            )
            return results[1].message

        for _ in range(2):
            answers = await limin.run_parallel(prompts, ask_twice, 4, show_progress=False)
            assert answers == [f"{prompt}, second" for prompt in prompts]
    assert len(server.requests) == 24


async def test_event_loops_of_two_threads_share_the_file(
    tmp_path: Path, anyio_backend_name: str
) -> None:
    """A program with an event loop in each thread has one checkpoint, too."""
    path = tmp_path / "run.jsonl"

    async def ask(base_url: str, prompts: list[str]) -> list[str]:
        async with Client(base_url) as client:
            results = await client.generate_text_completions(
                prompts, checkpoint=path, show_progress=False
            )
        return [result.message for result in results]

    async with scripted_endpoint(answer) as server:

        async def run_in_thread(start: int) -> None:
            prompts = [str(number) for number in range(start, start + 20)]
            answers = await anyio.to_thread.run_sync(
                lambda: anyio.run(ask, server.base_url, prompts, backend=anyio_backend_name)
            )
            assert answers == prompts

        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run_in_thread, 0)
                tasks.start_soon(run_in_thread, 100)
    assert len(server.requests) == 40
    assert len(list(limin.read_checkpoint(path))) == 40


PICTURE = limin.Image(b"GIF89a\x80\x02\xe0\x01")


def about(picture: limin.Image, row: object) -> limin.Conversation:
    """A question about *picture*, with the number of its *row*."""
    message = limin.Message("user", ["What is this?", picture])
    return limin.Conversation([message], metadata={"row": row})


def describe(request: Request) -> Answer:
    """Answer with the URL of the picture."""
    (message,) = request.messages
    return Answer(message["content"][1]["image_url"]["url"])


async def test_run_with_pictures_resumes(tmp_path: Path) -> None:
    """The server gets the picture, the file its hash, and the run its own metadata."""
    path = tmp_path / "run.jsonl"
    async with scripted_endpoint(describe) as server, Client(server.base_url) as client:
        for row in (1, 2):
            (result,) = await client.generate_text_completions_for_conversations(
                [about(PICTURE, row)], checkpoint=path, show_progress=False
            )
            assert result.message == "data:image/gif;base64,R0lGODlhgALgAQ=="
            assert result.conversation == about(PICTURE, row)
    assert len(server.requests) == 1
    (read,) = limin.read_checkpoint(path)
    assert read.conversation.metadata == {"row": 1}
    assert b"R0lGODlh" not in path.read_bytes().replace(result.message.encode(), b"")


async def test_metadata_that_json_cannot_hold_fails_in_its_own_place(
    tmp_path: Path,
) -> None:
    """Nothing is sent for that prompt; without a checkpoint anything is metadata."""
    conversations = [about(PICTURE, 1), about(PICTURE, {2}), about(PICTURE, 3)]
    async with scripted_endpoint(describe) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions_for_conversations(
            conversations,
            checkpoint=tmp_path / "run.jsonl",
            show_progress=False,
            on_error="return",
        )
        assert len(server.requests) == 2
        without = await client.generate_text_completions_for_conversations(
            conversations, show_progress=False
        )
    assert [type(result) for result in results] == [
        limin.TextCompletion,
        limin.ConversationError,
        limin.TextCompletion,
    ]
    assert str(results[1]).startswith("metadata: expected values that JSON can hold")
    assert [c.conversation.metadata["row"] for c in without] == [1, {2}, 3]
