from typing import Any

import pytest
from builders import body_of, captures, read, read_capture

from limin.values.warnings import ResponseWarning, WarningCode


def codes(body: Any, top: int | None = None, *, requested: bool = True) -> set[str]:
    """Return the codes of the warnings about *body*."""
    completion = read(body, asks_log_probs=requested, top_log_probs=top)
    return {str(warning.code) for warning in completion.warnings}


def token(
    text: str, log_prob: object = -1.0, *top: tuple[str, object], **more: object
) -> dict[str, Any]:
    """One position as servers write it, with the alternatives *top*."""
    alternatives = [{"token": name, "logprob": value} for name, value in top]
    return {"token": text, "logprob": log_prob, "top_logprobs": alternatives, **more}


def answer_of(text: str, *content: object) -> dict[str, Any]:
    """The body of an answer whose positions are *content*."""
    return body_of(text, logprobs={"content": content})


FORCED = token("a", 0.0, ("a", 0.0), ("b", -9999.0))
LIKELY = token("a", -0.5, ("a", -0.5), ("b", -2.0))
AGAIN = token("b", -2.0, ("a", -0.5), ("b", -2.0))
OTHER = token("b", -2.1, ("a", -0.4), ("b", -2.1))
WHOLE = token("\ufffd", -1.0, bytes=[138], id=1)

