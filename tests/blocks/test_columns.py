"""Results as columns, whose types depend on the options alone."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from answers import answer_body
from builders import body_of, read

from limin.blocks.columns import ResultColumns
from limin.errors import (
    BadRequestError,
    ConfigurationError,
    ConversationError,
    StructuredOutputError,
)
from limin.values.decisions import Decision

BASE = [
    "answer: string",
    "finish_reason: string",
    "prompt_tokens: int64",
    "completion_tokens: int64",
    "duration: double",
    "error: string",
    "error_kind: string",
]
DECIDED = ["mass: double", "is_certain: bool", "expected: double"]


def columns(**changed: Any) -> ResultColumns:
    plain: dict[str, Any] = {
        "prefix": "",
        "is_typed": False,
        "labels": None,
        "log_probs": False,
        "top_log_probs": None,
    }
    return ResultColumns.of(**{**plain, **changed})


def table(results: list[Any], **changed: Any) -> Any:
    """Return a table of *results*, beside a column `id`."""
    added = columns(**changed)
    ids = pa.table({"id": pa.array(range(len(results)), pa.int8())})
    return added.add_to(ids, list(map(added.row_of, results)))


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        ({}, []),
        ({"is_typed": True}, ["value: string"]),
        (
            {"log_probs": True},
            ["tokens: list<item: string>", "log_probs: list<item: double>"],
        ),
        (
            {"log_probs": True, "top_log_probs": 2},
            [
                "tokens: list<item: string>",
                "log_probs: list<item: double>",
                "top_tokens: list<item: list<item: string>>",
                "top_log_probs: list<item: list<item: double>>",
            ],
        ),
        (
            {"labels": ["yes", "no"], "log_probs": True},
            ["label: string", *DECIDED, "prob.yes: double", "prob.no: double"],
        ),
        (
            {"labels": [1, 2]},
            ["label: int64", *DECIDED, "prob.1: double", "prob.2: double"],
        ),
    ],
)
@pytest.mark.parametrize(
    "results", [[], [BadRequestError(400, "no")], [read(body_of("a"))]]
)
def test_types_do_not_depend_on_results(
    results: list[Any], changed: dict[str, Any], more: list[str]
) -> None:
    """A block of failures alone, or of no rows, has the columns of any other."""
    fields = [f"{field.name}: {field.type}" for field in table(results, **changed).schema]
    assert fields == ["id: int8", *BASE, *more]


def test_answers_and_failures() -> None:
    """A row has an answer or an error; what is not known is null."""
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    answer = read({**body_of("hi", finish_reason="stop"), "usage": usage})
    results = [answer, read(body_of("b")), ConversationError("no prompt")]
    assert table(results).to_pylist() == [
        {
            "id": 0,
            "answer": "hi",
            "finish_reason": "stop",
            "prompt_tokens": 3,
            "completion_tokens": 1,
            "duration": 2.25,
            "error": None,
            "error_kind": None,
        },
        dict.fromkeys(["prompt_tokens", "completion_tokens", "finish_reason"])
        | {"id": 1, "answer": "b", "duration": 2.25, "error": None, "error_kind": None},
        dict.fromkeys(name.partition(":")[0] for name in BASE)
        | {"id": 2, "error": "no prompt", "error_kind": "ConversationError"},
    ]


def test_answer_that_does_not_fit_is_shown() -> None:
    """What was paid for is there, beside the error."""
    answer = read(body_of("no JSON"))
    error = StructuredOutputError(answer, "not-json", "$", "expected JSON")
    (row,) = table([error], is_typed=True).to_pylist()
    assert (row["answer"], row["value"]) == ("no JSON", None)
    assert row["error_kind"] == "StructuredOutputError"


def test_texts_that_arrow_refuses() -> None:
    """Half a surrogate pair becomes U+FFFD, wherever a server put it."""
    body = answer_body({"a!": 0.5, "b!": 0.25})
    body["choices"][0]["finish_reason"] = "!"
    half = json.dumps(body).replace("!", "\\ud800")
    answer = read(half, asks_log_probs=True, top_log_probs=2)
    results = [answer, BadRequestError(400, "half \ud800")]
    rows = table(results, log_probs=True, top_log_probs=2).to_pylist()
    assert "\ud800" not in str(rows)
    assert rows[0]["tokens"] == ["a\ufffd"]
    assert rows[0]["top_tokens"] == [["a\ufffd", "b\ufffd"]]
    assert rows[0]["top_log_probs"] == [pytest.approx([-0.693, -1.386], abs=0.001)]
    assert rows[1]["tokens"] is None


def test_decisions() -> None:
    """Each label has its probability, and the answer its columns."""
    decision = Decision(
        low={"yes": 0.6, "no": 0.2},
        high={"yes": 0.8, "no": 0.4},
        unfinished=0.0,
        ambiguous=0.0,
        unlisted=0.2,
        other=0.0,
        completion=read(body_of("A")),
    )
    (row,) = table([decision], labels=["yes", "no"]).to_pylist()
    assert row["answer"] == "A"
    assert (row["label"], row["is_certain"], row["expected"]) == ("yes", True, None)
    assert row["mass"] == pytest.approx(0.8)
    assert (row["prob.yes"], row["prob.no"]) == (pytest.approx(0.75), pytest.approx(0.25))


def test_clash_of_names() -> None:
    """A column of the input is never overwritten, and a prefix is the way out."""
    own = pa.table({"answer": ["mine"], "error": ["mine"]})
    with pytest.raises(ConfigurationError, match=r"found answer, error; prefix='out_'"):
        columns().check_names(own)
    prefixed = columns(prefix="out_")
    prefixed.check_names(own)
    out = prefixed.add_to(own, [prefixed.row_of(read(body_of("a")))])
    assert out.column_names[:3] == ["answer", "error", "out_answer"]
