"""A JSON answer as HTML: each scalar tinted by its probability, with its tokens.

Each scalar is one element, whose facts are shown as those of a token are.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from limin.json_text.tree import read_scalar
from limin.rendering.html_elements import escape_text
from limin.rendering.html_tints import tint_class
from limin.rendering.html_tokens import render_blocks, short_name
from limin.rendering.labels import describe_rest, label_rows
from limin.rendering.number_formats import format_decimal, format_percent
from limin.rendering.symbols import show_on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from limin.rendering.json_answer import JsonPart
    from limin.schemas.choices import Scalar
    from limin.values.decisions import Decision
    from limin.values.fields import FieldLogProbs
    from limin.values.tokens import TokenLogProb

_LONGEST_PATH = 60

# The box has room for some lines; the tokens themselves stand beside the answer.
_MOST_TOKENS = 12
_MOST_LABELS = 10

# Of a decision the time grows with its labels, and an answer may have thousands of them.
# A decision about few labels takes as long as that about some.
_MOST_LABELS_IN_ALL = 20_000
_LEAST_LABELS = 20


def render_fields(parts: Iterable[JsonPart], sampled: Sequence[TokenLogProb]) -> str:
    """Return the answer in *parts*, whose tokens are among *sampled*.

    Of an answer with very many fields, the later ones do not show which values were
    possible, and a sentence below says so.
    """
    decisions = _Decisions()
    pieces = [(part.text, _render_part(part, sampled, decisions)) for part in parts]
    answer = render_blocks(pieces, "JSON with probabilities")
    if decisions.labels_left > 0:
        return answer
    note = "The possible values of later fields are not shown."
    return f'{answer}<p class="limin-quiet">{note}</p>'


class _Decisions:
    """The decisions of an answer, as long as they are not too many.

    Attributes:
        labels_left: Labels that further decisions may have.
    """

    def __init__(self) -> None:
        self.labels_left = _MOST_LABELS_IN_ALL

    def of(self, field: FieldLogProbs) -> Decision[Scalar] | None:
        decision = field.distribution if self.labels_left > 0 else None
        if decision is not None:
            self.labels_left -= max(len(decision.low), _LEAST_LABELS)
        return decision


def _render_part(
    part: JsonPart, sampled: Sequence[TokenLogProb], decisions: _Decisions
) -> str:
    if part.located is None:
        return escape_text(part.text)
    field = part.located.field
    lines = list(_field_lines(field, sampled[field.first : field.last + 1]))
    if (decision := decisions.of(field)) is not None:
        lines += ("", *_decision_lines(decision, read_scalar(part.located.scalar)))
    description = html.escape("\n".join(lines))
    return (
        f'<span class="{tint_class(field.prob)}" tabindex="0"'
        f' aria-description="{description}">{escape_text(part.text)}</span>'
    )


def _field_lines(field: FieldLogProbs, tokens: Sequence[TokenLogProb]) -> Iterator[str]:
    path = show_on_one_line(field.path)
    yield path if len(path) <= _LONGEST_PATH else path[: _LONGEST_PATH - 1] + "…"
    percent = "unknown" if field.prob is None else format_percent(field.prob)
    yield f"probability     {percent:>10}"
    if field.log_prob is not None:
        yield f"log probability {format_decimal(field.log_prob):>8}"
    if field.shares_tokens:
        yield "together with text beside it"
    yield ""
    for token in tokens[:_MOST_TOKENS]:
        yield f" {format_percent(token.prob)}  {short_name(token)}"
    if len(tokens) > _MOST_TOKENS:
        yield f"  … {len(tokens) - _MOST_TOKENS:,} more tokens"


def _decision_lines(decision: Decision[Scalar], value: object) -> Iterator[str]:
    """Yield the bounds of each allowed value, and mark the *value* that stands there."""
    rows = label_rows(decision, _MOST_LABELS)
    for row in rows:
        is_value = row.label == value and type(row.label) is type(value)
        bounds = f"{format_percent(row.low)} to {format_percent(row.high)}"
        yield f"{'▸' if is_value else ' '}{bounds}  {row.name}"
    if (rest := describe_rest(decision, rows)) is not None:
        yield f"  … {rest}"
    yield f" {format_percent(decision.unlisted)} unlisted"
