"""The one-call functions: each opens a client for its call, unless it gets one.

Each does the same as the method of `Client` with its name; its docstring holds only the
differences.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, cast, overload

from limin.batch.results import check_batch
from limin.batch.workers import count_items
from limin.client import Client
from limin.errors import ConfigurationError
from limin.values.checks import describe_type
from limin.values.conversation import as_conversation
from limin.values.option_names import check_option_names
from limin.values.options import (
    BatchOptions,
    CompletionOptions,
    StreamOptions,
    ToolRunOptions,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from limin.batch.results import OnError, Results
    from limin.batch.workers import Parallel, Source
    from limin.calls.stream import CompletionStream
    from limin.errors import LiminError
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.tool_runs import ToolRun
    from limin.values.tools import ToolSource


class ClientOptions(TypedDict, total=False):
    """Where a function asks.

    Attributes:
        client: A client to use and to leave open, with an endpoint of its own. None
            opens one for the call.
        api_key: The key, for calls without a client; see `Client`.
        base_url: The endpoint, for calls without a client; see `Client`.
    """

    client: Client | None
    api_key: str | None
    base_url: str | None


class FunctionStreamOptions(StreamOptions, ClientOptions, total=False):
    """The options of the stream functions; see `StreamOptions` and `ClientOptions`."""


class FunctionOptions(FunctionStreamOptions, CompletionOptions, total=False):
    """The options of the one-call functions; see `FunctionStreamOptions`, too."""


class FunctionBatchOptions(BatchOptions, FunctionOptions, total=False):
    """The options of the batch functions; see `BatchOptions` and `FunctionOptions`."""


class FunctionToolRunOptions(ToolRunOptions, ClientOptions, total=False):
    """The options of `run_tools`; see `ToolRunOptions` and `ClientOptions`."""


_OWN = frozenset({"client", "api_key", "base_url"})

_NAMES = FunctionOptions.__annotations__
_BATCH_NAMES = FunctionBatchOptions.__annotations__
_STREAM_NAMES = FunctionStreamOptions.__annotations__
_TOOL_RUN_NAMES = FunctionToolRunOptions.__annotations__


async def generate_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    **options: Unpack[FunctionOptions],
) -> TextCompletion:
    """Return the completion of one prompt; see `Client.generate_text_completion`.

    Args:
        user_prompt: The user's message.
        system_prompt: The system's message before it; None for none.
        **options: See `FunctionOptions`.

    Raises:
        LiminError: If there is no completion.
    """
    check_option_names(generate_text_completion, options, _NAMES)
    async with _client(options) as (client, rest):
        return await client.generate_text_completion(
            user_prompt, system_prompt=system_prompt, **rest
        )


async def generate_text_completion_for_conversation(
    conversation: Conversation, **options: Unpack[FunctionOptions]
) -> TextCompletion:
    """Return the completion of a conversation.

    See `Client.generate_text_completion_for_conversation`, and `FunctionOptions`.

    Raises:
        LiminError: If there is no completion.
    """
    check_option_names(generate_text_completion_for_conversation, options, _NAMES)
    async with _client(options) as (client, rest):
        return await client.generate_text_completion_for_conversation(conversation, **rest)


@overload
async def generate_text_completions(
    user_prompts: Source[str],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["raise"] = "raise",
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion]: ...


@overload
async def generate_text_completions(
    user_prompts: Source[str],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["return"],
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion | LiminError]: ...


async def generate_text_completions(
    user_prompts: Source[str],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: OnError = "raise",
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion] | list[TextCompletion | LiminError]:
    """Return the completions of many prompts, in the prompts' order, over one client.

    The arguments are those of `Client.generate_text_completions`, and the options those
    of `FunctionBatchOptions`. No prompts need no endpoint and no key.

    Raises:
        BatchError: If any prompt failed; it holds every completion and every error.
        CheckpointError: If the checkpoint cannot be used; nothing was sent.
    """
    check_option_names(generate_text_completions, options, _BATCH_NAMES)
    n_parallel = check_batch(user_prompts, n_parallel, on_error)
    if count_items(user_prompts) == 0:
        return []
    async with _client(options) as (client, rest):
        return await client.generate_text_completions(
            user_prompts,
            n_parallel,
            system_prompt=system_prompt,
            show_progress=show_progress,
            on_error=on_error,
            **rest,
        )


@overload
async def generate_text_completions_for_conversations(
    conversations: Source[Conversation],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: Literal["raise"] = "raise",
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion]: ...


@overload
async def generate_text_completions_for_conversations(
    conversations: Source[Conversation],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: Literal["return"],
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion | LiminError]: ...


async def generate_text_completions_for_conversations(
    conversations: Source[Conversation],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: OnError = "raise",
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion] | list[TextCompletion | LiminError]:
    """Return the completions of many conversations, in their order, over one client.

    The arguments are those of `Client.generate_text_completions_for_conversations`, and
    the options those of `FunctionBatchOptions`.

    Raises:
        BatchError: If any conversation failed; it holds every completion and every
            error.
        CheckpointError: If the checkpoint cannot be used; nothing was sent.
    """
    check_option_names(generate_text_completions_for_conversations, options, _BATCH_NAMES)
    n_parallel = check_batch(conversations, n_parallel, on_error)
    if count_items(conversations) == 0:
        return []
    async with _client(options) as (client, rest):
        return await client.generate_text_completions_for_conversations(
            conversations,
            n_parallel,
            show_progress=show_progress,
            on_error=on_error,
            **rest,
        )


def iter_text_completions(
    prompts_or_conversations: Source[str | Conversation],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    **options: Unpack[FunctionBatchOptions],
) -> Results:
    """Hand over the results of many prompts or conversations as they finish.

    `async with iter_text_completions(...) as results`, and in it
    `async for index, result in results`. The arguments are those of
    `Client.iter_text_completions`, and the options those of `FunctionBatchOptions`.

    Raises:
        ConfigurationError: If an argument makes no sense.
    """
    check_option_names(iter_text_completions, options, _BATCH_NAMES)
    client, is_own, rest = _find_client(options)
    results = client.iter_text_completions(
        prompts_or_conversations, n_parallel, system_prompt=system_prompt, **rest
    )
    return results.closing(client.aclose) if is_own else results


def stream_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    **options: Unpack[FunctionStreamOptions],
) -> CompletionStream:
    """Stream the completion of one prompt.

    `async with stream_text_completion(...) as stream`, and in it
    `async for delta in stream`; then `stream.completion`.

    Args:
        user_prompt: The user's message.
        system_prompt: The system's message before it; None for none.
        **options: See `FunctionStreamOptions`.
    """
    check_option_names(stream_text_completion, options, _STREAM_NAMES)
    conversation = as_conversation(user_prompt, system_prompt)
    return stream_text_completion_for_conversation(conversation, **options)


def stream_text_completion_for_conversation(
    conversation: Conversation, **options: Unpack[FunctionStreamOptions]
) -> CompletionStream:
    """Stream the completion of a conversation; see `stream_text_completion`.

    Args:
        conversation: The messages so far.
        **options: See `FunctionStreamOptions`.
    """
    check_option_names(stream_text_completion_for_conversation, options, _STREAM_NAMES)
    client, is_own, rest = _find_client(options)
    stream = client.stream_text_completion_for_conversation(
        conversation, **cast("StreamOptions", rest)
    )
    return stream.closing(client.aclose) if is_own else stream


async def run_tools(
    conversation_or_prompt: Conversation | str,
    tools: Sequence[ToolSource],
    *,
    system_prompt: str | None = None,
    **options: Unpack[FunctionToolRunOptions],
) -> ToolRun:
    """Let the model call tools until it answers; see `Client.run_tools`.

    Args:
        conversation_or_prompt: The messages so far, or the user's message.
        tools: Functions, or `Tool` objects with a function.
        system_prompt: The system's message before a prompt; None for none.
        **options: See `FunctionToolRunOptions`.

    Raises:
        LiminError: If a request failed. Its `tool_run` is what came before.
        Exception: An exception of a tool, with `on_tool_error="raise"`.
    """
    check_option_names(run_tools, options, _TOOL_RUN_NAMES)
    async with _client(options) as (client, rest):
        return await client.run_tools(
            conversation_or_prompt,
            tools,
            system_prompt=system_prompt,
            **cast("ToolRunOptions", rest),
        )


def _find_client(options: ClientOptions) -> tuple[Client, bool, CompletionOptions]:
    """Return a client, whether it was made for this call, and the options of the call.

    Raises:
        ConfigurationError: If *options* name a client and an endpoint, or something
            else as a client.
    """
    client = options.get("client")
    base_url, api_key = options.get("base_url"), options.get("api_key")
    if client is not None and (base_url is not None or api_key is not None):
        problem = "client: expected no base_url or api_key beside it, found one"
        raise ConfigurationError(problem)
    # A stand-in with the methods of a client is one, too.
    if client is not None and not hasattr(client, "stream_text_completion"):
        problem = f"client: expected a limin.Client or None, found {describe_type(client)}"
        raise ConfigurationError(problem)
    rest = {name: value for name, value in options.items() if name not in _OWN}
    is_own = client is None
    opened = Client(base_url, api_key) if client is None else client
    return opened, is_own, cast("CompletionOptions", rest)


@asynccontextmanager
async def _client(
    options: ClientOptions,
) -> AsyncGenerator[tuple[Client, CompletionOptions]]:
    """Open a client if *options* name none; yield it, and the options of the call."""
    client, is_own, rest = _find_client(options)
    async with client if is_own else nullcontext():
        yield client, rest
