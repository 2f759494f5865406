"""Lines of a run for a terminal: what was asked, the answer or the error, and facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from limin.rendering.completions import answer_parts, join_facts
from limin.rendering.margins import Prose
from limin.rendering.tables import table
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from limin.values.run_records import RunRecord


def record(value: RunRecord, lowest: int | None) -> Group:
    """Return the lines about *value*, and its *lowest* least probable positions if any."""
    return Group(*_parts(value, lowest))


def _parts(value: RunRecord, lowest: int | None) -> Iterator[RenderableType]:
    yield Text(f"── {describe_line(value)}", style="bold")
    for name, text in value.inputs.items():
        yield Prose(Text.assemble((f"{excerpt(name)}: ", "dim"), excerpt(text)))
    if value.completion is not None:
        yield from answer_parts(value.completion, "red-green")
        if lowest is not None:
            for choice in value.completion.choices:
                if choice.log_probs is not None:
                    yield table(choice.log_probs, lowest=lowest, palette="red-green")
    if value.error is not None:
        kind = (excerpt(value.error.kind), "bold red")
        yield Prose(Text.assemble(kind, ": ", excerpt(value.error.message)))
    for code in value.warnings:
        yield Text.assemble("! ", excerpt(code), style="yellow")
    facts = join_facts(*(fact for _, fact in record_facts(value)))
    if facts:
        yield Text(facts, style="dim")


def describe_line(value: RunRecord) -> str:
    """Return the number of the line, and its id if it has one."""
    return join_facts(f"line {value.number}", value.custom_id)


def record_facts(value: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each fact about the answer that is known."""
    completion = value.completion
    if completion is not None:
        if completion.served_model:
            yield "Served by", completion.served_model
        if len(completion.choices) == 1 and completion.finish_reason is not None:
            yield "Finish reason", completion.finish_reason
        usage = completion.usage
        if usage is not None and usage.completion_tokens is not None:
            number = usage.completion_tokens
            yield "Answer", f"{number:,} token{'' if number == 1 else 's'}"
    if value.seconds is not None:
        yield "Time", f"{value.seconds:.2f} s"
