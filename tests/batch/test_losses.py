"""Whatever goes wrong with one prompt, no answer of another is lost."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from loopback import Request, completion, http, serve
from streaming import DONE, FINISH, event_of, text_of

import limin
from limin import Client, run_parallel
from limin.batch import workers
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

    monkeypatch.setattr("limin.parallel.measure", fail)
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


class Stop(BaseException):
    """An exception of the user's that is no `Exception`."""


class Iterator5:
    """An iterator that is no generator: Python changes no exception of it."""

    def __init__(self, error: BaseException) -> None:
        self.error, self.taken = error, 0

    def __iter__(self) -> Iterator[str]:
        return self  # type: ignore[return-value]  # it has `__next__`

    def __next__(self) -> str:
        self.taken += 1
        if self.taken > len(PROMPTS[:5]):
            raise self.error
        return PROMPTS[self.taken - 1]


class AsyncIterator5(Iterator5):
    """The same, asynchronously."""

    __iter__ = None  # type: ignore[assignment]  # it is no sync one

    def __aiter__(self) -> AsyncIterator[str]:
        return self  # type: ignore[return-value]  # it has `__anext__`

    async def __anext__(self) -> str:
        await anyio.lowlevel.checkpoint()
        return self.__next__()


ODD_ERRORS = [Stop(), GeneratorExit(), asyncio.CancelledError(), KeyError("mine")]
ODD_SOURCES: list[tuple[type[Iterator5], BaseException]] = [
    *((kind, error) for kind in (Iterator5, AsyncIterator5) for error in ODD_ERRORS),
    (Iterator5, StopAsyncIteration()),  # Of an asynchronous one it is the end.
]


@pytest.mark.parametrize(("source", "error"), ODD_SOURCES)
@pytest.mark.parametrize("n_parallel", [2, "auto"])
@pytest.mark.parametrize("show_progress", [False, True])
async def test_no_exception_of_an_iterator_loses_an_answer(
    source: type[Iterator5], error: BaseException, n_parallel: Any, *, show_progress: bool
) -> None:
    """Of whatever class, it is raised as it is, from an error with the answers."""
    error.__cause__ = None
    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(type(error)) as caught:
            await client.generate_text_completions(
                source(error),  # type: ignore[arg-type]  # it has the methods
                n_parallel,
                show_progress=show_progress,
                on_error="return",
            )
    assert caught.value is error
    batch_error = error.__cause__
    assert isinstance(batch_error, limin.BatchError)
    assert [getattr(each, "message", None) for each in batch_error.results] == PROMPTS[:5]


@pytest.mark.parametrize(("source", "error"), ODD_SOURCES)
async def test_no_exception_of_an_iterator_ends_the_results_in_silence(
    source: type[Iterator5], error: BaseException
) -> None:
    """All results come first; what would end the loop is another exception's cause."""
    error.__cause__ = None
    ends = isinstance(error, StopAsyncIteration)
    indexes: list[int] = []

    async def read(base_url: str) -> None:
        prompts: Any = source(error)
        async with limin.iter_text_completions(prompts, 2, base_url=base_url) as results:
            async for index, _ in results:
                indexes.append(index)

    async with serve() as server:
        with pytest.raises(RuntimeError if ends else type(error)) as caught:
            await read(server.base_url)
    assert sorted(indexes) == list(range(5))
    if ends:
        assert isinstance(caught.value.__cause__, limin.BatchError)
        assert caught.value.__cause__.__cause__ is error
    else:
        assert caught.value is error


