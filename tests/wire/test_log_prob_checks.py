from typing import Any

import pytest
from builders import body_of, read

from limin.values.warnings import ResponseWarning, WarningCode


def codes(
    body: Any,
    top: int | None = None,
    *,
    requested: bool = True,
    request: dict[str, object] | None = None,
) -> set[str]:
    """Return the codes of the warnings about *body*, by default at temperature 0."""
    completion = read(
        body,
        asks_log_probs=requested,
        top_log_probs=top,
        request={"temperature": 0} if request is None else request,
    )
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


SCHEMA: dict[str, object] = {"response_format": {"type": "json_schema"}}
GREEDY: dict[str, object] = {**SCHEMA, "temperature": 0}
MASKED = token("a", 0.0, ("a", 0.0), ("b", -9999.0))
SHARED = token("a", -0.6931472, ("a", -0.6931472), ("b", -0.6931472), ("c", -9999.0))
BEATEN = token("a", -3.0, ("b", -0.5), ("a", -3.0))
UNLISTED = token("a", -3.0, ("b", -0.5), ("c", -2.0))
LISTED = token("a", -0.5, ("a", -0.5), ("b", -3.0))


def with_id(text: str, listed: str, token_id: int = 7) -> dict[str, Any]:
    """One position whose sampled token is listed by its id, perhaps with another text."""
    entry = {"token": listed, "logprob": -1.0, "id": token_id}
    return {"token": text, "logprob": -1.0, "id": token_id, "top_logprobs": [entry]}


# A code, the request, a body that has it under the request, and one that has it not.
CALLED = body_of(None)
CALLED["choices"][0]["message"]["tool_calls"] = [{"function": {"name": "f"}}]

REQUESTS: list[tuple[str, dict[str, object], Any, Any]] = [
    ("tool-choice-ignored", {"tool_choice": "required"}, body_of("a"), CALLED),
    ("constrained-after-mask", SCHEMA, answer_of("a", MASKED), answer_of("a", LISTED)),
    ("constrained-after-mask", GREEDY, answer_of("a", SHARED), answer_of("a", BEATEN)),
    ("constrained-after-mask", SCHEMA, answer_of("a", FORCED), answer_of("a", UNLISTED)),
    ("constrained-before-mask", GREEDY, answer_of("a", BEATEN), answer_of("a", LISTED)),
    ("constrained-before-mask", GREEDY, answer_of("a", UNLISTED), answer_of("a", MASKED)),
    ("constrained-unknown", SCHEMA, answer_of("a", BEATEN), answer_of("a", MASKED)),
    ("constrained-unknown", GREEDY, answer_of("a", LISTED), answer_of("a", BEATEN)),
    ("constrained-unknown", SCHEMA, answer_of("a", token("a")), body_of("a")),
    (
        "tokens-lost",
        {"stop": ["3"]},
        answer_of("1 2", token("1"), with_id(" 2", "2")),
        answer_of("1 2", token("1"), with_id("", " ", 6), with_id(" 2", "2")),
    ),
    (
        "tokens-lost",
        {"stop": "3"},
        answer_of("1 2", token("1"), with_id("", "\t", 6), with_id(" 2", "2")),
        answer_of("1 2", token("1"), with_id("!", "2")),
    ),
    (
        "tokens-lost",
        {"stop": "3"},
        answer_of("1 2", with_id("", "x"), with_id("1", "1"), with_id(" 2", "2")),
        answer_of("1 2", token("1"), {**with_id(" 2", "2", 1), "id": 2}),
    ),
    (
        "text-mismatch",
        {"stop": ["\n\n", "END"]},
        answer_of("4", token("4"), token("FIN")),
        answer_of("4", token("4"), token("E"), token("ND.")),
    ),
    (
        "text-mismatch",
        {"stop_token_ids": [7]},
        answer_of("4", token("4"), token("."), token("."), token("")),
        answer_of("4", token("4"), token(".")),
    ),
    (
        "text-mismatch",
        GREEDY,
        answer_of("{}", token("{"), token("]")),
        answer_of("{}", token("\n{"), token("}\n\n")),
    ),
    ("sampled-not-listed", {"top_k": 1}, answer_of("a", UNLISTED), answer_of("a", LISTED)),
    ("sampled-not-listed", {"top_p": 0}, answer_of("a", UNLISTED), answer_of("a", LISTED)),
    (
        "sampled-not-listed",
        {"temperature": 0, "repetition_penalty": 1.0, "frequency_penalty": 0},
        answer_of("a", UNLISTED),
        answer_of("a", LISTED),
    ),
]


@pytest.mark.parametrize(("code", "request_fields", "odd", "near"), REQUESTS)
def test_code_of_a_request(
    code: str, request_fields: dict[str, object], odd: Any, near: Any
) -> None:
    """The request decides what its answer's numbers may be."""
    assert code in codes(odd, 2, request=request_fields)
    assert code not in codes(near, 2, request=request_fields)


# A request, and a body that looks odd and is not under it.
NOT_ODD: list[tuple[dict[str, object], Any]] = [
    ({}, answer_of("a", UNLISTED)),
    ({"temperature": 0.7}, answer_of("a", UNLISTED)),
    ({"temperature": 0, "logit_bias": {"5": 100}}, answer_of("a", UNLISTED)),
    ({"temperature": 0, "frequency_penalty": 1.5}, answer_of("a", UNLISTED)),
    ({"temperature": 0, "repeat_penalty": 1.1}, answer_of("a", UNLISTED)),
    ({"temperature": 0, "min_tokens": 3}, answer_of("a", UNLISTED)),
    ({"logprob_token_ids": [1]}, answer_of("a", token("a", -1, ("b", -2)))),
    ({"response_format": {"type": "text"}}, answer_of("a", LISTED)),
    ({"grammar": "", "structured_outputs": None}, answer_of("a", LISTED)),
    *(
        ({}, answer_of("a", LISTED, token(text, -1, ("x", -1), ("y", -2))))
        for text in (
            *("<|im_end|>", "<|eot_id|>", "</s>", "<eos>", "<end_of_turn>", "[EOS]"),
            *("<\uff5cend\u2581of\u2581sentence\uff5c>", "<seed:eos>", "[e~["),
        )
    ),
]


