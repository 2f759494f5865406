"""Many prompts: order, a sliding window, and nothing lost."""

from __future__ import annotations

import copy
import math
import pickle
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

import anyio
import numpy as np
import pandas as pd
import polars as pl
import pytest
from loopback import Request, completion, echo, http, serve
from streaming import ROLE, event_of, text_of

import limin
from limin import Client, Conversation
from limin.policy.failures import unwrap_single
from limin.rendering.progress import BatchProgress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from pathlib import Path

    from limin.values.progress import BatchState


async def test_answers_come_in_the_order_of_the_prompts() -> None:
    """Each answer has its prompt's index, whichever is done first."""
    later = anyio.Event()

    async def last_first(request: Request) -> bytes:
        if request.prompt == "0":
            await later.wait()
        elif request.prompt == "9":
            later.set()
        return http(completion(f"answer {request.prompt}"))

    async with serve(last_first) as server, Client(server.base_url) as client:
        answers = await client.generate_text_completions(
            [str(n) for n in range(10)], n_parallel=3, show_progress=False
        )
    assert [answer.message for answer in answers] == [f"answer {n}" for n in range(10)]


async def test_window_slides() -> None:
    """The fast prompts do not wait for a slow one: there are no chunks."""
    fast_done = anyio.Event()
    fast = 0

    async def slow_until_the_others_are_done(request: Request) -> bytes:
        nonlocal fast
        if request.prompt == "slow":
            await fast_done.wait()
        else:
            fast += 1
        if fast == 20:
            fast_done.set()
        return http(completion(request.prompt))

    prompts = ["slow"] + ["fast"] * 20
    with anyio.fail_after(30):
        async with (
            serve(slow_until_the_others_are_done) as server,
            Client(server.base_url) as client,
        ):
            answers = await client.generate_text_completions(
                prompts, n_parallel=2, show_progress=False
            )
    assert [answer.message for answer in answers] == prompts


@pytest.mark.parametrize("n_parallel", [1, 4])
async def test_at_most_n_parallel_are_in_flight(n_parallel: int) -> None:
    """As many as allowed, never more, over as many connections."""
    full = anyio.Event()

    async def until_full(request: Request) -> bytes:
        if server.in_flight == n_parallel:
            full.set()
        await full.wait()
        return http(completion(request.prompt))

    async with serve(until_full) as server, Client(server.base_url) as client:
        await client.generate_text_completions(
            ["hello"] * 20, n_parallel, show_progress=False
        )
    assert server.most_in_flight == n_parallel
    assert server.connections == n_parallel


async def test_function_uses_one_set_of_connections_for_a_batch() -> None:
    """A batch opens one client, not one for each prompt."""
    async with serve() as server:
        await limin.generate_text_completions(
            ["hello"] * 30, n_parallel=3, base_url=server.base_url, show_progress=False
        )
    assert len(server.requests) == 30
    assert server.connections <= 3


async def test_default_is_five_in_parallel() -> None:
    """The default that the documentation names."""
    full = anyio.Event()

    async def until_five(request: Request) -> bytes:
        if server.in_flight == 5:
            full.set()
        await full.wait()
        return http(completion(request.prompt))

    async with serve(until_five) as server:
        await limin.generate_text_completions(
            ["hello"] * 12, base_url=server.base_url, show_progress=False
        )
    assert server.most_in_flight == 5


async def test_generator_is_consumed_lazily() -> None:
    """No prompt is made before its turn comes."""
    made = 0
    most_ahead = 0

    def prompts() -> Iterator[str]:
        nonlocal made, most_ahead
        for n in range(20):
            made += 1
            most_ahead = max(most_ahead, made - len(server.requests))
            yield str(n)

    async with serve() as server, Client(server.base_url) as client:
        answers = await client.generate_text_completions(
            prompts(), n_parallel=2, show_progress=False
        )
    assert [answer.message for answer in answers] == [str(n) for n in range(20)]
    assert most_ahead <= 2


