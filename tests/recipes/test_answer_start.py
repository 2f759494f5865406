from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from builders import body_of, read

from limin.recipes.answer_start import find_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

THUMB = "👍".encode()

CASES = {
    "plain": (["yes", "."], "yes.", None, 0),
    "cut by a stop text": (["yes", ".", " x"], "yes", None, 0),
    "blanks that were taken off": ([" ", "yes"], "yes", None, 0),
    "reasoning before it": (["<think>", "no", "</think>", "\n", "yes"], "yes", "no", 4),
    "reasoning as the answer": (["<think>", "yes", "</think>", "yes"], "yes", "yes", 3),
    "reasoning in another list": (["yes", "."], "yes.", "it is", 0),
    "reasoning alone": (["<think>", "yes", "</think>"], "", "yes", 3),
    "marks that were taken off": (["<|final|>", " yes", "!"], "yes!", None, 1),
    "another text": (["no", "pe"], "yes", None, 2),
    "no text": (["<|analysis|>", "no"], "", None, 2),
    "an end alone": (["<|im_end|>"], "", None, 0),
    "cut inside a character": (["yes", "\ufffd"], "yes\ufffd\ufffd", None, 0),
}


@pytest.mark.parametrize(
    ("tokens", "text", "reasoning", "start"), CASES.values(), ids=CASES
)
def test_start(tokens: Sequence[str], text: str, reasoning: str | None, start: int) -> None:
    """The answer begins with the token at which its text does, if any does."""
    content = [
        {"token": token, "logprob": -0.1, "bytes": list(token.encode()), "top_logprobs": []}
        for token in tokens
    ]
    body = body_of(text, logprobs={"content": content})
    body["choices"][0]["message"]["reasoning_content"] = reasoning
    completion = read(body, asks_log_probs=True)
    assert completion.log_probs is not None
    assert find_answer(completion, completion.log_probs) == start
