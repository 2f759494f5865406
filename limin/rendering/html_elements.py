"""Elements that all pages share: lists of facts, headings and text."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.values.warnings import ResponseWarning


def render_facts(facts: Iterable[tuple[str, str]]) -> str:
    """Return a list of names and values; only the values are escaped."""
    items = "".join(
        f"<div><dt>{name}</dt><dd>{escape_text(value)}</dd></div>" for name, value in facts
    )
    return f"<dl>{items}</dl>"


def render_label(text: str, *, level: int = 2) -> str:
    """Return a heading for screen readers; *text* is limin's own, and not escaped.

    A notebook's table of contents does not list it, since it is a `<p>`.
    """
    return f'<p class="limin-label" role="heading" aria-level="{level}">{text}</p>'


def render_prose(text: str) -> str:
    """Return text by a person or a model, in any language and direction."""
    return f'<div class="limin-text" lang="" dir="auto">{escape_text(text)}</div>'


def render_warnings(warnings: Iterable[ResponseWarning]) -> str:
    """Return a list of *warnings*; nothing if there are none."""
    items = "".join(f"<li>{escape_text(str(warning))}</li>" for warning in warnings)
    if not items:
        return ""
    return (
        '<section class="limin-warnings" aria-label="Warnings">'
        f"{render_label('Warnings')}<ul>{items}</ul></section>"
    )


def escape_text(text: str) -> str:
    """Return *text* without markup and without active control characters."""
    return html.escape(escape_controls(text))
