"""Errors as a person reads them."""

from __future__ import annotations

from samples import batch_error, completion, error, warning_error

from limin.errors import (
    AnswerWarningError,
    BatchError,
    LiminError,
    NotSentError,
    ServerError,
)
from limin.rendering import terminal


def shown(failed: LiminError, width: int = 100) -> list[str]:
    """The lines of *failed*, as a terminal without colours gets it."""
    text = terminal.to_string(failed, width=width, color=False)
    return [line.rstrip() for line in text.split("\n")]


def test_error_without_words() -> None:
    """Its kind is all there is."""
    assert shown(LiminError()) == ["LiminError"]


def test_error_tells_its_attempts() -> None:
    """Each with how it failed, how long it took, and how long the wait was."""
    sentence, *attempts = shown(error(), 200)
    assert sentence == (
        "RateLimitError: the server answered 429: Rate limit reached for gpt-4o "
        "(asks to wait 12 seconds) (request req_8a1f)"
    )
    refused = "ConnectError: connection refused by 127.0.0.1:8000"
    assert attempts == [
        "3 attempts:",
        f"1  {refused} (0.21 s, then waited 0.50 s)",
        "2  ServerError: the server answered 503: overloaded (1.40 s, then waited 2.00 s)",
        "3  answered (0.08 s)",
    ]


def test_one_attempt_is_one() -> None:
    """Words agree with their number."""
    failed = NotSentError("no")
    failed.attempts = error().attempts[2:]
    assert shown(failed)[1:] == ["1 attempt:", "1  answered (0.08 s)"]


def test_batch_error_groups_its_errors() -> None:
    """How often each kind struck, the most frequent first, where, and in which words."""
    limit, *more = shown(batch_error(), 200)[1:]
    assert limit == "3\N{MULTIPLICATION SIGN}  RateLimitError, first at prompt 1"
    assert more[0].startswith("    the server answered 429: Rate limit reached")
    assert more[1] == "1\N{MULTIPLICATION SIGN}  ServerError, prompt 2"
    assert more[-1] == "stopped early by ConnectError: connection refused"


def test_batch_error_without_errors() -> None:
    """Nothing is counted where nothing failed."""
    assert shown(BatchError([completion()])) == ["BatchError: 0 of 1 prompts failed"]


def test_batch_error_that_ran_to_its_end() -> None:
    """Nothing stopped it, and nothing is said of that."""
    assert shown(BatchError([ServerError(500, "no")])) == [
        "BatchError: 1 of 1 prompts failed",
        "1\N{MULTIPLICATION SIGN}  ServerError, prompt 0",
        "    the server answered 500: no",
    ]


def test_batch_error_of_items_shows_no_foreign_text() -> None:
    """Exceptions of the user's own function are shown by their class."""
    foreign = LookupError("the secret prompt")
    assert shown(BatchError([foreign, "a value", foreign], None, "item")) == [  # type: ignore[list-item] # of run_parallel
        "BatchError: 2 of 3 items failed",
        "2\N{MULTIPLICATION SIGN}  LookupError, first at item 0",
    ]


def test_error_that_keeps_an_answer_says_so() -> None:
    """Where to find it and how long it is, not what it says."""
    first, second, kept = shown(warning_error(), 200)
    assert first.startswith("AnswerWarningError: expected the sampled token")
    assert second.startswith("and expected the sampled token")
    assert kept == "the answer came all the same: 35 characters, in `completion`"
    alone = AnswerWarningError(completion().body_warnings, completion())
    assert len(shown(alone, 200)) == 2


def test_error_that_keeps_a_part_of_an_answer_says_so() -> None:
    """Whatever error has a `partial` is asked for it."""

    class CutShortError(LiminError):
        partial = completion()

    assert shown(CutShortError("cut short")) == [
        "CutShortError: cut short",
        "a part of the answer came: 35 characters, in `partial`",
    ]
