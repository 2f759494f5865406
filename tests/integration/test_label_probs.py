"""Decisions of a real model: a cut list beside the whole vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from limin import Client, label_probs

if TYPE_CHECKING:
    from limin import LogProbs
    from limin.local import LocalEndpoint

# Every token of SmolLM2: with all of them listed, nothing is unlisted.
WHOLE_VOCABULARY = 49152

# Reading all of it takes seconds, so each question has one event loop.
QUESTIONS = {
    "letters": (
        "asyncio",
        "Which is a fruit?\nA. stone\nB. apple\nC. car\nAnswer with one letter.",
        ["A", "B", "C"],
    ),
    "words": ("trio", "Is water wet? Answer true or false.", ["true", "false"]),
}


def truth(log_probs: LogProbs, label: str) -> float:
    """The probability that the first token is *label*, of those that are one word."""
    return sum(
        token.prob or 0.0
        for token in log_probs[0].alternatives
        if token.token.strip(" \n*\"'(.,:)").casefold() == label.casefold()
    )


@pytest.mark.parametrize(
    ("anyio_backend", "prompt", "labels"), QUESTIONS.values(), ids=QUESTIONS
)
async def test_cut_lists_keep_their_promise(
    llama: LocalEndpoint, prompt: str, labels: list[str]
) -> None:
    """Whatever is cut off, the truth of the whole vocabulary is between the bounds."""
    lists: list[LogProbs] = []
    async with Client(base_url=llama.base_url) as client:
        for top_log_probs in (WHOLE_VOCABULARY, 20, 5, 1):
            completion = await client.generate_text_completion(
                prompt,
                temperature=0,
                max_tokens=2,
                log_probs=True,
                top_log_probs=top_log_probs,
            )
            assert completion.log_probs is not None
            lists.append(completion.log_probs)
    whole, *cut = lists
    best = label_probs(whole, labels)
    assert best.unlisted < 0.05
    for log_probs in cut:
        decision = label_probs(log_probs, labels)
        assert decision.label == best.label
        for label in labels:
            assert decision.low[label] <= truth(whole, label) + 1e-3
            assert truth(whole, label) <= decision.high[label] + 1e-3
            assert decision.low[label] <= best.low[label] + 1e-3
            assert best.high[label] <= decision.high[label] + 1e-3
