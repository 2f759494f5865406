"""The parts of a completion as HTML: question, answers, warnings and facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.rendering.calls import show_call
from limin.rendering.html_elements import (
    render_facts,
    render_label,
    render_prose,
)
from limin.rendering.html_fields import render_fields
from limin.rendering.html_messages import (
    render_calls,
    render_messages,
    render_refusal,
    render_start,
)
from limin.rendering.html_tokens import render_summary, render_tokens
from limin.rendering.json_answer import json_parts
from limin.rendering.speed import format_speed
from limin.rendering.spelling import find_span
from limin.values.tokens import TextPiece

if TYPE_CHECKING:
    from limin.schemas.json_schema import JsonSchema
    from limin.values.choice import Choice
    from limin.values.completion import TextCompletion
    from limin.values.log_probs import LogProbs
    from limin.values.messages import Message
    from limin.values.usage import Usage


def render_question(messages: list[Message], *, images: bool = False) -> str:
    """Return *messages*, folded; the start of the last one is the title."""
    if not messages:
        return ""
    start = render_start(messages[-1])
    summary = f'<summary><b>Question</b><span dir="auto">{start}</span></summary>'
    shown = render_messages(messages, images=images)
    return f"<details>{summary}<div>{shown}</div></details>"


def render_choice(
    choice: Choice, title: str, schema: JsonSchema[object] | None, *, several: bool
) -> str:
    """Return the reasoning, the answer, the refusal and the calls of *choice*.

    Args:
        choice: One choice of a completion.
        title: Its heading, which is not escaped.
        schema: The type that was asked for, if any was.
        several: Whether the completion has more choices. Each then has its own
            finish reason; that of an only one stands in the footer.
    """
    parts = [render_label(title)]
    if choice.reasoning and choice.reasoning.strip():
        summary = "<summary><b>Reasoning</b></summary>"
        parts.append(f"<details>{summary}{render_prose(choice.reasoning)}</details>")
    parts.append(_render_answer(choice, schema))
    if choice.refusal:
        parts.append(render_refusal(choice.refusal))
    parts.append(render_calls(map(show_call, choice.tool_calls)))
    if several and choice.finish_reason is not None:
        parts.append(render_facts([("Finish reason", _format_finish_reason(choice))]))
    return f'<section aria-label="{title}">{"".join(parts)}</section>'


def render_footer(completion: TextCompletion[object]) -> str:
    """Return model, tokens and times; facts that the server did not send are left out."""
    facts = [("Model", completion.model)]
    if completion.served_model not in {None, completion.model}:
        facts.append(("Served by", str(completion.served_model)))
    if len(completion.choices) == 1 and completion.finish_reason is not None:
        facts.append(("Finish reason", _format_finish_reason(completion.choices[0])))
    if completion.usage is not None:
        facts += token_counts(completion.usage)
    facts.append(("Time", f"{completion.duration:.2f} s"))
    timing, speed = completion.timing, format_speed(completion)
    if timing.time_to_first_token is not None:
        facts.append(("First token", f"{timing.time_to_first_token:.2f} s"))
    if speed is not None:
        facts.append(("Speed", speed))
    if len(timing.attempts) > 1:
        facts.append(("Attempts", str(len(timing.attempts))))
    return f"<footer>{render_facts(facts)}</footer>"


def _render_answer(choice: Choice, schema: JsonSchema[object] | None) -> str:
    """Return the message, as JSON if it is, or else as tokens if they spell it."""
    tokens = choice.log_probs
    if tokens is None or not len(tokens):
        if choice.message:
            return render_prose(choice.message)
        is_empty = not (choice.refusal or choice.tool_calls)
        return '<p class="limin-quiet">No text.</p>' if is_empty else ""
    json = json_parts(choice, schema)
    if json is not None:
        answer = render_summary(tokens) + render_fields(json, tokens.sampled)
        return answer + _render_folded("Tokens", tokens, tokens.pieces())
    pieces = tokens.pieces()
    span = find_span(choice.message, pieces)
    if span is None:
        heading = render_label("Tokens, which do not join to the answer", level=3)
        shown_tokens = render_summary(tokens) + render_tokens(tokens, pieces)
        return render_prose(choice.message) + heading + shown_tokens
    start, end = span
    inside, outside = list[TextPiece](), list[TextPiece]()
    offset = 0
    for piece in pieces:
        piece_start, offset = offset, offset + len(piece.text)
        (inside if start < offset and piece_start < end else outside).append(piece)
    answer = render_summary(tokens) + render_tokens(tokens, inside)
    if not outside:  # Reasoning before the answer, an end after it.
        return answer
    return answer + _render_folded("Tokens beside the answer", tokens, outside)


def _render_folded(title: str, tokens: LogProbs, pieces: list[TextPiece]) -> str:
    summary = f"<summary><b>{title}</b></summary>"
    return f"<details>{summary}{render_tokens(tokens, pieces)}</details>"


def token_counts(usage: Usage) -> list[tuple[str, str]]:
    """Return the counts that are known, with their names."""
    counts = (
        ("Prompt tokens", usage.prompt_tokens),
        ("Cached", usage.cached_tokens),
        ("Answer tokens", usage.completion_tokens),
        ("Reasoning", usage.reasoning_tokens),
        ("Total", usage.total_tokens),
    )
    return [(name, f"{count:,}") for name, count in counts if count is not None]


def _format_finish_reason(choice: Choice) -> str:
    """Return the reason in OpenAI's word, and the server's own word if it differs."""
    if choice.raw_finish_reason in {None, choice.finish_reason}:
        return str(choice.finish_reason)
    return f"{choice.finish_reason} ({choice.raw_finish_reason})"