async def test_async_iterable_of_conversations() -> None:
    """Questions may come from a queue, a database or a socket."""

    async def conversations() -> AsyncIterator[Conversation]:
        for n in range(7):
            await anyio.lowlevel.checkpoint()
            yield Conversation.from_prompts(str(n))

    async with serve() as server, Client(server.base_url) as client:
        answers = await client.generate_text_completions_for_conversations(
            conversations(), n_parallel=3, show_progress=False
        )
    assert [answer.message for answer in answers] == [str(n) for n in range(7)]


async def test_failure_stands_in_its_place_after_all_others_finished() -> None:
    """A bad prompt never affects the others."""

    async def refuse_one(request: Request) -> bytes:
        if request.prompt == "2":
            return http(b'{"error":{"message":"too odd"}}', "400 Bad Request")
        return http(completion(request.prompt))

    async with serve(refuse_one) as server, Client(server.base_url) as client:
        with pytest.raises(limin.BatchError) as caught:
            await client.generate_text_completions(
                [str(n) for n in range(6)], n_parallel=2, show_progress=False
            )
    error = caught.value
    outcomes = [
        result.message if isinstance(result, limin.TextCompletion) else type(result)
        for result in error.results
    ]
    assert outcomes == ["0", "1", limin.BadRequestError, "3", "4", "5"]
    assert str(error) == (
        "1 of 6 prompts failed (BadRequestError 1); "
        "the first, prompt 2: the server answered 400: too odd; "
        f"asked: POST {server.base_url}/chat/completions"
    )


async def test_error_that_would_strike_every_prompt_stops_the_batch() -> None:
    """A wrong key is not tried a thousand times; requests under way are finished."""
    refused = anyio.Event()

    async def refuse(request: Request) -> bytes:
        if request.prompt == "0":
            await refused.wait()
            return http(completion("0"))
        refused.set()
        return http(b'{"error":"Unauthorized"}', "401 Unauthorized")

    async with serve(refuse) as server, Client(server.base_url) as client:
        with pytest.raises(limin.BatchError) as caught:
            await client.generate_text_completions(
                [str(n) for n in range(1000)], n_parallel=2, show_progress=False
            )
    error = caught.value
    assert len(server.requests) == 2
    assert isinstance(error.results[0], limin.TextCompletion)
    assert isinstance(error.results[1], limin.AuthenticationError)
    assert [type(result) for result in error.results[2:]] == [limin.NotSentError] * 998
    assert error.stopped_by is error.results[1]
    assert "stopped early" in str(error)


async def test_bad_item_fails_in_its_own_place() -> None:
    """It affects neither the other prompts nor the order."""
    prompts = ["a", None, "half \ud83d of a pair", "d"]
    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(limin.BatchError) as caught:
            await client.generate_text_completions(prompts, show_progress=False)  # type: ignore[arg-type]
    assert list(caught.value.errors) == [1, 2]
    assert "found a NoneType" in str(caught.value.errors[1])
    assert "U+D83D" in str(caught.value.errors[2])


async def test_exception_of_the_users_iterator_surfaces_as_it_is() -> None:
    """An exception of the user's own code reaches the user unchanged."""

    def prompts() -> Iterator[str]:
        yield "a"
        raise LookupError

    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(LookupError):
            await client.generate_text_completions(prompts(), show_progress=False)
    assert [request.prompt for request in server.requests] == ["a"]


