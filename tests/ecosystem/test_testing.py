"""The guide on testing with other tools, and `limin.testing` with another client."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest

from limin import ToolCall
from limin.testing import QUIRKS, Answer, Refusal, Stream, scripted_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ecosystem.conftest import Counting

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"

TOKENS = [("Par", -0.25, {"Lon": -2.0}), ("is", -0.5, {"ma": -3.0})]


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, where OpenAI's package runs."""
    return "asyncio"


def program_with(library: str) -> str:
    """Return the program of the guide that imports *library*."""
    programs = re.findall(r"^```py\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    (program,) = (each for each in programs if f"import {library}\n" in each)
    return str(program)


def run(program: str, folder: Path, base_url: str) -> None:
    """Run *program*, a file for pytest, in *folder*."""
    (folder / "test_program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_program.py"],
        env=os.environ | {"OPENAI_BASE_URL": base_url},
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_guide_with_respx(
    tmp_path: Path, serve: Callable[[], AbstractContextManager[Counting]]
) -> None:
    """The program of the guide runs, and asks no server."""
    with serve() as server:
        run(program_with("respx"), tmp_path, server.base_url)
    assert server.requests == 0


def test_guide_with_vcrpy(
    tmp_path: Path, serve: Callable[[], AbstractContextManager[Counting]]
) -> None:
    """The program of the guide asks the server once, and then never again."""
    with serve() as server:
        run(program_with("vcr"), tmp_path, server.base_url)
    run(program_with("vcr"), tmp_path, server.base_url)
    assert server.requests == 1


async def test_openai_package_is_answered() -> None:
    """Its objects hold what the script says, whole and streamed."""
    script = [
        Answer("Paris", log_probs=TOKENS, usage={"prompt_tokens": 1, "total_tokens": 3}),
        Answer(None, tool_calls=[ToolCall("call_1", "f", '{"a": 1}')]),
        Stream(["Par", "is"]),
        Refusal(503, retry_after=0.01),
        Answer("Rome"),
        QUIRKS["stream-crlf"],
    ]
    async with scripted_endpoint(script) as endpoint:
        client = openai.AsyncOpenAI(
            base_url=endpoint.base_url, api_key="sk-0123456789abcdef"
        )
        ask = client.chat.completions.create
        messages: list[openai.types.chat.ChatCompletionMessageParam]
        messages = [{"role": "user", "content": "?"}]
        first = await ask(model="m", messages=messages, logprobs=True, top_logprobs=2)
        second = await ask(model="m", messages=messages)
        third = [
            chunk.choices[0].delta.content
            async for chunk in await ask(model="m", messages=messages, stream=True)
        ]
        fourth = await ask(model="m", messages=messages)
        fifth = [
            chunk.choices[0].delta.content
            async for chunk in await ask(model="m", messages=messages, stream=True)
        ]
        models = [model.id async for model in client.models.list()]
        await client.close()
    assert first.choices[0].message.content == "Paris"
    assert first.choices[0].logprobs.content[0].top_logprobs[1].logprob == -2.0
    assert first.usage.total_tokens == 3
    assert second.choices[0].message.tool_calls[0].function.arguments == '{"a": 1}'
    assert third == ["", "Par", "is", None]
    assert fourth.choices[0].message.content == "Rome"
    assert "".join(filter(None, fifth)) == "Paris is the capital."
    assert models == ["scripted"]
    assert endpoint.requests[0].headers["authorization"] == "Bearer ***"


async def test_request_beyond_the_script_ends_at_once() -> None:
    """OpenAI's package does not retry it either."""
    with pytest.raises(AssertionError, match="request 1 has no answer"):  # noqa: PT012 (the end is what fails)
        async with scripted_endpoint([]) as endpoint:
            client = openai.AsyncOpenAI(base_url=endpoint.base_url, api_key="k")
            with pytest.raises(openai.BadRequestError, match="the script has 0 answers"):
                await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "?"}]
                )
            await client.close()
    assert len(endpoint.requests) == 1
