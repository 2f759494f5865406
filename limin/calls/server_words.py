"""Words of a server that may be written down where no prompt and no key may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.values.masking import SHORTEST_SECRET

if TYPE_CHECKING:
    from limin.calls.observer import ObservedCall

_LONGEST_WORD = 200


def plain_word(call: ObservedCall, word: str | None) -> str | None:
    """Return *word*, which a server wrote about *call*, if it may be written down.

    None if it is long, or has characters that act, or quotes the key or the prompt, or
    is quoted from them: then it is no name and no id.
    """
    if not word or len(word) > _LONGEST_WORD or not word.isprintable():
        return None
    for secret in (*call.endpoint.secrets(), *call.conversation.texts()):
        if len(secret) >= SHORTEST_SECRET and secret in word:
            return None
        if len(word) >= SHORTEST_SECRET and word in secret:
            return None
    return word
