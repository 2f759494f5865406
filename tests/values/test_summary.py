"""What a run came to."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from builders import TIMING, body_of, read

import limin
from limin import (
    Attempt,
    Conversation,
    Decision,
    NotSentError,
    RateLimitError,
    ResponseWarning,
    StreamError,
    StructuredOutputError,
    Summary,
    ToolRun,
    ToolRunError,
    Usage,
    WarningCode,
    to_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY = RateLimitError(429, "later")
RETRIED = (
    Attempt(start_time=0.0, duration=1.0, error=BUSY, waited=2.5),
    Attempt(start_time=3.5, duration=1.0),
)


def completion(duration: float = 1.0, start: float = 100.0, **changes: Any) -> Any:
    """Return an answer that took so long."""
    times = {
        "start_time": start,
        "end_time": start + duration,
        "duration": duration,
        "time_to_first_token": changes.pop("first_token", None),
        "attempts": changes.pop("attempts", ()),
    }
    answer = read(body_of("the secret answer", finish_reason="stop"))
    return attrs.evolve(answer, timing=attrs.evolve(TIMING, **times), **changes)


def warnings(*codes: str) -> tuple[ResponseWarning, ...]:
    """Return a warning for each code."""
    return tuple(ResponseWarning(WarningCode(code), "$", "odd") for code in codes)


def test_nothing_came() -> None:
    """Nothing is made up: what is not known is None."""
    summary = Summary.of([])
    assert (summary.total, summary.answered, summary.failed) == (0, 0, 0)
    assert summary.completion_tokens is summary.duration is summary.seconds is None
    assert summary.tokens_per_second is None
    assert repr(summary) == "<limin.Summary: 0 of 0 answered>"


def test_counts_and_kinds() -> None:
    """Errors are counted by their class, answers by their finish reason."""
    results: list[Any] = [
        completion(),
        completion(choices=(limin.Choice(finish_reason="length"),)),
        completion(choices=(limin.Choice(),)),
        completion(),
        BUSY,
        NotSentError("stopped"),
        NotSentError("stopped"),
        KeyError("secret"),
    ]
    summary = Summary.of(results)
    assert (summary.total, summary.answered, summary.failed) == (8, 4, 4)
    assert list(summary.failures.items()) == [
        ("NotSentError", 2),
        ("RateLimitError", 1),
        ("KeyError", 1),
    ]
    assert summary.finish_reasons == {"stop": 2, "length": 1}
    assert repr(summary) == (
        "<limin.Summary: 4 of 8 answered, "
        "4 failed (NotSentError 2, RateLimitError 1, KeyError 1)>"
    )


def test_tokens_as_far_as_they_were_counted() -> None:
    """Answers that were not counted are told beside the sum."""
    usage = Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7)
    earlier = (completion(usage=usage),)
    summary = Summary.of(
        [
            completion(usage=usage, earlier=earlier),
            completion(usage=Usage(prompt_tokens=1)),
            completion(),
        ]
    )
    assert summary.prompt_tokens == 7
    assert (summary.completion_tokens, summary.total_tokens) == (8, 14)
    assert summary.uncounted == 2


def test_errors_with_an_answer_cost_tokens() -> None:
    """Tokens of answers that did not fit, and of parts of answers, are counted."""
    answer = completion(usage=Usage(completion_tokens=4), earlier=(completion(),))
    results: list[Any] = [
        StructuredOutputError(answer, "invalid"),
        StreamError("broke", answer),
        BUSY,
    ]
    summary = Summary.of(results)
    assert (summary.completion_tokens, summary.uncounted) == (8, 2)
    assert summary.duration is None


def test_waits_and_retries() -> None:
    """Those of failures count, and no attempt counts twice."""
    odd = warnings("text-mismatch")
    error = limin.AnswerWarningError(odd, completion(attempts=RETRIED))
    error.attempts = RETRIED
    summary = Summary.of([completion(attempts=RETRIED), completion(), error])
    assert (summary.retries, summary.waited) == (2, 5.0)


ONCE = RETRIED[1:]


def test_answers_that_were_asked_for_again_are_no_retries() -> None:
    """Each of them is a request that succeeded, whether one fits in the end or not."""
    earlier = (completion(attempts=ONCE), completion(attempts=RETRIED))
    last = completion(attempts=ONCE, earlier=earlier)
    misfit = StructuredOutputError(last, "invalid")
    misfit.attempts = (*ONCE, *RETRIED, *ONCE)
    warned = limin.AnswerWarningError(warnings("body-mended"), last)
    warned.attempts = ONCE
    for result in (last, misfit, warned):
        summary = Summary.of([result])
        assert (summary.retries, summary.waited) == (1, 2.5)
        assert to_columns([result])["attempts"] == [4]


def failed_at_the_second_request(error: Any) -> Any:
    """Return *error* as it is if an answer of 10 tokens before it did not fit."""
    answer = completion(attempts=ONCE, usage=Usage(total_tokens=10))
    error.__cause__ = StructuredOutputError(answer, "invalid")
    return error


def test_answer_before_a_failure_counts() -> None:
    """An error of the request to ask again hides no tokens and no attempts."""
    busy = failed_at_the_second_request(RateLimitError(429, "later"))
    busy.attempts = RETRIED
    part = completion(attempts=ONCE, usage=Usage(total_tokens=3))
    broken = failed_at_the_second_request(StreamError("broke", part))
    broken.attempts = RETRIED
    for error, tokens in ((busy, 10), (broken, 13)):
        summary = Summary.of([error])
        assert (summary.total_tokens, summary.retries) == (tokens, 1)
        assert to_columns([error])["attempts"] == [3]


def test_answer_before_a_warning_counts_once() -> None:
    """A raised warning has the answer before it in its completion and in its cause."""
    earlier = (completion(usage=Usage(total_tokens=10)),)
    last = completion(usage=Usage(total_tokens=2), earlier=earlier)
    odd = warnings("body-mended")
    error = failed_at_the_second_request(limin.AnswerWarningError(odd, last))
    assert Summary.of([error]).total_tokens == 12


def test_answers_before_the_end_of_a_run_with_tools_count() -> None:
    """Whatever ended the run: an error of a request, or an exception of a tool."""
    run = ToolRun(
        conversation=Conversation.from_prompts("a"),
        completions=(completion(attempts=RETRIED, usage=Usage(total_tokens=7)),),
        ended_by="error",
    )
    busy, bug, run_error = (
        RateLimitError(429, "later"),
        KeyError("a"),
        ToolRunError("KeyError"),
    )
    busy.tool_run = run_error.tool_run = run
    busy.attempts, bug.__cause__ = ONCE, run_error
    for error in (busy, bug):
        summary = Summary.of([error])
        assert (summary.total_tokens, summary.retries) == (7, 1)


def test_times() -> None:
    """Quantiles are those of what was measured; a re-asked answer took all of it."""
    earlier = (completion(1.0, 100.0),)
    summary = Summary.of(
        [
            completion(1.0, 101.0, first_token=0.1, earlier=earlier),
            completion(4.0, 104.0, first_token=0.3, usage=Usage(completion_tokens=40)),
            completion(3.0, 98.0),
        ]
    )
    assert summary.duration is not None
    assert summary.duration.median == 3.0
    assert summary.duration.percentile_95 == pytest.approx(3.9)
    assert summary.time_to_first_token is not None
    assert summary.time_to_first_token.median == pytest.approx(0.2)
    assert (summary.start_time, summary.end_time) == (98.0, 108.0)
    assert (summary.seconds, summary.tokens_per_second) == (10.0, 4.0)


def test_clock_that_jumps_back() -> None:
    """A date before the start makes no speed."""
    odd = completion(usage=Usage(completion_tokens=4))
    odd = attrs.evolve(odd, timing=attrs.evolve(odd.timing, end_time=1.0))
    summary = Summary.of([odd])
    assert (summary.seconds, summary.tokens_per_second) == (0.0, None)


def test_warnings_by_code() -> None:
    """A result counts once for each of its codes, whatever kind of result it is."""
    decision = Decision(
        low={"a": 1.0},
        high={"a": 1.0},
        unfinished=0.0,
        ambiguous=0.0,
        unlisted=0.0,
        other=0.0,
        completion=completion(body_warnings=warnings("body-mended")),
        warnings=warnings("label-mass-low"),
    )
    log_probs = limin.LogProbs(lambda: ((), warnings("text-mismatch")))
    results = [
        completion(body_warnings=warnings("body-mended", "body-mended")),
        completion(choices=(limin.Choice(log_probs=log_probs),)),
        decision,
        attrs.evolve(decision, completion=None),
    ]
    assert Summary.of(results).warnings == {
        "body-mended": 2,
        "label-mass-low": 2,
        "text-mismatch": 1,
    }


def test_run_with_tools() -> None:
    """All its requests took time and tokens."""
    usage = Usage(completion_tokens=4)
    answers = (completion(usage=usage), completion(2.0, attempts=RETRIED, usage=usage))
    run = ToolRun(
        conversation=Conversation.from_prompts("a"), completions=answers, ended_by="answer"
    )
    summary = Summary.of([run])
    assert (summary.completion_tokens, summary.retries) == (8, 1)
    assert summary.duration is not None
    assert summary.duration.mean == 3.0


def test_generator_and_wrong_result() -> None:
    """It takes what `read_checkpoint` yields, and names the place of what is no result."""

    def results() -> Iterator[Any]:
        yield completion()
        yield "a text"

    with pytest.raises(limin.ConfigurationError, match=r"result 1: .* found a str"):
        Summary.of(results())


def test_summary_is_a_value() -> None:
    """It is kept, compared and sent between processes, and holds no text."""
    results = [completion(usage=Usage(completion_tokens=4)), BUSY]
    summary = Summary.of(results)
    assert pickle.loads(pickle.dumps(summary)) == summary  # noqa: S301 (our own pickle)
    assert repr(summary).endswith("1 failed (RateLimitError 1), 4 tokens>")
    shown = repr(summary) + summary.to_pretty_string() + summary.to_html()
    assert "secret" not in shown


def test_summary_is_shown() -> None:
    """Each fact that is known has a line, and what is not known has none."""
    usage = Usage(prompt_tokens=1200, completion_tokens=40)
    results: list[Any] = [
        completion(10.0, usage=usage, first_token=0.25, attempts=RETRIED),
        completion(body_warnings=warnings("body-mended")),
        BUSY,
    ]
    lines = Summary.of(results).to_pretty_string(color=False).splitlines()
    assert [line.rstrip() for line in lines] == [
        "Answered           2 of 3",
        "Failed             1: RateLimitError 1",
        "Finished by        stop 2",
        "Warnings           body-mended 1",
        "Prompt tokens      1,200",
        "Completion tokens  40 (4.0 a second)",
        "Not counted        the tokens of 1 answer",
        "Retries            1, after 2.5 s of waiting",
        "Duration           median 5.50 s, 95 % within 9.55 s",
        "First token        median 0.25 s, 95 % within 0.25 s",
    ]
    assert Summary.of([]).to_pretty_string(color=False).split() == [
        "Answered",
        "0",
        "of",
        "0",
    ]


def test_hostile_words_are_harmless() -> None:
    """A finish reason is text of the server."""
    word = "\x1b[2J<script>[bold]"
    summary = Summary.of([completion(choices=(limin.Choice(finish_reason=word),))])
    assert "\x1b" not in summary.to_pretty_string(color=False)
    page = summary.to_html()
    assert "<title>Summary</title>" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    fragment = summary._repr_html_()
    assert fragment.startswith("<style>")
    assert "<script" not in fragment
