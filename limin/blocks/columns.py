"""Results as columns of a table, whose types do not depend on the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs

from limin.blocks.tables import load_pyarrow
from limin.errors import ConfigurationError, StructuredOutputError
from limin.json_text.answer import strip_answer
from limin.values.completion import TextCompletion
from limin.values.decisions import Decision
from limin.wire.surrogates import mend_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from limin.blocks.tables import Table
    from limin.errors import LiminError
    from limin.values.log_probs import LogProbs

    Result: TypeAlias = TextCompletion[object] | Decision[Any] | LiminError

# Values by the names of their columns; what is not there is null.
ResultRow: TypeAlias = "dict[str, object]"

_TEXT, _COUNT, _NUMBER, _FLAG = "string", "int64", "float64", "bool"
_TEXTS, _NUMBERS = "list of string", "list of float64"
_LISTS_OF_TEXTS, _LISTS_OF_NUMBERS = "list of list of string", "list of list of float64"

_ANSWER = {
    "answer": _TEXT,
    "finish_reason": _TEXT,
    "prompt_tokens": _COUNT,
    "completion_tokens": _COUNT,
    "duration": _NUMBER,
    "error": _TEXT,
    "error_kind": _TEXT,
}
_TYPED = {"value": _TEXT}
_LOG_PROBS = {"tokens": _TEXTS, "log_probs": _NUMBERS}
_ALTERNATIVES = {"top_tokens": _LISTS_OF_TEXTS, "top_log_probs": _LISTS_OF_NUMBERS}
_DECISION = {"mass": _NUMBER, "is_certain": _FLAG, "expected": _NUMBER}


@attrs.frozen
class ResultColumns:
    """The columns that results have, beside those of their rows.

    Attributes:
        types: The names of the columns without their prefix, and of their Arrow types.
        prefix: What stands before the names.
    """

    types: dict[str, str]
    prefix: str = ""

    @classmethod
    def of(
        cls,
        *,
        prefix: str,
        is_typed: bool,
        labels: Sequence[str] | Sequence[int] | None,
        log_probs: bool,
        top_log_probs: int | None,
    ) -> ResultColumns:
        """Return the columns of results.

        Args:
            prefix: What stands before the names.
            is_typed: Whether answers have values.
            labels: The labels of decisions; None if results are completions.
            log_probs: Whether answers have log probabilities.
            top_log_probs: The number of alternatives at each token; None or 0 for none.
        """
        types = dict(_ANSWER)
        if is_typed:
            types |= _TYPED
        if labels is not None:
            are_texts = all(isinstance(label, str) for label in labels)
            types |= {"label": _TEXT if are_texts else _COUNT, **_DECISION}
            types |= {f"prob.{label}": _NUMBER for label in labels}
        elif log_probs:
            types |= _LOG_PROBS | (_ALTERNATIVES if top_log_probs else {})
        return cls(types, prefix)

    def check_names(self, table: Table) -> None:
        """Refuse a *table* that has a column of one of these names.

        Raises:
            ConfigurationError: If it has.
        """
        names = {self.prefix + name for name in self.types}
        taken = sorted(names & set(table.column_names))
        if taken:
            problem = (
                f"expected no column that limin adds, found {', '.join(taken)}; "
                "prefix='out_' renames limin's"
            )
            raise ConfigurationError(problem)

    def row_of(self, result: Result) -> ResultRow:
        """Return what the columns show of *result*."""
        return {
            name: mend_text(value) if isinstance(value, str) else value
            for name, value in _read_result(result, self.types)
        }

    def add_to(self, table: Table, rows: Sequence[ResultRow]) -> Table:
        """Return *table* with these columns of *rows*, one for each of its rows."""
        arrow = load_pyarrow()
        for name, type_name in self.types.items():
            values = [row.get(name) for row in rows]
            column = arrow.array(values, type=_find_type(arrow, type_name))
            table = table.append_column(self.prefix + name, column)
        return table


def _find_type(arrow: Any, name: str) -> Any:  # noqa: ANN401 (pyarrow has no types)
    outer, _, inner = name.partition(" of ")
    return arrow.list_(_find_type(arrow, inner)) if inner else arrow.type_for_alias(outer)


def _read_result(result: Result, types: dict[str, str]) -> Iterator[tuple[str, object]]:
    if isinstance(result, Decision):
        yield from _read_decision(result)
        return
    answer: TextCompletion[object] | None = None
    if isinstance(result, TextCompletion):
        answer = result
    else:
        yield "error", str(result)
        yield "error_kind", type(result).__name__
        if isinstance(result, StructuredOutputError):
            answer = result.completion
    if answer is not None:
        yield from _read_answer(answer)
        if answer.value is not None:
            yield "value", strip_answer(answer.message)[0]
        if "tokens" in types and answer.log_probs is not None:
            yield from _read_log_probs(answer.log_probs)


def _read_answer(answer: TextCompletion[object]) -> Iterator[tuple[str, object]]:
    yield "answer", answer.message
    yield "finish_reason", answer.finish_reason
    yield "duration", answer.duration
    usage = answer.total_usage
    if usage is not None:
        yield "prompt_tokens", usage.prompt_tokens
        yield "completion_tokens", usage.completion_tokens


def _read_decision(decision: Decision[Any]) -> Iterator[tuple[str, object]]:
    yield from _read_answer(cast("TextCompletion[object]", decision.completion))
    for name in ("label", "mass", "is_certain", "expected"):
        yield name, getattr(decision, name)
    for label, prob in decision.probs.items():
        yield f"prob.{label}", prob


def _read_log_probs(log_probs: LogProbs) -> Iterator[tuple[str, object]]:
    sampled, listed = log_probs.sampled, log_probs.alternatives
    yield "tokens", [mend_text(each.token) for each in sampled]
    yield "log_probs", [each.log_prob for each in sampled]
    yield "top_tokens", [[mend_text(each.token) for each in top] for top in listed]
    yield "top_log_probs", [[each.log_prob for each in top] for top in listed]