async def test_empty_input_gives_an_empty_list(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing to ask needs no key, no connection and no error, and shows nothing."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    openai = "https://api.openai.com/v1"
    assert await limin.generate_text_completions([]) == []
    assert await limin.generate_text_completions([], base_url=openai) == []
    assert await limin.generate_text_completions_for_conversations([]) == []
    assert await limin.generate_decisions([], ["yes", "no"]) == []
    async with Client("http://model.test/v1") as client:
        assert await client.generate_text_completions([]) == []
    assert capfd.readouterr() == ("", "")
    async with Client("http://model.test/v1") as client:
        empty: Iterator[str] = iter(())
        assert await client.generate_text_completions(empty, show_progress=False) == []


TABLES: list[tuple[Any, str]] = [
    ({"a": 1, "b": 2}, "a dict; iterating it gives only its keys"),
    (MappingProxyType({"a": 1}), "a mappingproxy; iterating it gives only its keys"),
    (pd.DataFrame({"a": ["x"]}), "a DataFrame; pass one of its columns"),
    (pl.DataFrame({"a": ["x"]}), "a DataFrame; pass one of its columns"),
    (np.array([["x"]]), "an ndarray; pass one of its columns"),
    (np.array("x"), "an ndarray; pass one of its columns"),
]


@pytest.mark.parametrize(
    ("prompts", "found"), TABLES, ids=lambda value: type(value).__name__
)
async def test_table_is_no_list_of_prompts(prompts: Any, found: str) -> None:
    """Names of columns or keys are not sent as prompts; the refusal says what to pass."""
    expected = f"expected an iterable of prompts or conversations, found {found}"
    async with serve() as server, Client(server.base_url) as client:
        for ask in (
            client.generate_text_completions,
            client.generate_text_completions_for_conversations,
            client.iter_text_completions,
        ):
            with pytest.raises(limin.ConfigurationError) as caught:
                await cast("Any", ask)(prompts)
            assert str(caught.value).startswith(expected)
    assert server.requests == []


TEXTS = ["a", "b", "c"]


@pytest.mark.parametrize(
    "prompts",
    [
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS),
        pd.Series(TEXTS, dtype="category"),
        pd.DataFrame({"prompt": TEXTS})["prompt"],
        pd.Index(TEXTS),
        pl.Series(TEXTS),
        dict.fromkeys(TEXTS).keys(),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_prompts_in_a_column(prompts: Any) -> None:
    """Arrays and columns of texts are answered like a list, text by text."""
    async with serve(echo) as server, Client(server.base_url) as client:
        answers = await client.generate_text_completions(prompts, show_progress=False)
    assert [answer.message for answer in answers] == TEXTS


@pytest.mark.parametrize("wrong", [math.nan, None, pd.NA, b"x", 5, ["x"], "\ud800"])
async def test_wrong_prompt_fails_alone(wrong: Any) -> None:
    """A missing value costs no answer, wherever it stands."""
    prompts = [*"abcdefg", wrong, np.str_("h")]
    async with serve(echo) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            prompts, 2, show_progress=False, on_error="return"
        )
    failure = results.pop(7)
    assert isinstance(failure, limin.ConversationError)
    assert [cast("Any", result).message for result in results] == [*"abcdefgh"]


async def test_options_of_numpy_in_a_batch(capfd: pytest.CaptureFixture[str]) -> None:
    """Numbers, flags and names of numpy are taken by every option of a batch."""
    options: Any = {
        "n_parallel": np.int64(2),
        "show_progress": np.bool_(False),  # noqa: FBT003 (numpy's flag)
        "on_error": np.str_("return"),
        "timeout": np.float32(60),
        "idle_timeout": np.int64(60),
        "max_retries": np.int8(0),
        "on_warning": np.str_("ignore"),
        "fsync": np.bool_(False),  # noqa: FBT003 (numpy's flag)
        "system_prompt": np.str_("Be brief."),
    }
    async with serve(echo) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(["a", "b"], **options)
    assert [cast("Any", result).message for result in results] == ["a", "b"]
    assert capfd.readouterr().err == ""


# Option, its wrong value, and the refusal.
WRONG_OPTIONS: list[tuple[str, Any, str]] = [
    (
        "n_parallel",
        np.float64(2),
        "expected an integer of at least 1, or 'auto', found 2.0",
    ),
    ("n_parallel", np.array([2, 3]), "expected an integer .*, found an ndarray"),
    ("n_parallel", pd.NA, "expected an integer .*, found an NAType"),
    ("n_parallel", "many", "expected an integer .*, found a str"),
    ("on_error", np.array(["raise"]), "expected raise or return, found an ndarray"),
    ("show_progress", "no", "expected True or False, found a str"),
    ("show_progress", pd.NA, "expected True or False, found an NAType"),
    ("fsync", 1, "expected True or False, found 1"),
    ("checkpoint", 5, "expected a path or None, found 5"),
    ("timeout", np.float32("nan"), "expected seconds above 0 or None, found nan"),
    ("max_retries", np.float32(1), "expected an integer of at least 0, found 1.0"),
    ("on_warning", 5, "expected ignore, warn or raise, found 5"),
]


@pytest.mark.parametrize(("name", "value", "problem"), WRONG_OPTIONS)
async def test_option_that_makes_no_sense(name: str, value: Any, problem: str) -> None:
    """Refused by its name before anything is sent."""
    options: Any = {name: value}
    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(limin.ConfigurationError, match=f"^{name}: {problem}"):
            await client.generate_text_completions(["a"], **options)
    assert server.requests == []


async def test_system_prompt_that_is_no_text() -> None:
    """What would fail every prompt is refused once, before anything is sent."""
    system_prompt: Any = 5
    async with serve() as server, Client(server.base_url) as client:
        with pytest.raises(limin.ConversationError, match="content of a system message"):
            await client.generate_text_completions(["a"], system_prompt=system_prompt)
    assert server.requests == []


async def test_results_are_read_in_their_block() -> None:
    """Reading results that were not entered is an error at once, and no endless wait."""
    async with serve(echo) as server, Client(server.base_url) as client:
        results = client.iter_text_completions(["a", "b"], 1)
        with pytest.raises(RuntimeError, match="inside their `async with` block"):
            await anext(results)
        with pytest.raises(RuntimeError, match="inside their `async with` block"):
            [result async for result in results]
        async with results:
            assert (await anext(results))[0] == 0
            with pytest.raises(RuntimeError, match="entered once"):
                await results.__aenter__()
        with pytest.raises(RuntimeError, match="inside their `async with` block"):
            await anext(results)


async def test_results_that_could_not_be_entered(tmp_path: Path) -> None:
    """After a checkpoint that cannot be used there is nothing to read."""
    async with Client("http://model.test/v1") as client:
        path = tmp_path / "missing" / "run.jsonl"
        results = client.iter_text_completions(["a"], checkpoint=path)
        with pytest.raises(limin.CheckpointError):
            await results.__aenter__()
        with pytest.raises(RuntimeError, match="inside their `async with` block"):
            await anext(results)


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_results_are_not_copied(duplicate: Callable[[object], object]) -> None:
    """Requests under way cannot be had twice; the refusal says what to do."""
    async with Client("http://model.test/v1") as client:
        results = client.iter_text_completions(["a"])
        with pytest.raises(TypeError, match=r"limin\.Results cannot be pickled or copied"):
            duplicate(results)


@pytest.mark.parametrize("n_parallel", [0, -1, 2.5, "5", True])
async def test_n_parallel_that_makes_no_sense(n_parallel: int) -> None:
    """Refused before anything is sent, and for an empty list too."""
    with pytest.raises(limin.ConfigurationError, match="n_parallel: expected an integer"):
        await limin.generate_text_completions([], n_parallel)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (partial(limin.generate_text_completions, temperature="hot"), "temperature: "),
        (partial(limin.generate_text_completions, timeout=-1.0), "timeout: "),
        (partial(limin.generate_text_completions, show_progress="no"), "show_progress: "),
        (partial(limin.generate_text_completions, response_type=5), "5"),
        (partial(limin.generate_text_completions, reask=-1), "reask: "),
        (partial(limin.generate_text_completions, system_prompt=5), "system message"),
        (partial(limin.generate_text_completions, base_url="no URL"), "base_url: "),
        (partial(limin.generate_text_completions, client="none"), "client: "),
        (
            partial(limin.generate_text_completions_for_conversations, checkpoint=5),
            "checkpoint: ",
        ),
        (partial(limin.generate_decisions, labels=["yes", "yes"]), "labels: "),
        (partial(limin.generate_decisions, labels=["yes", "no"], by="number"), "by: "),
    ],
)
async def test_empty_input_hides_no_wrong_option(function: Any, problem: str) -> None:
    """A test with an empty list finds what the first prompt would."""
    with pytest.raises(limin.LiminError, match=problem):
        await function([])


