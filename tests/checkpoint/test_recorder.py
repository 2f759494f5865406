"""A call around a call: completions in a checkpoint are not asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from loopback import Request, completion, http, serve

import limin
from limin import Client
from limin.checkpoint.file import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS = ["a", "b", "c"]


async def answer(request: Request) -> bytes:
    """Answer each prompt with itself, in 7 tokens."""
    return http(completion(request.prompt, usage={"completion_tokens": 7}))


async def test_second_run_asks_only_for_the_rest(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Completions of the first run are read from the file, and the bar counts them."""
    path = tmp_path / "run.jsonl"
    async with serve(answer) as server, Client(server.base_url) as client:
        first = await client.generate_text_completions(
            PROMPTS[:2], checkpoint=path, show_progress=False
        )
        second = await client.generate_text_completions(PROMPTS, checkpoint=path)
    assert [request.prompt for request in server.requests] == PROMPTS
    assert [result.message for result in second] == PROMPTS
    assert [result.raw for result in second[:2]] == [result.raw for result in first]
    assert ", 2 from the checkpoint, 7 tokens (" in capfd.readouterr().err


async def test_results_of_a_file_come_as_they_finish(tmp_path: Path) -> None:
    """The checkpoint is open in the block, and others may open it afterwards."""
    path = tmp_path / "run.jsonl"
    async with serve(answer) as server, Client(server.base_url) as client:
        for _ in range(2):
            async with client.iter_text_completions(PROMPTS, 1, checkpoint=path) as results:
                assert [index async for index, _ in results] == [0, 1, 2]
    assert len(server.requests) == 3
    Checkpoint.open(path).close()


async def test_checkpoint_that_cannot_be_used_sends_nothing(tmp_path: Path) -> None:
    """A wrong path is refused before anything is paid for."""
    path = tmp_path / "missing" / "run.jsonl"
    async with serve(answer) as server, Client(server.base_url) as client:
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


@pytest.mark.parametrize("on_error", ["raise", "return"])
async def test_completion_that_cannot_be_written_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_error: str
) -> None:
    """The batch stops, whatever *on_error*, and returns the completion all the same."""
    full = limin.CheckpointError("no space left on device", "run.jsonl")

    def refuse(*_: object) -> None:
        raise full

    monkeypatch.setattr(Checkpoint, "add", refuse)
    async with serve(answer) as server, Client(server.base_url) as client:
        with pytest.raises(limin.BatchError) as caught:
            await client.generate_text_completions(
                PROMPTS,
                1,
                checkpoint=tmp_path / "run.jsonl",
                show_progress=False,
                on_error=on_error,  # type: ignore[call-overload] # both, by turns
            )
    error = caught.value
    assert error.stopped_by is full
    first, *rest = error.results
    assert isinstance(first, limin.TextCompletion)
    assert [type(result) for result in rest] == [limin.NotSentError] * 2
    assert str(error).endswith("checkpoint run.jsonl: no space left on device")


async def test_bad_item_fails_in_its_own_place(tmp_path: Path) -> None:
    """With a checkpoint as without one."""
    async with serve(answer) as server, Client(server.base_url) as client:
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
    async with serve(answer) as server, Client(server.base_url) as client:
        for prompts in (np.array(PROMPTS), PROMPTS):
            results = await client.generate_text_completions(
                prompts, checkpoint=path, show_progress=False
            )
            assert [result.message for result in results] == PROMPTS
    assert len(server.requests) == 3
