"""Decisions of the real model, asked for as users do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from decision_truth import CUTS, FILE, QUESTIONS

from limin import Client, label_probs

if TYPE_CHECKING:
    from pathlib import Path

    from limin.local import LocalEndpoint
    from limin.values.decisions import Decision

FACTS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))

# Other processors round otherwise.
TOLERANCE = 0.02


@pytest.mark.parametrize(
    "name", ["letter-sky", "letter-prefill", "word-city", "digit-rating"]
)
async def test_bounds_hold(llama: LocalEndpoint, name: str) -> None:
    """Whatever is cut off, the truth of the whole vocabulary is between the bounds."""
    question = QUESTIONS[name]
    labels: Any = question.labels
    async with Client(llama.base_url, "") as client:
        for cut in CUTS:
            decision: Decision[Any] = await client.generate_decision(
                question.prompt, labels, top_log_probs=cut, **question.options
            )
            for label, (least, most) in FACTS[name]["truth"].items():
                key = label if isinstance(labels[0], str) else int(label)
                assert decision.low[key] <= most + TOLERANCE
                assert least <= decision.high[key] + TOLERANCE


async def test_orders_in_a_checkpoint(llama: LocalEndpoint, tmp_path: Path) -> None:
    """Places change the answer; the mean over them is the same when it is resumed."""
    path = tmp_path / "run.jsonl"
    items = [("Which is a fruit?", ["stone", "apple", "car"])]
    async with Client(llama.base_url, "") as client:
        (first,) = await client.generate_decisions(
            items, orders=3, max_tokens=1, checkpoint=path, show_progress=False
        )
    assert first.spread is not None
    assert first.spread > 0.1
    async with Client("http://127.0.0.1:1", "", max_retries=0) as client:
        (again,) = await client.generate_decisions(
            items, orders=3, max_tokens=1, checkpoint=path, show_progress=False
        )
    assert again.low == first.low
    assert again.spread == first.spread


async def test_repeated_prefill(llama: LocalEndpoint) -> None:
    """llama.cpp repeats the prefill in the text, which is no label and no mismatch."""
    async with Client(llama.base_url, "") as client:
        decision = await client.generate_decision(
            "Is ice cold?", ["yes", "no"], by="text", prefill="yes or no:", max_tokens=2
        )
    completion = decision.completion
    assert completion is not None
    assert completion.prefill == "yes or no:"
    assert completion.log_probs is not None
    assert not completion.log_probs.warnings
    assert decision.low == label_probs(completion.log_probs, ["yes", "no"]).low
