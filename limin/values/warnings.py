"""What was odd about an answer that could be used all the same."""

from __future__ import annotations

import enum

import attrs

from limin.values.safe_text import escape_controls


class WarningCode(enum.StrEnum):
    """The stable names of what can be odd about an answer."""

    BODY_MENDED = "body-mended"
    """A field was not of the standard shape, and was read, or left out."""

    LOG_PROBS_MISSING = "log-probs-missing"
    """Log probabilities were asked for, and none came."""

    LEGACY_LOG_PROBS = "legacy-log-probs"
    """They came in the shape of OpenAI's old completions API, without bytes and ids."""

    PROBABILITIES_CONVERTED = "probabilities-converted"
    """Probabilities came in their place, after sampling; their logarithms are given."""

    TOKEN_IDS_AS_TEXT = "token-ids-as-text"  # noqa: S105 (no secret)
    """Tokens came as their ids in words; their bytes are not known."""

    LOG_PROB_SENTINEL = "log-prob-sentinel"
    """A number such as -9999 stood for minus infinity, and is read as that."""

    LOG_PROB_UNKNOWN = "log-prob-unknown"
    """A token came without a log probability, or with NaN, and it is None."""

    POSITIVE_LOG_PROB = "positive-log-prob"
    """A value is above 0, so it is no log probability; raw logits, perhaps."""

    PROBABILITIES_EXCEED_ONE = "probabilities-exceed-one"
    """The probabilities of the alternatives at a position add up to more than 1."""

    FEWER_ALTERNATIVES = "fewer-alternatives"
    """A position has fewer alternatives than were asked for."""

    SAMPLED_NOT_LISTED = "sampled-not-listed"
    """The sampled token is not among the alternatives, as happens with a temperature."""

    SAMPLED_LISTED_DIFFERENTLY = "sampled-listed-differently"
    """The sampled token has another log probability among the alternatives."""

    STALE_ALTERNATIVES = "stale-alternatives"
    """A position has the same alternatives, to the digit, as the one before."""

    REPLACEMENT_CHARACTER = "replacement-character"
    """A token came as U+FFFD, without its own bytes, which are None."""

    TEXT_MISMATCH = "text-mismatch"
    """The tokens do not join to the answer."""


@attrs.frozen
class ResponseWarning:
    """One oddity of an answer.

    Attributes:
        code: Its stable name.
        path: JSON path of the first place in the body where it was found,
            `$.choices[0].message`, say.
        problem: What was expected and what was found.
        count: At how many places.
    """

    code: WarningCode
    path: str
    problem: str
    count: int = 1

    def __str__(self) -> str:
        where = f"at `{self.path}`"
        if self.count > 1:
            where += f" and {self.count - 1} more"
        return escape_controls(f"{self.problem} ({where}; {self.code})").replace("\n", " ")


class LiminWarning(UserWarning):
    """The category of Python warnings that `on_warning="warn"` issues."""
