"""The one-call functions: each opens a client for its call, unless given one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, Unpack, cast, overload

from limin.batch.results import check_batch
from limin.batch.workers import count_items
from limin.client import Client
from limin.errors import ConfigurationError
from limin.values.conversation import as_conversation
from limin.values.options import BatchOptions, CompletionOptions, StreamOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from limin.batch.results import OnError, Results
    from limin.batch.workers import Parallel, Source
    from limin.calls.stream import CompletionStream
    from limin.errors import LiminError
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation


class FunctionStreamOptions(StreamOptions, total=False):
    """The options of the stream functions; see `StreamOptions`, and `Client`.

    Attributes:
        client: A client to use, and to leave open; it brings its own endpoint. None
            for one that is opened for the call.
        api_key: The key, for calls without a client; see `Client`.
        base_url: The endpoint, for calls without a client; see `Client`.
    """

    client: Client | None
    api_key: str | None
    base_url: str | None


class FunctionOptions(FunctionStreamOptions, CompletionOptions, total=False):
    """The options of the one-call functions; the same and those of `CompletionOptions`."""


class FunctionBatchOptions(BatchOptions, FunctionOptions, total=False):
    """The options of the batch functions; see `BatchOptions` and `FunctionOptions`."""


_OWN = frozenset({"client", "api_key", "base_url"})


async def generate_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    **options: Unpack[FunctionOptions],
) -> TextCompletion:
    """The completion of one prompt.

    Args:
        user_prompt: What the user says.
        system_prompt: What the system says before.
        **options: See `FunctionOptions`.

    Raises:
        LiminError: If there is no completion; the subclass says why.
    """
    async with _client(options) as (client, rest):
        return await client.generate_text_completion(
            user_prompt, system_prompt=system_prompt, **rest
        )


async def generate_text_completion_for_conversation(
    conversation: Conversation, **options: Unpack[FunctionOptions]
) -> TextCompletion:
    """The completion of a conversation.

    Args:
        conversation: What was said so far.
        **options: See `FunctionOptions`.

    Raises:
        LiminError: If there is no completion; the subclass says why.
    """
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
    """The completions of many prompts, in the prompts' order, over one client.

    Args:
        user_prompts: Prompts, consumed lazily.
        n_parallel: Requests under way at most; `auto` finds the number that the
            server takes best.
        system_prompt: What the system says before each of them.
        show_progress: Whether a bar on stderr tells how far it is.
        on_error: What to do if any prompt failed, after all others were finished:
            raise, or return the errors in their places.
        **options: See `FunctionBatchOptions`.

    Raises:
        BatchError: If any prompt failed; it holds every completion and every
            error. One that would strike every prompt stops the batch early, and so
            does a checkpoint that cannot be written, whatever *on_error*.
        CheckpointError: If the checkpoint cannot be used; nothing was sent.
    """
    check_batch(user_prompts, n_parallel, on_error)
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
    """The completions of many conversations, in their order, over one client.

    Args:
        conversations: Conversations, consumed lazily.
        n_parallel: Requests under way at most; `auto` finds the number that the
            server takes best.
        show_progress: Whether a bar on stderr tells how far it is.
        on_error: What to do if any failed, after all others were finished: raise,
            or return the errors in their places.
        **options: See `FunctionBatchOptions`.

    Raises:
        BatchError: If any conversation failed; it holds every completion and
            every error. One that would strike every one stops the batch early, and
            so does a checkpoint that cannot be written, whatever *on_error*.
        CheckpointError: If the checkpoint cannot be used; nothing was sent.
    """
    check_batch(conversations, n_parallel, on_error)
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
    """The results of many questions as they finish, over one client.

    `async with iter_text_completions(...) as results`, and in it
    `async for place, result in results`: the place of the question from 0, and
    its completion or error.

    Args:
        prompts_or_conversations: Questions, consumed lazily: no more than are
            under way, and no faster than the results are taken.
        n_parallel: Requests under way at most; `auto` finds the number that the
            server takes best.
        system_prompt: What the system says before each prompt.
        **options: See `FunctionBatchOptions`.
    """
    given, rest = _split(options)
    client = given or Client(options.get("base_url"), options.get("api_key"))
    results = client.iter_text_completions(
        prompts_or_conversations, n_parallel, system_prompt=system_prompt, **rest
    )
    return results if given is not None else results.closing(client.aclose)


def stream_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    **options: Unpack[FunctionStreamOptions],
) -> CompletionStream:
    """The completion of one prompt as it comes.

    `async with stream_text_completion(...) as stream`, and in it
    `async for delta in stream`; then `stream.completion`.

    Args:
        user_prompt: What the user says.
        system_prompt: What the system says before.
        **options: See `FunctionStreamOptions`.
    """
    conversation = as_conversation(user_prompt, system_prompt)
    return stream_text_completion_for_conversation(conversation, **options)


def stream_text_completion_for_conversation(
    conversation: Conversation, **options: Unpack[FunctionStreamOptions]
) -> CompletionStream:
    """The completion of a conversation as it comes; see `stream_text_completion`.

    Args:
        conversation: What was said so far.
        **options: See `FunctionStreamOptions`.
    """
    given, rest = _split(options)
    client = given or Client(options.get("base_url"), options.get("api_key"))
    stream = client.stream_text_completion_for_conversation(
        conversation, **cast("StreamOptions", rest)
    )
    return stream if given is not None else stream.closing(client.aclose)


def _split(options: FunctionStreamOptions) -> tuple[Client | None, CompletionOptions]:
    """The client that *options* name, and the options for its call.

    Raises:
        ConfigurationError: If they name a client and an endpoint.
    """
    client = options.get("client")
    own = (options.get("base_url"), options.get("api_key"))
    if client is not None and own != (None, None):
        problem = "client: expected no base_url or api_key beside it, found one"
        raise ConfigurationError(problem)
    rest = {name: value for name, value in options.items() if name not in _OWN}
    return client, cast("CompletionOptions", rest)


@asynccontextmanager
async def _client(
    options: FunctionOptions,
) -> AsyncGenerator[tuple[Client, CompletionOptions]]:
    """The client that *options* name or describe, and the options for its call."""
    given, rest = _split(options)
    if given is not None:
        yield given, rest
        return
    async with Client(options.get("base_url"), options.get("api_key")) as client:
        yield client, rest
