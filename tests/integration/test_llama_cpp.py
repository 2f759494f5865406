"""The main job on a real model, behind the real llama.cpp server."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from limin import (
    BatchError,
    ContextLengthError,
    Conversation,
    Message,
    TokenPosition,
    generate_text_completion,
    generate_text_completion_for_conversation,
    generate_text_completions,
    generate_text_completions_for_conversations,
)

if TYPE_CHECKING:
    from limin import TokenLogProb


def join_text(tokens: list[TokenLogProb]) -> str:
    """Return the text that the bytes of *tokens* make."""
    return b"".join(token.token_bytes or b"" for token in tokens).decode()


async def test_one_prompt() -> None:
    """A prompt gets a correct answer, with usage and times."""
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
    """The model sees the earlier messages."""
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
    """Equal conversations get equal greedy answers."""
    conversations = [Conversation.from_prompts("Hello", "Be kind.") for _ in range(3)]
    completions = await generate_text_completions_for_conversations(
        conversations, temperature=0, max_tokens=4, show_progress=False
    )
    assert len({completion.message for completion in completions}) == 1


async def test_log_probs_of_a_greedy_answer() -> None:
    """Alternatives are sorted and sum to at most 1, and the likeliest is sampled."""
    completion = await generate_text_completion(
        "What is 2+2?", temperature=0, max_tokens=12, log_probs=True, top_log_probs=10
    )
    sampled, listed = completion.token_log_probs, completion.full_token_log_probs
    assert sampled is not None
    assert listed is not None
    assert len(sampled) == len(listed) > 0
    assert join_text(sampled) == completion.message
    for token, likely in zip(sampled, listed, strict=True):
        values = [token.log_prob for token in likely if token.log_prob is not None]
        assert len(values) == 10
        assert values == sorted(values, reverse=True)
        assert token.token_id == likely[0].token_id
        assert token.log_prob == values[0]
        assert sum(map(math.exp, values)) <= 1 + 1e-4
    shown = completion.to_pretty_log_probs_string(show_probabilities=True)
    assert f"[{sampled[0].prob:.2f}]" in shown


async def test_positions_of_a_greedy_answer() -> None:
    """Every token has rank 1, and there are no warnings."""
    completion = await generate_text_completion(
        "What is the capital of Germany?",
        temperature=0,
        max_tokens=16,
        log_probs=True,
        top_log_probs=10,
        on_warning="raise",
    )
    log_probs = completion.log_probs
    assert log_probs is not None
    assert completion.warnings == log_probs.warnings == ()
    assert log_probs.text() == completion.message == "The capital of Germany is Berlin."
    assert {position.rank for position in log_probs} == {1}
    assert all(position.is_listed for position in log_probs)
    for position in log_probs:
        mass, entropy, margin = position.unlisted_mass, position.entropy, position.margin
        assert mass is not None
        assert 0 < mass < 0.5
        assert entropy is not None
        assert 0 < entropy < math.log(10) + 1
        assert margin is not None
        assert 0 <= margin < 1


async def test_sums_and_columns_of_a_greedy_answer() -> None:
    """The total is the sum of its parts, and the table has one row for each token."""
    completion = await generate_text_completion(
        "What is 2+2?", temperature=0, max_tokens=12, log_probs=True, top_log_probs=10
    )
    log_probs = completion.log_probs
    assert log_probs is not None
    values = [token.log_prob for token in log_probs.sampled if token.log_prob is not None]
    assert len(values) == len(log_probs)
    assert log_probs.total == pytest.approx(sum(values))
    assert log_probs.mean == pytest.approx(sum(values) / len(values))
    assert log_probs.perplexity == pytest.approx(math.exp(-sum(values) / len(values)))
    columns = log_probs.to_columns()
    assert {len(column) for column in columns.values()} == {len(log_probs)}
    assert columns["log_prob"] == values
    ends = [end for end in columns["end"] if isinstance(end, int)]
    assert ends[-1] == len(completion.message.encode())


async def test_unrequested_alternatives() -> None:
    """Alternatives that llama.cpp sends without a request are in the raw body only."""
    completion = await generate_text_completion(
        "What is the capital of Germany?",
        temperature=0,
        max_tokens=16,
        log_probs=True,
        on_warning="raise",
    )
    log_probs, listed = completion.log_probs, completion.full_token_log_probs
    assert log_probs is not None
    assert listed == [[]] * len(log_probs)
    assert log_probs.text() == completion.message
    assert {position.rank for position in log_probs} == {None}
    raw: Any = completion.raw
    assert all(entry["top_logprobs"] for entry in raw["choices"][0]["logprobs"]["content"])


async def test_log_probs_of_a_hot_answer_are_those_of_the_sampled_tokens() -> None:
    """At a high temperature the sampled token is often not the likeliest."""
    completion = await generate_text_completion(
        "Write a very short poem.",
        temperature=1.8,
        seed=11,
        max_tokens=12,
        log_probs=True,
        top_log_probs=3,
    )
    sampled, listed = completion.token_log_probs, completion.full_token_log_probs
    assert sampled is not None
    assert listed is not None
    assert join_text(sampled).startswith(completion.message)
    first = [likely[0].token_id for likely in listed]
    assert [token.token_id for token in sampled] != first
    for token, likely in zip(sampled, listed, strict=True):
        same = [other.log_prob for other in likely if other.token_id == token.token_id]
        assert same in ([token.log_prob], [])


async def test_ranks_of_a_hot_answer() -> None:
    """A rank is correct, or None if the list is too short."""
    completion = await generate_text_completion(
        "Write a very short poem.",
        temperature=1.8,
        seed=11,
        max_tokens=12,
        log_probs=True,
        top_log_probs=1000,
    )
    log_probs = completion.log_probs
    assert log_probs is not None
    true_ranks: list[int] = []
    for position in log_probs:
        ids = [token.token_id for token in position.alternatives]
        true_rank = 1 + ids.index(position.sampled.token_id)
        assert position.rank == true_rank
        true_ranks.append(true_rank)
        for size in (1, 3, 10):
            short = TokenPosition(
                sampled=position.sampled, alternatives=position.alternatives[:size]
            )
            assert short.is_listed == (true_rank <= size)
            assert short.rank in {None, true_rank}
            assert true_rank >= size or short.rank == true_rank
    assert len(set(true_ranks)) > 2


async def test_hot_answer_has_no_warnings() -> None:
    """A sampled token that is not listed is no reason for a warning."""
    completion = await generate_text_completion(
        "Write a very short poem.",
        temperature=1.8,
        seed=11,
        max_tokens=12,
        log_probs=True,
        top_log_probs=3,
        on_warning="raise",
    )
    log_probs = completion.log_probs
    assert log_probs is not None
    missing = [position for position in log_probs if not position.is_listed]
    assert {position.rank_at_least for position in missing} == {4}
    assert {position.rank for position in missing} <= {4, None}


async def test_constrained_answer() -> None:
    """llama.cpp reports the probabilities before the grammar, and one warning says so."""
    completion = await generate_text_completion(
        "Is the sky blue?",
        temperature=0,
        max_tokens=4,
        log_probs=True,
        top_log_probs=5,
        extra_body={"grammar": 'root ::= "yes" | "no"'},
    )
    assert completion.message in {"yes", "no"}
    assert [str(warning.code) for warning in completion.warnings] == [
        "constrained-before-mask"
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_held_back_tokens(*, stream: bool) -> None:
    """llama.cpp holds back text that may begin a stop text; its streams lose the tokens."""
    completion = await generate_text_completion(
        "Count: 1, 2, 3, 4",
        temperature=0,
        max_tokens=8,
        stop=[" items in b"],
        log_probs=True,
        top_log_probs=1,
        stream=stream,
    )
    assert " items in a" in completion.message
    codes = [str(warning.code) for warning in completion.warnings]
    assert codes == ["tokens-lost"] * stream


@pytest.mark.parametrize("stream", [False, True])
async def test_prefilled_answer(*, stream: bool) -> None:
    """`message` is the continuation, and `prefill` is the text that the server repeated."""
    start = "The capital of France is the city of"
    question = Message("user", "What is the capital of France?")
    completion = await generate_text_completion_for_conversation(
        Conversation([question, Message("assistant", start)]),
        temperature=0,
        max_tokens=3,
        log_probs=True,
        top_log_probs=2,
        stream=stream,
    )
    assert completion.message.startswith(" Paris")
    assert completion.prefill == (None if stream else start)
    assert completion.warnings == ()


@pytest.mark.parametrize("stream", [False, True])
async def test_log_probs_without_alternatives(*, stream: bool) -> None:
    """Log probabilities come, though llama.cpp sends none for `top_logprobs` 0."""
    completion = await generate_text_completion(
        "Hi", temperature=0, max_tokens=2, log_probs=True, top_log_probs=0, stream=stream
    )
    assert completion.log_probs is not None
    assert len(completion.log_probs) == 2
    assert completion.log_probs.alternatives == [[], []]
    assert completion.warnings == ()


async def test_log_probs_are_none_by_default() -> None:
    """Log probabilities that were not requested are None."""
    completion = await generate_text_completion("Hello", max_tokens=2)
    assert completion.token_log_probs is None
    assert completion.full_token_log_probs is None
    assert completion.to_pretty_log_probs_string() == (
        "No token log probabilities available."
    )
    assert completion.warnings == ()


async def test_emoji() -> None:
    """A character of several tokens is decoded correctly."""
    completion = await generate_text_completion(
        "Repeat exactly: 🦊🌍 café 東京", temperature=0, max_tokens=12, log_probs=True
    )
    assert completion.message.startswith("🦊🌍")
    assert completion.token_log_probs is not None
    assert join_text(completion.token_log_probs) == completion.message
    assert completion.log_probs is not None
    assert completion.log_probs.text() == completion.message
    pieces = [piece.text for piece in completion.log_probs.pieces()]
    assert pieces[:2] == ["🦊", "🌍"]
    assert completion.warnings == ()


async def test_too_long_prompt_fails_alone() -> None:
    """The other prompts of the batch are answered."""
    prompts = ["Hello", "word " * 5000]
    with pytest.raises(BatchError) as caught:
        await generate_text_completions(prompts, max_tokens=2, show_progress=False)
    assert list(caught.value.errors) == [1]
    assert isinstance(caught.value.errors[1], ContextLengthError)
    assert "word word" not in str(caught.value)
