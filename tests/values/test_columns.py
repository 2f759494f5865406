"""Results as tables."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import pandas as pd
import polars as pl
import pydantic
import pytest
from builders import TIMING, body_of, read

import limin
from limin import (
    Attempt,
    Conversation,
    Decision,
    Message,
    NotSentError,
    RateLimitError,
    ToolRun,
    Usage,
    WarningCode,
    to_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limin.values.log_probs import Position

COLUMNS = [
    *("prompt", "answer", "value", "finish_reason", "refusal", "reasoning"),
    *("error", "error_message", "model", "served_model", "endpoint"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"),
    *("reasoning_tokens", "start_time", "end_time", "duration", "time_to_first_token"),
    *("attempts", "warnings", "id", "request_id"),
]


def completion(text: str = "4", **changes: Any) -> limin.TextCompletion:
    """Return the answer *text* with some fields."""
    conversation = Conversation(
        [Message("user", "old"), Message("assistant", "x"), Message("user", "a?")],
        metadata=changes.pop("metadata", None),
    )
    body = body_of(text, finish_reason="stop")
    answer = read(body, headers={"x-request-id": "r-1"}, conversation=conversation)
    return attrs.evolve(answer, **changes)


def failure(**metadata: object) -> RateLimitError:
    """Return an error after two attempts."""
    error = RateLimitError(429, "later")
    error.attempts = (
        Attempt(start_time=7.0, duration=1.0, error=error, waited=2.0),
        Attempt(start_time=10.0, duration=1.0, error=error),
    )
    error.conversation = Conversation([Message("user", "b?")], metadata=metadata)
    return error


def decision(**fields: Any) -> Decision[str]:
    """Return a decision between yes and no."""
    bounds = {"low": {"yes": 0.6, "no": 0.2}, "high": {"yes": 0.7, "no": 0.3}}
    rest = {"unfinished": 0.0, "ambiguous": 0.0, "unlisted": 0.1, "other": 0.1}
    return Decision(**(bounds | rest | fields))


def test_columns_are_the_same_for_every_list() -> None:
    """A program may rely on their names and their order, whatever came."""
    lists: list[list[Any]] = [
        [],
        [completion()],
        [failure()],
        [NotSentError("stopped"), completion()],
    ]
    for results in lists:
        table = to_columns(results)
        assert list(table) == COLUMNS
        assert {len(column) for column in table.values()} == {len(results)}


def test_row_of_a_completion() -> None:
    """It has what is known, under the names of the attributes."""
    usage = Usage(prompt_tokens=3, completion_tokens=4)
    timing = attrs.evolve(TIMING, time_to_first_token=0.25, attempts=failure().attempts)
    answer = completion(
        usage=usage, timing=timing, served_model="m-1", endpoint="http://a/v1", id="c"
    )
    row = {name: column[0] for name, column in to_columns([answer]).items()}
    assert row == dict.fromkeys(COLUMNS) | {
        "prompt": "a?",
        "answer": "4",
        "finish_reason": "stop",
        "model": "asked-model",
        "served_model": "m-1",
        "endpoint": "http://a/v1",
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "start_time": TIMING.start_time,
        "end_time": TIMING.end_time,
        "duration": TIMING.duration,
        "time_to_first_token": 0.25,
        "attempts": 2,
        "warnings": [],
        "id": "c",
        "request_id": "r-1",
    }


def test_row_of_an_error() -> None:
    """An error stands in its place, with the prompt it belongs to and its attempts."""
    row = {name: column[0] for name, column in to_columns([failure(id=1)]).items()}
    assert row == dict.fromkeys(COLUMNS) | {
        "prompt": "b?",
        "error": "RateLimitError",
        "error_message": "the server answered 429: later",
        "start_time": 7.0,
        "attempts": 2,
        "metadata.id": 1,
    }


def test_exception_of_another_library_may_hold_a_key() -> None:
    """Its class is named, and its message is not."""
    table = to_columns([KeyError("sk-secret")])
    assert (table["error"], table["error_message"]) == (["KeyError"], [None])


def test_metadata_has_a_column_for_each_key() -> None:
    """A key that only some rows have is None in the others."""
    results = [
        completion(),
        completion(metadata={"id": 1}),
        failure(id=2, city="Rome"),
        NotSentError("stopped"),
    ]
    table = to_columns(results)
    assert table["metadata.id"] == [None, 1, 2, None]
    assert table["metadata.city"] == [None, None, "Rome", None]
    assert list(table)[-2:] == ["metadata.id", "metadata.city"]


class Color(enum.Enum):
    """A color."""

    RED = "red"


@attrs.frozen
class City:
    """A city."""

    name: str
    color: Color


class Pair(NamedTuple):
    """Two numbers."""

    first: int
    second: int


class Model(pydantic.BaseModel):
    """A model of pydantic."""

    name: str


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (5, 5),
        (Color.RED, "red"),
        (City("Rome", Color.RED), {"name": "Rome", "color": "red"}),
        (Pair(1, 2), [1, 2]),
        ({1: [Model(name="x")]}, {"1": [{"name": "x"}]}),
        (Model(name="x"), {"name": "x"}),
        (complex(1, 2), complex(1, 2)),
    ],
)
def test_values_are_plain(value: Any, plain: object) -> None:
    """Tables hold JSON's values, and other ones only where there is no such form."""
    assert to_columns([completion(value=value)])["value"] == [plain]


