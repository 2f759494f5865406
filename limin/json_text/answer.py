"""Whether an answer is one JSON value, and what stands around it."""

from __future__ import annotations

import re
from typing import NamedTuple

from limin.json_text.scanner import JSONScanner

# What JSON calls white space (RFC 8259, 2).
SPACE = " \t\n\r"

_OPENING_FENCE = re.compile(r"```(?:json)?+", re.IGNORECASE)
_FENCE = "```"


class JSONAnswer(NamedTuple):
    """The text of an answer without what stands around its JSON.

    Attributes:
        text: The text that should be JSON.
        had_space: Whether there was white space outside, which JSON allows.
        had_fence: Whether there was a code fence, which JSON does not allow.
    """

    text: str
    had_space: bool
    had_fence: bool


def strip_answer(text: str) -> JSONAnswer:
    """Return *text* without outer white space and one code fence around it.

    A fence begins with three backticks, and perhaps the word `json`. It need not be
    closed, because the closing one may be the stop text, or have been cut off. Nothing
    else is guessed.
    """
    inner = text.strip(SPACE)
    had_space = len(inner) < len(text)
    fence = _OPENING_FENCE.match(inner)
    if fence is None:
        return JSONAnswer(inner, had_space, had_fence=False)
    rest = inner[fence.end() :]
    without_end = rest.rstrip("`")
    if len(rest) - len(without_end) > len(_FENCE):
        without_end = rest
    return JSONAnswer(without_end.strip(SPACE), had_space, had_fence=True)


def is_closed(text: str) -> bool:
    """Return whether *text* is one closed JSON value, perhaps fenced.

    Only white space may stand behind it: llama.cpp writes blanks to the end of
    `max_tokens` behind a complete value. A number alone is closed by that white space
    only, because without it the next digit may have been cut off.
    """
    scanner = JSONScanner()
    scanner.feed(text)
    return scanner.is_closed