@pytest.mark.parametrize("prompts", ["one prompt", b"bytes", 5, None])
async def test_prompts_that_are_no_iterable_of_prompts(prompts: list[str]) -> None:
    """A single text is not taken for a list of its letters."""
    with pytest.raises(limin.ConfigurationError, match="expected an iterable of prompts"):
        await limin.generate_text_completions(prompts)


async def test_progress_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output stays free for the answers."""
    async with serve() as server:
        await limin.generate_text_completions(["a", "b"], base_url=server.base_url)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("limin: 2 done in ")


async def test_progress_shows_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It shows the requests under way, and how long the server asks to wait."""
    seen: list[BatchState] = []
    both, first = anyio.Event(), anyio.Event()

    class Watched(BatchProgress):
        def finished(self, index: int, result: object) -> None:
            super().finished(index, result)
            assert self._state is not None
            seen.append(self._state())
            first.set()

    async def refuse_the_second(request: Request) -> bytes:
        if request.prompt == "first":
            await both.wait()
            return http(completion("hi"))
        both.set()
        await first.wait()
        return http(b"", "429 Slower", "retry-after: 500\r\n")

    monkeypatch.setattr("limin.rendering.progress.BatchProgress", Watched)
    async with serve(refuse_the_second) as server:
        await limin.generate_text_completions(
            ["first", "second"],
            base_url=server.base_url,
            on_error="return",
            max_retries=0,
        )
    assert [state.in_flight for state in seen] == [1, 0]
    assert seen[0].resting == 0.0
    assert seen[1].resting > 400.0


