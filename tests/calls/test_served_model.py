"""A run that another model goes on with says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from loopback import Request, completion, http, serve

import limin
from limin import Client, WarningCode

if TYPE_CHECKING:
    from pathlib import Path


class Models:
    """A server that answers by its model of the moment."""

    name: str | None = "first"

    async def respond(self, request: Request) -> bytes:
        """Answer each prompt with itself; a prompt with a name sets that of the model."""
        _, colon, name = request.prompt.partition(":")
        served = name if colon else self.name
        if "secret" in request.prompt:
            served = f"it is {request.prompt}"
        return http(completion(request.prompt, **({"model": served} if served else {})))


def changed(results: list[Any]) -> list[bool]:
    """Return which of *results* have the warning."""
    return [
        WarningCode.SERVED_MODEL_CHANGED in {warning.code for warning in result.warnings}
        for result in results
    ]


async def test_model_that_changes_in_a_batch_is_a_warning() -> None:
    """Each answer of another model than the first has one; no name is no change."""
    prompts = ["0:one", "1:", "2:one", "3:two", "4:two", "5:one"]
    async with serve(Models().respond) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(prompts, 1, show_progress=False)
        async with client.iter_text_completions(prompts, 1) as handed_over:
            again = [result async for _, result in handed_over]
    expected = [False, False, False, True, True, False]
    assert changed(results) == changed(again) == expected
    (warning,) = results[3].warnings
    assert str(warning) == (
        "expected the model that answered before, found 'two' "
        "(at `$.model`; served-model-changed)"
    )


async def test_name_that_quotes_a_prompt_is_not_repeated() -> None:
    """No warning holds a prompt."""
    async with serve(Models().respond) as server, Client(server.base_url) as client:
        _, last = await client.generate_text_completions(
            ["0:one", "the secret prompt"], 1, show_progress=False
        )
    assert "found 'it is ***'" in str(last.warnings[0])


@pytest.mark.parametrize("stream", [False, True])
async def test_model_that_is_not_that_of_the_checkpoint(
    tmp_path: Path, *, stream: bool
) -> None:
    """A wrong port is seen at its first answer, and by whoever reads the file.

    The warning itself is not in the file, since it depends on the other lines.
    """
    path, models = tmp_path / "run.jsonl", Models()
    async with serve(models.respond) as server, Client(server.base_url) as client:

        async def ask(*prompts: str, **options: Any) -> list[Any]:
            return list(
                await client.generate_text_completions(
                    prompts,
                    1,
                    checkpoint=path,
                    show_progress=False,
                    on_error="return",
                    stream=stream,
                    **options,
                )
            )

        await ask("a", "b")
        models.name = "second"
        assert changed(await ask("new")) == [True]
        assert changed(await ask("new", "a", "b")) == [True, False, False]
        assert changed(await ask("new", model="other")) == [False]
        (raised,) = await ask("third", on_warning="raise")
        assert isinstance(raised, limin.AnswerWarningError)
        assert changed([raised.completion]) == [True]
    assert changed(list(limin.read_checkpoint(path))) == [False, False, True, False]
    assert b"served-model-changed" not in path.read_bytes()
    assert len(list(limin.read_checkpoint(path))) == 4


async def test_change_is_issued_once_and_alone() -> None:
    """The other warnings about the answer were issued before."""
    prompts = ["0:one", "1:two"]
    async with serve(Models().respond) as server, Client(server.base_url) as client:
        with pytest.warns(limin.LiminWarning) as caught:
            await client.generate_text_completions(
                prompts, 1, show_progress=False, log_probs=True, on_warning="warn"
            )
    codes = [str(warning.message).rpartition("; ")[2] for warning in caught]
    assert codes == ["log-probs-missing)"] * 2 + ["served-model-changed)"]
