"""Ten tests of a small program, as a user of `limin.testing` would write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
import pytest

from limin import (
    BatchError,
    Client,
    RateLimitError,
    StreamError,
    StructuredOutputError,
    ToolCall,
)
from limin.testing import (
    QUIRKS,
    Answer,
    Refusal,
    Request,
    Stream,
    scripted_endpoint,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@attrs.frozen
class Verdict:
    """What the program wants to know of a review."""

    stars: int
    mood: Literal["good", "bad"]


@attrs.frozen
class Reviewer:
    """The program: it reads reviews of a restaurant."""

    client: Client

    async def judge(self, review: str) -> Verdict:
        """Return the verdict on one review."""
        answer = await self.client.generate_text_completion(review, response_type=Verdict)
        return answer.value

    async def judge_all(self, reviews: Sequence[str]) -> list[Verdict]:
        """Return the verdict on each review."""
        answers = await self.client.generate_text_completions(
            reviews, response_type=Verdict, show_progress=False
        )
        return [answer.value for answer in answers]

    async def is_sure(self, review: str) -> bool:
        """Return whether the model is sure that a review is good or bad."""
        answer = await self.client.generate_text_completion(
            review, max_tokens=1, log_probs=True, top_log_probs=2
        )
        assert answer.log_probs is not None
        return answer.log_probs.sampled[0].prob > 0.9

    async def summarize(self, review: str) -> str:
        """Return a summary, or as much of it as came."""
        try:
            async with self.client.stream_text_completion(review) as stream:
                return (await stream.until_done()).message
        except StreamError as error:
            return error.partial.message + "..."

    async def answer(self, question: str) -> str:
        """Answer a question of a guest."""

        def opening_hours(day: str) -> str:
            """Return the opening hours of a day."""
            return f"{day}: 12 to 22"

        run = await self.client.run_tools(question, [opening_hours])
        return run.completion.message


async def test_verdict_is_read() -> None:
    """A review becomes a verdict."""
    async with (
        scripted_endpoint([Answer(Verdict(5, "good"))]) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        assert await Reviewer(client).judge("Great!") == Verdict(5, "good")
    (request,) = endpoint.requests
    assert request.messages[-1] == {"role": "user", "content": "Great!"}
    assert request.parameters["response_format"]["type"] == "json_schema"


async def test_verdict_that_is_none_is_an_error() -> None:
    """The program does not guess."""
    async with (
        scripted_endpoint([Answer("I loved it.")]) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        with pytest.raises(StructuredOutputError):
            await Reviewer(client).judge("Great!")


async def test_many_reviews_keep_their_order() -> None:
    """Verdicts come in the order of the reviews."""

    def by_length(request: Request) -> Answer:
        return Answer(Verdict(len(request.messages[-1]["content"]), "good"))

    async with (
        scripted_endpoint(by_length) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        verdicts = await Reviewer(client).judge_all(["a", "bbb", "cc"])
    assert [verdict.stars for verdict in verdicts] == [1, 3, 2]


async def test_one_refused_review_costs_no_other() -> None:
    """The batch tells which one failed."""

    def but_one(request: Request) -> Answer | Refusal:
        if request.messages[-1]["content"] == "b":
            return Refusal(400, "The response was filtered", code="content_filter")
        return Answer(Verdict(3, "bad"))

    async with (
        scripted_endpoint(but_one) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        with pytest.raises(BatchError) as caught:
            await Reviewer(client).judge_all(["a", "b", "c"])
    assert [isinstance(each, Exception) for each in caught.value.results] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(("log_prob", "is_sure"), [(-0.01, True), (-0.7, False)])
async def test_sure_is_nine_in_ten(log_prob: float, is_sure: bool) -> None:  # noqa: FBT001 (a parameter)
    """The probability of the only token decides."""
    tokens = [("good", log_prob, {"bad": -4.7})]
    async with (
        scripted_endpoint([Answer("good", log_probs=tokens)]) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        assert await Reviewer(client).is_sure("Great!") is is_sure


async def test_busy_server_is_waited_for() -> None:
    """A rate limit is no failure."""
    script = [Refusal(429, retry_after=0.001), Answer(Verdict(1, "bad"))]
    async with (
        scripted_endpoint(script) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        assert (await Reviewer(client).judge("Bad.")).stars == 1


async def test_server_that_stays_busy_is_told() -> None:
    """A rate limit without end is one."""
    async with (
        scripted_endpoint([Refusal(429, retry_after=0.001)] * 2) as endpoint,
        Client(endpoint.base_url, max_retries=1) as client,
    ):
        with pytest.raises(RateLimitError):
            await Reviewer(client).judge("Bad.")


async def test_half_a_summary_is_shown() -> None:
    """Guests see what there is."""
    async with (
        scripted_endpoint([Stream(["Nice", " place"], cut_after=1)]) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        assert await Reviewer(client).summarize("...") == "Nice..."


async def test_hours_are_looked_up() -> None:
    """The model asks the program, and the program answers."""
    call = ToolCall("1", "opening_hours", '{"day": "Monday"}')
    script = [Answer(None, tool_calls=[call]), Answer("At noon.")]
    async with (
        scripted_endpoint(script) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        assert await Reviewer(client).answer("When?") == "At noon."
    assert endpoint.requests[1].messages[-1]["content"] == "Monday: 12 to 22"


async def test_our_provider_has_its_own_ways() -> None:
    """A reasoning model behind a proxy is read all the same."""
    script = [QUIRKS["reasoning"].with_text(Verdict(4, "good"))]
    async with (
        scripted_endpoint(script) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        assert (await Reviewer(client).judge("Nice.")).stars == 4
