"""Every exception that limin raises on purpose, and their tree.

Fields say what happened; `str` says it in one sentence, in which nothing acts on
the screen. No message and no repr holds a key or a prompt, unless it is shorter than
8 characters: what a server wrote is cleaned of both before it comes here. The fields
`body`, `partial`, `results` and `completion` may hold prompts.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs

from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from limin.values.completion import TextCompletion
    from limin.values.timing import Attempt
    from limin.values.warnings import ResponseWarning


class LiminError(Exception):
    """The root of all that limin raises on purpose.

    Attributes:
        attempts: The requests that were sent before it was raised, each with its
            own error; none if nothing was sent.
    """

    attempts: tuple[Attempt, ...] = ()

    def __str__(self) -> str:
        return escape_controls(super().__str__())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What `rich.print` shows: its kind, its sentence, and its attempts."""
        from limin.rendering import failures  # noqa: PLC0415 (rich loads when asked)

        yield failures.failure(self)


@attrs.define(slots=False)
class ConfigurationError(LiminError, ValueError):
    """An argument, or the environment, does not make sense.

    Raised before anything is sent.

    Attributes:
        problem: What was expected, what was found, and where.
    """

    problem: str

    def __str__(self) -> str:
        return escape_controls(self.problem)


@attrs.define(slots=False)
class ConversationError(LiminError, ValueError):
    """A conversation that no server would take.

    Raised before anything is sent.

    Attributes:
        problem: What was expected, what was found, and at which message.
    """

    problem: str

    def __str__(self) -> str:
        return escape_controls(self.problem)


@attrs.define(slots=False)
class TransportError(LiminError):
    """No complete HTTP answer came.

    Attributes:
        reason: What happened, as the network told it.
    """

    reason: str

    def __str__(self) -> str:
        return escape_controls(self.reason)


class ConnectError(TransportError):
    """No connection to the server could be made."""


class CertificateError(ConnectError):
    """The server's certificate is not to be trusted, or is another server's."""


class ProtocolError(TransportError):
    """The server's bytes are not HTTP, or stopped in the middle."""


@attrs.define(slots=False)
class ResponseTooLargeError(ProtocolError):
    """The server sent more than `Limits` allow.

    Attributes:
        limit: The limit, in bytes or headers.
    """

    limit: int = 0


@attrs.define(slots=False)
class RequestTimeoutError(TransportError):
    """The deadline of the completion, or a limit of the connection, passed.

    Attributes:
        timeout: The limit that passed, in seconds; None if it is not known.
    """

    timeout: float | None = None


@attrs.define(slots=False)
class StatusError(LiminError):
    """The server refused: a 3xx, 4xx or 5xx status, or an error body.

    Attributes:
        status: HTTP status code; a 2xx if the error came in the body of a success.
        reason: The server's own words, at most 200 characters.
        request_id: The server's name for the exchange (`x-request-id`).
        code: `error.code` of the body, as text.
        error_type: `error.type` of the body.
        param: `error.param` of the body.
        body: The body as it came; it may quote the prompt.
        retry_after: Seconds that the server asks to wait; None if it did not say.
        should_retry: What `x-should-retry` says; None if it did not say.
    """

    status: int
    reason: str
    request_id: str | None = None
    code: str | None = None
    error_type: str | None = None
    param: str | None = None
    body: bytes = attrs.field(default=b"", repr=False)
    retry_after: float | None = None
    should_retry: bool | None = None

    def __str__(self) -> str:
        words = f"the server answered {self.status}"
        if self.reason:
            words += f": {self.reason}"
        if self.retry_after is not None:
            words += f" (asks to wait {self.retry_after:g} seconds)"
        return escape_controls(words + _request_id_note(self.request_id))

    @property
    def effective_status(self) -> int:
        """The status that the error body tells, where HTTP told of a success."""
        told = self.code or ""
        is_status = len(told) == 3 and told.isdecimal() and told[0] in "45"  # noqa: PLR2004
        return int(told) if is_status and self.status < 300 else self.status  # noqa: PLR2004


class BadRequestError(StatusError):
    """The request is wrong (400, 413, 422, ...); of these only 408 and 409 are retried."""


class ContextLengthError(BadRequestError):
    """Prompt and answer do not fit into the model's context."""


class ContentFilterError(BadRequestError):
    """The provider's filter refused the prompt."""


class AuthenticationError(StatusError):
    """The key is missing or wrong (401)."""


class PermissionDeniedError(StatusError):
    """The key may not do this (403)."""


class NotFoundError(StatusError):
    """No such model, or no such path (404)."""


class RateLimitError(StatusError):
    """Too many requests or tokens for now (429)."""


class QuotaError(RateLimitError):
    """The account's quota is used up: a 429 that waiting does not cure."""


