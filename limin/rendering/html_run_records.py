"""Lines of a run as parts of an HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.rendering.html_completion import render_choice
from limin.rendering.html_elements import (
    escape_text,
    render_facts,
    render_label,
    render_prose,
)
from limin.rendering.number_formats import format_percent
from limin.rendering.run_records import describe_line, record_facts
from limin.rendering.symbols import name_token
from limin.rendering.tables import row_indexes
from limin.values.completion import schema_of
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limin.values.completion import TextCompletion
    from limin.values.log_probs import LogProbs
    from limin.values.run_records import RunRecord


def record(value: RunRecord, lowest: int | None) -> str:
    """Return an article about *value*, and its *lowest* least probable positions if any."""
    return f'<article class="limin">{"".join(_parts(value, lowest))}</article>\n'


def _parts(value: RunRecord, lowest: int | None) -> Iterator[str]:
    name = describe_line(value)
    yield render_label(escape_text(name[:1].upper() + name[1:]))
    if value.inputs:
        fields = value.inputs.items()
        facts = [(escape_text(excerpt(name)), excerpt(text)) for name, text in fields]
        yield render_facts(facts)
    if value.completion is not None:
        yield from _answers(value.completion, lowest)
    if value.error is not None:
        kind = escape_text(excerpt(value.error.kind))
        label = render_label(f'<span class="limin-failure">{kind}</span>')
        yield f"<section>{label}{render_prose(excerpt(value.error.message))}</section>"
    if value.warnings:
        codes = "".join(f"<li>{escape_text(excerpt(code))}</li>" for code in value.warnings)
        yield f'<section class="limin-warnings"><ul>{codes}</ul></section>'
    facts = list(record_facts(value))
    if facts:
        yield f"<footer>{render_facts(facts)}</footer>"


def _answers(completion: TextCompletion[object], lowest: int | None) -> Iterator[str]:
    several, schema = len(completion.choices) > 1, schema_of(completion)
    for number, choice in enumerate(completion.choices, start=1):
        title = f"Answer {number}" if several else "Answer"
        yield render_choice(choice, title, schema, several=several)
        if lowest is not None and choice.log_probs is not None:
            yield _least_probable(choice.log_probs, lowest)


def _least_probable(log_probs: LogProbs, lowest: int) -> str:
    """Return the least probable positions, each with the alternatives to it."""
    facts: list[tuple[str, str]] = []
    for index in row_indexes(log_probs, lowest):
        position = log_probs[index]
        tokens = (position.sampled, *position.alternatives)
        named = [
            f"{name_token(each)} {format_percent(each.prob).strip()}" for each in tokens
        ]
        shown = named[0] if len(named) == 1 else f"{named[0]}, of {', '.join(named[1:])}"
        facts.append((f"Token {index}", shown))
    label = render_label("Least probable", level=3)
    return f"<section>{label}{render_facts(facts)}</section>"
