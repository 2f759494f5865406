"""Which errors concern more than one request: fatal for a batch, or a sign of overload.

Decisions only: a batch stops or slows down, and the rate limiter pauses.
"""

from __future__ import annotations

from limin.errors import (
    AuthenticationError,
    LiminError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    RateLimitError,
    RequestTimeoutError,
    StatusError,
    StreamError,
)

# Statuses of a server that has too much to do.
OVERLOADED = frozenset({429, 498, 503})

# Each of these fails every prompt of a batch in the same way, unless its words say that
# it may mean one prompt only.
_FATAL = (AuthenticationError, PermissionDeniedError, NotFoundError, QuotaError)


class StopBatch(Exception):  # noqa: N818 (never leaves the batch)
    """Raised by a function that asks: keep its result, and ask nothing more.

    Attributes:
        result: The result, which is not lost.
        error: Why the batch cannot go on.
    """

    def __init__(self, result: object, error: LiminError) -> None:
        """Stop because of *error*, after *result*."""
        super().__init__(result, error)
        self.result, self.error = result, error


def server_error_in(error: LiminError) -> StatusError | None:
    """Return the error that the server itself sent, at once or in mid-stream."""
    cause = error.cause if isinstance(error, StreamError) else error
    return cause if isinstance(cause, StatusError) else None


def is_fatal(error: LiminError) -> bool:
    """Return whether *error* would surely fail every prompt of a batch.

    The words of a response decide, and else the class.
    """
    server_error = server_error_in(error)
    if server_error is None:
        return False
    if server_error.strikes_every_prompt is not None:
        return server_error.strikes_every_prompt
    return isinstance(server_error, _FATAL)


def is_overload(error: LiminError | None) -> bool:
    """Return whether *error* says that the server has too much to do for now."""
    if isinstance(error, StreamError):
        return is_overload(error.cause)
    if isinstance(error, RateLimitError) and not isinstance(error, QuotaError):
        return True  # Whatever the status.
    if isinstance(error, StatusError):
        return error.effective_status in OVERLOADED
    return isinstance(error, RequestTimeoutError)


def had_overload(error: LiminError) -> bool:
    """Return whether *error*, or one of the attempts before it, was an overload."""
    return is_overload(error) or any(
        is_overload(attempt.error) for attempt in error.attempts
    )
