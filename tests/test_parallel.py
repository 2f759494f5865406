"""A function of the user's own for many items: all promises of a batch hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from loopback import serve

import limin
from limin import Client, run_parallel
from limin.rendering.progress import BatchProgress
from limin.testing import QUIRKS, Answer, scripted_endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from limin.values.progress import BatchState


async def double(number: int) -> int:
    """Return twice the number, after a moment."""
    await anyio.lowlevel.checkpoint()
    return 2 * number


async def refuse_odd(number: int) -> int:
    """Return the number; refuse odd ones, by an error whose text holds a prompt."""
    await anyio.lowlevel.checkpoint()
    if number % 2:
        raise ODD[number]
    return number


ODD = {number: LookupError(f"secret prompt {number}") for number in (1, 3)}


@pytest.mark.parametrize("n_parallel", [1, 3, "auto"])
@pytest.mark.parametrize("sized", [True, False])
async def test_results_come_in_the_order_of_the_items(
    n_parallel: int | Literal["auto"], *, sized: bool
) -> None:
    """However many at once, and whether their number is known or not."""
    items = range(60)
    results = await run_parallel(
        items if sized else iter(items), double, n_parallel, show_progress=False
    )
    assert results == [2 * number for number in items]


async def test_window_slides_and_is_never_wider() -> None:
    """The fast items do not wait for a slow one, and n_parallel are under way at most."""
    fast_done = anyio.Event()
    done: list[str] = []
    under_way = most = 0

    async def work(name: str) -> str:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if name == "slow":
            await fast_done.wait()
        else:
            await anyio.lowlevel.checkpoint()
            done.append(name)
        if len(done) == 20:
            fast_done.set()
        under_way -= 1
        return name

    names = ["slow"] + ["fast"] * 20
    with anyio.fail_after(30):
        assert await run_parallel(names, work, 2, show_progress=False) == names
    assert most == 2


async def test_items_that_cannot_be_counted() -> None:
    """A query of a database may have a length in name only."""

    class Query:
        def __len__(self) -> int:
            raise NotImplementedError

        def __iter__(self) -> Iterator[int]:
            return iter(range(3))

    assert await run_parallel(Query(), double, show_progress=False) == [0, 2, 4]


async def test_async_items_are_consumed_lazily() -> None:
    """No item is made before its turn comes."""
    made = finished = most_ahead = 0

    async def numbers() -> AsyncIterator[int]:
        nonlocal made, most_ahead
        for number in range(20):
            await anyio.lowlevel.checkpoint()
            made += 1
            most_ahead = max(most_ahead, made - finished)
            yield number

    async def work(number: int) -> int:
        nonlocal finished
        await anyio.lowlevel.checkpoint()
        finished += 1
        return number

    assert await run_parallel(numbers(), work, 3, show_progress=False) == list(range(20))
    assert most_ahead <= 3


async def test_exceptions_are_returned_as_they_were_raised() -> None:
    """Each stands in its item's place, and affects no other item."""
    results = await run_parallel(
        range(4), refuse_odd, show_progress=False, on_error="return"
    )
    assert results == [0, ODD[1], 2, ODD[3]]


async def test_batch_error_holds_every_result() -> None:
    """It names the classes of exceptions that are not limin's, and repeats no text."""
    with pytest.raises(limin.BatchError) as caught:
        await run_parallel(range(4), refuse_odd, show_progress=False)
    error = caught.value
    assert list(error.results) == [0, ODD[1], 2, ODD[3]]
    assert error.errors == ODD
    assert error.stopped_by is None
    assert str(error) == (
        "2 of 4 items failed (LookupError 2); the first, item 1: LookupError"
    )
    assert "secret" not in repr(error)


async def test_returned_exception_counts_as_raised() -> None:
    """In a list of results it makes no difference how an exception came into it."""
    error = LookupError()

    async def give_back(number: int) -> int | LookupError:
        return await double(number) if number else error

    with pytest.raises(limin.BatchError, match="1 of 2 items failed") as caught:
        await run_parallel(range(2), give_back, show_progress=False)
    assert list(caught.value.results) == [error, 2]


