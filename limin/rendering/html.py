"""Conversations, completions and log probabilities as HTML: fragments and pages.

Nothing moves and nothing is fetched: no script, no style attribute, no address. What
a model or a server wrote is text, wherever it stands.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import importlib.resources
from typing import TYPE_CHECKING

from limin.rendering.html_tints import tint_rules
from limin.rendering.html_tokens import token_spans
from limin.rendering.number_formats import format_decimal
from limin.rendering.speed import tokens_per_second
from limin.rendering.spelling import find_span
from limin.values.safe_text import escape_controls, excerpt
from limin.values.tokens import TextPiece

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.rendering.palette import Palette
    from limin.values.completion import Choice, TextCompletion, Usage
    from limin.values.conversation import Message
    from limin.values.log_probs import LogProbs


def fragment(body: str, *, palette: Palette = "red-green") -> str:
    """*body* with its stylesheet, to stand in a notebook among others."""
    return f"<style>{_stylesheet(palette)}</style>{body}"


def page(body: str, *, title: str, palette: Palette = "red-green") -> str:
    """*body* as a page that needs nothing else, and whose policy forbids all else.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    style = _stylesheet(palette)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}';"
        " base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>{style}</style>\n</head>\n"
        f'<body class="limin-page">\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )


def conversation(messages: Iterable[Message]) -> str:
    """Each message under its role."""
    listed = _messages(messages)
    return f'<article class="limin" aria-label="Conversation">{listed}</article>'


def log_probs(tokens: LogProbs) -> str:
    """The tokens' text, and what they add up to."""
    return (
        '<article class="limin" aria-label="Log probabilities">'
        f"{_figures(tokens)}{token_spans(tokens, tokens.pieces())}</article>"
    )


def completion(completion: TextCompletion) -> str:
    """A question, its answers, and what is known about them."""
    several = len(completion.choices) > 1
    choices = "".join(
        _choice(choice, f"Answer {place}" if several else "Answer", several=several)
        for place, choice in enumerate(completion.choices, start=1)
    )
    return (
        '<article class="limin" aria-label="Completion">'
        f"{_question(completion.conversation.messages)}{choices}"
        f"{_warnings(completion)}{_footer(completion)}</article>"
    )


def _choice(choice: Choice, title: str, *, several: bool) -> str:
    """One answer: what was thought, what was said, what was refused."""
    parts = [_label(title)]
    if choice.reasoning and choice.reasoning.strip():
        parts.append(
            f"<details><summary><b>Reasoning</b></summary>{_prose(choice.reasoning)}</details>"
        )
    parts.append(_answer(choice))
    if choice.refusal:
        refusal = _label("Refusal", level=3) + _prose(choice.refusal)
        parts.append(f'<div class="limin-refusal">{refusal}</div>')
    if several and choice.finish_reason is not None:
        parts.append(_facts([("Finish reason", _finish_reason(choice))]))
    return f'<section aria-label="{title}">{"".join(parts)}</section>'


def _answer(choice: Choice) -> str:
    """The message, as tokens if they are known and spell it."""
    tokens = choice.log_probs
    if tokens is None or not len(tokens):
        if choice.message:
            return _prose(choice.message)
        return "" if choice.refusal else '<p class="limin-quiet">No text.</p>'
    pieces = tokens.pieces()
    span = find_span(choice.message, pieces)
    if span is None:
        heading = _label("Tokens, which do not join to the answer", level=3)
        told = _figures(tokens) + token_spans(tokens, pieces)
        return _prose(choice.message) + heading + told
    place, inside, beside = 0, list[TextPiece](), list[TextPiece]()
    for piece in pieces:
        place += len(piece.text)
        is_inside = span[0] < place and place - len(piece.text) < span[1]
        (inside if is_inside else beside).append(piece)
    return _figures(tokens) + token_spans(tokens, inside) + _beside(tokens, beside)


def _beside(tokens: LogProbs, pieces: list[TextPiece]) -> str:
    """Tokens that are none of the answer: of reasoning before it, of its end."""
    if not pieces:
        return ""
    summary = "<summary><b>Tokens beside the answer</b></summary>"
    return f"<details>{summary}{token_spans(tokens, pieces)}</details>"


