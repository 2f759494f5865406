"""Completions for a terminal: reasoning, answer, refusal, calls, warnings and facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.rule import Rule
from rich.text import Text

from limin.rendering.calls import show_call
from limin.rendering.conversations import show_refusal
from limin.rendering.json_answer import json_parts
from limin.rendering.margins import MARGIN, Prose, draw_call
from limin.rendering.speed import format_speed
from limin.rendering.tokens import colored_answer, colored_json
from limin.values.completion import schema_of
from limin.values.safe_text import escape_controls, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from limin.schemas.json_schema import JsonSchema
    from limin.values.choice import Choice
    from limin.values.completion import TextCompletion
    from limin.values.display import Palette

_LINES_OF_REASONING = 2


def completion(completion: TextCompletion[object], palette: Palette = "red-green") -> Group:
    """Return the choices, the warnings and a line of facts about *completion*."""
    return Group(*_parts(completion, palette))


def _parts(
    completion: TextCompletion[object], palette: Palette
) -> Iterator[RenderableType]:
    yield from answer_parts(completion, palette)
    for warning in completion.warnings:
        yield Text.assemble("! ", excerpt(str(warning)), style="yellow")
    yield Text(_footer(completion), style="dim")


def answer_parts(
    completion: TextCompletion[object], palette: Palette
) -> Iterator[RenderableType]:
    """Yield the choices of *completion*; of several, each under its number."""
    several, schema = len(completion.choices) > 1, schema_of(completion)
    for choice in completion.choices:
        if several:
            title = join_facts(f"choice {choice.index}", choice.finish_reason)
            yield Rule(Text(title, style="bold"), style="dim", align="left")
        yield from _choice_parts(choice, palette, schema)


def _choice_parts(
    choice: Choice, palette: Palette, schema: JsonSchema[object] | None
) -> Iterator[RenderableType]:
    if choice.reasoning and choice.reasoning.strip():
        yield _Reasoning(choice.reasoning.strip())
        yield Text()
    if choice.message:
        yield Prose(_color_answer(choice, palette, schema))
    if choice.refusal:
        yield show_refusal(choice.refusal)
    yield from map(draw_call, map(show_call, choice.tool_calls))


def _color_answer(
    choice: Choice, palette: Palette, schema: JsonSchema[object] | None
) -> Text:
    """Return JSON in the colors of its scalars, or else the answer in those of its tokens.

    It has none if the tokens do not spell it.
    """
    if (parts := json_parts(choice, schema)) is not None:
        return colored_json(parts, palette)
    colored = None
    if choice.log_probs is not None:
        colored = colored_answer(choice.message, choice.log_probs, palette)
    return colored or Text(escape_controls(choice.message))


def _footer(completion: TextCompletion[object]) -> str:
    """Return model, finish reason, tokens and times, as far as they are known."""
    timing = completion.timing
    tokens = None if completion.usage is None else completion.usage.completion_tokens
    first = timing.time_to_first_token
    return join_facts(
        completion.served_model or completion.model,
        completion.finish_reason if len(completion.choices) == 1 else None,
        None if tokens is None else f"{tokens} token{'' if tokens == 1 else 's'}",
        f"{timing.duration:.2f} s",
        None if first is None else f"first token {first:.2f} s",
        format_speed(completion),
        f"{len(timing.attempts)} attempts" if len(timing.attempts) > 1 else None,
    )


def join_facts(*facts: str | None) -> str:
    """Return the *facts* that are known on one line, harmless."""
    return " · ".join(excerpt(fact) for fact in facts if fact)


class _Reasoning:
    """The first lines of the reasoning, and the number of the hidden lines."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - len(MARGIN), 1)
        lines = Text(escape_controls(self._text)).wrap(console, width)
        hidden = len(lines) - _LINES_OF_REASONING
        for line in lines[:_LINES_OF_REASONING]:
            yield Text.assemble(MARGIN, line, style="dim")
        if hidden > 0:
            note = f"… {hidden} more line{'' if hidden == 1 else 's'}"
            yield Text(MARGIN + note, style="dim italic")
