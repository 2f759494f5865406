"""What was odd about an answer that could be used all the same."""

from __future__ import annotations

import enum

import attrs


class WarningCode(enum.StrEnum):
    """The stable names of what can be odd about an answer."""

    LOG_PROBS_MISSING = "log-probs-missing"
    """Log probabilities were asked for, and none came."""

    BODY_MENDED = "body-mended"
    """A field was not of the standard shape, and was read all the same."""


@attrs.frozen
class ResponseWarning:
    """One oddity of an answer.

    Attributes:
        code: Its stable name.
        path: JSON path of the oddity in the body, `$.choices[0].message`, say.
        problem: One sentence.
    """

    code: WarningCode
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.problem} (at `{self.path}`, {self.code})"
