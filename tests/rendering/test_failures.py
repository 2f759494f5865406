"""Errors on a terminal."""

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


def show_lines(failure: LiminError, width: int = 100) -> list[str]:
    """Return the lines of *error*, as a terminal without colours shows them."""
    text = terminal.to_string(failure, width=width, color=False)
    return [line.rstrip() for line in text.split("\n")]


def test_error_without_a_message() -> None:
    """An error without a message is shown by its kind."""
    assert show_lines(LiminError()) == ["LiminError"]


def test_error_shows_its_attempts() -> None:
    """Each attempt has its error, its duration, and the wait after it."""
    sentence, *attempts = show_lines(error(), 200)
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
    """One attempt is not called attempts."""
    failure = NotSentError("no")
    failure.attempts = error().attempts[2:]
    assert show_lines(failure)[1:] == ["1 attempt:", "1  answered (0.08 s)"]


def test_batch_error_groups_its_errors() -> None:
    """Each kind has number, first prompt and message; the most frequent is first."""
    limit, *rows = show_lines(batch_error(), 200)[1:]
    assert limit == "3\N{MULTIPLICATION SIGN}  RateLimitError, first at prompt 1"
    assert rows[0].startswith("    the server answered 429: Rate limit reached")
    assert rows[1] == "1\N{MULTIPLICATION SIGN}  ServerError, prompt 2"
    assert rows[-1] == "stopped early by ConnectError: connection refused"


def test_batch_error_without_errors() -> None:
    """Without errors there are no rows."""
    assert show_lines(BatchError([completion()])) == ["BatchError: 0 of 1 prompts failed"]


def test_batch_error_that_ran_to_its_end() -> None:
    """A batch that was not stopped says nothing about stopping."""
    assert show_lines(BatchError([ServerError(500, "no")])) == [
        "BatchError: 1 of 1 prompts failed",
        "1\N{MULTIPLICATION SIGN}  ServerError, prompt 0",
        "    the server answered 500: no",
    ]


def test_batch_error_of_items_shows_no_foreign_text() -> None:
    """Exceptions of the user's own function are shown by their class."""
    foreign = LookupError("the secret prompt")
    assert show_lines(BatchError([foreign, "a value", foreign], None, "item")) == [  # type: ignore[list-item] # of run_parallel
        "BatchError: 2 of 3 items failed",
        "2\N{MULTIPLICATION SIGN}  LookupError, first at item 0",
    ]


def test_error_with_a_completion_names_it() -> None:
    """An error names the field and the length of its completion, but does not quote it."""
    first, second, announcement = show_lines(warning_error(), 200)
    assert first.startswith("AnswerWarningError: expected the sampled token")
    assert second.startswith("and expected the sampled token")
    assert announcement == "the answer came all the same: 35 characters, in `completion`"
    single = AnswerWarningError(completion().body_warnings, completion())
    assert len(show_lines(single, 200)) == 2


def test_error_with_a_partial_completion_names_it() -> None:
    """Every error with a `partial` names it, also one of a user's own class."""

    class CutShortError(LiminError):
        partial = completion()

    assert show_lines(CutShortError("cut short")) == [
        "CutShortError: cut short",
        "a part of the answer came: 35 characters, in `partial`",
    ]
