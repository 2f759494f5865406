"""A run that another model goes on with says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from answers import answer_body
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
    assert changed(list(limin.read_checkpoint(path))) == [False, False, True, False, True]
    assert b"served-model-changed" not in path.read_bytes()


async def test_change_is_raised_with_the_other_warnings(tmp_path: Path) -> None:
    """Answers that are errors by their warnings are compared, too, and so at a resume."""
    prompts, path = ["0:one", "1:two", "2:one"], tmp_path / "run.jsonl"
    async with serve(Models().respond) as server, Client(server.base_url) as client:
        for checkpoint in (None, path, path):
            errors: list[Any] = await client.generate_text_completions(
                *(prompts, 1),
                show_progress=False,
                on_error="return",
                on_warning="raise",
                log_probs=True,
                checkpoint=checkpoint,
            )
            codes = [[str(each.code) for each in error.warnings] for error in errors]
            missing = "log-probs-missing"
            assert codes[1] == [missing, "served-model-changed"]
            assert codes[::2] == [[missing], [missing]]
            assert changed([error.completion for error in errors]) == [False, True, False]
    assert len(server.requests) == 6


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


@pytest.mark.parametrize("has_checkpoint", [False, True])
@pytest.mark.parametrize("tool_choice", [None, "required"])
async def test_model_that_changes_in_a_run_with_tools_is_a_warning(
    tmp_path: Path, tool_choice: Any, *, has_checkpoint: bool
) -> None:
    """The answers behind the first are compared with it, whatever call was forced."""
    models = iter(["one", "two"])

    async def respond(_request: Request) -> bytes:
        model = next(models)
        body: dict[str, Any] = json.loads(completion("done", model=model))
        if model == "one":
            call = {"id": "a", "function": {"name": "look", "arguments": "{}"}}
            body["choices"][0]["message"]["tool_calls"] = [{"type": "function", **call}]
        return http(json.dumps(body).encode())

    def look() -> str:
        """Look."""
        return "seen"

    path = tmp_path / "run.jsonl" if has_checkpoint else None
    async with serve(respond) as server, Client(server.base_url) as client:
        run = await client.run_tools(
            "look", [look], tool_choice=tool_choice, checkpoint=path
        )
    assert changed(list(run.completions)) == [False, True]


async def test_model_that_changes_in_decisions_is_a_warning() -> None:
    """Also where it takes fewer alternatives than the one before."""

    async def respond(request: Request) -> bytes:
        number = json.loads(request.body)["top_logprobs"]
        if "second" in request.prompt and number > 5:
            message = "top_logprobs must be at most 5"
            return http(json.dumps({"error": {"message": message}}).encode(), "400 No")
        body = answer_body({"A": 0.9}) | {"model": "one" if number > 5 else "two"}
        return http(json.dumps(body).encode())

    async with serve(respond) as server, Client(server.base_url) as client:
        decisions = await client.generate_decisions(
            ["the first", "the second"], ["yes", "no"], 1, show_progress=False
        )
    assert changed([each.completion for each in decisions]) == [False, True]
