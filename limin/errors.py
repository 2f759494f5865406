"""Every exception that limin raises on purpose, and their tree.

Fields say what happened; `str` says it in one sentence, without control characters.
No message and no repr holds a key or a prompt of 8 characters or more: text of a server
is cleaned of both before it comes here. The fields `body`, `partial`, `results`,
`completion` and `conversation` may hold prompts.

The tree::

    LiminError
        ConfigurationError              a wrong argument; also a ValueError
        ConversationError               a wrong conversation; also a ValueError
        TransportError                  no complete HTTP response
            ConnectError                no connection
                CertificateError        a certificate that is not trusted
            ProtocolError               bytes that are not HTTP
                ResponseTooLargeError   more than Limits allow
            RequestTimeoutError         a limit of time passed
        StatusError                     the server refused
            BadRequestError             400, 413, 422, ...; 500 for a wrong request
                ContextLengthError      the prompt is too long
                ContentFilterError      the prompt is refused
            AuthenticationError         401
            PermissionDeniedError       403
            NotFoundError               404
            RateLimitError              429, or a limit in words
                QuotaError              a used-up balance, whatever the status
            ServerError                 5xx
        ResponseError                   a success that is no usable completion
        AnswerWarningError              an odd answer, with on_warning="raise"
        JSONTextError                   a text that should be JSON; also a ValueError
        LogProbsMissingError            an answer without log probabilities
        StructuredOutputError           an answer that is no JSON of its type
        StreamError                     a stream that broke off
        NotSentError                    a prompt of a batch that stopped early
        TokenBudgetError                a batch whose tokens are used up
        CheckpointError                 a checkpoint that cannot be used
        ToolCallError                   a model's call that no tool can take
        ToolRunError                    a run that another exception ended
        UnexpectedError                 any other exception, which is a bug
        BatchError                      some prompts of a batch failed
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from limin.values.display import Displayed
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.decisions import Decision
    from limin.values.timing import Attempt
    from limin.values.tool_runs import ToolRun
    from limin.values.warnings import ResponseWarning


# Why an answer is no instance of its type.
MisfitReason: TypeAlias = Literal["truncated", "refused", "filtered", "not-json", "invalid"]


class LiminError(Exception, Displayed):
    """The root of every error that limin raises on purpose.

    Attributes:
        attempts: The requests that were sent before the error was raised, each with
            its own error; empty if nothing was sent.
        asked: Method and URL of the request that failed, without the query of the URL,
            and for a 401 whether a key was sent and where it came from; at the end of
            the message, too. None if it is no error of a request.
        tool_run: What a run with tools came to before the error; None if it is no error
            of one.
        conversation: What was asked, with its metadata, as the function or the item of
            the batch had it; None if the error is no answer to a conversation. Its repr
            tells lengths alone.
    """

    attempts: tuple[Attempt, ...] = ()
    asked: str | None = None
    tool_run: ToolRun[object] | None = None
    conversation: Conversation | None = None

    def __str__(self) -> str:
        return escape_controls(super().__str__())

    def _sentence(self, text: str) -> str:
        """Return *text*, and the request that failed if there is one."""
        return escape_controls(f"{text}; asked: {self.asked}" if self.asked else text)


@attrs.define(slots=False)
class ConfigurationError(LiminError, ValueError):
    """A wrong argument, or a wrong variable of the environment.

    Raised before anything is sent.

    Attributes:
        problem: Name, expectation and value, in one sentence.
    """

    problem: str

    def __str__(self) -> str:
        return escape_controls(self.problem)


@attrs.define(slots=False)
class ConversationError(LiminError, ValueError):
    """A conversation that no server would accept.

    Raised before anything is sent.

    Attributes:
        problem: Index of the message, expectation and value, in one sentence.
    """

    problem: str

    def __str__(self) -> str:
        return escape_controls(self.problem)


@attrs.define(slots=False)
class TransportError(LiminError):
    """No complete HTTP response arrived.

    Attributes:
        reason: The failure, as the network reported it.
        died_idle: Whether a kept connection had died, as it broke before the first byte
            of the response. Such a request is retried at once.
        is_permanent: Whether the same request would fail in the same way, as if the
            server does not speak HTTP. Such a request is not retried.
    """

    reason: str
    died_idle: bool = attrs.field(default=False, init=False, repr=False)
    is_permanent: bool = attrs.field(default=False, init=False, repr=False)

    def __str__(self) -> str:
        return self._sentence(self.reason)


class ConnectError(TransportError):
    """No connection to the server could be made."""


class CertificateError(ConnectError):
    """The server's certificate is not trusted, or belongs to another server."""


class ProtocolError(TransportError):
    """The server's bytes are not HTTP, or end in the middle of a response."""


@attrs.define(slots=False)
class ResponseTooLargeError(ProtocolError):
    """The server sent more than `Limits` allow.

    Attributes:
        limit: The limit, in bytes or headers.
    """

    limit: int = 0


@attrs.define(slots=False)
class RequestTimeoutError(TransportError):
    """The deadline of the completion, or a time limit of the connection, passed.

    Attributes:
        timeout: The limit that passed, in seconds; None if not known.
    """

    timeout: float | None = None


