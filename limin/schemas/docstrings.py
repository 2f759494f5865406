"""A docstring's summary, and what it tells of each parameter, in Google's style.

Source: https://google.github.io/styleguide/pyguide.html, section 3.8.3.
"""

from __future__ import annotations

import inspect
import re

import attrs

_ARGUMENTS = re.compile(r"(?:Args|Arguments|Parameters|Keyword Args):\s*\Z")
_HEADING = re.compile(r"\S.*:\s*\Z")
# `name: text`, `name (type): text`; a type may hold parentheses of its own.
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:(?!:)\s*(.*)")


@attrs.frozen
class Docstring:
    """What a docstring tells a model.

    Attributes:
        summary: The first paragraph, as one line; empty without a docstring.
        arguments: The description of each parameter, as one line.
    """

    summary: str
    arguments: dict[str, str]


def parse_docstring(text: str | None) -> Docstring:
    """Return summary and descriptions in *text*."""
    lines = inspect.cleandoc(text or "").splitlines()
    summary: list[str] = []
    for line in lines:
        if not line.strip() or _ARGUMENTS.match(line):
            break
        summary.append(line.strip())
    return Docstring(" ".join(summary), _arguments(lines))


def _arguments(lines: list[str]) -> dict[str, str]:
    descriptions: dict[str, list[str]] = {}
    entry: list[str] = []
    inside, indent = False, 0
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if line.strip() and not depth:
            inside, indent = _ARGUMENTS.match(line) is not None, 0
        elif line.strip() and inside:
            indent = indent or depth
            start = _ENTRY.match(line.strip()) if depth <= indent else None
            if start is not None:
                entry = descriptions.setdefault(start[1], [])
            entry.append(start[2] if start else line.strip())
    return {name: " ".join(filter(None, lines)) for name, lines in descriptions.items()}