@pytest.mark.parametrize("on_error", ["raise", "return"])
async def test_error_that_would_fail_every_item_stops_early(
    on_error: Literal["raise", "return"],
) -> None:
    """A wrong key is not tried a thousand times; items under way are finished."""
    refused = anyio.Event()
    wrong_key = limin.AuthenticationError(401, "wrong key")

    async def ask(number: int) -> int:
        if number:
            refused.set()
            raise wrong_key
        await refused.wait()
        return number

    async def run() -> list[int | Exception]:
        items = range(1000)
        if on_error == "return":
            return await run_parallel(items, ask, 2, show_progress=False, on_error="return")
        with pytest.raises(limin.BatchError) as caught:
            await run_parallel(items, ask, 2, show_progress=False)
        assert caught.value.stopped_by is wrong_key
        assert str(caught.value).endswith(
            "it would strike every item: the server answered 401: wrong key"
        )
        return list(caught.value.results)  # type: ignore[arg-type] # as documented

    results = await run()
    assert results[:2] == [0, wrong_key]
    assert [type(result) for result in results[2:]] == [limin.NotSentError] * 998


async def test_auto_sends_less_to_a_server_that_refuses() -> None:
    """An overload of a server behind the function lowers the number under way."""
    under_way = refused = 0

    async def two_at_once(number: int) -> int:
        nonlocal under_way, refused
        under_way += 1
        too_many = under_way > 2
        await anyio.lowlevel.checkpoint()
        under_way -= 1
        if too_many:
            refused += 1
            raise limin.RateLimitError(429, "slower")
        return number

    results = await run_parallel(
        range(200), two_at_once, "auto", show_progress=False, on_error="return"
    )
    assert len(results) == 200
    assert 0 < refused < 60


async def test_auto_counts_any_other_exception_as_work() -> None:
    """An answer that the function cannot read was work for the server all the same."""
    results = await run_parallel(
        [1] * 60, refuse_odd, "auto", show_progress=False, on_error="return"
    )
    assert results == [ODD[1]] * 60


async def test_completions_may_be_chained_for_each_item() -> None:
    """Two requests of one item follow each other; the items do not wait for each other."""
    async with serve() as server, Client(server.base_url) as client:

        async def ask_twice(topic: str) -> str:
            first = await client.generate_text_completion(f"{topic}?")
            second = await client.generate_text_completion(f"{first.message}!")
            return second.message

        answers = await run_parallel(["a", "b", "c"], ask_twice, 2, show_progress=False)
    assert answers == ["a?!", "b?!", "c?!"]


async def test_refused_key_of_a_client_stops_early() -> None:
    """An error of limin's in the function has its usual effect."""
    refuse = QUIRKS["error-text"]
    async with (
        scripted_endpoint(lambda _: refuse) as server,
        Client(server.base_url) as client,
    ):
        results = await run_parallel(
            ["hello"] * 100,
            client.generate_text_completion,
            2,
            show_progress=False,
            on_error="return",
        )
    assert {type(result) for result in results} == {
        limin.AuthenticationError,
        limin.NotSentError,
    }
    assert len(server.requests) <= 3


async def test_exception_of_the_users_iterator_surfaces_as_it_is() -> None:
    """After everything under way was finished."""
    done: list[int] = []

    def numbers() -> Iterator[int]:
        yield 1
        raise LookupError

    async def work(number: int) -> None:
        await anyio.lowlevel.checkpoint()
        done.append(number)

    with pytest.raises(LookupError):
        await run_parallel(numbers(), work, show_progress=False)
    assert done == [1]


class Interrupt(BaseException):
    """Like Ctrl-C, but for no event loop to see."""


async def test_interrupt_comes_out_alone() -> None:
    """An exception that ends the program is no result, and comes without a group."""

    async def interrupt(number: int) -> NoReturn:
        if number == 3:
            raise Interrupt
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.fail_after(30), pytest.raises(Interrupt):
        await run_parallel(range(5), interrupt, show_progress=False)


async def test_cancelled_batch_ends_at_once() -> None:
    """Cancelling does not wait for the items under way."""
    cancelled = 0
    started = anyio.Event()

    async def wait(_number: int) -> None:
        nonlocal cancelled
        started.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled += 1
            raise

    async def run() -> None:
        await run_parallel(range(9), wait, show_progress=False)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await started.wait()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert cancelled == 5


@pytest.mark.parametrize("n_parallel", [1, 50, "auto"])
async def test_function_that_never_waits_can_be_cancelled(
    n_parallel: int | Literal["auto"],
) -> None:
    """Other tasks have their turns, too; no result is made after the end."""
    done: list[int] = []

    async def work(number: int) -> None:
        done.append(number)

    async def run() -> None:
        with anyio.CancelScope() as scope:
            tasks.start_soon(cancel, scope)
            await run_parallel(range(1_000_000), work, n_parallel, show_progress=False)
        assert scope.cancelled_caught

    async def cancel(scope: anyio.CancelScope) -> None:
        while not done:
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        await run()
    assert done == list(range(len(done)))
    assert len(done) < 1_000_000