# What is odd, how many alternatives were asked for, a body with it, and one that only
# looks like it.
CASES: list[tuple[str, int | None, Any, Any]] = [
    ("body-mended", 0, body_of(["4"]), body_of("4", logprobs={"content": [token("4")]})),
    ("log-probs-missing", 0, body_of("4"), answer_of("4", token("4"))),
    ("log-probs-missing", 0, body_of("4", logprobs={"content": []}), answer_of("", "")),
    (
        "legacy-log-probs",
        0,
        body_of("4", logprobs={"tokens": ["4"], "token_logprobs": [-1]}),
        body_of("4", logprobs={"content": [token("4")], "tokens": ["4"]}),
    ),
    (
        "probabilities-converted",
        0,
        answer_of("4", {"token": "4", "prob": 0.5}),
        answer_of("4", {**token("4"), "prob": 0.5}),
    ),
    (
        "token-ids-as-text",
        0,
        answer_of("4", token("token_id:52")),
        answer_of("token_id:x", token("token_id:x")),
    ),
    (
        "log-prob-sentinel",
        0,
        answer_of("4", token("4", -9999.0)),
        answer_of("4", token("4", -9998.0)),
    ),
    (
        "log-prob-sentinel",
        0,
        answer_of("4", token("4", -3.4028234663852886e38)),
        answer_of("4", token("4", -100)),
    ),
    (
        "log-prob-unknown",
        0,
        answer_of("4", token("4", None)),
        answer_of("4", token("4", -0.0)),
    ),
    (
        "log-prob-unknown",
        1,
        answer_of("4", token("4", -1, ("4", None))),
        answer_of("4", token("4", -1, ("4", -1))),
    ),
    (
        "log-prob-unknown",
        0,
        answer_of("45", token("4", float("nan")), token("5")),
        answer_of("45", token("4", float("-inf")), token("5")),
    ),
    (
        "positive-log-prob",
        0,
        answer_of("4", token("4", 0.01)),
        answer_of("4", token("4", 1e-4)),
    ),
    (
        "positive-log-prob",
        2,
        answer_of("4", token("4", -1, ("5", 900), ("4", -1))),
        answer_of("4", token("4", -1, ("5", 0.0), ("4", -1))),
    ),
    (
        "probabilities-exceed-one",
        2,
        answer_of("4", token("4", -0.5, ("4", -0.5), ("5", -0.5))),
        answer_of("4", token("4", -0.6931, ("4", -0.6931), ("5", -0.6931))),
    ),
    (
        "fewer-alternatives",
        2,
        answer_of("4", token("4", -1, ("4", -1))),
        answer_of("4", token("4", -1, ("4", -1), ("5", -2))),
    ),
    (
        "fewer-alternatives",
        1,
        answer_of("4", {"token": "4", "logprob": -1}),
        answer_of("4", token("4", -1, ("5", -1), ("4", -1))),
    ),
    (
        "sampled-not-listed",
        1,
        answer_of("4", token("4", -2, ("5", -0.5))),
        answer_of("4", token("4", -2, ("4", -2))),
    ),
    (
        "sampled-not-listed",
        1,
        answer_of(
            "4",
            {
                **token("4", -2, id=1),
                "top_logprobs": [{"token": "4", "logprob": -2, "id": 2}],
            },
        ),
        answer_of(
            "4",
            {
                **token("4", -2, id=1),
                "top_logprobs": [{"token": "?", "logprob": -2, "id": 1}],
            },
        ),
    ),
    (
        "sampled-not-listed",
        1,
        answer_of(
            "4",
            {
                **token("4", -2, bytes=[52]),
                "top_logprobs": [{"token": "4", "logprob": -2, "bytes": [32, 52]}],
            },
        ),
        answer_of(
            "4",
            {
                **token("4", -2, bytes=[52]),
                "top_logprobs": [{"token": "4", "logprob": -2, "bytes": None}],
            },
        ),
    ),
    (
        "sampled-listed-differently",
        1,
        answer_of("4", token("4", -2, ("4", -2.01))),
        answer_of("4", token("4", -2, ("4", -2.0005))),
    ),
    (
        "sampled-listed-differently",
        1,
        answer_of("4", token("4", -2, ("4", None))),
        answer_of("45", token("4", None, ("4", None)), token("5")),
    ),
    (
        "sampled-listed-differently",
        2,
        answer_of("4", token("4", -9999.0, ("4", -1), ("5", -2))),
        answer_of("4", token("4", -9999.0, ("4", -9999.0), ("5", -2))),
    ),
    (
        "sampled-listed-differently",
        2,
        answer_of("4", token("4", -3, ("4", -1), ("4", -2))),
        answer_of("4", token("4", -2, ("4", -1), ("4", -2))),
    ),
    (
        "stale-alternatives",
        2,
        answer_of("ab", LIKELY, AGAIN),
        answer_of("ab", LIKELY, OTHER),
    ),
    (
        "stale-alternatives",
        2,
        answer_of("aa", LIKELY, LIKELY),
        answer_of("aa", FORCED, FORCED),
    ),
    (
        "stale-alternatives",
        2,
        answer_of("aab", FORCED, LIKELY, AGAIN),
        answer_of("aba", LIKELY, OTHER, LIKELY),
    ),
    (
        "replacement-character",
        0,
        answer_of("\ufffd", token("\ufffd", -1.0, bytes=[239, 191, 189])),
        answer_of("\ufffd", WHOLE),
    ),
    (
        "replacement-character",
        1,
        answer_of("4", token("4", -1, ("\ufffd", -1))),
        answer_of("4", token("4", -1, ("4", -1))),
    ),
    ("text-mismatch", 0, answer_of("4", token("5")), answer_of("4", token("4"))),
    (
        "text-mismatch",
        0,
        answer_of("4", token("<think>"), token("4")),
        answer_of("<think>4", token("<think>"), token("4")),
    ),
    (
        "text-mismatch",
        0,
        answer_of("4", token("4", bytes=[32, 52])),
        answer_of(" 4", token("4", bytes=[32, 52])),
    ),
]


@pytest.mark.parametrize(
    ("code", "top", "odd", "near"),
    CASES,
    ids=[f"{row[0]}-{place}" for place, row in enumerate(CASES)],
)
def test_code(code: str, top: int | None, odd: Any, near: Any) -> None:
    """A problem has a warning with its code; a value that only looks odd has none."""
    assert code in codes(odd, top)
    assert code not in codes(near, top)


def test_every_code_is_tested() -> None:
    """No code is left without a body that gives it; one is about several."""
    codes = {str(code) for code in WarningCode}
    assert {row[0] for row in CASES} == codes - {"served-model-changed"}


