"""Which errors concern more than one request."""

from __future__ import annotations

import pytest
from builders import body_of, read

from limin import (
    Attempt,
    AuthenticationError,
    BadRequestError,
    ConnectError,
    ContentFilterError,
    ContextLengthError,
    LiminError,
    NotFoundError,
    NotSentError,
    PermissionDeniedError,
    QuotaError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    StatusError,
    StreamError,
)
from limin.policy.failures import had_overload, is_fatal, is_overload, server_error_in


def broken_by(cause: LiminError | None) -> StreamError:
    """A stream that *cause* broke."""
    return StreamError("it broke", read(body_of("4")), cause)


FATAL = [
    AuthenticationError(401, "no such key"),
    PermissionDeniedError(403, "not with this key"),
    NotFoundError(404, "no such model"),
    QuotaError(429, "used up"),
]


@pytest.mark.parametrize("error", FATAL)
def test_what_fails_every_prompt_is_fatal(error: StatusError) -> None:
    """At once, and in the middle of a stream."""
    assert is_fatal(error)
    assert is_fatal(broken_by(error))


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError(400, "too odd"),
        ContextLengthError(400, "too long"),
        ContentFilterError(400, "refused"),
        RateLimitError(429, "slower"),
        ServerError(500, "oops"),
        ConnectError("refused"),
        NotSentError("its turn did not come"),
        broken_by(None),
    ],
)
def test_refusal_of_one_prompt_is_not_fatal(error: LiminError) -> None:
    """It is the result of that prompt, and the others are asked."""
    assert not is_fatal(error)


def test_words_decide_before_the_class() -> None:
    """A 403 that may mean the prompt stops nothing; a wrong model does, as a 500 too."""
    unclear = PermissionDeniedError(403, "blocked", strikes_every_prompt=False)
    wrong_model = BadRequestError(500, "no such model", strikes_every_prompt=True)
    assert not is_fatal(unclear)
    assert not is_fatal(broken_by(unclear))
    assert is_fatal(wrong_model)


OVERLOADS = [
    RateLimitError(403, "too many requests"),
    RateLimitError(429, "slower"),
    ServerError(503, "busy"),
    RateLimitError(200, "in the body of a success", code="429"),
    RequestTimeoutError("too slow"),
]


@pytest.mark.parametrize("error", OVERLOADS)
def test_overload_is_seen_at_every_attempt(error: LiminError) -> None:
    """At the last one, in mid-stream, and at one that was followed by another error."""
    last = ConnectError("refused")
    last.attempts = (Attempt(start_time=0.0, duration=1.0, error=error),)
    assert is_overload(error)
    assert is_overload(broken_by(error))
    assert had_overload(error)
    assert had_overload(last)
    assert not is_overload(last)


@pytest.mark.parametrize(
    "error",
    [
        ServerError(500, "oops"),
        ConnectError("refused"),
        broken_by(None),
        QuotaError(402, "used up"),
    ],
)
def test_other_failures_are_no_overload(error: LiminError) -> None:
    """A server that failed has not said that it has too much to do."""
    error.attempts = (Attempt(start_time=0.0, duration=1.0),)
    assert not had_overload(error)


def test_server_error_is_found_in_a_stream() -> None:
    """The server may send it at once, or after it has said that all is well."""
    error = ServerError(500, "oops")
    assert server_error_in(error) is server_error_in(broken_by(error)) is error
    assert server_error_in(ConnectError("refused")) is None
    assert server_error_in(broken_by(ConnectError("reset"))) is None
