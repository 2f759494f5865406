"""How many alternatives a server tells for each token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limin.errors import BadRequestError

# A refusal of the number of alternatives, as servers put it: vLLM's "top_logprobs ...
# greater than max allowed: 20", OpenAI's "Invalid 'top_logprobs' ... <= 20".
_ABOUT_ALTERNATIVES = re.compile(r"log_?probs?", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d{1,7}(?![\w.]*\d)")


class Alternatives:
    """The number of alternatives that a server tells, as it has been learnt.

    Attributes:
        most: The largest number that the server takes; None if it is not known.
    """

    def __init__(self) -> None:
        """Start without knowledge."""
        self.most: int | None = None

    def learn(self, error: BadRequestError, asked: int) -> bool:
        """Return whether *error* names a number below *asked*, and keep it."""
        reason = error.reason
        if not _ABOUT_ALTERNATIVES.search(reason):
            return False
        numbers = [int(number) for number in _NUMBER.findall(reason)]
        most = max((number for number in numbers if 0 < number < asked), default=None)
        if most is None:
            return False
        self.most = most if self.most is None else min(self.most, most)
        return True
