"""Real exchanges: which warnings are true of them, and what was repeated or left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders import capture, captures, read_exchange

from limin.values.warnings import WarningCode

CONTENT = "$.choices[0].logprobs.content"
MISSING = [("log-probs-missing", "$.choices[0].logprobs", 1)]
BEFORE = [("constrained-before-mask", CONTENT, 1)]
AFTER = [("constrained-after-mask", CONTENT, 1)]

# The warnings that are true of each captured answer with log probabilities.
WITH_LOG_PROBS: dict[str, list[tuple[str, str, int]]] = {
    "llama.cpp-b11549-grammar_logprobs": BEFORE,
    "llama.cpp-b11549-grammar_logprobs_post_sampling": [
        ("probabilities-converted", f"{CONTENT}[0]", 5),
        *AFTER,
    ],
    # The bias does not change what is reported.
    "llama.cpp-b11549-logit_bias_force": [],
    "llama.cpp-b11549-logprob_token_ids_ignored": [],
    "llama.cpp-b11549-logprobs_emoji": [],
    "llama.cpp-b11549-logprobs_top0": [],
    "llama.cpp-b11549-logprobs_top1_hot": [],
    "llama.cpp-b11549-logprobs_top5_greedy": [],
    "llama.cpp-b11549-prefill_continue_logprobs": [],
    "llama.cpp-b11549-stop_logprobs": [],
    "llama.cpp-b11549-stream_logprobs": [],
    "llama.cpp-b11549-tools_required_logprobs": [],
    "llama.cpp-b11549-top_logprobs_0": MISSING,
    "llama.cpp-b11549-top_logprobs_60": [],
    "transformers-serve-5.19.0-logprobs": MISSING,
    "vllm-0.32.0-allowed_token_ids": [],
    "vllm-0.32.0-logit_bias_force": [],
    "vllm-0.32.0-logprob_token_ids": [],
    "vllm-0.32.0-logprob_token_ids_top5": [],
    "vllm-0.32.0-logprobs_emoji": [],
    "vllm-0.32.0-logprobs_top0": [],
    "vllm-0.32.0-logprobs_top1_hot": [],
    "vllm-0.32.0-logprobs_top5_greedy": [],
    "vllm-0.32.0-min_tokens_ignore_eos": [],
    "vllm-0.32.0-return_tokens_as_token_ids": [
        ("token-ids-as-text", f"{CONTENT}[0]", 6),
    ],
    "vllm-0.32.0-rf_schema_logprobs": AFTER,
    "vllm-0.32.0-so_choice_logprobs": AFTER,
    "vllm-0.32.0-so_choice_stream_logprobs": AFTER,
    "vllm-0.32.0-stop_logprobs": [],
    "vllm-0.32.0-stream_logprobs": [],
    # The tokens spell the text that stands for the call.
    "vllm-0.32.0-tools_required_logprobs": [],
    # A grammar forced the call, and without alternatives nothing shows its mask.
    "vllm-0.32.0-tools_required_logprobs_stream": [
        ("constrained-unknown", CONTENT, 1),
    ],
}


def names_of(folder: str) -> list[str]:
    """Return the names of the exchanges in *folder* of `data/`."""
    data = Path(__file__).parent.parent / "data" / folder
    return sorted(path.stem for path in data.glob("*.json"))


@pytest.mark.parametrize("name", WITH_LOG_PROBS)
def test_warnings_are_true(name: str) -> None:
    """An answer of a real server has exactly the warnings that are true of it."""
    folder = "readings" if name in names_of("readings") else "."
    completion, _ = read_exchange(name, folder)
    assert [
        (str(warning.code), warning.path, warning.count) for warning in completion.warnings
    ] == WITH_LOG_PROBS[name]


def test_every_answer_with_log_probs_has_its_warnings() -> None:
    """No captured answer with log probabilities is left out of the table."""
    names = [*captures(), *(f"readings/{name}" for name in names_of("readings"))]
    asked = [
        name.removeprefix("readings/")
        for name in names
        if (exchange := capture(name))["status"] == 200
        and exchange["request"].get("logprobs")
    ]
    assert sorted(asked) == sorted(WITH_LOG_PROBS)


PREFILL = "The capital of France is the city of"

# What was repeated, and the message.
PREFILLS = {
    "llama.cpp-b11549-assistant_last_plain": (PREFILL, " Paris, France."),
    "llama.cpp-b11549-prefill_continue_logprobs": (PREFILL, " Paris, France"),
    "llama.cpp-b11549-prefill_continue_stream": (None, " Paris, France."),
    "vllm-0.32.0-assistant_last_plain": (None, "The capital of France is Paris"),
    "vllm-0.32.0-prefill_continue": (None, " Paris, France."),
    "vllm-0.32.0-prefill_continue_echo": (PREFILL, " Paris, France."),
}


@pytest.mark.parametrize("name", PREFILLS)
def test_message_is_the_continuation(name: str) -> None:
    """A conversation that ends with the assistant is continued, and not repeated."""
    completion, deltas = read_exchange(name)
    assert (completion.prefill, completion.message) == PREFILLS[name]
    assert "".join(delta.text for delta in deltas) == completion.message
    assert WarningCode.TEXT_MISMATCH not in {note.code for note in completion.warnings}


def test_rank_that_the_server_sends() -> None:
    """VLLM sends the rank of each token of the prompt; it is kept."""
    completion, _ = read_exchange("vllm-0.32.0-prompt_logprobs")
    raw: Any = json.loads(completion.raw_bytes)["prompt_logprobs"]
    ranks = [next(iter(entries.values()))["rank"] for entries in raw[1:]]
    positions = list(completion.prompt_log_probs or ())[1:]
    assert [position and position.rank for position in positions] == ranks


# The texts of the choices, and the warnings.
SEVERAL_CHOICES: dict[str, tuple[list[str], list[str]]] = {
    "litellm-1.108.7-n3_stream": (
        ["That's the best I", "I am a Hugging", "You're a loyal loyal"],
        ["finish-reason-missing"],
    ),
    "llama.cpp-b11549-n3_stream": (
        ["That's the best I", "I am a Hugging", "You're a loyal loyal"],
        [],
    ),
    "vllm-0.32.0-n3_stream": (
        ["Enamor AMATE", "I see you have a", "Morale Crafting by a"],
        [],
    ),
    "transformers-serve-5.19.0-n2": (["I'm here to"], ["fewer-choices"]),
}


@pytest.mark.parametrize("name", SEVERAL_CHOICES)
def test_several_choices(name: str) -> None:
    """Each choice that came has its text, and what is missing has a warning."""
    completion, deltas = read_exchange(name)
    texts = [choice.message for choice in completion.choices]
    assert (texts, [str(note.code) for note in completion.warnings]) == SEVERAL_CHOICES[
        name
    ]
    for choice in completion.choices:
        parts = [delta.text for delta in deltas if delta.choice == choice.index]
        assert "".join(parts) == choice.message


CALL = {
    "type": "function",
    "function": {"name": "get_weather", "arguments": '"Paris"'},
}


@pytest.mark.parametrize(
    "name",
    ["vllm-0.32.0-tools_required_stream", "litellm-1.108.7-vllm-tools_strict_stream"],
)
def test_fragments_of_a_call_are_joined(name: str) -> None:
    """The body of a stream has the call, as a whole answer has it."""
    raw: Any = read_exchange(name)[0].raw
    (call,) = raw["choices"][0]["message"]["tool_calls"]
    assert call.pop("id")
    assert call == CALL