@attrs.define(slots=False)
class StatusError(LiminError):
    """The server answered with an error: a 3xx, 4xx or 5xx status, or an error body.

    Attributes:
        status: HTTP status code; a 2xx if the error came in the body of a success.
        reason: The server's own message, at most 200 characters.
        request_id: Id of the request, as the server assigned it (`x-request-id`).
        code: `error.code` of the body, as text.
        error_type: `error.type` of the body.
        param: `error.param` of the body.
        body: The body of the response, unchanged; it may quote the prompt.
        retry_after: Seconds that the server asks to wait; None if not sent.
        should_retry: Value of the header `x-should-retry`; None if not sent.
        body_status: Status that the error body names, or means; None if it does not.
        strikes_every_prompt: Whether any other prompt would get this error, too; None
            if the class of the error decides.
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
    body_status: int | None = attrs.field(default=None, repr=False)
    strikes_every_prompt: bool | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        text = f"the server answered {self.status}"
        if self.reason:
            text += f": {self.reason}"
        if self.retry_after is not None:
            text += f" (asks to wait {self.retry_after:g} seconds)"
        return self._sentence(text + _request_id_note(self.request_id))

    @property
    def effective_status(self) -> int:
        """The status in the error body if HTTP reported a success, else HTTP's own."""
        if self.status >= 300:  # noqa: PLR2004 (the end of 2xx)
            return self.status
        if self.body_status is not None:
            return self.body_status
        is_status = re.fullmatch("[45][0-9]{2}", self.code or "")
        return int(is_status[0]) if is_status else self.status


class BadRequestError(StatusError):
    """The request is wrong (400, 413, 422, ..., or a 500 whose words say so).

    Only 408 and 409 are retried.
    """


class ContextLengthError(BadRequestError):
    """Prompt and answer together exceed the model's context length."""


class ContentFilterError(BadRequestError):
    """The provider's filter refused the prompt, whatever the 4xx status."""


class AuthenticationError(StatusError):
    """The key is missing or wrong (401, or another status whose words say so)."""


class PermissionDeniedError(StatusError):
    """The key may not do this, or the request is forbidden (403)."""


class NotFoundError(StatusError):
    """No such model, or no such path (404)."""


class RateLimitError(StatusError):
    """Too many requests or tokens for now (429, or another status that says so)."""


class QuotaError(RateLimitError):
    """The account's balance, budget or plan is used up, which waiting does not cure."""


class ServerError(StatusError):
    """The server failed (5xx)."""


@attrs.define(slots=False)
class ResponseError(LiminError):
    """A success status, but no usable completion in the body.

    Attributes:
        problem: The expectation that the body does not meet.
        path: JSON path of the missing or wrong value; `$` for the body itself.
        reason: The start of the body, at most 200 characters.
        status: HTTP status code.
        request_id: Id of the request, as the server assigned it (`x-request-id`).
        body: The body of the response, unchanged; it may quote the prompt.
    """

    problem: str
    path: str = "$"
    reason: str = ""
    status: int = 200
    request_id: str | None = None
    body: bytes = attrs.field(default=b"", repr=False)

    def __str__(self) -> str:
        text = f"{self.problem} at `{self.path}` of the server's answer"
        if self.reason:
            text += f", which begins: {self.reason}"
        return self._sentence(text + _request_id_note(self.request_id))


@attrs.define(slots=False)
class AnswerWarningError(LiminError):
    """A completion has warnings, and `on_warning="raise"` was set.

    Attributes:
        warnings: The warnings, at least one.
        completion: The completion, which is usable all the same.
        decision: The decision that the warnings are about, which is usable, too; None if
            they are about the completion.
    """

    warnings: tuple[ResponseWarning, ...]
    completion: TextCompletion[object] = attrs.field(repr=False)
    decision: Decision[str] | Decision[int] | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        first, *more = self.warnings
        return f"{first}, and {len(more)} more" if more else str(first)


@attrs.define(slots=False)
class JSONTextError(LiminError, ValueError):
    """A text that should be JSON is not, or is nested too deep.

    Attributes:
        problem: The expectation that the text does not meet, and one character of it.
        offset: The place in the text, in characters from 0.
    """

    problem: str
    offset: int

    def __str__(self) -> str:
        return escape_controls(f"{self.problem} at character {self.offset}")


@attrs.define(slots=False)
class LogProbsMissingError(LiminError):
    """An answer came without the log probabilities that a decision is read from.

    Attributes:
        completion: The answer.
    """

    completion: TextCompletion[object] = attrs.field(repr=False)

    def __str__(self) -> str:
        problem = "the server sent no log probabilities"
        return f'{problem}; with fallback="text" the text of the answer decides'


