"""Lines of a run, on a terminal and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
from builders import body_of, read
from samples import position

from limin.rendering import show
from limin.values.choice import Choice
from limin.values.log_probs import LogProbs
from limin.values.run_records import RecordedError, RunRecord
from limin.values.summary import Summary

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion

LOG_PROBS = LogProbs(lambda: ((position("hel", 0.9), position("lo", 0.2)), ()))
BODY = {**body_of("hello", finish_reason="stop"), "model": "served"}
COMPLETION: TextCompletion[object] = read(
    BODY | {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}
)
RECORD = RunRecord(
    number=3,
    custom_id="An-id",
    inputs={"prompt": "say\nhello", "id": "7"},
    completion=COMPLETION,
    error=None,
    warnings=("fewer-choices",),
    seconds=0.5,
    end_time=1.0,
)
FAILURE = RunRecord(
    number=4,
    inputs={},
    completion=None,
    error=RecordedError("ServerError", "it is <b>down</b>", 500),
    end_time=1.0,
)


def with_log_probs(*log_probs: LogProbs | None) -> RunRecord:
    """Return a line whose choices have these log probabilities."""
    choices = tuple(Choice(message="hello", log_probs=each) for each in log_probs)
    return attrs.evolve(RECORD, completion=attrs.evolve(COMPLETION, choices=choices))


def text(record: RunRecord, lowest: int | None = None, *, color: bool = False) -> str:
    """Return *record* for a terminal."""
    return show.record_string(record, lowest=lowest, width=80, color=color)


def page(record: RunRecord, lowest: int | None = None) -> str:
    """Return a page with *record*."""
    summary = Summary(total=1, failures={}, finish_reasons={}, warnings={})
    return "".join(show.run_page(summary, [record], title="Run", lowest=lowest))


def test_answer() -> None:
    """The input, the answer, the warnings and the facts stand below each other."""
    assert text(RECORD).splitlines() == [
        "── line 3 · An-id",
        "prompt: say hello",
        "id: 7",
        "hello",
        "! fewer-choices",
        "served · stop · 1 token · 0.50 s",
    ]


def test_failure() -> None:
    """A failure has its kind and its message."""
    assert text(FAILURE).splitlines() == ["── line 4", "ServerError: it is <b>down</b>"]


def test_probabilities_are_colors() -> None:
    """The answer has the colors of its tokens, if they are known."""
    assert "\x1b[38;2;" in text(with_log_probs(LOG_PROBS), color=True)
    assert "\x1b[38;2;" not in text(RECORD, color=True)


def test_least_probable_positions() -> None:
    """As many positions are listed as were asked for, of each choice that has them."""
    lines = text(with_log_probs(LOG_PROBS, None), 1).splitlines()
    assert [line.split()[:3] for line in lines if "0.20" in line] == [["1", "lo", "0.20"]]
    assert not any("0.90" in line for line in lines)
    assert "0.20" not in text(with_log_probs(LOG_PROBS))


def test_text_that_looks_like_a_line() -> None:
    """No answer, input or message can look like the next line of the run."""
    fake = "── line 9"
    record = attrs.evolve(
        RECORD,
        inputs={"x": fake},
        completion=read(body_of(f"a\n{fake}")),
        error=RecordedError("Error", fake),
    )
    assert [line for line in text(record).splitlines() if line.startswith("──")] == [
        "── line 3 · An-id"
    ]


@pytest.mark.parametrize("attack", ["\x1b[2J", "\x9b2J", "\u202e"])
def test_text_from_outside_is_harmless(attack: str) -> None:
    """Nothing that a model, a server or a file wrote acts on a terminal or a page."""
    record = RunRecord(
        number=1,
        custom_id=attack,
        inputs={attack: attack},
        completion=read(body_of(attack) | {"model": attack}),
        error=RecordedError(attack, attack),
        warnings=(attack,),
        end_time=1.0,
    )
    assert attack not in text(record)
    assert attack not in page(record)


def test_page() -> None:
    """A page has all of it, and nothing of it is markup."""
    shown = page(RECORD)
    assert shown.startswith("<!doctype html>")
    assert shown.endswith("</main>\n</body>\n</html>\n")
    for part in ("Line 3 · An-id", "say hello", ">hello<", "fewer-choices", "0.50 s"):
        assert part in shown
    assert "Least probable" not in shown
    failure = page(FAILURE)
    assert "ServerError" in failure
    assert "it is &lt;b&gt;down&lt;/b&gt;" in failure
    assert "<footer>" not in failure


def test_least_probable_positions_on_a_page() -> None:
    """Positions are listed with their alternatives, if there are any."""
    listed = LogProbs(lambda: ((position("hello", 0.2, ("bye", 0.1)),), ()))
    shown = page(with_log_probs(listed, LOG_PROBS), 1)
    assert "<dt>Token 0</dt><dd>hello 20.00 %, of hello 20.00 %, bye 10.00 %</dd>" in shown
    assert "<dt>Token 1</dt><dd>lo 20.00 %" in shown
    assert "Answer 2" in shown
