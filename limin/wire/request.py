"""A conversation and a configuration, to the body of a request."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import attrs
import msgspec

from limin.errors import ConfigurationError, ConversationError
from limin.wire import schema
from limin.wire.sampling import Sampling

if TYPE_CHECKING:
    from limin.values.configuration import ModelConfiguration
    from limin.values.conversation import Conversation

# Our names, and the wire's where they differ.
_WIRE_NAMES = {"log_probs": "logprobs", "top_log_probs": "top_logprobs"}
_NOT_SENT = frozenset({"extra_body"})

_SURROGATE = re.compile("[\ud800-\udfff]")

_encoder = msgspec.json.Encoder()


class RequestEncoder(msgspec.Struct, frozen=True):
    """Encodes conversations under one configuration, which it encodes once.

    Attributes:
        head: The body up to the messages.
        asks_log_probs: Whether the requests ask for log probabilities.
        top_log_probs: Number of alternatives that they ask for at each position.
        max_tokens: Most tokens of an answer; None for the server's own limit.
        streams: Whether the requests ask for streams.
        n_choices: Number of choices that each request asks for.
        sampling: How the tokens are to be chosen.
        sent_head: The head that is sent; None if it is the same.
    """

    head: bytes
    asks_log_probs: bool
    top_log_probs: int | None = None
    max_tokens: int | None = None
    streams: bool = False
    n_choices: int = 1
    sampling: Sampling = Sampling()
    sent_head: bytes | None = None

    @classmethod
    def of(cls, configuration: ModelConfiguration) -> RequestEncoder:
        """Return the encoder for *configuration*.

        Raises:
            ConfigurationError: If JSON cannot hold a value in `extra_body`.
        """
        fields = _fields(configuration) | dict(configuration.extra_body or {})
        if fields.get("stream_options", ...) is None:
            del fields["stream_options"]
        head, top = _encode_head(fields), fields.get("top_logprobs")
        asks_log_probs, sent_head = bool(fields.get("logprobs")), None
        if asks_log_probs and type(top) is int and top == 0:
            sent_head = _encode_head(fields | {"top_logprobs": 1})
        most = fields.get("max_completion_tokens", fields.get("max_tokens"))
        return cls(
            head,
            asks_log_probs,
            top if type(top) is int else None,
            most if type(most) is int else None,
            configuration.stream,
            n if type(n := fields.get("n")) is int else 1,
            Sampling.of(fields),
            sent_head,
        )

    def as_sent(self, body: bytes) -> bytes:
        """Return the *body* of a request as it is sent.

        If log probabilities were requested without alternatives, one is asked for: for
        none llama.cpp sends no log probabilities at all. Reading leaves the alternative
        out. The body itself stays, since it is what checkpoints know a request by.
        """
        if self.sent_head is None or not body.startswith(self.head):
            return body
        return self.sent_head + body[len(self.head) :]

    def encode(self, conversation: Conversation) -> bytes:
        """Return the body of the request for an answer to *conversation*.

        Raises:
            ConversationError: If a message holds half of a surrogate pair, which
                UTF-8 cannot carry.
        """
        messages = [
            schema.RequestMessage(message.role, message.content)
            for message in conversation.messages
        ]
        try:
            return b"%b%b}" % (self.head, _encoder.encode(messages))
        except UnicodeEncodeError:
            raise _surrogate_error(conversation) from None


def _encode_head(fields: dict[str, object]) -> bytes:
    """Return the body with *fields*, up to the messages.

    Raises:
        ConfigurationError: If JSON cannot hold a value.
    """
    try:
        # The standard library's writer refuses NaN; msgspec's would send null.
        parameters = json.dumps(fields, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"extra_body: expected values that JSON can hold; {error}"
        raise ConfigurationError(problem) from None
    return f'{parameters[:-1]},"messages":'.encode()


def _fields(configuration: ModelConfiguration) -> dict[str, object]:
    """Return the fields that are set, by the wire's names; False is a default too."""
    fields: dict[str, object] = {
        _WIRE_NAMES.get(name, name): value
        for name, value in attrs.asdict(configuration, recurse=False).items()
        if name not in _NOT_SENT and value is not None and value is not False
    }
    if configuration.stream:
        # Servers count no tokens of a stream without it.
        fields["stream_options"] = {"include_usage": True}
    return fields


def _surrogate_error(conversation: Conversation) -> ConversationError:
    contents = [message.content for message in conversation.messages]
    matches = ((index, _SURROGATE.search(text)) for index, text in enumerate(contents))
    index, match = next((index, match) for index, match in matches if match)
    return ConversationError(
        f"message {index}: expected Unicode text, found half of a surrogate pair "
        f"(U+{ord(match[0]):04X}) at character {match.start()}"
    )