async def test_no_progress_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Silence where silence is asked for."""
    async with serve() as server:
        await limin.generate_text_completions(
            ["a"], base_url=server.base_url, show_progress=False
        )
    assert capfd.readouterr() == ("", "")


async def test_cancelled_batch_ends_at_once() -> None:
    """Cancelling does not wait for a slow server."""

    async def silent(request: Request) -> bytes:
        started.set()
        await anyio.sleep_forever()
        return request.body

    started = anyio.Event()
    async with (
        serve(silent) as server,
        Client(server.base_url) as client,
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            await client.generate_text_completions(["a"] * 9, show_progress=False)

        tasks.start_soon(ask)
        await started.wait()
        tasks.cancel_scope.cancel()
    assert len(server.requests) <= 5


async def refuse_one(request: Request) -> bytes:
    """Refuse prompt 2, and answer any other with itself."""
    if request.prompt == "2":
        return http(b'{"error":{"message":"too odd"}}', "400 Bad Request")
    return http(completion(request.prompt))


def outcomes_of(results: Iterable[limin.TextCompletion | limin.LiminError]) -> list[str]:
    """Return the messages of completions, and the names of errors."""
    return [
        result.message
        if isinstance(result, limin.TextCompletion)
        else type(result).__name__
        for result in results
    ]


async def test_errors_are_returned_in_their_places() -> None:
    """With `on_error="return"` the list comes back, whatever happened."""
    expected = ["0", "1", "BadRequestError", "3"]
    prompts = [str(n) for n in range(4)]
    conversations = [Conversation.from_prompts(prompt) for prompt in prompts]
    async with serve(refuse_one) as server:
        results = await limin.generate_text_completions(
            prompts, base_url=server.base_url, on_error="return", show_progress=False
        )
        more = await limin.generate_text_completions_for_conversations(
            conversations, base_url=server.base_url, on_error="return", show_progress=False
        )
    assert outcomes_of(results) == outcomes_of(more) == expected


async def test_on_error_that_makes_no_sense() -> None:
    """Refused before anything is sent."""
    with pytest.raises(limin.ConfigurationError, match="on_error: expected raise"):
        await limin.generate_text_completions([], on_error="hide")  # type: ignore[call-overload]


@pytest.mark.parametrize("as_conversations", [True, False])
async def test_results_come_as_they_finish(*, as_conversations: bool) -> None:
    """With their indexes, of prompts and of conversations."""
    last = anyio.Event()

    async def first_last(request: Request) -> bytes:
        if request.prompt == "0":
            await last.wait()
        return await refuse_one(request)

    prompts = (str(n) for n in range(5))
    questions = map(Conversation.from_prompts, prompts) if as_conversations else prompts
    finished = {}
    async with (
        serve(first_last) as server,
        limin.iter_text_completions(questions, 2, base_url=server.base_url) as results,
    ):
        async for index, result in results:
            finished[index] = result
            if len(finished) == 4:
                last.set()
    assert list(finished)[-1] == 0
    assert outcomes_of(finished[index] for index in range(5)) == [
        "0",
        "1",
        "BadRequestError",
        "3",
        "4",
    ]


async def test_slow_consumer_slows_the_requests_down() -> None:
    """No more questions are asked than results can be held."""
    made = 0

    def prompts() -> Iterator[str]:
        nonlocal made
        while True:
            made += 1
            yield str(made)

    taken = 0
    async with (
        serve() as server,
        limin.iter_text_completions(prompts(), 3, base_url=server.base_url) as results,
    ):
        async for _ in results:
            taken += 1
            for _ in range(50):
                await anyio.lowlevel.checkpoint()
            assert made <= taken + 2 * 3
            if taken == 20:
                break
    assert made <= 26


async def take(results: limin.Results, finished: list[tuple[int, object]]) -> None:
    """Append all of *results* to *finished*."""
    async for index, result in results:
        finished.append((index, result))


async def test_repr_shows_the_state_and_no_content() -> None:
    """Whoever looks at a batch sees how far it is, and no prompt."""
    answered = anyio.Event()

    async def answer_the_first(request: Request) -> bytes:
        if request.prompt != "secret 0":
            await answered.wait()
        return http(completion(request.prompt))

    prompts = (f"secret {number}" for number in range(4))
    async with serve(answer_the_first) as server:
        results = limin.iter_text_completions(prompts, 3, base_url=server.base_url)
        assert repr(results) == "<limin.Results: 0 finished, 0 under way>"
        async with results:
            index, _ = await anext(results)
            await anyio.wait_all_tasks_blocked()
            assert index == 0
            assert repr(results) == "<limin.Results: 1 finished, 3 under way>"
            answered.set()
            async for _ in results:
                pass
        assert repr(results) == "<limin.Results: 4 finished, 0 under way>"


async def test_repr_names_the_error_that_stopped_the_batch() -> None:
    """Its class, since its sentence may be long."""

    async def refuse(_request: Request) -> bytes:
        return http(b'{"error":"Unauthorized"}', "401 Unauthorized")

    async with (
        serve(refuse) as server,
        limin.iter_text_completions(["a"], 1, base_url=server.base_url) as results,
    ):
        await anext(results)
        state = "1 finished, 0 under way, stopped by AuthenticationError"
        assert repr(results) == f"<limin.Results: {state}>"


async def test_users_exception_comes_after_what_was_finished() -> None:
    """No result that was paid for is lost by it."""

    def prompts() -> Iterator[str]:
        yield "a"
        yield "b"
        raise LookupError

    finished: list[tuple[int, object]] = []
    async with (
        serve() as server,
        limin.iter_text_completions(prompts(), 3, base_url=server.base_url) as results,
    ):
        with pytest.raises(LookupError):
            await take(results, finished)
    assert sorted(index for index, _ in finished) == [0, 1]


async def test_error_that_would_strike_every_prompt_ends_the_results() -> None:
    """It is handed over in its place, and raised at the end: nothing ends silently."""

    async def refuse(_request: Request) -> bytes:
        return http(b'{"error":"Unauthorized"}', "401 Unauthorized")

    finished: list[tuple[int, object]] = []
    prompts = (str(n) for n in range(1000))
    async with (
        serve(refuse) as server,
        limin.iter_text_completions(prompts, 2, base_url=server.base_url) as results,
    ):
        with pytest.raises(limin.AuthenticationError):
            await take(results, finished)
    assert 1 <= len(finished) <= 3
    assert {type(result) for _, result in finished} == {limin.AuthenticationError}
    assert len(server.requests) == len(finished)


async def test_user_s_exception_inside_the_block_comes_out_as_it_is() -> None:
    """Which tasks limin runs is nothing that an `except` of the user's should know."""
    cause = KeyError("why")

    async def ask_and_fail(base_url: str) -> None:
        prompts = ["a"] * 10
        async with limin.iter_text_completions(prompts, base_url=base_url) as results:
            async for _ in results:
                problem = "mine"
                raise ValueError(problem) from cause

    async with serve() as server:
        with pytest.raises(ValueError, match="mine") as caught:
            await ask_and_fail(server.base_url)
    assert caught.value.__cause__ is cause


