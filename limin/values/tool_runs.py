"""What a run with tools came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, cast

import attrs

from limin.values.completion import V_co
from limin.values.display import NotebookDisplayed, rendering
from limin.values.usage import Usage

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.messages import Message
    from limin.values.tools import ToolCall

EndedBy: TypeAlias = Literal[
    "answer", "max-rounds", "max-calls", "repeats", "length", "deadline", "error"
]


@attrs.frozen(kw_only=True)
class ToolResult:
    """One call of a tool, and its result.

    Attributes:
        call: The model's call.
        message: The message that the model is told it by.
        result: What the function returned; None if it raised.
        error: The exception of the function; or a `ToolCallError`, the reason why it was
            not called; or why the model could not be told the result; else None.
        duration: Seconds that the function took; 0 if it was not called.
    """

    call: ToolCall
    message: Message
    result: object = attrs.field(default=None, repr=False)
    error: Exception | None = attrs.field(default=None, repr=False, eq=False)
    duration: float = 0.0


@attrs.frozen(kw_only=True, repr=False)
class ToolRun(NotebookDisplayed, Generic[V_co]):
    """A conversation in which a model called tools.

    Attributes:
        conversation: The conversation as it was asked about, with every answer and every
            result of a tool behind it.
        completions: The answers of the model, in their order; at least one. Only the
            `tool_run` of an exception may have none, if the conversation began with
            calls.
        calls: The calls of tools with their results, in their order.
        ended_by: Why the run ended: `answer`, the model called no tool; `length`, an
            answer was cut off; `max-rounds` and `max-calls`, the limits of the run;
            `repeats`, the model made the same calls three times in a row, with the same
            results; `deadline`, `max_seconds` were over; `error`, only in the `tool_run`
            of an exception.
    """

    conversation: Conversation
    completions: tuple[TextCompletion[object], ...]
    calls: tuple[ToolResult, ...] = ()
    ended_by: EndedBy

    @property
    def completion(self) -> TextCompletion[V_co]:
        """The last answer.

        Raises:
            IndexError: If there is none, in the `tool_run` of an exception.
        """
        return cast("TextCompletion[V_co]", self.completions[-1])

    @property
    def usage(self) -> Usage | None:
        """Token counts of all requests; a count that one of them lacks is None."""
        usages = [completion.usage for completion in self.completions]
        return Usage.sum(usages) if usages else None

    def __str__(self) -> str:
        """Return the last answer, as the model wrote it."""
        return self.completion.message if self.completions else ""

    def __repr__(self) -> str:
        """Return the numbers of requests and calls, and why the run ended."""
        facts = f"{len(self.completions)} requests, {len(self.calls)} calls"
        return f"<limin.ToolRun: {facts}, ended by {self.ended_by}>"

    def to_pretty_string(self, *, width: int = 80, color: bool | None = True) -> str:
        """Return the run for a terminal: the conversation, and a line of facts.

        Results of tools that failed are marked, long arguments are cut. Control
        characters are shown as symbols, so they have no effect.

        Args:
            width: Columns at which the text wraps.
            color: Whether the string holds colors; None follows `NO_COLOR` and
                `FORCE_COLOR`, and without them checks whether stdout is a terminal.

        Raises:
            ConfigurationError: If *width* is below 1.
        """
        return rendering().to_string(self, width=width, color=color)

    def to_html(self, *, images: bool = False) -> str:
        """Return the run as an HTML page without scripts or external resources.

        Args:
            images: See `Conversation.to_html`.

        Raises:
            ConfigurationError: If *images* is neither True nor False.
        """
        return rendering().html_page(self, images=images)
