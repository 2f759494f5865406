"""What a run came to, counted from its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.values.summary import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.completion import TextCompletion
    from limin.values.run_records import RunRecord
    from limin.values.summary import Summary


def summarize(records: Iterable[RunRecord]) -> Summary:
    """Return the summary of *records*.

    Files do not hold how often a request was sent again. What a line does not tell, how
    long its answer took for example, is not counted.
    """
    tally = _RecordTally()
    for record in records:
        tally.add(record)
    return tally.summary()


class _RecordTally(Tally):
    def add(self, record: RunRecord) -> None:
        self._total += 1
        self._warnings.update(set(record.warnings))
        if record.error is not None:
            self._failures[record.error.kind] += 1
        if record.completion is not None:
            self._add_usage(record.completion.total_usage)
            if record.error is None:
                self._add_answer(record, record.completion)

    def _add_answer(self, record: RunRecord, completion: TextCompletion[object]) -> None:
        if completion.finish_reason is not None:
            self._finish_reasons[completion.finish_reason] += 1
        if record.seconds is not None:
            self._durations.append(record.seconds)
            self._start = min(self._start, record.end_time - record.seconds)
            self._end = max(self._end, record.end_time)