def test_decisions() -> None:
    """A label, its certainty and a column for each label stand beside the answer."""
    labelled = decision(completion=completion(), warnings=_warnings("label-mass-low"))
    table = to_columns([completion(), labelled, decision(low={"yes": 0, "no": 0})])
    assert table["label"] == [None, "yes", None]
    assert table["mass"] == [None, pytest.approx(0.8), 0.0]
    assert table["is_certain"] == [None, True, False]
    assert table["prob.yes"] == [None, pytest.approx(0.75), None]
    assert table["prob.no"] == [None, pytest.approx(0.25), None]
    assert table["expected"] == [None, None, None]
    assert table["answer"] == ["4", "4", None]
    assert table["warnings"] == [[], ["label-mass-low"], []]


def _warnings(code: str) -> tuple[limin.ResponseWarning, ...]:
    return (limin.ResponseWarning(WarningCode(code), "$", "odd"),)


def test_warnings_of_a_decision_and_its_answer() -> None:
    """A code is told once."""
    answer = completion(body_warnings=_warnings("body-mended") * 2)
    both = _warnings("label-mass-low") + _warnings("body-mended")
    table = to_columns([answer, decision(completion=answer, warnings=both)])
    assert table["warnings"] == [["body-mended"], ["label-mass-low", "body-mended"]]


def test_warnings_about_log_probs_are_not_kept() -> None:
    """They are found by decoding, which a table of many rows must not keep in memory."""
    n_loads = 0

    def load() -> tuple[tuple[Position, ...], tuple[limin.ResponseWarning, ...]]:
        nonlocal n_loads
        n_loads += 1
        return (), _warnings("text-mismatch")

    answer = completion(choices=(limin.Choice(log_probs=limin.LogProbs(load)),))
    for _ in range(2):
        assert to_columns([answer])["warnings"] == [["text-mismatch"]]
    assert n_loads == 2


def test_run_with_tools() -> None:
    """It is a row with the last answer."""
    run = ToolRun(
        conversation=Conversation.from_prompts("a?"),
        completions=(completion("1"), completion("2")),
        ended_by="answer",
    )
    assert to_columns([run])["answer"] == ["2"]


def test_any_iterable() -> None:
    """A generator is a table, too, and what is no result is refused with its place."""

    def results() -> Iterator[limin.TextCompletion]:
        yield completion("1")
        yield completion("2")

    assert to_columns(results())["answer"] == ["1", "2"]
    with pytest.raises(limin.ConfigurationError) as caught:
        to_columns([completion(), 5])  # type: ignore[list-item]  # a wrong one
    assert str(caught.value) == (
        "result 1: expected a completion, a decision, a run with tools or an exception, "
        "found an int"
    )


def test_conversation_without_a_user() -> None:
    """Nothing is made up."""
    answer = completion(conversation=Conversation([Message("system", "s")]))
    assert to_columns([answer])["prompt"] == [None]


def test_polars_and_pandas_take_it() -> None:
    """The table needs no conversion."""
    results = [
        completion(metadata={"id": 1}, value={"n": 1}),
        failure(id=2),
        NotSentError("stopped"),
        decision(completion=completion(metadata={"id": 3})),
    ]
    table = to_columns(results)
    frame = pl.DataFrame(table)
    assert frame.height == 4
    assert frame["answer"].to_list() == ["4", None, None, "4"]
    assert frame["metadata.id"].to_list() == [1, 2, None, 3]
    assert frame["duration"].dtype == pl.Float64
    assert pd.DataFrame(table)["error"].isna().tolist() == [True, False, False, True]
