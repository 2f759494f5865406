"""When to retry a failed request, and how long to wait first.

Decisions only: the caller sleeps, and brings the random number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from limin.errors import (
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ContentFilterError,
    ContextLengthError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    RateLimitError,
    RequestTimeoutError,
    ResponseTooLargeError,
    StatusError,
    StreamError,
    TransportError,
)
from limin.policy.failures import server_error_in

if TYPE_CHECKING:
    from limin.errors import LiminError

# 408 is a request timeout and 409 a lock timeout in OpenAI's own client; 529
# means overloaded. Any other 4xx fails the same way the next time.
_TRANSIENT = frozenset(
    {
        *(408, 409, 429, 500, 502, 503, 504, 529),
        498,  # Groq: no capacity for flexible requests
        # Cloudflare: the server behind it is down, late, or cannot be reached.
        # https://developers.cloudflare.com/support/troubleshooting/http-status-codes/
        *(520, 521, 522, 523, 524, 525, 526, 527, 530),
        # Timeouts of reading and of connecting at proxies.
        *(598, 599),
    }
)
_TOO_LARGE = 413  # Groq: one request takes more tokens than a minute has.

# Errors that come again the next time, whatever their status.
_PERMANENT = (
    CertificateError,
    ContextLengthError,
    ContentFilterError,
    QuotaError,
    AuthenticationError,
    PermissionDeniedError,
    NotFoundError,
    ResponseTooLargeError,
)
# Wrong requests that may pass all the same.
_TRANSIENT_REQUESTS = frozenset({408, 409})


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often to retry, and how long to wait.

    Backoff is exponential with full jitter:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Attributes:
        attempts: Requests sent at most, the first included; at least 1.
        first_delay: Longest wait before the second attempt, in seconds.
        max_delay: Longest wait before any attempt, in seconds, unless the server
            asks for a longer one.
    """

    attempts: int = 5
    first_delay: float = 0.5
    max_delay: float = 60.0

    def delay(
        self, error: LiminError, *, attempt: int, chance: float, elsewhere: bool = False
    ) -> float | None:
        """Return the seconds to wait before the next attempt; None to give up.

        The wait that the server asks for wins. The caller decides whether there is time
        for it.

        Args:
            error: The error of the last attempt.
            attempt: Its number, from 1.
            chance: A random number in [0, 1).
            elsewhere: Whether another server may take the request, to which the error
                means nothing.
        """
        if attempt >= self.attempts or not (elsewhere or _is_transient(error)):
            return None
        if isinstance(error, TransportError) and error.died_idle:
            return 0.0
        server_error = None if elsewhere else server_error_in(error)
        if server_error is not None and server_error.retry_after is not None:
            return server_error.retry_after
        # 2.0 ** 1024 raises OverflowError; 2.0 ** 64 outgrows any max_delay.
        ceiling = self.first_delay * 2.0 ** min(attempt - 1, 64)
        return chance * min(ceiling, self.max_delay)


def _is_transient(error: LiminError) -> bool:
    """Return whether the same request may succeed the next time."""
    if isinstance(error, StreamError):
        # A server that had begun to answer may answer to the end the next time,
        # however it broke off, even by silence or by garbage.
        server_error = server_error_in(error)
        if server_error is None:
            return not isinstance(error.cause, _PERMANENT)
        error = server_error
    if isinstance(error, StatusError) and error.should_retry is not None:
        return error.should_retry
    if isinstance(error, _PERMANENT):
        return False
    if isinstance(error, StatusError):
        return _is_transient_status(error)
    if isinstance(error, RequestTimeoutError):
        # Our own deadline is the end; a limit of the user's HTTP client is not.
        return error.timeout is None
    return isinstance(error, TransportError) and not error.is_permanent


def _is_transient_status(error: StatusError) -> bool:
    status = error.effective_status
    if isinstance(error, RateLimitError):
        return status != _TOO_LARGE
    if isinstance(error, BadRequestError):
        return status in _TRANSIENT_REQUESTS
    return status in _TRANSIENT
