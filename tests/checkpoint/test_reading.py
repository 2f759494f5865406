"""Reading finished completions: several files, and answers that have a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from loopback import Request, completion, http, serve

import limin
from limin import Client, ModelConfiguration, WarningCode, read_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


QUIET: Any = {"show_progress": False}
CHANGED = WarningCode.SERVED_MODEL_CHANGED


async def write(path: Path, served: str | None, *items: Any, **options: Any) -> None:
    """Write answers to *items* by the model *served* into the file *path*."""

    async def respond(request: Request) -> bytes:
        fields = {} if served is None else {"model": served}
        return http(completion(request.prompt, **fields))

    async with serve(respond) as server, Client(server.base_url) as client:
        await client.generate_text_completions(
            items, 1, checkpoint=path, **QUIET, **options
        )


def read(*paths: Path, **options: Any) -> list[str]:
    """Return the answers in the files."""
    return [each.message for each in read_checkpoint(*paths, **options)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a file that does not exist."""
    return tmp_path / "run.jsonl"


async def test_run_that_met_another_server_can_be_cleaned(path: Path) -> None:
    """Answers of another model than the first are left out, or listed alone."""
    await write(path, None, "0")
    await write(path, "one", "1", "2")
    await write(path, "two", "3")
    await write(path, None, "4")
    await write(path, "one", "5")
    warned = [completion.warnings for completion in read_checkpoint(path)]
    assert [[each.code for each in warnings] for warnings in warned] == [
        *([], [], []),
        [CHANGED],
        *([], []),
    ]
    assert "expected the model that answered before, found 'two'" in str(warned[3][0])
    assert read(path, without_warnings=["served-model-changed"]) == list("01245")
    assert read(path, without_warnings=CHANGED) == list("01245")
    assert read(path, with_warnings=(CHANGED,)) == ["3"]
    assert read(path, with_warnings=CHANGED, without_warnings=CHANGED) == []
    assert read(path) == list("012345")


async def test_each_model_that_was_asked_for_has_its_own_name(path: Path) -> None:
    """A sweep over models is no change of the server."""
    large = ModelConfiguration(model="large")
    await write(path, "small-1", "a")
    await write(path, "large-1", ("b", large), ("c", large))
    await write(path, "large-2", ("d", large))
    assert read(path, with_warnings=[CHANGED]) == ["d"]


async def test_name_of_a_model_that_quotes_the_prompt(path: Path) -> None:
    """No warning repeats a prompt, also not one out of a file."""
    await write(path, "one", "first")
    await write(path, "the secret prompt", "the secret prompt")
    _, odd = read_checkpoint(path)
    (warning,) = odd.warnings
    assert "secret" not in str(warning)


async def test_several_files_are_read_as_one(path: Path) -> None:
    """A line counts once, and the first file tells the name of the model."""
    second, joined = path.with_name("2.jsonl"), path.with_name("joined.jsonl")
    await write(path, "one", "a", "b")
    await write(second, "two", "c", "a")
    joined.write_bytes(second.read_bytes() + path.read_bytes())  # noqa: ASYNC240 (small files)
    assert read(path, second, joined) == list("abca")
    assert read(joined) == list("caab")
    assert read(path, second, without_warnings=[CHANGED]) == list("ab")
    assert read(second, path, without_warnings=[CHANGED]) == list("ca")


async def test_warnings_about_log_probs(path: Path) -> None:
    """They are looked for only if the rest of the answer has no wanted one."""
    entry = {"token": "no", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    choice = {"message": {"content": "yes"}, "logprobs": {"content": [entry]}}

    async def respond(_request: Request) -> bytes:
        return http(completion("", choices=[choice | {"finish_reason": "stop"}]))

    async with serve(respond) as server:
        await limin.generate_text_completions(
            ["a"], base_url=server.base_url, checkpoint=path, log_probs=True, **QUIET
        )
    await write(path, None, "b")
    assert read(path, with_warnings=["text-mismatch"]) == ["yes"]
    assert read(path, without_warnings=["text-mismatch"]) == ["b"]
    assert read(path, with_warnings=["log-probs-missing"]) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"with_warnings": ["odd"]}, "with_warnings: expected body-mended, "),
        ({"without_warnings": "odd"}, "without_warnings: expected body-mended, "),
        ({"without_warnings": 5}, "without_warnings: expected codes of warnings, found 5"),
        ({"with_warnings": [5]}, "found 5"),
    ],
)
def test_wrong_code_is_refused(path: Path, options: dict[str, Any], problem: str) -> None:
    """A misspelt code would leave out nothing."""
    with pytest.raises(limin.ConfigurationError) as caught:
        list(read_checkpoint(path, **options))
    assert problem in str(caught.value)


def test_second_file_that_is_missing(path: Path) -> None:
    """The error names the file."""
    path.touch()
    missing = path.with_name("missing.jsonl")
    with pytest.raises(limin.CheckpointError, match=r"missing\.jsonl: No such file"):
        read(path, missing)
