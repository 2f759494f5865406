"""openai's own types read the output of `limin run` and of `limin convert --to openai`.

openai has a type for what stands in a line, the completion or the error, and none for the
line itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ecosystem.answers import FROM_SERVER
from openai.types import BatchError
from openai.types.chat import ChatCompletion

from limin.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from ecosystem.conftest import Counting


def batch_line(custom_id: str) -> str:
    """Return a line of OpenAI's Batch API."""
    messages = [{"role": "user", "content": custom_id}]
    line = {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": messages},
    }
    return json.dumps(line) + "\n"


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of an output, as a script for the Batch API reads them."""
    yield from map(json.loads, path.read_text().splitlines())


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of the test."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("converts", [False, True])
def test_lines_of_the_batch_api(
    serve: Callable[[], AbstractContextManager[Counting]], *, converts: bool
) -> None:
    """A completion is what openai's client would have returned."""
    Path("in.jsonl").write_text(batch_line("a") + batch_line("b"))
    with serve() as server:
        arguments = ["--base-url", server.base_url]
        assert main(["run", "in.jsonl", "-o", "out.jsonl", *arguments]) == 0
    path = Path("out.jsonl")
    if converts:
        assert main(["convert", "out.jsonl", "--to", "openai", "-o", "output.jsonl"]) == 0
        path = Path("output.jsonl")
    lines = {line["custom_id"]: line for line in lines_of(path)}
    assert set(lines) == {"a", "b"}
    for line in lines.values():
        assert line["error"] is None
        assert line["response"]["status_code"] == 200
        completion = ChatCompletion.model_validate(line["response"]["body"])
        assert completion.choices[0].message.content == FROM_SERVER
        assert completion.usage is not None
        assert completion.usage.total_tokens == 10


def test_converted_lines(serve: Callable[[], AbstractContextManager[Counting]]) -> None:
    """A run of another shape becomes what openai's types read."""
    Path("in.txt").write_text("one\ntwo\n")
    with serve() as server:
        arguments = ["--base-url", server.base_url, "-m", "m"]
        assert main(["run", "in.txt", "-o", "out.jsonl", *arguments]) == 0
    assert main(["convert", "out.jsonl", "--to", "openai", "-o", "output.jsonl"]) == 0
    one, two = lines_of(Path("output.jsonl"))
    assert (one["custom_id"], two["custom_id"]) == ("line-1", "line-2")
    completion = ChatCompletion.model_validate(one["response"]["body"])
    assert completion.choices[0].message.content == FROM_SERVER
    assert completion.choices[0].finish_reason == "stop"
    assert (completion.model, completion.object) == ("m", "chat.completion")
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3


@pytest.mark.parametrize("text", [batch_line("a"), "one\n"])
def test_failure(text: str) -> None:
    """What never got an answer has an error that openai's type reads."""
    Path("in").write_text(text)
    arguments = ["--base-url", "http://127.0.0.1:9/v1", "--max-retries", "0"]
    assert main(["run", "in", "-o", "out.jsonl", *arguments]) == 1
    assert main(["convert", "out.jsonl", "--to", "openai", "-o", "output.jsonl"]) == 0
    (line,) = lines_of(Path("output.jsonl"))
    assert line["response"] is None
    error = BatchError.model_validate(line["error"])
    assert error.code == "ConnectError"
    assert error.message is not None