@pytest.mark.parametrize(("request_fields", "body"), NOT_ODD)
def test_false_alarm(request_fields: dict[str, object], body: Any) -> None:
    """An answer that is as its request wants it has no warning."""
    assert codes(body, 2, request=request_fields) == set()


@pytest.mark.parametrize(
    "name",
    [
        *("grammar", "json_schema", "structured_outputs", "guided_json", "guided_regex"),
        *("guided_choice", "guided_grammar", "regex", "ebnf", "structural_tag"),
    ],
)
def test_one_warning_stands_for_a_constraint(name: str) -> None:
    """It stands in the place of those that follow from the constraint."""
    body = answer_of("aaa", MASKED, token("a", -1, ("b", -9999.0)), UNLISTED)
    request = {name: "x", "temperature": 0}
    assert codes(body, 3, request=request) == {"constrained-after-mask"}


@pytest.mark.parametrize("arguments", [{"tool_calls": [{}]}, {"function_call": {"a": 1}}])
def test_tokens_of_a_call_are_no_text(arguments: dict[str, Any]) -> None:
    """Servers list the tokens of a call, and send no text."""
    body = answer_of("", token("<tool_call>"))
    body["choices"][0]["message"] |= arguments
    assert codes(body, 0) == set()
    body["choices"][0]["message"]["content"] = "text"
    assert codes(body, 0) == {"text-mismatch"}


@pytest.mark.parametrize("text", ["hm\n\n4", "hm4"])
def test_tokens_of_the_reasoning_are_listed_with_the_answer(text: str) -> None:
    """Marks and white space around the reasoning are no text of either."""
    tokens = [token(part) for part in ("<think>", "\n", "hm", "</think>", "\n\n4")]
    body = answer_of("4", *tokens, token("<|im_end|>"))
    body["choices"][0]["message"]["reasoning"] = "hm"
    assert codes(body, 0) == set()
    body["choices"][0]["message"]["reasoning"] = text
    assert codes(body, 0) == {"text-mismatch"}


def choices_of(*reasons: str | None) -> dict[str, Any]:
    """A body with a choice for each finish reason."""
    choices = [{"message": {"content": "4"}, "finish_reason": name} for name in reasons]
    return {"choices": choices}


# A code, the number of choices that were requested, and two bodies as above.
CHOICES: list[tuple[str, int, Any, Any]] = [
    ("fewer-choices", 2, choices_of("stop"), choices_of("stop", "stop")),
    ("half-surrogate", 1, body_of("\ud83e"), body_of("\ud83e\udd8a")),
    ("half-surrogate", 1, {**body_of("4"), "id": "\udd8a"}, body_of("\\ud83e")),
    *(
        ("failed-finish", 1, choices_of(name), choices_of("stop"))
        for name in (
            *("error", "network_error", "model_error", "abort", "cancelled", "timeout"),
            *("insufficient_system_resource", "MALFORMED_FUNCTION_CALL", "OTHER"),
            *("server_error", "provider_unavailable", "engine_overloaded"),
        )
    ),
    *(
        ("failed-finish", 1, choices_of("error"), choices_of(name))
        for name in (
            *("length", "content_filter", "SAFETY", "ERROR_TOXIC", "sensitive", "refusal"),
            *("tool_calls", "function_call", "a new word", "", None),
        )
    ),
]

# Codes that only a stream can have; see test_assembly.
OF_STREAMS = {"finish-reason-missing", "repeated-deltas"}

# Codes of decisions, which no body has; see test_label_probs and test_decisions.
OF_DECISIONS = {
    "decided-by-text",
    "label-mass-low",
    "likeliest-is-no-label",
    "orders-disagree",
    "text-disagrees",
}


@pytest.mark.parametrize(("code", "n_choices", "odd", "near"), CHOICES)
def test_code_of_choices(code: str, n_choices: int, odd: Any, near: Any) -> None:
    """A problem of the choices has a warning; a value that only looks odd has none."""
    for body, has_code in ((odd, True), (near, False)):
        warnings = read(body, n_choices=n_choices).warnings
        assert (code in {warning.code for warning in warnings}) is has_code


def test_every_code_is_tested() -> None:
    """No code is left without a body that gives it; one is about several."""
    tested = {row[0] for row in (*CASES, *REQUESTS, *CHOICES)}
    several = {"served-model-changed"}
    of_replicas = {"replica-refused"}  # `calls/test_replicas.py`.
    of_types = {"fenced-json"}  # Of typed answers; `recipes/test_structured.py`.
    others = OF_STREAMS | OF_DECISIONS | several | of_replicas | of_types
    assert tested | others == {str(code) for code in WarningCode}


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
    """Characters that UTF-8 cannot carry are compared as they are shown."""
    shown = {"half-surrogate", "replacement-character"}
    assert codes(answer_of("\ud83e", token("\ud83e"))) == shown
    assert codes(answer_of("\ud83e", token("x"))) == {"half-surrogate", "text-mismatch"}


def test_what_is_above_0_is_not_added_up() -> None:
    """Numbers that are no logarithms have one warning, and no other."""
    assert codes(answer_of("4", token("4", 9, ("4", 9), ("5", 8))), 2) == {
        "positive-log-prob"
    }
