"""A conversation and a configuration, to the body of a request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import attrs
import msgspec

from limin.errors import ConfigurationError, ConversationError
from limin.values.configuration import ModelConfiguration
from limin.values.content import Audio, File, Image, part_to_openai
from limin.values.openai_messages import joined_text, other_fields
from limin.values.tools import Tool, tool_choice_to_openai
from limin.wire import schema
from limin.wire.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.schemas.json_schema import JsonSchema
    from limin.values.conversation import Conversation
    from limin.values.messages import Content, Message

# Our names, and the wire's where they differ.
WIRE_NAMES = {"log_probs": "logprobs", "top_log_probs": "top_logprobs"}
_NOT_SENT = frozenset({"extra_body", "tools"})
_FLAGS = ("logprobs", "stream")
_NAMED = frozenset(attrs.fields_dict(ModelConfiguration)) - {"extra_body"}

_encoder = msgspec.json.Encoder()


class RequestEncoder(msgspec.Struct, frozen=True):
    """Encodes conversations under one configuration, which it encodes once.

    Attributes:
        head: The body up to the messages.
        asks_log_probs: Whether the requests ask for log probabilities.
        configuration: The fields of the request.
        top_log_probs: Number of alternatives that they ask for at each position.
        max_tokens: Most tokens of an answer; None for the server's own limit.
        streams: Whether the requests ask for streams.
        n_choices: Number of choices that each request asks for.
        sampling: How the tokens are to be chosen.
        sent_head: The head that is sent; None if it is the same.
        offers_tools: Whether the model may call tools.
        response_type: The type of the answer; None for any text.
        filled_in: Names of the fields that the user left to limin, in the request.
    """

    head: bytes
    asks_log_probs: bool
    configuration: ModelConfiguration
    top_log_probs: int | None = None
    max_tokens: int | None = None
    streams: bool = False
    n_choices: int = 1
    sampling: Sampling = Sampling()
    sent_head: bytes | None = None
    offers_tools: bool = False
    response_type: object = None
    filled_in: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        configuration: ModelConfiguration,
        schema: JsonSchema[object] | None = None,
        filled_in: Iterable[str] = (),
    ) -> RequestEncoder:
        """Return the encoder for *configuration*.

        Args:
            configuration: The fields of the request.
            schema: The type of the answer; None for any text.
            filled_in: Names of the fields of *configuration* that the user left to limin.

        Raises:
            ConfigurationError: If JSON cannot hold a value in `extra_body` or in a tool,
                or there is a `response_format` beside a *schema*.
        """
        extra_body = configuration.extra_body or {}
        fields = _fields(configuration) | dict(extra_body)
        if schema is not None:
            if "response_format" in extra_body:
                problem = "response_type: expected no response_format beside it, found one"
                raise ConfigurationError(problem)
            fields["response_format"] = _response_format(schema)
        if fields.get("stream_options", ...) is None:
            del fields["stream_options"]
        try:
            head = _encode_head(fields)
        except (TypeError, ValueError, RecursionError) as error:
            raise _find_wrong_field(configuration, error) from None
        top = fields.get("top_logprobs")
        asks_log_probs, sent_head = bool(fields.get("logprobs")), None
        if asks_log_probs and type(top) is int and top == 0:
            sent_head = _encode_head(fields | {"top_logprobs": 1})
        most = fields.get("max_completion_tokens", fields.get("max_tokens"))
        filled = {WIRE_NAMES.get(name, name) for name in filled_in}
        if configuration.stream:
            filled.add("stream_options")
        return cls(
            head,
            asks_log_probs,
            configuration,
            top if type(top) is int else None,
            most if type(most) is int else None,
            configuration.stream,
            n if type(n := fields.get("n")) is int else 1,
            Sampling.of(fields),
            sent_head,
            bool(fields.get("tools") or fields.get("functions")),
            None if schema is None else schema.type,
            frozenset(filled.difference(extra_body)),
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
                UTF-8 cannot carry, or a value that JSON cannot hold.
        """
        try:
            messages = _encoder.encode(list(map(_as_sent, conversation.messages)))
        except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
            raise _find_error(conversation) from None
        return b"%b%b}" % (self.head, messages)