def test_nothing_is_missing_that_was_not_asked_for() -> None:
    """Missing log probabilities have a warning only if they were requested."""
    assert codes(body_of("4"), requested=False) == set()
    assert codes(answer_of("4", token("4", -1, ("4", -1))), requested=False) == set()


def test_whole_vocabulary_is_as_many_as_came() -> None:
    """For vLLM's -1, its whole vocabulary, no number of alternatives is too small."""
    assert codes(answer_of("4", token("4", -1, ("4", -1))), -1) == set()


def test_stale_alternatives_have_a_warning_where_they_are_stale() -> None:
    """The path leads to the first of the repeating positions, not the repeated one."""
    completion = read(answer_of("abb", LIKELY, AGAIN, AGAIN))
    assert completion.warnings == (
        ResponseWarning(
            WarningCode.STALE_ALTERNATIVES,
            "$.choices[0].logprobs.content[1]",
            "the alternatives are those of the position before",
            2,
        ),
    )


def test_positions_of_the_second_choice() -> None:
    """The path of a warning names the choice that it is about."""
    first, second = answer_of("4", token("4")), answer_of("4", token("5"))
    completion = read({"choices": first["choices"] + second["choices"]})
    assert [warning.path for warning in completion.warnings] == [
        "$.choices[1].logprobs.content"
    ]


def test_refusal_is_compared_with_the_refusal() -> None:
    """Tokens of a refusal are compared with the refusal, not with the answer."""
    message = {"content": None, "refusal": "No"}
    logprobs = {"content": None, "refusal": [token("No")]}
    assert codes({"choices": [{"message": message, "logprobs": logprobs}]}, 0) == set()
    log_probs = {"content": None, "refusal": [token("Never")]}
    (warning,) = read({"choices": [{"message": message, "logprobs": log_probs}]}).warnings
    assert warning.path == "$.choices[0].logprobs.refusal"


def test_halves_of_surrogate_pairs_do_not_stop_the_comparison() -> None:
    """Characters that UTF-8 cannot carry are compared as they would be shown."""
    assert codes(answer_of("\ud83e", token("\ud83e"))) == set()
    assert codes(answer_of("\ud83e", token("x"))) == {"text-mismatch"}


def test_what_is_above_0_is_not_added_up() -> None:
    """Numbers that are no logarithms have one warning, and no other."""
    assert codes(answer_of("4", token("4", 9, ("4", 9), ("5", 8))), 2) == {
        "positive-log-prob"
    }


# What is true of each captured answer with log probabilities.
CAPTURED: dict[str, list[tuple[str, str, int]]] = {
    "llama.cpp-b11549-logprobs_emoji": [],
    "llama.cpp-b11549-logprobs_top0": [],
    "llama.cpp-b11549-logprobs_top1_hot": [("sampled-not-listed", ".content[1]", 11)],
    "llama.cpp-b11549-logprobs_top5_greedy": [],
    # vLLM counts the token that ends the answer and leaves it out of the text.
    "vllm-0.32.0-logprobs_emoji": [("text-mismatch", ".content", 1)],
    "vllm-0.32.0-logprobs_top0": [],
    "vllm-0.32.0-logprobs_top1_hot": [],
    "vllm-0.32.0-logprobs_top5_greedy": [("text-mismatch", ".content", 1)],
}


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_answer(name: str) -> None:
    """A real answer has exactly the warnings that are true of it."""
    warnings = [
        (str(warning.code), warning.path, warning.count)
        for warning in read_capture(name).warnings
    ]
    assert warnings == [
        (code, f"$.choices[0].logprobs{path}", count)
        for code, path, count in CAPTURED[name]
    ]


def test_every_capture_with_log_probs_is_tested() -> None:
    """No captured answer with log probabilities is left without its codes."""
    answered = [name for name in captures() if "-logprobs_" in name]
    assert answered == sorted(CAPTURED)