def test_several_exceptions_stay_a_group() -> None:
    """A single exception is unwrapped, however deep; two stay together."""
    first, second = KeyboardInterrupt(), SystemExit()
    both = BaseExceptionGroup("both", [first, second])
    inner = BaseExceptionGroup("inner", [first])
    assert unwrap_single(BaseExceptionGroup("outer", [inner])) is first
    assert unwrap_single(both) is both


@pytest.mark.parametrize("n_parallel", [1, 3, "auto"])
@pytest.mark.parametrize("sized", [True, False])
async def test_any_parallelism_answers_everything(
    n_parallel: int | Literal["auto"], *, sized: bool
) -> None:
    """Each prompt is asked once and answered in its place."""
    prompts = [str(n) for n in range(60)]
    async with serve() as server, Client(server.base_url) as client:
        answers = await client.generate_text_completions(
            prompts if sized else iter(prompts), n_parallel, show_progress=False
        )
    assert [answer.message for answer in answers] == prompts
    assert len(server.requests) == 60


@pytest.mark.parametrize(
    "refusal",
    [
        http(b"", "429 Too Many Requests", "retry-after-ms: 1\r\n"),
        http(text_of("Hel") + event_of({"error": {"code": 429, "message": "slower"}})),
    ],
    ids=["status", "stream"],
)
async def test_auto_sends_less_to_a_server_that_refuses(refusal: bytes) -> None:
    """A server that takes two at once and says 429 to more refuses less than it answers."""

    async def two_at_once(request: Request) -> bytes:
        refused = server.in_flight > 2
        await anyio.lowlevel.checkpoint()
        if refused:
            return refusal
        return http(completion(request.prompt, usage={"completion_tokens": 1}))

    async with serve(two_at_once) as server, Client(server.base_url) as client:
        answers = await client.generate_text_completions(
            ["hello"] * 100, "auto", show_progress=False, max_retries=20, stream=True
        )
    assert len(answers) == 100
    assert len(server.requests) < 200


