"""Conversations to any OpenAI-compatible endpoint, and typed completions back."""

from pathlib import Path
from typing import TYPE_CHECKING

from limin.batch.results import Results
from limin.batch.shards import shard
from limin.calls.observer import ObservedCall, Observer
from limin.calls.stream import CompletionStream
from limin.checkpoint.file import read_checkpoint
from limin.client import Client
from limin.errors import (
    AnswerWarningError,
    AuthenticationError,
    BadRequestError,
    BatchError,
    CertificateError,
    CheckpointError,
    ConfigurationError,
    ConnectError,
    ContentFilterError,
    ContextLengthError,
    ConversationError,
    JSONTextError,
    LiminError,
    LogProbsMissingError,
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
    StreamError,
    StructuredOutputError,
    TokenBudgetError,
    ToolCallError,
    ToolRunError,
    TransportError,
    UnexpectedError,
)
from limin.functions.batches import (
    generate_text_completions,
    generate_text_completions_for_conversations,
    iter_text_completions,
)
from limin.functions.clients import (
    ClientOptions,
    FunctionBatchOptions,
    FunctionDecisionOptions,
    FunctionOptions,
    FunctionStreamOptions,
    FunctionToolRunOptions,
)
from limin.functions.conversations import (
    generate_text_completion,
    generate_text_completion_for_conversation,
    run_tools,
    stream_text_completion,
    stream_text_completion_for_conversation,
)
from limin.functions.decisions import generate_decision, generate_decisions
from limin.parallel import run_parallel
from limin.values.choice import Choice, Delta
from limin.values.client_state import ClientState
from limin.values.columns import to_columns
from limin.values.completion import TextCompletion
from limin.values.configuration import ModelConfiguration
from limin.values.content import Audio, File, Image
from limin.values.conversation import Conversation
from limin.values.decisions import Decision
from limin.values.endpoint import Endpoint, Limits
from limin.values.fields import FieldLogProbs
from limin.values.log_probs import LogProbs, PromptLogProbs
from limin.values.messages import Message, Role
from limin.values.options import (
    AskOptions,
    BatchOptions,
    CompletionOptions,
    DecisionOptions,
    StreamOptions,
    ToolRunOptions,
)
from limin.values.summary import Summary
from limin.values.timing import Attempt, Latency, Timing
from limin.values.tokens import TextPiece, TokenLogProb, TokenPosition
from limin.values.tool_runs import ToolResult, ToolRun
from limin.values.tools import Tool, ToolCall, ToolCallDelta
from limin.values.usage import Usage
from limin.values.warnings import LiminWarning, ResponseWarning, WarningCode

if TYPE_CHECKING:
    from limin.schemas.json_schema import JsonSchema
    from limin.transport.async_http import AsyncHTTPTransport
    from limin.values.labels.probs import label_probs

    __version__: str

__all__ = [
    "AnswerWarningError",
    "AskOptions",
    "AsyncHTTPTransport",
    "Attempt",
    "Audio",
    "AuthenticationError",
    "BadRequestError",
    "BatchError",
    "BatchOptions",
    "CertificateError",
    "CheckpointError",
    "Choice",
    "Client",
    "ClientOptions",
    "ClientState",
    "CompletionOptions",
    "CompletionStream",
    "ConfigurationError",
    "ConnectError",
    "ContentFilterError",
    "ContextLengthError",
    "Conversation",
    "ConversationError",
    "Decision",
    "DecisionOptions",
    "Delta",
    "Endpoint",
    "FieldLogProbs",
    "File",
    "FunctionBatchOptions",
    "FunctionDecisionOptions",
    "FunctionOptions",
    "FunctionStreamOptions",
    "FunctionToolRunOptions",
    "Image",
    "JSONTextError",
    "JsonSchema",
    "Latency",
    "LiminError",
    "LiminWarning",
    "Limits",
    "LogProbs",
    "LogProbsMissingError",
    "Message",
    "ModelConfiguration",
    "NotFoundError",
    "NotSentError",
    "ObservedCall",
    "Observer",
    "PermissionDeniedError",
    "PromptLogProbs",
    "ProtocolError",
    "QuotaError",
    "RateLimitError",
    "RequestTimeoutError",
    "ResponseError",
    "ResponseTooLargeError",
    "ResponseWarning",
    "Results",
    "Role",
    "ServerError",
    "StatusError",
    "StreamError",
    "StreamOptions",
    "StructuredOutputError",
    "Summary",
    "TextCompletion",
    "TextPiece",
    "Timing",
    "TokenBudgetError",
    "TokenLogProb",
    "TokenPosition",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallError",
    "ToolResult",
    "ToolRun",
    "ToolRunError",
    "ToolRunOptions",
    "TransportError",
    "UnexpectedError",
    "Usage",
    "WarningCode",
    "generate_decision",
    "generate_decisions",
    "generate_text_completion",
    "generate_text_completion_for_conversation",
    "generate_text_completions",
    "generate_text_completions_for_conversations",
    "iter_text_completions",
    "label_probs",
    "read_checkpoint",
    "run_parallel",
    "run_tools",
    "shard",
    "stream_text_completion",
    "stream_text_completion_for_conversation",
    "to_columns",
]


def __getattr__(name: str) -> object:
    """Return what takes time to load, and many programs do without."""
    if name == "AsyncHTTPTransport":
        from limin.transport.async_http import AsyncHTTPTransport  # noqa: PLC0415 (loads httpx)

        return AsyncHTTPTransport
    if name == "JsonSchema":
        from limin.schemas.json_schema import JsonSchema  # noqa: PLC0415 (ten modules)

        return JsonSchema
    if name == "label_probs":
        from limin.values.labels.probs import label_probs  # noqa: PLC0415 (few decide)

        return label_probs
    if name == "__version__":
        return _find_version(Path(__file__).parent.parent)
    problem = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(problem)


def _find_version(folder: Path) -> str:
    """Return the version of the package that is installed in *folder*, or else anywhere."""
    described = [entry.name for entry in folder.glob("limin-*.dist-info")]
    if len(described) == 1:  # As a wheel is installed: its name tells.
        return described[0].removeprefix("limin-").removesuffix(".dist-info")
    from importlib import metadata  # noqa: PLC0415 (loads email and zipfile)

    try:
        return metadata.version("limin")
    except metadata.PackageNotFoundError:
        return "0+unknown"  # A checkout on the path, and no installed package.
