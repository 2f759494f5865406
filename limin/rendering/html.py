"""Conversations, completions and log probabilities as HTML pages and fragments.

Pages are static and complete: they hold no script, no style attribute and no address
but those of pictures in the page itself.
Text of a model or a server is escaped wherever it stands.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
from typing import TYPE_CHECKING

from limin.rendering.html_completion import (
    render_choice,
    render_footer,
    render_question,
    token_counts,
)
from limin.rendering.html_decisions import render_decision
from limin.rendering.html_elements import escape_text, render_facts, render_warnings
from limin.rendering.html_messages import render_messages
from limin.rendering.html_tints import tint_rules
from limin.rendering.html_tokens import render_summary, render_tokens
from limin.rendering.summaries import summary_facts
from limin.rendering.tool_runs import count_failures, seconds_asking, seconds_in_tools
from limin.values.completion import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.completion import TextCompletion
    from limin.values.decisions import Decision
    from limin.values.display import Palette
    from limin.values.log_probs import LogProbs
    from limin.values.messages import Message
    from limin.values.summary import Summary
    from limin.values.tool_runs import ToolRun


def fragment(body: str, *, palette: Palette = "red-green") -> str:
    """Return *body* after its stylesheet, for a notebook that shows other things too.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    return f"<style>{_stylesheet(palette)}</style>{body}"


PAGE_END = "\n</main>\n</body>\n</html>\n"


def page(
    body: str, *, title: str, palette: Palette = "red-green", images: bool = False
) -> str:
    """Return *body* as a complete page; see `page_start`.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    return page_start(title=title, palette=palette, images=images) + body + PAGE_END


def page_start(*, title: str, palette: Palette = "red-green", images: bool = False) -> str:
    """Return the page before its body; its policy allows its stylesheet only.

    With *images* it allows pictures that the page itself holds, too.

    Raises:
        ConfigurationError: If there is no such palette.
    """
    style = _stylesheet(palette)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}';"
        f"{' img-src data:;' if images else ''}"
        " base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape_text(title)}</title>\n<style>{style}</style>\n</head>\n"
        '<body class="limin-page">\n<main>\n'
    )


def conversation(messages: Iterable[Message], *, images: bool = False) -> str:
    """Return each message under the name of its role."""
    return (
        '<article class="limin" aria-label="Conversation">'
        f"{render_messages(messages, images=images)}</article>"
    )


def tool_run(run: ToolRun[object], *, images: bool = False) -> str:
    """Return the conversation of *run*, failures marked, and the facts about it."""
    messages = run.conversation.messages
    return (
        '<article class="limin" aria-label="Run with tools">'
        f"{render_messages(messages, images=images, results=run.calls)}"
        f"{_render_run_facts(run)}</article>"
    )


def log_probs(tokens: LogProbs) -> str:
    """Return the text of *tokens* under their summary."""
    return (
        '<article class="limin" aria-label="Log probabilities">'
        f"{render_summary(tokens)}{render_tokens(tokens, tokens.pieces())}</article>"
    )


def decision(decision: Decision[object]) -> str:
    """Return the labels of *decision* with their bounds, and the facts about it."""
    return (
        '<article class="limin" aria-label="Decision">'
        f"{render_decision(decision)}</article>"
    )


def summary(value: Summary) -> str:
    """Return the facts of *value*."""
    facts = render_facts(summary_facts(value))
    return f'<article class="limin" aria-label="Summary">{facts}</article>'


def completion(completion: TextCompletion[object], *, images: bool = False) -> str:
    """Return the question, the answers, the warnings and the facts of *completion*."""
    several, schema = len(completion.choices) > 1, schema_of(completion)
    choices = "".join(
        render_choice(
            choice, f"Answer {number}" if several else "Answer", schema, several=several
        )
        for number, choice in enumerate(completion.choices, start=1)
    )
    return (
        '<article class="limin" aria-label="Completion">'
        f"{render_question(completion.conversation.messages, images=images)}{choices}"
        f"{render_warnings(completion.warnings)}{render_footer(completion)}</article>"
    )


def _render_run_facts(run: ToolRun[object]) -> str:
    n_failed, usage = count_failures(run), run.usage
    facts = [("Requests", f"{len(run.completions):,}"), ("Calls", f"{len(run.calls):,}")]
    if n_failed:
        facts.append(("Failed calls", f"{n_failed:,}"))
    facts += [] if usage is None else token_counts(usage)
    facts.append(("Asking", f"{seconds_asking(run):.2f} s"))
    if run.calls:
        facts.append(("In tools", f"{seconds_in_tools(run):.2f} s"))
    facts.append(("Ended by", run.ended_by))
    return f"<footer>{render_facts(facts)}</footer>"


@functools.cache
def _stylesheet(palette: Palette) -> str:
    directory = importlib.resources.files("limin.rendering")
    style = directory.joinpath("style.css").read_text(encoding="utf-8")
    return f"{style}{tint_rules(palette)}\n"