class ServerError(StatusError):
    """The server failed (5xx)."""


@attrs.define(slots=False)
class ResponseError(LiminError):
    """A success status, but not an answer that can be used.

    Attributes:
        problem: What was expected and not found.
        path: JSON path of what was missing; `$` for the body itself.
        reason: The start of the body, at most 200 characters.
        status: HTTP status code.
        request_id: The server's name for the exchange (`x-request-id`).
        body: The body as it came; it may quote the prompt.
    """

    problem: str
    path: str = "$"
    reason: str = ""
    status: int = 200
    request_id: str | None = None
    body: bytes = attrs.field(default=b"", repr=False)

    def __str__(self) -> str:
        words = f"{self.problem} at `{self.path}` of the server's answer"
        if self.reason:
            words += f", which begins: {self.reason}"
        return escape_controls(words + _request_id_note(self.request_id))


@attrs.define(slots=False)
class AnswerWarningError(LiminError):
    """Something was odd about an answer, and `on_warning="raise"` was asked for.

    Attributes:
        warnings: What was odd; at least one.
        completion: The answer, which could be used all the same.
    """

    warnings: tuple[ResponseWarning, ...]
    completion: TextCompletion = attrs.field(repr=False)

    def __str__(self) -> str:
        first, *more = self.warnings
        return f"{first}, and {len(more)} more" if more else str(first)


@attrs.define(slots=False)
class StreamError(LiminError):
    """A stream ended, or broke, or turned to garbage, before its answer was whole.

    Attributes:
        reason: What happened.
        partial: The answer so far; its one choice is empty if nothing of it came.
        cause: The error that broke it, which `__cause__` is too: a
            `TransportError`, a `StatusError` that the server told in mid-stream, or
            a `ResponseError` at what is no chunk; None if the stream just ended,
            without a finish reason.
    """

    reason: str
    partial: TextCompletion = attrs.field(repr=False)
    cause: LiminError | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return escape_controls(f"the stream broke off: {self.reason}")


@attrs.define(slots=False)
class NotSentError(LiminError):
    """The batch stopped before this prompt's turn came.

    Attributes:
        reason: Why the batch stopped.
    """

    reason: str

    def __str__(self) -> str:
        return escape_controls(f"not sent: {self.reason}")


@attrs.define(slots=False)
class CheckpointError(LiminError):
    """A checkpoint that cannot be read, or not be written to; it is left as it was.

    Attributes:
        problem: What was expected and what was found, or what the system says.
        path: The file.
    """

    problem: str
    path: str

    def __str__(self) -> str:
        return escape_controls(f"checkpoint {self.path}: {self.problem}")


@attrs.define(slots=False)
class BatchError(LiminError):
    """Some items of a batch failed; the results of the others are here too.

    Attributes:
        results: One for each item, in the items' order: the completion, or the
            error in its place. After `run_parallel` a value of the user's function
            or the exception that it raised, of any class, which type checkers do
            not know; with `on_error="return"` they do.
        stopped_by: The error that would have failed every item, and so stopped the
            batch early; None if the batch ran to its end.
        noun: The word for an item: `prompt`, or `item` after `run_parallel`.
    """

    results: Sequence[TextCompletion | LiminError] = attrs.field(repr=False)
    stopped_by: LiminError | None = None
    noun: str = attrs.field(default="prompt", repr=False)

    @property
    def errors(self) -> dict[int, LiminError]:
        """Only the errors, by the index of their item, from 0."""
        # Any exception may be among them, after `run_parallel`.
        return {
            index: result
            for index, result in enumerate(self.results)
            if isinstance(result, Exception)
        }

    def __str__(self) -> str:
        errors = self.errors
        groups = Counter(type(error).__name__ for error in errors.values())
        counted = ", ".join(f"{name} {n}" for name, n in groups.most_common())
        message = f"{len(errors)} of {len(self.results)} {self.noun}s failed"
        message += f" ({counted})" if errors else ""
        if isinstance(self.stopped_by, CheckpointError):
            message += f"; stopped early: {self.stopped_by}"
        elif self.stopped_by is not None:
            message += "; stopped early, since it would strike every "
            message += f"{self.noun}: {self.stopped_by}"
        elif errors:
            index, error = next(iter(errors.items()))
            message += f"; the first, {self.noun} {index}: {_describe(error)}"
        return escape_controls(message)


def _describe(error: Exception) -> str:
    """Return the sentence of *error* if it is limin's, or else the name of its class.

    The sentence of any other exception may hold a prompt or a key.
    """
    return str(error) if isinstance(error, LiminError) else type(error).__name__


def _request_id_note(request_id: str | None) -> str:
    return "" if request_id is None else f" (request {request_id})"
