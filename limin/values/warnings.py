"""Warnings about an answer that is odd, and usable all the same."""

from __future__ import annotations

import enum

import attrs

from limin.values.safe_text import escape_controls


class WarningCode(enum.StrEnum):
    """The stable names of the warnings."""

    BODY_MENDED = "body-mended"
    """A field did not have the standard shape; it was converted, or left out."""

    LOG_PROBS_MISSING = "log-probs-missing"
    """Log probabilities were requested, and none were sent."""

    LEGACY_LOG_PROBS = "legacy-log-probs"
    """Log probabilities had the old shape of OpenAI's API, which lacks bytes and ids."""

    PROBABILITIES_CONVERTED = "probabilities-converted"
    """Probabilities after sampling were sent instead; limin took their logarithms."""

    TOKEN_IDS_AS_TEXT = "token-ids-as-text"  # noqa: S105 (no secret)
    """Tokens were sent as texts of their ids; their bytes are not known."""

    LOG_PROB_SENTINEL = "log-prob-sentinel"
    """A number such as -9999 was read as minus infinity."""

    LOG_PROB_UNKNOWN = "log-prob-unknown"
    """A token had no log probability, or NaN; it is None."""

    POSITIVE_LOG_PROB = "positive-log-prob"
    """A value is above 0, so it is no log probability, but perhaps a raw logit."""

    PROBABILITIES_EXCEED_ONE = "probabilities-exceed-one"
    """The probabilities of the alternatives at a position add up to more than 1."""

    FEWER_ALTERNATIVES = "fewer-alternatives"
    """A position has fewer alternatives than requested."""

    SAMPLED_NOT_LISTED = "sampled-not-listed"
    """The sampled token is not among the alternatives, and must be.

    It must be among them at temperature 0, and if the whole vocabulary was requested.
    Elsewhere sampling makes that possible; see `TokenPosition.is_listed`."""

    CONSTRAINED_BEFORE_MASK = "constrained-before-mask"
    """A grammar constrained the answer, and the log probabilities do not know it.

    They are those of the model before its tokens were restricted to the allowed ones."""

    CONSTRAINED_AFTER_MASK = "constrained-after-mask"
    """A grammar constrained the answer, and the log probabilities are those under it.

    They add up to 1 over the allowed tokens; a forced token has 0, however improbable
    it is to the model."""

    CONSTRAINED_UNKNOWN = "constrained-unknown"
    """A grammar constrained the answer, if the server did not ignore it.

    Nothing shows whether the log probabilities are those before it or after it."""

    SAMPLED_LISTED_DIFFERENTLY = "sampled-listed-differently"
    """The sampled token has another log probability among the alternatives."""

    STALE_ALTERNATIVES = "stale-alternatives"
    """A position has exactly the alternatives of the position before it."""

    REPLACEMENT_CHARACTER = "replacement-character"
    """A token was sent as U+FFFD, and without its bytes, which are None."""

    SERVED_MODEL_CHANGED = "served-model-changed"
    """Another model answered than before in this batch, or in its checkpoint, or than at
    another replica of the client."""

    REPLICA_REFUSED = "replica-refused"
    """A replica refused the request as it would refuse any; another one answered."""

    TEXT_MISMATCH = "text-mismatch"
    """The texts of the tokens do not add up to the answer.

    Tokens behind the answer that end it are no mismatch: servers list them, and do not
    send their text."""

    FENCED_JSON = "fenced-json"
    """The JSON of a typed answer stood in a code fence; it was read all the same."""

    FINISH_REASON_MISSING = "finish-reason-missing"
    """A stream said that it is over, and not why the answer ended."""

    FAILED_FINISH = "failed-finish"
    """The answer ended because something failed, so it may lack its end.

    The server's own word is `raw_finish_reason`."""

    FEWER_CHOICES = "fewer-choices"
    """The server sent fewer choices than requested."""

    REPEATED_DELTAS = "repeated-deltas"
    """The deltas of a stream repeat the text before them, and so does the message."""

    HALF_SURROGATE = "half-surrogate"
    """Half of a surrogate pair, which is no character, was read as U+FFFD."""

    TOKENS_LOST = "tokens-lost"
    """Text was held back while it might become a `stop` text, and its tokens are lost."""

    LABEL_MASS_LOW = "label-mass-low"
    """The labels of a decision have less than half of the probability for sure."""

    LIKELIEST_IS_NO_LABEL = "likeliest-is-no-label"
    """The likeliest token where an answer begins is no label, and begins none."""

    TEXT_DISAGREES = "text-disagrees"
    """The text of an answer is not the likeliest label."""

    DECIDED_BY_TEXT = "decided-by-text"
    """No log probabilities came, so the text of the answer alone decided."""

    ORDERS_DISAGREE = "orders-disagree"
    """Another label is the likeliest in another order of the labels."""
    TOOL_CHOICE_IGNORED = "tool-choice-ignored"
    """A call of a tool was required by `tool_choice`, and none or another one came.
    It is no warning if the answer was refused, filtered or cut off by its length."""


@attrs.frozen
class ResponseWarning:
    """One warning about an answer.

    Attributes:
        code: Its stable name.
        path: JSON path of its first occurrence in the body, such as
            `$.choices[0].message`.
        problem: Expectation and value.
        count: Number of occurrences.
    """

    code: WarningCode
    path: str
    problem: str
    count: int = 1

    def __str__(self) -> str:
        position = f"at `{self.path}`"
        if self.count > 1:
            position += f" and {self.count - 1} more"
        text = f"{self.problem} ({position}; {self.code})"
        return escape_controls(text).replace("\n", " ")


class LiminWarning(UserWarning):
    """The category of Python warnings that `on_warning="warn"` issues."""
