"""When a failed request is retried: tables, and properties of every input."""

import math

import pytest
from builders import body_of, read
from hypothesis import example, given
from hypothesis import strategies as st

from limin import (
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ConnectError,
    ContentFilterError,
    ContextLengthError,
    ConversationError,
    LiminError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ResponseTooLargeError,
    ServerError,
    StatusError,
    StreamError,
    TransportError,
)
from limin.policy.retry import RetryPolicy


def permanent(error: TransportError) -> TransportError:
    """Return *error*, which the same request would meet again."""
    error.is_permanent = True
    return error


def broken_by(cause: LiminError | None) -> StreamError:
    """Return the error of a stream that *cause* broke."""
    return StreamError("it broke", read(body_of("4")), cause)


AGAIN = [
    ConnectError("refused"),
    TransportError("reset"),
    ProtocolError("cut off"),
    RequestTimeoutError("the HTTP client's own limit passed"),
    *(StatusError(status, "later") for status in (408, 409, 429, 500, 502, 503, 504, 529)),
    *(ServerError(status, "later") for status in (*range(520, 528), 530, 598, 599)),
    BadRequestError(408, "later"),
    RateLimitError(403, "too many requests"),
    ServerError(200, "told in a success", body_status=503),
    RateLimitError(200, "told in a success", code="429"),
    ServerError(200, "told in a success", code="502"),
    BadRequestError(400, "but try again", should_retry=True),
    ContextLengthError(400, "but try again", should_retry=True),
    broken_by(None),
    broken_by(ProtocolError("cut off")),
    broken_by(ResponseError("garbage")),
    broken_by(RequestTimeoutError("no data within 60 seconds", 60.0)),
    broken_by(RateLimitError(200, "told in mid-stream", code="429")),
]

NEVER = [
    CertificateError("self-signed"),
    permanent(ProtocolError("no HTTP")),
    permanent(ConnectError("the proxy wants another password")),
    ResponseTooLargeError("a bomb", 5),
    RequestTimeoutError("no complete answer within 5 seconds", 5.0),
    *(StatusError(status, "no") for status in (307, 400, 401, 403, 404, 413, 422, 501)),
    AuthenticationError(401, "no"),
    QuotaError(429, "used up"),
    QuotaError(500, "used up"),
    ContextLengthError(400, "too long"),
    ContentFilterError(429, "refused"),
    BadRequestError(500, "no such tool"),
    AuthenticationError(500, "no such key"),
    RateLimitError(413, "more tokens than a minute has"),
    ServerError(505, "no"),
    ServerError(503, "do not", should_retry=False),
    StatusError(200, "no", code="abc"),
    ResponseError("no choice"),
    ConversationError("no message"),
    broken_by(ContextLengthError(200, "too long", code="400")),
    broken_by(QuotaError(200, "used up", code="429")),
    broken_by(ResponseTooLargeError("a bomb", 5)),
]


@pytest.mark.parametrize("error", AGAIN, ids=repr)
def test_failure_that_may_pass_is_tried_again(error: LiminError) -> None:
    """A transient error may not come again."""
    assert RetryPolicy().delay(error, attempt=1, chance=0.5) == 0.25


@pytest.mark.parametrize("error", NEVER, ids=repr)
def test_failure_that_stays_is_not_tried_again(error: LiminError) -> None:
    """A request that is wrong fails the same way the next time."""
    assert RetryPolicy().delay(error, attempt=1, chance=0.5) is None


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (8, 60.0), (99, 60.0)]
)
def test_patience_doubles_up_to_a_minute(attempt: int, longest: float) -> None:
    """The backoff is exponential with full jitter, from 0 to the longest wait."""
    policy = RetryPolicy(attempts=100)
    error = ConnectError("refused")
    assert policy.delay(error, attempt=attempt, chance=0.0) == 0.0
    assert policy.delay(error, attempt=attempt, chance=0.5) == longest / 2


def test_request_over_a_dead_connection_is_retried_at_once() -> None:
    """The server is well; only the number of attempts is limited."""
    error = ProtocolError("closed without an answer")
    error.died_idle = True
    assert RetryPolicy().delay(error, attempt=4, chance=0.5) == 0.0
    assert RetryPolicy().delay(error, attempt=5, chance=0.5) is None


def test_attempts_come_to_an_end() -> None:
    """By default five requests are sent: the first one and four retries."""
    policy = RetryPolicy()
    delays = [policy.delay(ConnectError("x"), attempt=n, chance=0.5) for n in range(1, 6)]
    assert [delay is None for delay in delays] == [False, False, False, False, True]
    assert RetryPolicy(attempts=1).delay(ConnectError("x"), attempt=1, chance=0.5) is None


def test_wait_that_the_server_asks_for_wins() -> None:
    """The wait of the server wins over chance, however long it is."""
    error = RateLimitError(429, "later", retry_after=333.0)
    assert RetryPolicy().delay(error, attempt=1, chance=0.0) == 333.0
    assert RetryPolicy().delay(broken_by(error), attempt=1, chance=0.0) == 333.0


@given(
    attempt=st.integers(1, 10**9),
    chance=st.floats(0.0, 1.0, exclude_max=True),
    attempts=st.integers(1, 10**9),
)
@example(attempt=10**9, chance=0.999, attempts=10**9 + 1)
def test_delay_is_bounded(attempt: int, chance: float, attempts: int) -> None:
    """A wait is never negative, never beyond the longest, and always a number."""
    policy = RetryPolicy(attempts=attempts)
    delay = policy.delay(ConnectError("x"), attempt=attempt, chance=chance)
    assert (delay is None) == (attempt >= attempts)
    assert delay is None or (0.0 <= delay <= 60.0 and math.isfinite(delay))


def test_another_server_may_take_what_one_refuses() -> None:
    """The error means nothing to it, and neither does the pause in it."""
    refusal = AuthenticationError(401, "no", retry_after=3600.0)
    policy = RetryPolicy(attempts=2)
    assert policy.delay(refusal, attempt=1, chance=0.5, elsewhere=True) == 0.25
    assert policy.delay(refusal, attempt=2, chance=0.5, elsewhere=True) is None
    assert policy.delay(refusal, attempt=1, chance=0.5) is None
