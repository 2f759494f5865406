"""Batches that stop when their answers have used enough tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from loopback import Request as RawRequest
from loopback import completion, http, serve
from streaming import ROLE, USAGE, streamed, text_of

import limin
from limin import Client, Conversation, ModelConfiguration, NotSentError, TokenBudgetError
from limin.calls import call
from limin.testing import Answer, Request, scripted_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUIET: Any = {"show_progress": False}
TEN = {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}
PROMPTS = [str(number) for number in range(6)]


def count_ten(request: Request) -> Answer:
    """Answer each prompt with its own text, for ten tokens."""
    return Answer(request.messages[-1]["content"], usage=TEN)


async def test_batch_stops_when_the_budget_is_spent() -> None:
    """No new request is sent, and what was finished is there."""
    async with scripted_endpoint(count_ten) as server, Client(server.base_url) as client:
        with pytest.raises(limin.BatchError) as caught:
            await client.generate_text_completions(PROMPTS, 1, max_total_tokens=15, **QUIET)
        returned = await client.generate_text_completions(
            PROMPTS, 1, max_total_tokens=20, on_error="return", **QUIET
        )
    error = caught.value
    assert len(server.requests) == 4
    assert isinstance(error.stopped_by, TokenBudgetError)
    assert (error.stopped_by.limit, error.stopped_by.used) == (15, 20)
    assert str(error) == (
        "4 of 6 prompts failed (NotSentError 4); stopped early: "
        "the answers have used 20 of 15 tokens"
    )
    for results in (error.results, returned):
        kinds = [type(result) for result in results]
        assert kinds == [limin.TextCompletion] * 2 + [NotSentError] * 4
    taken = returned[2]
    assert isinstance(taken, NotSentError)
    assert str(taken) == "not sent: the answers have used 20 of 20 tokens"
    assert taken.conversation == Conversation.from_prompts("2")


async def test_budget_for_all_is_no_failure() -> None:
    """A batch whose last answer spends the budget has ended."""
    async with scripted_endpoint(count_ten) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            PROMPTS, 1, max_total_tokens=60, **QUIET
        )
    assert [result.message for result in results] == PROMPTS


async def test_requests_under_way_are_finished() -> None:
    """Their answers are paid for."""
    everybody = anyio.Event()

    async def wait_for_three(request: RawRequest) -> bytes:
        if server.in_flight == 3:
            everybody.set()
        await everybody.wait()
        return http(completion(request.prompt, usage=TEN))

    async with serve(wait_for_three) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            PROMPTS, 3, max_total_tokens=1, on_error="return", **QUIET
        )
    messages = [result for result in results if isinstance(result, limin.TextCompletion)]
    assert len(messages) == len(server.requests) >= 3


async def test_lazy_source_is_left_alone() -> None:
    """Results that are handed over end with the error, and no more is taken."""
    taken: list[str] = []

    def source() -> Iterator[str]:
        for number in range(10**9):
            taken.append(str(number))
            yield str(number)

    finished: list[object] = []
    async with (
        scripted_endpoint(count_ten) as server,
        Client(server.base_url) as client,
        client.iter_text_completions(source(), 1, max_total_tokens=30) as results,
    ):
        with pytest.raises(TokenBudgetError, match="used 30 of 30 tokens"):  # noqa: PT012 (iterated)
            async for _, result in results:
                finished.append(result)
    assert taken == ["0", "1", "2", "3"]
    assert [type(result).__name__ for result in finished] == [
        *["TextCompletion"] * 3,
        "NotSentError",
    ]


async def test_same_call_goes_on(tmp_path: Path) -> None:
    """Answers out of the checkpoint cost nothing."""
    options: Any = {"checkpoint": tmp_path / "run.jsonl", "max_total_tokens": 20}
    options |= {"on_error": "return"} | QUIET
    sent: list[int] = []
    async with scripted_endpoint(count_ten) as server, Client(server.base_url) as client:
        for _ in range(4):
            results = await client.generate_text_completions(PROMPTS, 1, **options)
            sent.append(len(server.requests))
    assert sent == [2, 4, 6, 6]
    assert [result.message for result in results] == PROMPTS  # type: ignore[union-attr]  # they are completions


@pytest.mark.parametrize(
    ("usage", "used"),
    [
        ({"prompt_tokens": 6, "completion_tokens": 4}, 10),
        ({"completion_tokens": 4}, 4),
        ({"prompt_tokens": 6}, 4),
        (None, 4),
        ({"total_tokens": -5}, 4),
    ],
)
async def test_what_counts(usage: dict[str, object] | None, used: int) -> None:
    """The server's sum, or both counts, or a token for four characters of the texts."""
    script = [Answer("12345", usage=usage)]
    async with scripted_endpoint(script) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            ["1234567890", "b"],
            1,
            max_total_tokens=used,
            on_error="return",
            **QUIET,
        )
    assert str(results[1]) == f"not sent: the answers have used {used} of {used} tokens"


async def test_broken_and_refused_answers_count() -> None:
    """What a broken stream brought is paid for, and so is an answer with a warning."""
    broken = streamed(ROLE, text_of("Hel"), USAGE)
    pair = ("a", ModelConfiguration(stream=True))
    replies = [broken, broken, http(completion("odd", usage=TEN))]

    async def respond(_request: RawRequest) -> bytes:
        return replies.pop(0)

    async with serve(respond) as server:
        results = await _ask_with_retry(server.base_url, [pair, "b", "c"])
    assert [type(result).__name__ for result in results] == [
        "StreamError",
        "AnswerWarningError",
        "NotSentError",
    ]
    assert "have used 24 of 24 tokens" in str(results[2])


async def test_bug_costs_no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is not limin's has no answer to count."""

    def fail(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(call, "read_completion", fail)
    async with scripted_endpoint(count_ten) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            PROMPTS, 1, max_total_tokens=1, on_error="return", **QUIET
        )
    assert [type(result) for result in results] == [limin.UnexpectedError] * 6


async def _ask_with_retry(base_url: str, items: list[Any]) -> list[Any]:
    return await limin.generate_text_completions(
        items,
        1,
        base_url=base_url,
        max_retries=1,
        max_total_tokens=24,
        on_error="return",
        on_warning="raise",
        log_probs=True,
        **QUIET,
    )


async def test_progress_does_not_count_what_was_not_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The last line says how many were done."""
    async with scripted_endpoint(count_ten) as server, Client(server.base_url) as client:
        await client.generate_text_completions(
            PROMPTS, 1, max_total_tokens=20, on_error="return"
        )
    line = capsys.readouterr().err
    assert line.startswith("limin: 2 of 6 done in ")
    assert "failed" not in line


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many", True])
async def test_wrong_budget_is_refused(wrong: Any) -> None:
    """Nothing is sent."""
    async with Client("http://nowhere.test/v1") as client:
        with pytest.raises(limin.ConfigurationError, match="max_total_tokens: expected at"):
            await client.generate_text_completions(["a"], max_total_tokens=wrong, **QUIET)
