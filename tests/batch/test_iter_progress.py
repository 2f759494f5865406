"""The progress of results that are handed over as they finish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from loopback import serve

import limin
from limin import Client
from limin.testing import Answer, Refusal, Request, scripted_endpoint

if TYPE_CHECKING:
    from pathlib import Path


async def test_bar_counts_what_is_handed_over(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The progress is that of a batch: results, failures, and what a checkpoint had."""

    def refuse_one(request: Request) -> Answer | Refusal:
        prompt = request.messages[-1]["content"]
        return Refusal(400) if prompt == "b" else Answer(prompt)

    path = tmp_path / "run.jsonl"
    async with scripted_endpoint(refuse_one) as server, Client(server.base_url) as client:
        await client.generate_text_completions(["c"], checkpoint=path, show_progress=False)
        async with client.iter_text_completions(
            list("abc"), 1, show_progress=True, checkpoint=path
        ) as results:
            assert [index async for index, _ in results] == [0, 1, 2]
    line = capsys.readouterr().err
    assert line.startswith("limin: 3 done in ")
    assert "1 from the checkpoint" in line
    assert "1 failed: BadRequestError 1" in line


async def test_block_that_is_left_early_sums_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has seen enough is told how much that was, by the function as well."""
    async with (
        serve() as server,
        limin.iter_text_completions(
            list("abc"), 1, show_progress=True, base_url=server.base_url
        ) as results,
    ):
        await anext(results)
        await anext(results)
    assert " of 3 done in " in capsys.readouterr().err


async def test_no_bar_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Results that are shown by their reader need no second line."""
    async with serve() as server, Client(server.base_url) as client:
        async with client.iter_text_completions(["a"]) as results:
            assert [index async for index, _ in results] == [0]
        with pytest.raises(limin.ConfigurationError, match="show_progress: expected True"):
            client.iter_text_completions(["a"], show_progress="yes")  # type: ignore[call-overload]  # a wrong one
    assert capsys.readouterr().err == ""
