"""How many alternatives a server tells for each token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limin.errors import BadRequestError

# What a refusal of the number of alternatives is about; TGI's word is the second one.
_ABOUT_ALTERNATIVES = re.compile(r"log_?prob|top_n_tokens|alternatives", re.IGNORECASE)

# FastAPI names the field beside its message.
_PLACE = re.compile(rb'"loc"\s*:\s*\[[^\]]{0,99}"top_logprobs"\s*\]')

# The largest number, as servers put it. A number elsewhere in a refusal is a part of the
# name of a model, or what was asked for. Sources:
#   OpenAI, Azure, FastDeploy: Invalid value for 'top_logprobs': must be less than or equal
#       to 5; Invalid 'top_logprobs': integer above maximum value. Expected a value <= 20
#   vLLM: Requested sample logprobs of 21, which is greater than max allowed: 20
#   SGLang, Ollama, LMDeploy, TensorRT-LLM: must be between 0 and 20; in [0, 151936]
#   DeepSeek: the valid range of top_logprobs is [0, 20]
#   pydantic (FastAPI): Input should be less than or equal to 20
#   TGI: `top_n_tokens` must be >= 0 and <= 5. Given: 20
_LIMIT = re.compile(
    r"""
    (?: (?: <= | =< | \u2264 | less\ than\ or\ equal\ to | (?:at|of)\ most | up\ to
          | no(?:t)?\ (?:more|greater|larger|higher)\ than
          | (?:not|cannot|can't)\ exceed | exceeds?
          | between\ -?\d+\ (?:and|to) | from\ -?\d+\ to
          | \brange\b[^0-9]{0,40}[\[(]?\ ?-?\d+\ ?(?:,|to|-|\u2013|and)
          | [\[(]\ ?-?\d+\ ?,
          | \bmax(?:imum)?\b[^0-9]{0,40}?
          | \blimit(?:ed)?\b[^0-9]{0,20}?
        )
        [\s:=`'"]*
      | (?P<below> (?<![<>=])<(?!=)\s* | \b(?:less|smaller|lower)\ than\s+ | \bbelow\s+ )
    )
    (?P<number>\d{1,7})(?![\d.]*\d|\w)
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Alternatives:
    """The number of alternatives that a server tells, as it has been learnt.

    Attributes:
        most: The largest number that the server takes; None if it is not known.
    """

    def __init__(self) -> None:
        """Start without knowledge."""
        self.most: int | None = None

    def fit(self, number: int) -> int:
        """Return *number*, or the most that the server takes; -1 is the vocabulary."""
        if self.most is None:
            return number
        return self.most if number < 0 else min(number, self.most)

    def learn(self, error: BadRequestError, asked: int) -> bool:
        """Return whether *error* names a number below *asked*, and keep it."""
        words = f"{error.reason} {error.param or ''}"
        if not (_ABOUT_ALTERNATIVES.search(words) or _PLACE.search(error.body)):
            return False
        matches = _LIMIT.finditer(error.reason)
        limits = (int(match["number"]) - bool(match["below"]) for match in matches)
        fitting = (limit for limit in limits if limit > 0 and (asked < 0 or limit < asked))
        most = max(fitting, default=None)
        if most is not None:
            self.most = most if self.most is None else min(self.most, most)
        return most is not None
