"""How each kind of value is shown: on a terminal, in a notebook, as a page.

Values reach these functions through `limin.values.display`, and in no other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text

from limin.errors import LiminError
from limin.rendering import (
    completions,
    conversations,
    decisions,
    failures,
    html,
    html_run_records,
    markdown,
    progress,
    run_records,
    summaries,
    tables,
    terminal,
    tokens,
    tool_runs,
)
from limin.values.checks import check_flag, describe_type
from limin.values.completion import TextCompletion
from limin.values.conversation import Conversation
from limin.values.decisions import Decision
from limin.values.log_probs import LogProbs
from limin.values.messages import Message
from limin.values.safe_text import escape_controls
from limin.values.summary import Summary
from limin.values.tool_runs import ToolRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from rich.console import RenderableType
    from rich.table import Table

    from limin.values.display import Palette
    from limin.values.progress import BatchListener, BatchState
    from limin.values.run_records import RunRecord


def renderable(
    value: object, *, palette: Palette = "red-green", show_probabilities: bool = False
) -> RenderableType:
    """Return *value* as rich renders it.

    Args:
        value: A message, a conversation, a completion, a run with tools, a decision,
            a summary, log probabilities, or an error.
        palette: Colors of tokens, of scalars in JSON, and of bars.
        show_probabilities: Put `[0.97]` behind each token of log probabilities.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    shown: RenderableType
    match value:
        case LiminError():
            shown = failures.failure(value)
        case Message() | Conversation():
            messages = [value] if isinstance(value, Message) else value.messages
            shown = conversations.conversation(messages)
        case TextCompletion():
            shown = completions.completion(cast("TextCompletion[object]", value), palette)
        case ToolRun():
            shown = tool_runs.tool_run(cast("ToolRun[object]", value))
        case Decision():
            shown = decisions.decision(cast("Decision[object]", value), palette)
        case Summary():
            shown = summaries.summary(value)
        case LogProbs():
            shown = tokens.colored(value, palette, show_probabilities=show_probabilities)
        case _:
            raise _unknown(value)
    return shown


def to_string(
    value: object,
    *,
    width: int | None,
    color: bool | None,
    palette: Palette = "red-green",
    show_probabilities: bool = False,
) -> str:
    """Return *value* as a terminal shows it; see `terminal.to_string` and `renderable`."""
    shown = renderable(value, palette=palette, show_probabilities=show_probabilities)
    return terminal.to_string(shown, width=width, color=color)


def answer_piece(text: str, log_probs: LogProbs | None, *, reasoning: str = "") -> str:
    """Return a piece of an answer for the terminal of the program, however it is colored.

    Args:
        text: The piece, which may be a part of a line.
        log_probs: The log probabilities of its tokens; None without any.
        reasoning: The reasoning before it.
    """
    colored = None
    if log_probs is not None:
        colored = tokens.colored_answer(text, log_probs, "red-green")
    piece = Text.assemble((escape_controls(reasoning), "dim"))
    piece.append(escape_controls(text) if colored is None else colored)
    return terminal.to_string(piece, width=None, color=None)


def record_string(
    record: RunRecord, *, lowest: int | None, width: int, color: bool | None
) -> str:
    """Return *record* as a terminal shows it.

    Args:
        record: A line of a run.
        lowest: How many of the least probable positions are listed; None for none.
        width: Columns at which lines wrap.
        color: See `terminal.to_string`.
    """
    shown = run_records.record(record, lowest)
    return terminal.to_string(shown, width=width, color=color)


def run_page(
    summary: Summary, records: Iterable[RunRecord], *, title: str, lowest: int | None
) -> Iterator[str]:
    """Yield the parts of an HTML page, which needs nothing else, with *records*.

    Args:
        summary: The summary of the run, which comes first.
        records: Lines of the run, which are taken one by one.
        title: The title of the page.
        lowest: See `record_string`.
    """
    yield html.page_start(title=title)
    yield html.summary(summary)
    for record in records:
        yield html_run_records.record(record, lowest)
    yield html.PAGE_END


def table(log_probs: LogProbs, *, lowest: int | None, palette: Palette) -> Table:
    """Return a row for each position; see `LogProbs.to_table`."""
    return tables.table(log_probs, lowest=lowest, palette=palette)


def markdown_text(value: object) -> str:
    """Return *value*, a conversation, as Markdown."""
    if not isinstance(value, Conversation):
        raise _unknown(value)
    return markdown.conversation(value.messages)


def html_page(
    value: object, *, palette: Palette = "red-green", images: bool = False
) -> str:
    """Return *value* as an HTML page that needs nothing else.

    Args:
        value: See `renderable`; but no message, and no error.
        palette: Colors of tokens.
        images: Whether the page holds the pictures, and not only their descriptions.

    Raises:
        ConfigurationError: If there is no such palette, or *images* is no bool.
    """
    images = check_flag("images", images)
    body = _html(value, images=images)
    return html.page(body, title=_title(value), palette=palette, images=images)


def html_fragment(value: object) -> str:
    """Return *value* as HTML for a notebook, its stylesheet included."""
    return html.fragment(_html(value))


def batch_progress(
    total: int | None,
    state: Callable[[], BatchState],
    *,
    seconds_between_lines: float = progress.SECONDS_BETWEEN_LINES,
) -> AbstractContextManager[BatchListener]:
    """Return a progress bar on stderr, which listens to the results of a batch.

    Args:
        total: Number of items; None if it is not known.
        state: Returns how the batch stands.
        seconds_between_lines: Seconds from one line to the next where there is no bar.
    """
    return progress.BatchProgress(
        total, state=state, seconds_between_lines=seconds_between_lines
    )


def _html(value: object, *, images: bool = False) -> str:
    match value:
        case Conversation():
            return html.conversation(value.messages, images=images)
        case TextCompletion():
            return html.completion(cast("TextCompletion[object]", value), images=images)
        case ToolRun():
            return html.tool_run(cast("ToolRun[object]", value), images=images)
        case Decision():
            return html.decision(cast("Decision[object]", value))
        case Summary():
            return html.summary(value)
        case LogProbs():
            return html.log_probs(value)
        case _:
            raise _unknown(value)


def _title(value: object) -> str:
    """Return the title of a page."""
    if isinstance(value, TextCompletion):
        return f"Completion by {value.model}"
    titles = {
        ToolRun: "Run with tools",
        Decision: "Decision",
        Summary: "Summary",
        Conversation: "Conversation",
        LogProbs: "Log probabilities",
    }
    return next(title for kind, title in titles.items() if isinstance(value, kind))


def _unknown(value: object) -> TypeError:
    return TypeError(f"expected a value that limin shows, found {describe_type(value)}")