async def test_prompts_that_are_never_sent_can_be_cancelled() -> None:
    """Wrong prompts and refused ones need no request, and so nothing to wait for."""
    taken = 0

    def wrong_prompts() -> Iterator[Any]:
        nonlocal taken
        while taken < 1_000_000:
            taken += 1
            yield None

    async def cancel(scope: anyio.CancelScope) -> None:
        while not taken:
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    async with (
        Client("http://127.0.0.1:9/v1") as client,
        anyio.create_task_group() as tasks,
    ):
        with anyio.CancelScope() as scope:
            tasks.start_soon(cancel, scope)
            await client.generate_text_completions(wrong_prompts(), show_progress=False)
    assert scope.cancelled_caught
    assert taken < 1_000_000


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("sized", [True, False])
async def test_cancellation_that_the_function_lets_out_ends_the_batch(
    *, sized: bool
) -> None:
    """On asyncio a cancelled task that the function awaits raises it; the batch, too."""
    done: list[int] = []
    items = range(100)
    kind = anyio.get_cancelled_exc_class()

    async def work(number: int) -> None:
        await anyio.lowlevel.checkpoint()
        if number == 3:
            raise kind
        done.append(number)

    with pytest.raises(kind):
        await run_parallel(items if sized else iter(items), work, 2, show_progress=False)
    assert done[:3] == [0, 1, 2]
    assert len(done) <= 4


async def test_empty_input_gives_an_empty_list(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is done, and nothing is shown."""
    assert await run_parallel([], double) == []
    assert await run_parallel(iter(()), double, show_progress=False) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("letters", double), "expected an iterable of items, found a str"),
        ((5, double), "expected an iterable of items, found an int"),
        (([], double, 0), "n_parallel: expected an integer of at least 1"),
        (([], "double"), "function: expected an async function, found a str"),
    ],
)
async def test_arguments_that_make_no_sense(
    arguments: tuple[object, ...], problem: str
) -> None:
    """Refused before anything is called, and for an empty list too."""
    with pytest.raises(limin.ConfigurationError, match=problem):
        await run_parallel(*arguments)  # type: ignore[call-overload]


async def test_mapping_stands_for_its_keys() -> None:
    """A function of one's own may take what iterating gives, the keys of a mapping too."""
    numbers = {1: "a", 2: "b"}
    assert await run_parallel(numbers, double, show_progress=False) == [2, 4]


async def test_arguments_of_numpy() -> None:
    """Numbers and flags of numpy are taken as what they are."""
    numbers, off = np.array([1, 2]), cast("Any", np.bool_(False))  # noqa: FBT003
    n_parallel = cast("Any", np.int64(2))
    assert await run_parallel(numbers, double, n_parallel, show_progress=off) == [2, 4]


async def test_on_error_that_makes_no_sense() -> None:
    """Refused before anything is called."""
    with pytest.raises(limin.ConfigurationError, match="on_error: expected raise"):
        await run_parallel([], double, on_error="hide")  # type: ignore[call-overload]


async def test_progress_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """It counts items, and their failures by class."""
    await run_parallel(range(4), refuse_odd, on_error="return")
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("limin: 4 done in ")
    assert err.endswith("2 failed: LookupError 2\n")


async def test_progress_counts_the_tokens_of_completions(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """If the function returns them."""
    script = [Answer("a", usage={"completion_tokens": 20})] * 2
    async with scripted_endpoint(script) as server, Client(server.base_url) as client:
        await run_parallel(["a", "b"], client.generate_text_completion)
    assert ", 40 tokens (" in capfd.readouterr().err


async def test_progress_shows_the_items_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the workers that are busy."""
    seen: list[BatchState] = []
    both, first = anyio.Event(), anyio.Event()

    class Watched(BatchProgress):
        def finished(self, index: int, result: object) -> None:
            super().finished(index, result)
            assert self._state is not None
            seen.append(self._state())
            first.set()

    async def wait(number: int) -> None:
        if number == 1:
            both.set()
        await (first if number else both).wait()

    monkeypatch.setattr("limin.rendering.progress.BatchProgress", Watched)
    await run_parallel(range(2), wait)
    assert [(state.in_flight, state.resting) for state in seen] == [(1, 0.0), (0, 0.0)]