def _question(messages: list[Message]) -> str:
    """What was asked, closed, with the start of its last message for a title."""
    if not messages:
        return ""
    start = _text(excerpt(messages[-1].content))
    summary = f'<summary><b>Question</b><span dir="auto">{start}</span></summary>'
    return f"<details>{summary}<div>{_messages(messages)}</div></details>"


def _messages(messages: Iterable[Message]) -> str:
    return "".join(
        f'<section class="limin-message limin-{message.role}"'
        f' aria-label="{message.role} message">'
        f"{_label(message.role.capitalize())}{_prose(message.content)}</section>"
        for message in messages
    )


def _figures(tokens: LogProbs) -> str:
    """What the tokens add up to, and the scale of their tints."""
    facts = [f"{len(tokens):,} tokens" if len(tokens) != 1 else "1 token"]
    if tokens.perplexity is not None:
        facts.append(f"perplexity {format_decimal(tokens.perplexity)}")
    if tokens.total is not None:
        facts.append(f"log probability {format_decimal(tokens.total)}")
    told = "".join(f"<span>{fact}</span>" for fact in facts)
    scale = 'improbable<span class="limin-scale"></span>certain'
    return (
        f'<p class="limin-quiet limin-figures">{told}'
        f'<span aria-hidden="true">{scale}</span></p>'
    )


def _warnings(completion: TextCompletion) -> str:
    listed = "".join(f"<li>{_text(str(warning))}</li>" for warning in completion.warnings)
    if not listed:
        return ""
    return (
        '<section class="limin-warnings" aria-label="Warnings">'
        f"{_label('Warnings')}<ul>{listed}</ul></section>"
    )


def _footer(completion: TextCompletion) -> str:
    """What is known of the exchange; what the server did not tell is left out."""
    facts = [("Model", completion.model)]
    if completion.served_model not in {None, completion.model}:
        facts.append(("Served by", str(completion.served_model)))
    if len(completion.choices) == 1 and completion.finish_reason is not None:
        facts.append(("Finish reason", _finish_reason(completion.choices[0])))
    if completion.usage is not None:
        facts += _token_counts(completion.usage)
    facts.append(("Time", f"{completion.duration:.2f} s"))
    timing, speed = completion.timing, tokens_per_second(completion)
    if timing.time_to_first_token is not None:
        facts.append(("First token", f"{timing.time_to_first_token:.2f} s"))
    if speed is not None:
        facts.append(("Speed", f"{speed} tokens/s"))
    if len(timing.attempts) > 1:
        facts.append(("Attempts", str(len(timing.attempts))))
    return f"<footer>{_facts(facts)}</footer>"


def _token_counts(usage: Usage) -> list[tuple[str, str]]:
    counts = (
        ("Prompt tokens", usage.prompt_tokens),
        ("Cached", usage.cached_tokens),
        ("Answer tokens", usage.completion_tokens),
        ("Reasoning", usage.reasoning_tokens),
        ("Total", usage.total_tokens),
    )
    return [(name, f"{count:,}") for name, count in counts if count is not None]


def _finish_reason(choice: Choice) -> str:
    """The reason in OpenAI's word, and the server's own if that is another."""
    if choice.raw_finish_reason in {None, choice.finish_reason}:
        return str(choice.finish_reason)
    return f"{choice.finish_reason} ({choice.raw_finish_reason})"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    listed = "".join(
        f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>" for name, value in facts
    )
    return f"<dl>{listed}</dl>"


def _label(text: str, *, level: int = 2) -> str:
    """A heading for screen readers that a notebook's table of contents leaves out."""
    return f'<p class="limin-label" role="heading" aria-level="{level}">{text}</p>'


def _prose(text: str) -> str:
    """What a person or a model wrote, in whatever language and direction."""
    return f'<div class="limin-text" lang="" dir="auto">{_text(text)}</div>'


def _text(text: str) -> str:
    return html.escape(escape_controls(text))


@functools.cache
def _stylesheet(palette: Palette) -> str:
    room = importlib.resources.files("limin.rendering")
    style = room.joinpath("style.css").read_text(encoding="utf-8")
    return f"{style}{tint_rules(palette)}\n"
