"""How many tokens an answer took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.frozen(kw_only=True)
class Usage:
    """Token counts, as the server sent them; None if not sent.

    Servers count differently. Most count reasoning among the tokens of the completion,
    xAI beside them. llama.cpp counts the tokens of one choice, however many there are.
    Anthropic's own counts of the prompt leave the cached tokens out.

    Source: `usage` and its details, at the top of the body or in a choice.

    Attributes:
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the answer.
        total_tokens: Total of the server, which need not be the sum of both.
        cached_tokens: Tokens of the prompt that were read from a cache.
        reasoning_tokens: Tokens of the reasoning.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    @classmethod
    def sum(cls, usages: Iterable[Usage | None]) -> Usage | None:
        """Return the counts of several answers together.

        A count that one of them lacks is None. None if no count is known.
        """
        rows = [attrs.astuple(usage or cls()) for usage in usages]
        columns = zip(*rows, strict=True)
        total = cls(**dict(zip(attrs.fields_dict(cls), map(_sum, columns), strict=True)))
        return None if total == cls() else total


def _sum(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total
