"""Conversations to any OpenAI-compatible endpoint, and typed completions back."""

from limin.client import Client
from limin.completion import Choice, TextCompletion, Timing, Usage
from limin.conversation import Conversation, Message, Role
from limin.diagnostics import ResponseWarning, WarningCode
from limin.endpoint import Limits
from limin.errors import (
    AuthenticationError,
    BadRequestError,
    BatchError,
    ConfigurationError,
    ConnectError,
    ContentFilterError,
    ContextLengthError,
    ConversationError,
    LiminError,
    NotFoundError,
    NotSentError,
    PermissionDeniedError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ResponseTooLargeError,
    ServerError,
    StatusError,
    TransportError,
)
from limin.functions import (
    FunctionOptions,
    generate_text_completion,
    generate_text_completion_for_conversation,
    generate_text_completions,
    generate_text_completions_for_conversations,
)
from limin.logprobs import LogProbs, TokenLogProb
from limin.parameters import CompletionOptions, ModelConfiguration

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "BatchError",
    "Choice",
    "Client",
    "CompletionOptions",
    "ConfigurationError",
    "ConnectError",
    "ContentFilterError",
    "ContextLengthError",
    "Conversation",
    "ConversationError",
    "FunctionOptions",
    "LiminError",
    "Limits",
    "LogProbs",
    "Message",
    "ModelConfiguration",
    "NotFoundError",
    "NotSentError",
    "PermissionDeniedError",
    "ProtocolError",
    "QuotaError",
    "RateLimitError",
    "RequestTimeoutError",
    "ResponseError",
    "ResponseTooLargeError",
    "ResponseWarning",
    "Role",
    "ServerError",
    "StatusError",
    "TextCompletion",
    "Timing",
    "TokenLogProb",
    "TransportError",
    "Usage",
    "WarningCode",
    "generate_text_completion",
    "generate_text_completion_for_conversation",
    "generate_text_completions",
    "generate_text_completions_for_conversations",
]
