"""Where the answer begins among the tokens of a completion."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from limin.values.warnings import WarningCode

if TYPE_CHECKING:
    from limin.values.completion import TextCompletion
    from limin.values.log_probs import LogProbs
    from limin.values.tokens import TokenLogProb

_REPLACEMENT = "\ufffd"


def find_answer(completion: TextCompletion[object], log_probs: LogProbs) -> int:
    """Return the index of the token with which the text of *completion* begins.

    It is 0 on most servers. llama.cpp and SGLang list the tokens of the reasoning before
    it, others those of marks that they took off. If the tokens do not spell the text, it
    is the number of tokens: nothing is known of the answer then.
    """
    codes = {warning.code for warning in log_probs.warnings}
    if not completion.reasoning and WarningCode.TEXT_MISMATCH not in codes:
        return 0
    tokens = [_bytes_of(position.sampled) for position in log_probs]
    joined, reasoning = b"".join(tokens), _encoded(completion.reasoning or "")
    # A text that was cut off inside a character ends with a stand-in.
    text = _encoded(completion.message.rstrip(_REPLACEMENT))
    has_room = len(joined) >= len(reasoning) + len(text)
    before = joined.find(reasoning) if reasoning and has_room else -1
    if before < 0 and text and joined.lstrip().startswith(text):
        return 0
    place = joined.rfind(text, max(before, 0) + len(reasoning)) if text else -1
    ends = accumulate(map(len, tokens))
    return sum(end <= place for end in ends) if place >= 0 else len(tokens)


def _encoded(text: str) -> bytes:
    return text.strip().encode("utf-8", "replace")


def _bytes_of(token: TokenLogProb) -> bytes:
    return token.token_bytes or token.token.encode("utf-8", "replace")
