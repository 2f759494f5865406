"""The main job on a real model, behind the real llama.cpp server."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from limin import (
    BatchError,
    ContextLengthError,
    Conversation,
    Message,
    generate_text_completion,
    generate_text_completion_for_conversation,
    generate_text_completions,
    generate_text_completions_for_conversations,
)

if TYPE_CHECKING:
    from limin import TokenLogProb


def text(tokens: list[TokenLogProb]) -> str:
    """The text that *tokens* make, by their bytes."""
    return b"".join(token.token_bytes or b"" for token in tokens).decode()


async def test_one_prompt() -> None:
    """A prompt goes in, a true answer comes out."""
    completion = await generate_text_completion(
        "What is the capital of Germany?", temperature=0, max_tokens=16
    )
    assert completion.message == "The capital of Germany is Berlin."
    assert completion.finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 8
    assert 0 < completion.duration < 600
    assert completion.end_time >= completion.start_time


async def test_conversation() -> None:
    """The model knows what was said before."""
    conversation = Conversation(
        messages=[
            Message(role="system", content="You are a helpful assistant."),
            Message(role="user", content="What is the capital of France?"),
            Message(role="assistant", content="The capital of France is Paris."),
            Message(role="user", content="What is the capital of Germany?"),
        ]
    )
    completion = await generate_text_completion_for_conversation(
        conversation, temperature=0, max_tokens=16
    )
    assert completion.message == "The capital of Germany is Berlin."
    conversation.add_message(completion.to_message())
    assert "Berlin" in conversation.to_pretty_string()


async def test_prompts_in_parallel() -> None:
    """Each answer is the answer to its own prompt."""
    capitals = {"Japan": "Tokyo", "Egypt": "Cairo", "Peru": "Lima", "Italy": "Rome"}
    completions = await generate_text_completions(
        [f"What is the capital of {country}?" for country in capitals],
        n_parallel=2,
        system_prompt="You are a helpful assistant. You answer in one short sentence.",
        temperature=0,
        max_tokens=16,
        show_progress=False,
    )
    for capital, completion in zip(capitals.values(), completions, strict=True):
        assert capital in completion.message


async def test_conversations_in_parallel() -> None:
    """The same for conversations."""
    conversations = [Conversation.from_prompts("Hello", "Be kind.") for _ in range(3)]
    completions = await generate_text_completions_for_conversations(
        conversations, temperature=0, max_tokens=4, show_progress=False
    )
    assert len({completion.message for completion in completions}) == 1


async def test_log_probs_of_a_greedy_answer() -> None:
    """They sum and sort as they should, and the likeliest token is sampled."""
    completion = await generate_text_completion(
        "What is 2+2?", temperature=0, max_tokens=12, log_probs=True, top_log_probs=10
    )
    sampled, listed = completion.token_log_probs, completion.full_token_log_probs
    assert sampled is not None
    assert listed is not None
    assert len(sampled) == len(listed) > 0
    assert text(sampled) == completion.message
    for token, likely in zip(sampled, listed, strict=True):
        values = [one.log_prob for one in likely if one.log_prob is not None]
        assert len(values) == 10
        assert values == sorted(values, reverse=True)
        assert token.token_id == likely[0].token_id
        assert token.log_prob == values[0]
        assert sum(map(math.exp, values)) <= 1 + 1e-4
    shown = completion.to_pretty_log_probs_string(show_probabilities=True)
    assert f"[{sampled[0].prob:.2f}]" in shown


async def test_log_probs_of_a_hot_answer_are_those_of_the_sampled_tokens() -> None:
    """At a high temperature the sampled token is often not the likeliest."""
    completion = await generate_text_completion(
        "Write a very short poem.",
        temperature=1.8,
        seed=11,
        max_tokens=24,
        log_probs=True,
        top_log_probs=3,
    )
    sampled, listed = completion.token_log_probs, completion.full_token_log_probs
    assert sampled is not None
    assert listed is not None
    assert text(sampled).startswith(completion.message)
    first = [likely[0].token_id for likely in listed]
    assert [token.token_id for token in sampled] != first
    for token, likely in zip(sampled, listed, strict=True):
        same = [one.log_prob for one in likely if one.token_id == token.token_id]
        assert same in ([token.log_prob], [])


async def test_no_log_probs_unless_asked_for() -> None:
    """Nothing is made up."""
    completion = await generate_text_completion("Hello", max_tokens=2)
    assert completion.token_log_probs is None
    assert completion.full_token_log_probs is None
    assert completion.to_pretty_log_probs_string() == (
        "No token log probabilities available."
    )
    assert completion.warnings == ()


async def test_emoji_survives() -> None:
    """A character of several tokens comes whole."""
    completion = await generate_text_completion(
        "Repeat exactly: 🦊🌍 café 東京", temperature=0, max_tokens=24, log_probs=True
    )
    assert completion.message.startswith("🦊🌍")
    assert completion.token_log_probs is not None
    assert text(completion.token_log_probs) == completion.message


async def test_prompt_that_is_too_long_is_told_as_such() -> None:
    """The other prompts of its batch do not suffer."""
    prompts = ["Hello", "word " * 5000]
    with pytest.raises(BatchError) as caught:
        await generate_text_completions(prompts, max_tokens=2, show_progress=False)
    assert list(caught.value.errors) == [1]
    assert isinstance(caught.value.errors[1], ContextLengthError)
    assert "word word" not in str(caught.value)
