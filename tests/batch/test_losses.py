"""Whatever goes wrong with one prompt, no answer of another is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from loopback import serve

import limin
from limin import Client, run_parallel
from limin.calls import call
from limin.rendering.progress import BatchProgress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from limin.values.completion import TextCompletion
    from limin.wire.response import ReadingContext

PROMPTS = [str(n) for n in range(12)]

# One of each kind that a bug may raise; none is limin's.
BUGS = [
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    KeyError("secret prompt"),
    RecursionError("secret prompt"),
    MemoryError(),
    AssertionError(),
    OSError(5, "secret prompt"),
    StopAsyncIteration(),
    ExceptionGroup("secret prompt", [ValueError()]),
]


@pytest.fixture
def bug(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Exception:
    """Let a bug strike when the answer to prompt 3 is read."""
    error: Exception = request.param
    read = call.read_completion

    def read_with_bug(context: ReadingContext, *rest: Any) -> TextCompletion:
        if context.conversation.messages[-1].content == "3":
            raise error
        return read(context, *rest)

    monkeypatch.setattr(call, "read_completion", read_with_bug)
    return error


def check_result(result: object, bug: Exception) -> None:
    """Check that *result* stands for *bug*, and repeats none of its text."""
    assert type(result) is limin.UnexpectedError
    assert result.__cause__ is bug
    assert result.kind == type(bug).__name__
    assert str(result) == f"unexpected {result.kind} while this prompt was asked"
    assert "secret" not in repr(result)


@pytest.mark.parametrize("bug", BUGS, indirect=True, ids=lambda bug: type(bug).__name__)
@pytest.mark.parametrize("n_parallel", [1, 5, "auto"])
async def test_bug_costs_one_prompt(
    tmp_path: Path, bug: Exception, n_parallel: limin.batch.workers.Parallel
) -> None:
    """It stands in its place, with and without a checkpoint; the others have answers."""
    async with serve() as server, Client(server.base_url) as client:
        for checkpoint in (None, tmp_path / "run.jsonl"):
            results = await client.generate_text_completions(
                PROMPTS,
                n_parallel,
                show_progress=False,
                on_error="return",
                checkpoint=checkpoint,
            )
            check_result(results.pop(3), bug)
            rest = PROMPTS[:3] + PROMPTS[4:]
            assert [getattr(each, "message", None) for each in results] == rest
        with pytest.raises(limin.BatchError, match=r"\(UnexpectedError 1\)") as caught:
            await client.generate_text_completions(PROMPTS, show_progress=False)
    assert list(caught.value.errors) == [3]


@pytest.mark.parametrize("bug", BUGS[:2], indirect=True, ids=lambda bug: type(bug).__name__)
async def test_bug_is_a_result_among_the_others(bug: Exception) -> None:
    """Also where results are handed over as they finish."""
    async with (
        serve() as server,
        Client(server.base_url) as client,
        client.iter_text_completions(PROMPTS) as results,
    ):
        by_index = {index: result async for index, result in results}
    assert sorted(by_index) == list(range(12))
    check_result(by_index[3], bug)


CAUSE = KeyError("why")


def broken_iterator(error: Exception) -> Iterator[str]:
    """Yield seven prompts, and raise *error* from a cause."""
    yield from PROMPTS[:7]
    raise error from CAUSE


async def broken_async_iterator(error: Exception) -> AsyncIterator[str]:
    """Do the same, asynchronously, with the cause as a context."""
    for prompt in PROMPTS[:7]:
        await anyio.lowlevel.checkpoint()
        yield prompt
    try:
        raise CAUSE
    except KeyError:
        raise error  # noqa: B904 (a context is another case than a cause)


class BrokenList(list[str]):
    """Prompts whose number is known, and of which only seven can be read."""

    def __iter__(self) -> Iterator[str]:
        return broken_iterator(ValueError("mine"))


SOURCES: dict[str, Callable[[], Any]] = {
    "iterator": lambda: broken_iterator(ValueError("mine")),
    "async iterator": lambda: broken_async_iterator(ValueError("mine")),
    "list": lambda: BrokenList(PROMPTS),
}


def check_cause(error: BaseException, messages: list[str], noun: str = "prompt") -> None:
    """Check that *error* holds the results that came before it."""
    batch_error = error.__cause__
    assert isinstance(batch_error, limin.BatchError)
    results = [getattr(result, "message", result) for result in batch_error.results]
    assert results[: len(messages)] == messages
    rest = {type(result) for result in results[len(messages) :]}
    assert rest <= {limin.NotSentError}
    assert batch_error.__cause__ is CAUSE
    assert batch_error.noun == noun
    if not rest:
        counted = f"0 of 7 {noun}s failed; " if messages else ""
        assert str(batch_error) == f"{counted}the batch broke off"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("on_error", ["raise", "return"])
async def test_broken_iterator_loses_no_answer(source: str, on_error: Any) -> None:
    """Its exception comes as it is, from an error that holds the answers."""
    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(ValueError, match=r"^mine$") as caught:
            await client.generate_text_completions(
                SOURCES[source](), 3, show_progress=False, on_error=on_error
            )
    check_cause(caught.value, PROMPTS[:7])


@pytest.mark.parametrize("source", SOURCES)
async def test_broken_iterator_loses_no_result_of_a_function(source: str) -> None:
    """The same holds for the user's own function, and its exceptions."""

    async def work(prompt: str) -> str:
        await anyio.lowlevel.checkpoint()
        return prompt

    with pytest.raises(ValueError, match=r"^mine$") as caught:
        await run_parallel(SOURCES[source](), work, "auto", show_progress=False)
    check_cause(caught.value, PROMPTS[:7], "item")


@pytest.mark.parametrize("source", SOURCES)
async def test_broken_iterator_ends_the_results(source: str) -> None:
    """All of them were handed over before, so the error holds none; it comes once more."""
    indexes: list[int] = []
    async with (
        serve() as server,
        Client(server.base_url) as client,
        client.iter_text_completions(SOURCES[source](), 3) as results,
    ):
        for _ in range(7):
            indexes.append((await anext(results))[0])  # noqa: PERF401 (then it raises)
        for _ in range(2):
            with pytest.raises(ValueError, match=r"^mine$") as caught:
                await anext(results)
            check_cause(caught.value, [])
    assert sorted(indexes) == list(range(7))


async def test_bug_in_learning_loses_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of workers is found by results, which are kept whatever it is."""

    def fail(_completion: object) -> None:
        raise LookupError

    monkeypatch.setattr("limin.parallel._measure", fail)
    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(LookupError) as caught:
            await client.generate_text_completions(PROMPTS, "auto", show_progress=False)
    batch_error = caught.value.__cause__
    assert isinstance(batch_error, limin.BatchError)
    messages = [getattr(result, "message", None) for result in batch_error.results]
    answered = len(server.requests)
    assert messages == PROMPTS[:answered] + [None] * (12 - answered)
    assert answered > 0


@pytest.mark.parametrize("method", ["finished", "__exit__"])
async def test_bug_in_the_progress_loses_no_answer(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Nothing that only shows the results can cost one."""

    def fail(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(BatchProgress, method, fail)
    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(LookupError) as caught:
            await client.generate_text_completions(PROMPTS, 1)
    batch_error = caught.value.__cause__
    assert isinstance(batch_error, limin.BatchError)
    messages = [getattr(result, "message", None) for result in batch_error.results]
    answered = 1 if method == "finished" else 12
    assert messages == PROMPTS[:answered] + [None] * (12 - answered)
