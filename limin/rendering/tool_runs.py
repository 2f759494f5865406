"""Runs with tools for a terminal: the conversation, and what the run came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.rule import Rule
from rich.text import Text

from limin.rendering.conversations import conversation

if TYPE_CHECKING:
    from limin.values.tool_runs import ToolRun


def tool_run(run: ToolRun[object]) -> Group:
    """Return the conversation of *run*, failures marked, and a line of facts."""
    return Group(
        conversation(run.conversation.messages, run.calls),
        Rule(style="dim"),
        Text(_facts(run), style="dim"),
    )


def _facts(run: ToolRun[object]) -> str:
    """Return numbers of requests, calls, tokens and seconds, as far as they are known."""
    n_failed = count_failures(run)
    tokens = None if run.usage is None else run.usage.completion_tokens
    asking, in_tools = seconds_asking(run), seconds_in_tools(run)
    facts = (
        _count(len(run.completions), "request"),
        _count(len(run.calls), "call") + (f" ({n_failed} failed)" if n_failed else ""),
        None if tokens is None else _count(tokens, "token"),
        f"{asking:.2f} s asking",
        f"{in_tools:.2f} s in tools" if run.calls else None,
        f"ended by {run.ended_by}",
    )
    return " · ".join(fact for fact in facts if fact)


def count_failures(run: ToolRun[object]) -> int:
    """Return how many calls have an error in the place of a result."""
    return sum(result.error is not None for result in run.calls)


def seconds_asking(run: ToolRun[object]) -> float:
    """Return the durations of all requests together."""
    return sum(completion.duration for completion in run.completions)


def seconds_in_tools(run: ToolRun[object]) -> float:
    """Return the durations of all calls together, also of those that ran in parallel."""
    return sum(result.duration for result in run.calls)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