def wire_name(option: str) -> str | None:
    """Return the name of *option* in the body of a request; None if it has none."""
    return WIRE_NAMES.get(option, option) if option in _NAMED else None


def _response_format(schema: JsonSchema[object]) -> dict[str, object]:
    """Return the field that makes a server answer with JSON of *schema*.

    Source: https://platform.openai.com/docs/guides/structured-outputs
    """
    body: dict[str, object] = {"name": schema.name, "schema": schema.schema}
    if schema.description is not None:
        body["description"] = schema.description
    body["strict"] = schema.is_strict
    return {"type": "json_schema", "json_schema": body}


def _encode_head(fields: dict[str, object]) -> bytes:
    """Return the body with *fields*, up to the messages.

    Raises:
        TypeError, ValueError, RecursionError: If JSON cannot hold a value.
    """
    # The standard library's writer refuses NaN; msgspec's would send null.
    parameters = json.dumps(fields, allow_nan=False, separators=(",", ":"))
    return f'{parameters[:-1]},"messages":'.encode()


def _find_wrong_field(
    configuration: ModelConfiguration, error: Exception
) -> ConfigurationError:
    """Return the error about the option with a value that JSON cannot hold."""
    name = "extra_body"
    for own, value in _fields(configuration).items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            name = own
    return ConfigurationError(f"{name}: expected values that JSON can hold; {error}")


def _fields(configuration: ModelConfiguration) -> dict[str, object]:
    """Return the fields that are set, by the wire's names."""
    fields: dict[str, object] = {
        WIRE_NAMES.get(name, name): value
        for name, value in attrs.asdict(configuration, recurse=False).items()
        if name not in _NOT_SENT and value is not None
    }
    for name in _FLAGS:  # False is the default of servers, too.
        if fields[name] is False:
            del fields[name]
    if configuration.stream:
        # Servers count no tokens of a stream without it.
        fields["stream_options"] = {"include_usage": True}
    if configuration.tools:
        fields["tools"] = [
            tool.to_openai() if isinstance(tool, Tool) else tool
            for tool in configuration.tools
        ]
    if configuration.tool_choice is not None:
        fields["tool_choice"] = tool_choice_to_openai(configuration.tool_choice)
    return fields


def _as_sent(message: Message) -> schema.RequestMessage | dict[str, object]:
    """Return *message* as msgspec encodes it: with JSON in the place of other values.

    Raises:
        TypeError, ValueError, RecursionError: If JSON cannot hold a value.
    """
    if message.is_plain:
        return schema.RequestMessage(message.role, cast("str", message.content))
    fields: dict[str, object] = {"role": message.role}
    if not message.omit_content:
        fields["content"] = _content_as_sent(message.content)
    for name, value in other_fields(message).items():
        fields[name] = _as_json(value)
    return fields


def _content_as_sent(content: Content) -> str | list[msgspec.Raw] | None:
    text = joined_text(content)
    if text is not None or content is None:
        return text
    return [
        msgspec.Raw(part.to_json())
        if isinstance(part, (Image, Audio, File))
        else _as_json(part_to_openai(part))
        for part in content
    ]


def _as_json(value: object) -> msgspec.Raw:
    """Return *value* as JSON; unlike msgspec, it takes integers of any size, and no NaN."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return msgspec.Raw(text.encode())


def _find_error(conversation: Conversation) -> ConversationError:
    """Return the error about the first message that cannot be sent."""
    problems = map(_find_problem, conversation.messages)
    index, problem = next((i, problem) for i, problem in enumerate(problems) if problem)
    return ConversationError(f"message {index}: {problem}")


def _find_problem(message: Message) -> str | None:
    """Return why *message* cannot be sent; None if it can."""
    try:
        _encoder.encode(_as_sent(message))
    except UnicodeEncodeError as error:
        half = f"U+{ord(error.object[error.start]):04X}"
        expectation = "expected Unicode text, found half of a surrogate pair"
        position = f" at character {error.start}" if message.is_plain else ""
        return f"{expectation} ({half}){position}"
    except (TypeError, ValueError, RecursionError):
        return "expected values that JSON can hold, found another one"
    return None
