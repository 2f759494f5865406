"""What a scripted endpoint answers, as a test writes it.

These values only hold the script; `responses` makes HTTP of them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import attrs

from limin.errors import ConfigurationError
from limin.testing.script_checks import (
    ScriptedToken,
    check_seconds_of_wait,
    check_text_or_none,
    to_calls,
    to_headers,
    to_pieces,
    to_text,
    to_tokens,
    to_usage,
)
from limin.values.checks import check_integer, check_text, describe_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from limin.testing.requests import Request
    from limin.testing.responses import Response
    from limin.values.headers import PrivateHeaders
    from limin.values.tools import ToolCall

_ERRORS = range(400, 600)


class Reply:
    """What may stand in a script: one of the six classes here."""

    __slots__ = ()


@attrs.frozen
class Answer(Reply):
    """A finished answer, sent whole or as a stream, as the request asks.

    What the request did not ask for is left out: log probabilities, alternatives beyond
    `top_logprobs`, the usage of a stream. With `n` each choice is the same.

    Attributes:
        text: The text; None for an answer without text. A value that is no text, such
            as a mapping or an instance of a class, is sent as its JSON.
        log_probs: The tokens, each as `(token, log_prob, {alternative: log_prob})` with
            natural logarithms. A token that ends inside a character is given as bytes.
            The token itself is added to its alternatives if it is not among them.
            None if the server tells none.
        tool_calls: The tools that the model calls. With them the finish reason "stop"
            is sent as "tool_calls".
        reasoning: The text before the answer; None for none.
        usage: The counts of tokens, sent as they are; None if the server counts none.
        finish_reason: Why the answer ended, in the server's word.
        headers: More headers of the response; no repr shows them.
        delay: Seconds before anything is sent, at least 0.

    Raises:
        ConfigurationError: If a field has another type, or is out of its range.
    """

    text: str | None = attrs.field(converter=to_text)
    log_probs: tuple[ScriptedToken, ...] | None = attrs.field(
        default=None, kw_only=True, converter=to_tokens
    )
    tool_calls: tuple[ToolCall, ...] = attrs.field(
        default=(), kw_only=True, converter=to_calls
    )
    reasoning: str | None = attrs.field(default=None, kw_only=True)
    usage: Mapping[str, object] | None = attrs.field(
        default=None, kw_only=True, converter=to_usage
    )
    finish_reason: str | None = attrs.field(default="stop", kw_only=True)
    headers: PrivateHeaders = attrs.field(default=None, kw_only=True, converter=to_headers)
    delay: float = attrs.field(default=0.0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_text_or_none("reasoning", self.reasoning)
        check_text_or_none("finish_reason", self.finish_reason)
        check_seconds_of_wait("delay", self.delay)


@attrs.frozen
class Refusal(Reply):
    """An error of the server, as OpenAI sends it: `{"error": {"message": ...}}`.

    Attributes:
        status: Status code, 400 to 599.
        message: The error's words; if empty, those of the status.
        code: The error's code, such as "insufficient_quota"; None for none.
        retry_after: Seconds of the header `Retry-After`, at least 0; None for none.
        headers: More headers of the response; no repr shows them.

    Raises:
        ConfigurationError: If a field has another type, or is out of its range.
    """

    status: int
    message: str = ""
    code: str | None = attrs.field(default=None, kw_only=True)
    retry_after: float | None = attrs.field(default=None, kw_only=True)
    headers: PrivateHeaders = attrs.field(default=None, kw_only=True, converter=to_headers)

    def __attrs_post_init__(self) -> None:
        if check_integer("status", self.status, at_least=0) not in _ERRORS:
            problem = f"status: expected 400 to 599, found {self.status}"
            raise ConfigurationError(problem)
        check_text("message", self.message)
        check_text_or_none("code", self.code)
        if self.retry_after is not None:
            check_seconds_of_wait("retry_after", self.retry_after)

    @property
    def words(self) -> str:
        """The message, or else the standard words of the status."""
        is_standard = self.status in HTTPStatus.__members__.values()
        phrase = HTTPStatus(self.status).phrase if is_standard else "Error"
        return self.message or phrase


@attrs.frozen
class Stream(Reply):
    """An answer whose pieces the test chooses, and that may break off.

    Where the request asks for a whole answer, the pieces are joined, after all pauses;
    if it is cut off, its body ends in the middle.

    Attributes:
        pieces: The text of each event.
        cut_after: Number of pieces after which the connection is closed, in the middle
            of the stream; None for a stream that ends as it should.
        pause: Seconds before each piece but the first, at least 0.
        log_probs: The tokens, as those of an `Answer`; each is sent with the piece that
            its text ends in.

    Raises:
        ConfigurationError: If a field has another type, or is out of its range.
    """

    pieces: tuple[str, ...] = attrs.field(converter=to_pieces)
    cut_after: int | None = attrs.field(default=None, kw_only=True)
    pause: float = attrs.field(default=0.0, kw_only=True)
    log_probs: tuple[ScriptedToken, ...] | None = attrs.field(
        default=None, kw_only=True, converter=to_tokens
    )

    def __attrs_post_init__(self) -> None:
        check_seconds_of_wait("pause", self.pause)
        if self.cut_after is None:
            return
        if check_integer("cut_after", self.cut_after, at_least=0) > len(self.pieces):
            expected = f"at most the number of pieces, {len(self.pieces)}"
            problem = f"cut_after: expected {expected}, found {self.cut_after}"
            raise ConfigurationError(problem)


@attrs.frozen
class Silence(Reply):
    """No answer: the connection stays open until the client or the test closes it."""


@attrs.frozen
class Garbage(Reply):
    """Bytes in the place of an HTTP response; then the connection is closed.

    Attributes:
        data: The bytes, sent as they are. None at all are a server that hangs up.

    Raises:
        ConfigurationError: If they are no bytes.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.data, bytes):
            problem = f"data: expected bytes, found {describe_type(self.data)}"
            raise ConfigurationError(problem)


@attrs.frozen(kw_only=True)
class Quirk(Reply):
    """An odd answer that some servers really send; see `QUIRKS`.

    Attributes:
        name: Its name in the catalogue.
        servers: Who sends it.
        description: What is odd about it.
        text: The text of the answer, if it has one; of a call of a tool, the arguments.
        respond: Returns what the server sends in answer to a request, with this text.
    """

    name: str
    servers: str
    description: str
    text: str = "Paris."
    respond: Callable[[Request, str], Response | Garbage] = attrs.field(repr=False)

    def with_text(self, text: object) -> Quirk:
        """Return the same odd answer with another *text*, which may be a value for JSON.

        Raises:
            ConfigurationError: If JSON cannot hold it.
        """
        return attrs.evolve(self, text=check_text("text", to_text(text)))