@pytest.mark.parametrize("anyio_backend", ["trio"])  # asyncio lets it out of its loop.
async def test_iterator_that_ends_the_program_does_so_at_once() -> None:
    """With the answers so far as its cause."""
    after = 2

    def prompts() -> Iterator[str]:
        yield from PROMPTS[:after]
        yield "wait"
        raise SystemExit

    async def work(prompt: str) -> str:
        if prompt == "wait":
            await anyio.sleep_forever()
        return prompt

    with anyio.fail_after(30), pytest.raises(SystemExit) as caught:
        await run_parallel(prompts(), work, 2, show_progress=False)
    batch_error = caught.value.__cause__
    assert isinstance(batch_error, limin.BatchError)
    assert batch_error.results[:after] == PROMPTS[:after]


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_iterator_that_ends_the_program_ends_the_results() -> None:
    """It comes out alone, without the tasks that it passed."""

    async def read(base_url: str) -> None:
        prompts: Any = Iterator5(SystemExit())
        async with limin.iter_text_completions(prompts, 2, base_url=base_url) as results:
            async for _ in results:
                pass

    async with serve() as server:
        with pytest.raises(SystemExit):
            await read(server.base_url)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_iterator_that_ends_the_program_is_not_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that has its turn together with the one that it ended does not ask it."""
    may_go_on = anyio.Event()

    async def work(prompt: str) -> str:
        if prompt in PROMPTS[3:5]:  # The last two of the source.
            await may_go_on.wait()
        return prompt

    async def release() -> None:
        while prompts.taken < 5:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        may_go_on.set()

    monkeypatch.setattr(workers, "_SECONDS_IN_A_ROW", math.inf)
    prompts = Iterator5(SystemExit())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(release)
        with pytest.raises(SystemExit):
            await run_parallel(prompts, work, 2, show_progress=False)
    assert prompts.taken == 6


async def test_function_that_ends_everything_loses_no_result() -> None:
    """What is no `Exception` ends everything at once, from an error with the results."""

    async def work(prompt: str) -> str:
        if prompt == "2":
            raise Stop
        if prompt == "3":
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        return prompt

    with anyio.fail_after(30), pytest.raises(Stop) as caught:
        await run_parallel(["0", "1", "3", "2"], work, 2, show_progress=False)
    batch_error = caught.value.__cause__
    assert isinstance(batch_error, limin.BatchError)
    assert batch_error.results[:2] == ["0", "1"]


@pytest.mark.parametrize("n_parallel", [1, "auto"])
async def test_bugs_all_over_the_progress_lose_no_answer(
    monkeypatch: pytest.MonkeyPatch, n_parallel: Any
) -> None:
    """The first of them is raised, from an error with the answers."""
    first = LookupError("first")

    def fail_first(*_: object) -> None:
        raise first

    def fail(*_: object) -> None:
        problem = "second"
        raise LookupError(problem)

    monkeypatch.setattr(BatchProgress, "finished", fail_first)
    monkeypatch.setattr(BatchProgress, "__exit__", fail)
    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(LookupError) as caught:
            await client.generate_text_completions(PROMPTS, n_parallel)
    assert caught.value is first
    batch_error = first.__cause__
    assert isinstance(batch_error, limin.BatchError)
    messages = {getattr(result, "message", None) for result in batch_error.results}
    assert "0" in messages


async def test_bug_before_the_batch_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to lose yet."""

    def fail(_progress: object) -> None:
        raise LookupError

    monkeypatch.setattr(BatchProgress, "__enter__", fail)
    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(LookupError):
            await client.generate_text_completions(PROMPTS)
    assert server.requests == []


@pytest.mark.parametrize("n_parallel", [4, "auto"])
@pytest.mark.parametrize("options", [{}, {"stream": True}])
async def test_huge_count_costs_nothing(n_parallel: Any, options: Any) -> None:
    """No rate, no progress and no number of workers is computed from it."""
    usage = {"prompt_tokens": 1, "completion_tokens": 10**320}

    async def answer(request: Request) -> bytes:
        if options:
            return http(
                text_of(request.prompt) + FINISH + event_of({"usage": usage}) + DONE
            )
        return http(completion(request.prompt, usage=usage))

    async with (
        serve(answer) as server,
        Client(server.base_url, tokens_per_minute=10**9) as client,
    ):
        results = await client.generate_text_completions(PROMPTS, n_parallel, **options)
    assert [result.message for result in results] == PROMPTS
    assert {result.warnings[0].code for result in results} == {"body-mended"}


@pytest.mark.parametrize("iterated", [False, True])
async def test_exception_says_what_the_checkpoint_keeps(
    tmp_path: Path, *, iterated: bool
) -> None:
    """A note of the traceback does, without a progress bar, too."""
    path = tmp_path / "run.jsonl"

    async def run(client: Client) -> None:
        prompts = broken_iterator(ValueError("mine"))
        if not iterated:
            await client.generate_text_completions(
                prompts, 1, show_progress=False, checkpoint=path
            )
        async with client.iter_text_completions(prompts, 1, checkpoint=path) as results:
            async for _ in results:
                pass

    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(ValueError, match="mine") as caught:
            await run(client)
    assert caught.value.__notes__ == [
        f"limin: 7 completions are kept in {path}; the same call goes on from there"
    ]
