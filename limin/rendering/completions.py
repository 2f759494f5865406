"""Completions: reasoning, answer, refusal, warnings, and what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.rule import Rule
from rich.text import Text

from limin.rendering.speed import tokens_per_second
from limin.rendering.tokens import colored_answer
from limin.values.safe_text import escape_controls, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from limin.rendering.palette import Palette
    from limin.values.completion import Choice, TextCompletion

_LINES_OF_REASONING = 2
_MARGIN = "│ "


def completion(answered: TextCompletion, palette: Palette = "red-green") -> Group:
    """All of *answered* that a person looks for, the answer first of all."""
    return Group(*_parts(answered, palette))


def _parts(answered: TextCompletion, palette: Palette) -> Iterator[RenderableType]:
    are_several = len(answered.choices) > 1
    for choice in answered.choices:
        if are_several:
            title = _joined(f"choice {choice.index}", choice.finish_reason)
            yield Rule(Text(title, style="bold"), style="dim", align="left")
        yield from _choice(choice, palette)
    for warning in answered.warnings:
        yield Text.assemble("! ", excerpt(str(warning)), style="yellow")
    yield Text(_footer(answered), style="dim")


def _choice(choice: Choice, palette: Palette) -> Iterator[RenderableType]:
    if choice.reasoning and choice.reasoning.strip():
        yield _Reasoning(choice.reasoning.strip())
        yield Text()
    if choice.message:
        log_probs = choice.log_probs
        found = log_probs and colored_answer(choice.message, log_probs, palette)
        yield found or Text(escape_controls(choice.message))
    if choice.refusal:
        yield Text.assemble(("refused: ", "bold red"), escape_controls(choice.refusal))


def _footer(answered: TextCompletion) -> str:
    """Model, finish reason, tokens, seconds, speed: what is told of them."""
    timing = answered.timing
    tokens = None if answered.usage is None else answered.usage.completion_tokens
    is_one = len(answered.choices) == 1
    first = timing.time_to_first_token
    speed = tokens_per_second(answered)
    return _joined(
        answered.served_model or answered.model,
        answered.finish_reason if is_one else None,
        None if tokens is None else f"{tokens} token{'' if tokens == 1 else 's'}",
        f"{timing.duration:.2f} s",
        None if first is None else f"first token {first:.2f} s",
        None if speed is None else f"{speed} tokens/s",
        f"{len(timing.attempts)} attempts" if len(timing.attempts) > 1 else None,
    )


def _joined(*told: str | None) -> str:
    return " · ".join(excerpt(one) for one in told if one)


class _Reasoning:
    """The first lines of what the model thought, and how many more there are."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(options.max_width - len(_MARGIN), 1)
        lines = Text(escape_controls(self._text)).wrap(console, room)
        hidden = len(lines) - _LINES_OF_REASONING
        for line in lines[:_LINES_OF_REASONING]:
            yield Text.assemble(_MARGIN, line, style="dim")
        if hidden > 0:
            words = f"… {hidden} more line{'' if hidden == 1 else 's'}"
            yield Text(_MARGIN + words, style="dim italic")