async def test_refusal_in_a_stream_stops_the_batch_too() -> None:
    """A gateway may refuse the key after it has sent the status of a success."""
    refusal = http(ROLE + event_of({"error": {"code": 401, "message": "no such key"}}))

    async def nobody(_request: Request) -> bytes:
        return refusal

    async with serve(nobody) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            ["hello"] * 100, 2, show_progress=False, on_error="return", stream=True
        )
    assert {type(result) for result in results} == {limin.StreamError, limin.NotSentError}
    assert len(server.requests) <= 2


async def test_auto_stops_at_what_would_strike_every_prompt() -> None:
    """The first few requests show that the key is wrong, and no more are sent."""

    async def nobody(_request: Request) -> bytes:
        return http(b"", "401 Unauthorized")

    async with serve(nobody) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            ["hello"] * 100, "auto", show_progress=False, on_error="return"
        )
    assert {type(result) for result in results} == {
        limin.AuthenticationError,
        limin.NotSentError,
    }
    assert len(server.requests) <= 4


class Interrupt(BaseException):
    """Like Ctrl-C, but for no event loop to see."""


async def test_interrupt_in_a_worker_comes_out_alone() -> None:
    """An exception that ends the program is not wrapped by the tasks that it passes."""

    def interrupted() -> Iterator[str]:
        yield "hello"
        raise Interrupt

    async def ask(base_url: str) -> None:
        async with limin.iter_text_completions(interrupted(), base_url=base_url) as results:
            async for _ in results:
                pass

    async with serve() as server:
        with pytest.raises(Interrupt):
            await ask(server.base_url)
