"""Decisions of the real model, beside the truth of its whole vocabulary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from builders import capture, read
from decision_truth import CUTS, FILE, ORDERS, QUESTIONS, unpack

from limin.values.labels.probs import label_probs
from limin.values.warnings import WarningCode

if TYPE_CHECKING:
    from limin.values.decisions import Decision

FACTS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
SPREADS: dict[str, list[dict[str, float]]] = json.loads(ORDERS.read_text(encoding="utf-8"))

# llama.cpp's numbers differ that much between requests, by what it has in its cache.
TOLERANCE = 0.002


def decide(name: str, cut: int) -> tuple[Decision[str], dict[str, str]]:
    """Return the decision about a question, and the name of each label in it."""
    names = QUESTIONS[name].names()
    positions = unpack(FACTS[name]["answers"][str(cut)])
    return label_probs(positions, list(names.values())), names


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", QUESTIONS)
def test_bounds_hold(name: str, cut: int) -> None:
    """Whatever is cut off, the truth of the whole vocabulary is between the bounds."""
    decision, names = decide(name, cut)
    for label, (least, most) in FACTS[name]["truth"].items():
        assert decision.low[names[label]] <= most + TOLERANCE
        assert least <= decision.high[names[label]] + TOLERANCE


def test_truth_is_known() -> None:
    """The truth is an interval, and a narrow one but where a character has two tokens."""
    widths = {
        name: max(most - least for least, most in facts["truth"].values())
        for name, facts in FACTS.items()
    }
    assert widths.keys() == QUESTIONS.keys()
    assert [name for name, width in widths.items() if width > 0.11] == ["word-emoji"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_more_alternatives_tell_more(name: str) -> None:
    """The longer the list, the more is sure, and the less is possible."""
    first, *others = [decide(name, cut)[0] for cut in CUTS]
    for decision in others:
        for label in decision.low:
            assert first.low[label] <= decision.low[label] + TOLERANCE
            assert decision.high[label] <= first.high[label] + TOLERANCE
        first = decision


def test_certain_labels_are_the_likeliest() -> None:
    """What is called certain at any length of the list is true."""
    n_certain = 0
    for name, facts in FACTS.items():
        for cut in CUTS:
            decision, names = decide(name, cut)
            if decision.is_certain:
                n_certain += 1
                truth = {names[label]: most for label, (_, most) in facts["truth"].items()}
                assert max(truth, key=truth.__getitem__) == decision.label
    assert n_certain > len(CUTS)


@pytest.mark.parametrize("name", SPREADS)
def test_orders_shrink_the_spread(name: str) -> None:
    """The mean over all places depends far less on the orders than one answer does."""
    orders = SPREADS[name]
    half = len(orders) // 2
    single, averaged = [], []
    for label in orders[0]:
        probs = [order[label] for order in orders]
        single.append(max(probs) - min(probs))
        averaged.append(abs(sum(probs[:half]) - sum(probs[half:])) / half)
    assert max(averaged) < max(single) / 5


def test_grammar_hides_the_mass() -> None:
    """VLLM tells probabilities under a grammar, in which two labels seem to be all."""
    exchange = capture("decisions/vllm-0.32.0-so_choice_logprobs")
    completion = read(
        exchange["body"],
        asks_log_probs=True,
        top_log_probs=5,
        request=exchange["request"],
    )
    assert completion.log_probs is not None
    codes = [warning.code for warning in completion.log_probs.warnings]
    assert codes == [WarningCode.CONSTRAINED_AFTER_MASK]
    assert label_probs(completion.log_probs, ["yes", "no"]).mass > 0.97


def test_tokens_that_were_named() -> None:
    """VLLM tells what it was asked for by id, and nothing is made up for the rest."""
    exchange = capture("decisions/vllm-0.32.0-logprob_token_ids_top5")
    completion = read(
        exchange["body"],
        asks_log_probs=True,
        top_log_probs=5,
        request=exchange["request"],
    )
    assert completion.log_probs is not None
    decision = label_probs(completion.log_probs, ["yes", "no"])
    assert decision.low == pytest.approx({"yes": 0.0581, "no": 0.2952}, abs=1e-4)
    assert decision.unlisted == pytest.approx(0.6467, abs=1e-4)
    assert not decision.is_certain
