"""Warnings are issued for each answer, at the line of the program that asked."""

from __future__ import annotations

import contextvars
import linecache
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import limin
from limin import Client
from limin.calls.warning_report import find_caller
from limin.testing import Answer, Request, scripted_endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

OPTIONS: dict[str, Any] = {"log_probs": True, "on_warning": "warn"}


async def ask_one(client: Client) -> int:
    """Return the number of answers."""
    await client.generate_text_completion("a", **OPTIONS)
    return 1


async def ask_by_function(client: Client) -> int:
    """Return the number of answers."""
    await limin.generate_text_completion("a", client=client, **OPTIONS)
    return 1


async def ask_many(client: Client) -> int:
    """Return the number of answers."""
    return len(
        await client.generate_text_completions(["a"] * 4, show_progress=False, **OPTIONS)
    )


async def iterate(client: Client) -> int:
    """Return the number of answers."""
    results = client.iter_text_completions(["a"] * 4, **OPTIONS)
    async with results:
        return len([result async for result in results])


async def stream(client: Client) -> int:
    """Return the number of answers."""
    answer = client.stream_text_completion("a", **OPTIONS)
    async with answer as deltas:
        return min(len([delta async for delta in deltas]), 1)


# Each, and the start of the line that its warnings name.
WAYS = [
    (ask_one, "await client.generate_text_completion("),
    (ask_by_function, "await limin.generate_text_completion("),
    (ask_many, "await client.generate_text_completions("),
    (iterate, "results = client.iter_text_completions("),
    (stream, "answer = client.stream_text_completion("),
]


def answer(request: Request) -> Answer:
    """Answer each prompt with itself, without log probabilities."""
    return Answer(request.messages[-1]["content"])


@pytest.mark.parametrize(("ask", "line"), WAYS)
async def test_warning_names_the_line_that_asked(
    ask: Callable[[Client], Awaitable[int]], line: str
) -> None:
    """Each answer has its warning, even under Python's filter that shows a line once."""
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            answers = await ask(client)
    mine = [warning for warning in caught if warning.category is limin.LiminWarning]
    assert len(mine) == answers
    for warning in mine:
        assert linecache.getline(__file__, warning.lineno).strip().startswith(line)
        assert warning.filename == __file__
    assert "log-probs-missing" in str(mine[0].message)


async def test_answers_of_a_checkpoint_warn_as_others_do(tmp_path: Path) -> None:
    """Whether they are issued or raised."""
    path, prompts = tmp_path / "run.jsonl", ["a", "b"]
    async with scripted_endpoint(answer) as server, Client(server.base_url) as client:

        async def ask(on_warning: Any) -> list[object]:
            return list(
                await client.generate_text_completions(
                    prompts,
                    checkpoint=path,
                    log_probs=True,
                    on_warning=on_warning,
                    on_error="return",
                    show_progress=False,
                )
            )

        await ask("ignore")
        with pytest.warns(limin.LiminWarning, match="log-probs-missing") as caught:
            await ask("warn")
        raised = await ask("raise")
    assert len(caught) == 2
    assert {warning.filename for warning in caught} == {__file__}
    assert [type(error) for error in raised] == [limin.AnswerWarningError] * 2
    assert len(server.requests) == 2


def test_line_is_found_where_no_program_is_on_the_stack() -> None:
    """Then it is the outermost one."""
    program = compile("line = find()", "<program>", "exec")
    names: dict[str, Any] = {"find": find_caller, "__name__": "limin.inside"}
    contextvars.Context().run(exec, program, names)  # S102: our own program
    assert names["line"].file == __file__


@pytest.mark.parametrize(
    "module",
    [
        *("limin.functions", "anyio.from_thread", "asyncio.runners", "trio._core._run"),
        *("uvloop", "nest_asyncio", "IPython.core.async_helpers", "sniffio._impl"),
    ],
)
def test_event_loops_are_no_callers(module: str) -> None:
    """Whatever runs a program's tasks, the line is the program's own."""
    namespace: dict[str, Any] = {"__name__": module, "find_caller": find_caller}
    exec("def run():\n    return find_caller()", namespace)  # noqa: S102 (our own source)
    line = namespace["run"]()
    assert (line.file, line.module) == (__file__, __name__)