@attrs.define(slots=False)
class StructuredOutputError(LiminError):
    """An answer came, and is no JSON of the `response_type`.

    The `__cause__` is the exception of a validator, if one refused the value. Its text
    may quote the answer.

    Attributes:
        completion: The completion, without a value. Its `earlier` are the answers before
            it, if it was asked for again.
        reason: `truncated`, the length limit cut it off; `refused`, the model refused;
            `filtered`, a filter of the server removed it; `not-json`; or `invalid`, it
            is JSON that does not fit.
        path: JSON path of what does not fit; `$` for the whole answer.
        problem: Expectation and finding, in one sentence.
    """

    completion: TextCompletion[object] = attrs.field(repr=False)
    reason: MisfitReason
    path: str = "$"
    problem: str = ""

    @property
    def earlier(self) -> tuple[TextCompletion[object], ...]:
        """The answers before the last one, which did not fit either."""
        return self.completion.earlier

    def __str__(self) -> str:
        place = f" at `{self.path}`" if self.reason == "invalid" else ""
        return escape_controls(f"{self.reason}: {self.problem}{place}")


@attrs.define(slots=False)
class StreamError(LiminError):
    """A stream ended, broke, or turned into garbage before its answer was complete.

    Attributes:
        reason: Why the stream broke off.
        partial: The answer so far; its only choice is empty if no part of it came.
        cause: The error that broke the stream, also in `__cause__`: a
            `TransportError`, a `StatusError` that the server sent in mid-stream, or
            a `ResponseError` for data that is no chunk; None if the stream just
            ended, without a finish reason.
    """

    reason: str
    partial: TextCompletion[object] = attrs.field(repr=False)
    cause: LiminError | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return self._sentence(f"the stream broke off: {self.reason}")


@attrs.define(slots=False)
class NotSentError(LiminError):
    """The batch stopped before this prompt was sent.

    Attributes:
        reason: Why the batch stopped.
    """

    reason: str

    def __str__(self) -> str:
        return escape_controls(f"not sent: {self.reason}")


@attrs.define(slots=False)
class TokenBudgetError(LiminError):
    """The answers of a batch have used its `max_total_tokens`, so it stopped.

    Attributes:
        limit: The tokens that were allowed.
        used: The tokens that were used, those of requests that were under way as well.
    """

    limit: int
    used: int

    def __str__(self) -> str:
        return f"the answers have used {self.used} of {self.limit} tokens"


@attrs.define(slots=False)
class CheckpointError(LiminError):
    """A checkpoint that cannot be read or cannot be written; it is left unchanged.

    Attributes:
        problem: Expectation and value, or the message of the operating system.
        path: Path of the file.
    """

    problem: str
    path: str

    def __str__(self) -> str:
        return escape_controls(f"checkpoint {self.path}: {self.problem}")


@attrs.define(slots=False)
class ToolCallError(LiminError):
    """A model's call that no tool can take; the model is told.

    Attributes:
        problem: Expectation and value, in one sentence.
        path: JSON path in the arguments; None if the problem is elsewhere.
    """

    problem: str
    path: str | None = None

    def __str__(self) -> str:
        place = "" if self.path is None else f" at `{self.path}`"
        return escape_controls(f"{self.problem}{place}")


@attrs.define(slots=False)
class ToolRunError(LiminError):
    """The `__cause__` of an exception that ended a run with tools, such as a tool's.

    It is never raised by itself. Its `tool_run` is the run so far.

    Attributes:
        kind: Name of the exception's class.
    """

    kind: str

    def __str__(self) -> str:
        return escape_controls(f"a run with tools was ended by {self.kind}")


@attrs.define(slots=False)
class UnexpectedError(LiminError):
    """An exception of any other class, which stands in the place of one prompt.

    It should not happen, and does not affect the other prompts of the batch. The
    exception itself is the `__cause__`; its message may hold a prompt.

    Attributes:
        kind: Name of the exception's class.
    """

    kind: str

    def __str__(self) -> str:
        return escape_controls(f"unexpected {self.kind} while this prompt was asked")


@attrs.define(slots=False)
class BatchError(LiminError):
    """Some items of a batch failed; the results of the others are here too.

    If the iterator of the items raises an exception, that is raised as it is, and a
    `BatchError` with the results so far is its `__cause__`.

    Attributes:
        results: One for each item, in the items' order: the completion, or the
            error in its place. After `run_parallel` a value of the user's function
            or the exception that it raised, of any class, which type checkers do
            not know; with `on_error="return"` they do.
        stopped_by: The error that would have failed every item, and so stopped the
            batch early, or a `TokenBudgetError`; None if the batch ran to its end.
        noun: The word for an item: `prompt`, or `item` after `run_parallel`.
    """

    results: Sequence[TextCompletion[object] | LiminError] = attrs.field(repr=False)
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
        if not self.results and self.stopped_by is None:
            return "the batch broke off"
        groups = Counter(type(error).__name__ for error in errors.values())
        counted = ", ".join(f"{name} {n}" for name, n in groups.most_common())
        message = f"{len(errors)} of {len(self.results)} {self.noun}s failed"
        message += f" ({counted})" if errors else ""
        if isinstance(self.stopped_by, (CheckpointError, TokenBudgetError)):
            message += f"; stopped early: {self.stopped_by}"
        elif self.stopped_by is not None:
            message += "; stopped early, since it would strike every "
            message += f"{self.noun}: {self.stopped_by}"
        elif not errors:
            message += "; the batch broke off"
        else:
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
