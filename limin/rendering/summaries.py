"""Summaries of runs: the facts in them, and the lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from limin.values.summary import Summary
    from limin.values.timing import Latency


def summary(value: Summary) -> Table:
    """Return a row for each fact."""
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(no_wrap=True)
    rows.add_column()
    for name, fact in summary_facts(value):
        rows.add_row(Text(name, style="dim"), Text(fact))
    return rows


def summary_facts(value: Summary) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each fact that is known."""
    yield "Answered", f"{value.answered:,} of {value.total:,}"
    if value.failures:
        yield "Failed", f"{value.failed:,}: {_counts(value.failures)}"
    if value.finish_reasons:
        yield "Finished by", _counts(value.finish_reasons)
    if value.warnings:
        yield "Warnings", _counts(value.warnings)
    if value.prompt_tokens is not None:
        yield "Prompt tokens", f"{value.prompt_tokens:,}"
    if value.completion_tokens is not None:
        rate = value.tokens_per_second
        speed = "" if rate is None else f" ({rate:,.1f} a second)"
        yield "Completion tokens", f"{value.completion_tokens:,}{speed}"
    if value.uncounted:
        plural = "" if value.uncounted == 1 else "s"
        yield "Not counted", f"the tokens of {value.uncounted:,} answer{plural}"
    if value.retries:
        yield "Retries", f"{value.retries:,}, after {value.waited:,.1f} s of waiting"
    if value.duration is not None:
        yield "Duration", _latency(value.duration)
    if value.time_to_first_token is not None:
        yield "First token", _latency(value.time_to_first_token)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{excerpt(name)} {number:,}" for name, number in counts.items())


def _latency(latency: Latency) -> str:
    return f"median {latency.median:.2f} s, 95 % within {latency.percentile_95:.2f} s"
