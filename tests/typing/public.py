"""The types that mypy and pyright must infer for the public names."""

from collections.abc import Sequence
from typing import assert_type

from rich.table import Table

import limin


async def single() -> None:
    completion = await limin.generate_text_completion("hello", temperature=None, seed=1)
    assert_type(completion, limin.TextCompletion)
    assert_type(completion.message, str)
    assert_type(completion.finish_reason, str | None)
    assert_type(completion.token_log_probs, list[limin.TokenLogProb] | None)
    assert_type(completion.full_token_log_probs, list[list[limin.TokenLogProb]] | None)
    assert_type(completion.log_probs, limin.LogProbs | None)
    assert_type(completion.to_pretty_string(width=40, color=None), str)
    assert_type(completion.prompt_log_probs, limin.PromptLogProbs | None)
    assert_type(completion.warnings, tuple[limin.ResponseWarning, ...])
    assert_type(completion.usage, limin.Usage | None)
    assert_type(completion.duration, float)
    assert_type(completion.raw, object)


def positions(
    log_probs: limin.LogProbs, prompt: limin.PromptLogProbs, field: limin.FieldLogProbs
) -> None:
    assert_type(log_probs[0], limin.TokenPosition)
    assert_type(log_probs[1:], Sequence[limin.TokenPosition])
    assert_type(list(log_probs), list[limin.TokenPosition])
    assert_type(prompt[0], limin.TokenPosition | None)
    assert_type(prompt[1:], Sequence[limin.TokenPosition | None])
    assert_type(log_probs.pieces(), list[limin.TextPiece])
    assert_type(log_probs.text(), str)
    assert_type(log_probs.to_pretty_string(color=None, palette="viridis"), str)
    assert_type(log_probs.to_table(lowest=10), Table)
    assert_type(log_probs.total, float | None)
    assert_type(log_probs.perplexity, float | None)
    assert_type(log_probs.to_columns(), dict[str, list[object]])
    assert_type(field.log_prob, float | None)
    assert_type(field.prob, float | None)
    position = log_probs[0]
    assert_type(position.sampled, limin.TokenLogProb)
    assert_type(position.alternatives, tuple[limin.TokenLogProb, ...])
    assert_type(position.rank, int | None)
    assert_type(position.entropy, float | None)


async def odd() -> None:
    try:
        await limin.generate_text_completion("hello", on_warning="raise")
    except limin.AnswerWarningError as error:
        assert_type(error.completion, limin.TextCompletion[object])
        assert_type(error.warnings[0].code, limin.WarningCode)


async def streamed(client: limin.Client) -> None:
    async with limin.stream_text_completion("hello", idle_timeout=None) as stream:
        assert_type(stream, limin.CompletionStream)
        async for delta in stream:
            assert_type(delta, limin.Delta)
            assert_type(delta.text, str)
            assert_type(delta.log_probs, limin.LogProbs | None)
        assert_type(stream.completion, limin.TextCompletion)
    async with client.stream_text_completion("hello", seed=1) as stream:
        completion = await stream.until_done()
    assert_type(completion.timing.time_to_first_token, float | None)
    assert_type(completion.timing.inter_token_latency, limin.Latency | None)
    assert_type(completion.timing.delta_times, tuple[float, ...])
    fetched = await limin.generate_text_completion("hello", stream=True)
    assert_type(fetched, limin.TextCompletion)
    limin.stream_text_completion("hello", stream=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def batches() -> None:
    prompts = (str(n) for n in range(3))
    completions = await limin.generate_text_completions(prompts, 2, system_prompt="s")
    assert_type(completions, list[limin.TextCompletion])
    conversations = [limin.Conversation.from_prompts("hello")]
    async with limin.Client("http://model.test/v1") as client:
        assert_type(client, limin.Client)
        more = await client.generate_text_completions_for_conversations(conversations)
    assert_type(more, list[limin.TextCompletion])


async def results(client: limin.Client) -> None:
    async with client.iter_text_completions(["hello"]) as finished:
        assert_type(finished, limin.Results)
        assert_type(finished, limin.Results[limin.TextCompletion])
        await take(finished)


async def take(finished: limin.Results) -> None:
    async for index, result in finished:
        assert_type(index, int)
        assert_type(result, limin.TextCompletion | limin.LiminError)


async def length(text: str) -> int:
    return len(text)


async def parallel(client: limin.Client) -> None:
    lengths = await limin.run_parallel(["hello"], length, "auto")
    assert_type(lengths, list[int])
    either = await limin.run_parallel(["hello"], length, 2, on_error="return")
    assert_type(either, list[int | Exception])
    completions = await limin.run_parallel(["hello"], client.generate_text_completion)
    assert_type(completions, list[limin.TextCompletion])
    try:
        await limin.run_parallel([1], length)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await limin.run_parallel(["hello"], len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except limin.BatchError as error:
        assert_type(
            error.results, Sequence[limin.TextCompletion[object] | limin.LiminError]
        )
        assert_type(error.errors, dict[int, limin.LiminError])


async def wrong() -> None:
    await limin.generate_text_completion("hello", temprature=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await limin.generate_text_completion("hello", max_tokens="5")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await limin.generate_text_completion("hello", on_warning="error")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    limin.Message("bot", "hello")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
