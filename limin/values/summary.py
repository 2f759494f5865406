"""What a run came to: counts, failures by kind, tokens, waits and times."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from limin.values.decisions import Decision
from limin.values.display import NotebookDisplayed, rendering
from limin.values.result_parts import answers_of, check_result, requests_of
from limin.values.safe_text import excerpt
from limin.values.timing import Latency
from limin.values.warning_codes import warning_codes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from limin.values.completion import TextCompletion
    from limin.values.result_parts import Result
    from limin.values.timing import Attempt
    from limin.values.usage import Usage

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


@attrs.frozen(kw_only=True, repr=False)
class Summary(NotebookDisplayed):
    """What the results of a run came to.

    It holds no text of prompts and answers. `rich.print` shows it, and so do notebooks.
    A number that is not known of any result is None.

    Attributes:
        total: Number of results.
        failures: Number of errors by the name of their class, the most frequent first.
        finish_reasons: Number of answers by their finish reason; of a completion the
            first choice counts.
        warnings: Number of results that have a warning, by its code.
        prompt_tokens: Tokens of the prompts, as far as the server counted them. Answers
            that were asked for again count, too, and those that came with an error.
        completion_tokens: Tokens of the answers.
        total_tokens: Totals of the server.
        uncounted: Number of answers whose tokens the server did not count.
        retries: Number of requests that were sent again after a failure.
        waited: Seconds between a failed request and the next one, all together. Calls
            that wait side by side count each.
        start_time: When the first request of an answer was sent, in Unix seconds.
        end_time: When the last answer was complete, in Unix seconds.
        duration: Seconds that the answers took, retries included.
        time_to_first_token: Seconds until the first token of streamed answers.
    """

    total: int
    failures: Mapping[str, int]
    finish_reasons: Mapping[str, int]
    warnings: Mapping[str, int]
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    uncounted: int = 0
    retries: int = 0
    waited: float = 0.0
    start_time: float | None = None
    end_time: float | None = None
    duration: Latency | None = None
    time_to_first_token: Latency | None = None

    @classmethod
    def of(cls, results: Iterable[Result]) -> Summary:
        """Return the summary of *results*, which may be a generator.

        They are those of a batch, with the errors in their places, or the completions of
        `read_checkpoint`. Log probabilities are decoded, for the warnings about them.

        Raises:
            ConfigurationError: If one of *results* is something else.
        """
        tally = _ResultTally()
        for index, result in enumerate(results):
            check_result(index, result)
            tally.add(result)
        return tally.summary()

    @property
    def failed(self) -> int:
        """Number of errors."""
        return sum(self.failures.values())

    @property
    def answered(self) -> int:
        """Number of results that are no error."""
        return self.total - self.failed

    @property
    def seconds(self) -> float | None:
        """Seconds from the first request to the last answer, pauses of a run included."""
        if self.start_time is None or self.end_time is None:
            return None
        return max(self.end_time - self.start_time, 0.0)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of all answers for each of the `seconds`."""
        tokens, seconds = self.completion_tokens, self.seconds
        return tokens / seconds if tokens is not None and seconds else None

    def __repr__(self) -> str:
        """Return the numbers of answers, failures and tokens, on one line."""
        facts = [f"{self.answered} of {self.total} answered"]
        if self.failures:
            kinds = ", ".join(f"{excerpt(kind)} {n}" for kind, n in self.failures.items())
            facts.append(f"{self.failed} failed ({kinds})")
        if self.completion_tokens is not None:
            facts.append(f"{self.completion_tokens} tokens")
        return f"<limin.Summary: {', '.join(facts)}>"

    def to_pretty_string(self, *, width: int = 80, color: bool | None = True) -> str:
        """Return the summary for a terminal: a line for each fact.

        Args:
            width: Columns at which the text wraps.
            color: Whether the string holds colors; None follows `NO_COLOR` and
                `FORCE_COLOR`, and without them checks whether stdout is a terminal.

        Raises:
            ConfigurationError: If *width* is below 1.
        """
        return rendering().to_string(self, width=width, color=color)

    def to_html(self) -> str:
        """Return the summary as an HTML page without scripts or external resources."""
        return rendering().html_page(self)


class Tally:
    """What was counted so far; its subclasses say of what."""

    def __init__(self) -> None:
        """Count from nothing."""
        self._failures, self._finish_reasons = Counter[str](), Counter[str]()
        self._warnings, self._tokens = Counter[str](), Counter[str]()
        self._total = self._uncounted = self._retries = 0
        self._waited, self._start, self._end = 0.0, math.inf, -math.inf
        self._durations, self._first_tokens = array("d"), array("d")

    def _add_usage(self, usage: Usage | None) -> None:
        counts = {name: getattr(usage, name, None) for name in _COUNTS}
        self._tokens.update({name: n for name, n in counts.items() if n is not None})
        self._uncounted += counts["completion_tokens"] is None

    def summary(self) -> Summary:
        """Return what was counted."""
        return Summary(
            total=self._total,
            failures=dict(self._failures.most_common()),
            finish_reasons=dict(self._finish_reasons.most_common()),
            warnings=dict(self._warnings.most_common()),
            **{name: self._tokens.get(name) for name in _COUNTS},
            uncounted=self._uncounted,
            retries=self._retries,
            waited=self._waited,
            start_time=self._start if self._durations else None,
            end_time=self._end if self._durations else None,
            duration=Latency.of(self._durations),
            time_to_first_token=Latency.of(self._first_tokens),
        )


class _ResultTally(Tally):
    """The results so far, counted."""

    def add(self, result: Result) -> None:
        """Count *result*."""
        self._total += 1
        answers = answers_of(result)
        if isinstance(result, Exception):
            self._failures[type(result).__name__] += 1
        elif answers:
            self._add_times(answers)
        own = result.warnings if isinstance(result, Decision) else ()
        codes = {str(code) for answer in answers for code in warning_codes(answer)}
        self._warnings.update(codes | {str(warning.code) for warning in own})
        for answer in answers:
            self._add_usage(answer.usage)
        for attempts in requests_of(result):
            self._add_attempts(attempts)

    def _add_times(self, answers: tuple[TextCompletion[object], ...]) -> None:
        last = answers[-1]
        if last.finish_reason is not None:
            self._finish_reasons[last.finish_reason] += 1
        self._durations.append(math.fsum(answer.duration for answer in answers))
        first_token = last.timing.time_to_first_token
        if first_token is not None:
            self._first_tokens.append(first_token)
        self._start = min(self._start, answers[0].start_time)
        self._end = max(self._end, last.end_time)

    def _add_attempts(self, attempts: tuple[Attempt, ...]) -> None:
        self._retries += max(len(attempts) - 1, 0)
        self._waited += math.fsum(attempt.waited for attempt in attempts)
