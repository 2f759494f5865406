"""Streams of a real model, behind the real llama.cpp server."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from limin import (
    Client,
    ConnectError,
    Delta,
    RequestTimeoutError,
    TextCompletion,
    Usage,
    generate_text_completion,
    generate_text_completions,
    stream_text_completion,
)
from limin.local import local_endpoint

PROMPT = "Name three colours."

# Tokens of emoji end inside a character; llama.cpp sends as much as it can.
EMOJI = "Repeat: \N{FOX FACE}\N{FAMILY}"


def without_varying_fields(completion: TextCompletion) -> TextCompletion:
    """Return *completion* without ids, times and cache, which differ at each request."""
    usage = attrs.evolve(completion.usage or Usage(), cached_tokens=None)
    return attrs.evolve(completion, id=None, request_id=None, timing=None, usage=usage)


@pytest.mark.parametrize("prompt", [PROMPT, EMOJI])
@pytest.mark.parametrize(
    "options",
    [{}, {"log_probs": True}, {"log_probs": True, "top_log_probs": 5}, {"stop": ","}],
    ids=["plain", "log_probs", "top_log_probs", "stop"],
)
async def test_streamed_answer_equals_whole_answer(
    prompt: str, options: dict[str, Any]
) -> None:
    """Text, log probabilities, finish reason, usage and the served model are the same."""
    options = {"temperature": 0, "max_tokens": 6, **options}
    whole = await generate_text_completion(prompt, **options)
    deltas: list[Delta] = []
    async with stream_text_completion(prompt, **options) as stream:
        async for delta in stream:
            deltas.append(delta)  # noqa: PERF401 (as a reader would)
    fetched = await generate_text_completion(prompt, stream=True, **options)
    assert without_varying_fields(stream.completion) == without_varying_fields(whole)
    assert without_varying_fields(fetched) == without_varying_fields(whole)
    assert stream.text == "".join(delta.text for delta in deltas) == whole.message
    assert whole.usage is not None
    assert stream.completion.usage is not None
    assert stream.completion.usage.completion_tokens == whole.usage.completion_tokens


async def test_timing_of_a_stream() -> None:
    """The times are in order, and the rate of tokens fits the gaps between them."""
    async with stream_text_completion(PROMPT, temperature=0, max_tokens=12) as stream:
        timing = (await stream.until_done()).timing
    first = timing.time_to_first_token
    assert first is not None
    assert timing.time_to_first_byte is not None
    assert timing.time_to_first_byte <= first <= timing.delta_times[-1] <= timing.duration
    assert timing.time_to_first_text == first
    assert timing.time_to_first_reasoning is None
    assert list(timing.delta_times) == sorted(timing.delta_times)
    assert timing.inter_token_latency is not None
    assert timing.tokens_per_second is not None
    assert timing.inter_token_latency.mean * timing.tokens_per_second == pytest.approx(
        1.0, rel=0.2
    )


async def test_streamed_batch_has_stream_times() -> None:
    """Each completion of the batch has its time to first token."""
    completions = await generate_text_completions(
        [PROMPT] * 3, temperature=0, max_tokens=4, stream=True, show_progress=False
    )
    assert len({completion.message for completion in completions}) == 1
    assert all(completion.timing.time_to_first_token for completion in completions)


async def test_leaving_a_stream_frees_the_slot() -> None:
    """A request waits while a long answer is read, and runs once the stream is left."""
    tokens = 400
    async with (
        local_endpoint(n_parallel=1) as endpoint,
        Client(endpoint.base_url) as client,
    ):
        options: dict[str, Any] = {"temperature": 0, "max_tokens": 1, "max_retries": 0}
        few = await client.generate_text_completion(PROMPT, max_tokens=16, stream=True)
        assert few.timing.tokens_per_second is not None
        seconds = tokens / few.timing.tokens_per_second
        async with client.stream_text_completion(
            "Write a long story.", temperature=0, max_tokens=tokens
        ) as stream:
            await anext(stream)
            with pytest.raises(RequestTimeoutError):
                await client.generate_text_completion(
                    PROMPT, timeout=seconds / 8, **options
                )
        short = await client.generate_text_completion(
            PROMPT, timeout=seconds / 4, **options
        )
    assert short.message


async def test_server_that_has_ended() -> None:
    """A stream from a server that has ended raises a `ConnectError`."""
    async with local_endpoint() as endpoint:
        base_url = endpoint.base_url
    with pytest.raises(ConnectError):
        async with stream_text_completion(PROMPT, base_url=base_url, max_retries=0):
            pytest.fail("the server has ended")
