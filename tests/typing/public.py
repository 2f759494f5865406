"""What mypy and pyright must infer of the public names."""

from typing import assert_type

import limin


async def one() -> None:
    completion = await limin.generate_text_completion("hello", temperature=None, seed=1)
    assert_type(completion, limin.TextCompletion)
    assert_type(completion.message, str)
    assert_type(completion.finish_reason, str | None)
    assert_type(completion.token_log_probs, list[limin.TokenLogProb] | None)
    assert_type(completion.full_token_log_probs, list[list[limin.TokenLogProb]] | None)
    assert_type(completion.usage, limin.Usage | None)
    assert_type(completion.duration, float)
    assert_type(completion.raw, object)


async def many() -> None:
    prompts = (str(n) for n in range(3))
    completions = await limin.generate_text_completions(prompts, 2, system_prompt="s")
    assert_type(completions, list[limin.TextCompletion])
    conversations = [limin.Conversation.from_prompts("hello")]
    async with limin.Client("http://model.test/v1") as client:
        assert_type(client, limin.Client)
        more = await client.generate_text_completions_for_conversations(conversations)
    assert_type(more, list[limin.TextCompletion])


async def wrong() -> None:
    await limin.generate_text_completion("hello", temprature=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await limin.generate_text_completion("hello", max_tokens="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    limin.Message("bot", "hello")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
