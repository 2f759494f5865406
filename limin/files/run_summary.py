"""What a run came to, counted from its lines."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import TYPE_CHECKING

from limin.values.summary import Summary
from limin.values.timing import Latency

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.completion import TextCompletion
    from limin.values.run_records import RunRecord

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def summarize(records: Iterable[RunRecord]) -> Summary:
    """Return the summary of *records*.

    Files do not hold how often a request was sent again. What a line does not tell, how
    long its answer took for example, is not counted.
    """
    tally = _Tally()
    for record in records:
        tally.add(record)
    return tally.summary()


class _Tally:
    def __init__(self) -> None:
        self._total = self._uncounted = 0
        self._failures, self._finish_reasons = Counter[str](), Counter[str]()
        self._warnings, self._tokens = Counter[str](), Counter[str]()
        self._durations = array("d")
        self._start, self._end = math.inf, -math.inf

    def add(self, record: RunRecord) -> None:
        self._total += 1
        self._warnings.update(set(record.warnings))
        if record.error is not None:
            self._failures[record.error.kind] += 1
        if record.completion is not None:
            self._add_usage(record.completion)
            if record.error is None:
                self._add_answer(record, record.completion)

    def _add_usage(self, completion: TextCompletion[object]) -> None:
        usage = completion.total_usage
        counts = {name: getattr(usage, name, None) for name in _COUNTS}
        self._tokens.update({name: n for name, n in counts.items() if n is not None})
        self._uncounted += counts["completion_tokens"] is None

    def _add_answer(self, record: RunRecord, completion: TextCompletion[object]) -> None:
        if completion.finish_reason is not None:
            self._finish_reasons[completion.finish_reason] += 1
        if record.seconds is not None:
            self._durations.append(record.seconds)
            self._start = min(self._start, record.end_time - record.seconds)
            self._end = max(self._end, record.end_time)

    def summary(self) -> Summary:
        return Summary(
            total=self._total,
            failures=dict(self._failures.most_common()),
            finish_reasons=dict(self._finish_reasons.most_common()),
            warnings=dict(self._warnings.most_common()),
            prompt_tokens=self._tokens.get("prompt_tokens"),
            completion_tokens=self._tokens.get("completion_tokens"),
            total_tokens=self._tokens.get("total_tokens"),
            uncounted=self._uncounted,
            start_time=self._start if self._durations else None,
            end_time=self._end if self._durations else None,
            duration=Latency.of(self._durations),
        )
