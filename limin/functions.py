"""The one-call functions: each opens a client for its call, unless given one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Unpack, cast

from limin.batch import check_batch, size_of
from limin.client import Client
from limin.errors import ConfigurationError
from limin.parameters import CompletionOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from limin.batch import Source
    from limin.completion import TextCompletion
    from limin.conversation import Conversation


class FunctionOptions(CompletionOptions, total=False):
    """The options of the one-call functions; see `CompletionOptions`, and `Client`.

    `client` is used and left open, and brings its own endpoint: `api_key` and
    `base_url` are for calls without one.
    """

    client: Client | None
    api_key: str | None
    base_url: str | None


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


async def generate_text_completions(
    user_prompts: Source[str],
    n_parallel: int = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    **options: Unpack[FunctionOptions],
) -> list[TextCompletion]:
    """The completions of many prompts, in the prompts' order, over one client.

    Args:
        user_prompts: Prompts, consumed lazily.
        n_parallel: Requests under way at most; at least 1.
        system_prompt: What the system says before each of them.
        show_progress: Whether a bar on stderr tells how far it is.
        **options: See `FunctionOptions`.

    Raises:
        BatchError: If any prompt failed, after all others were finished; an
            error that would strike every prompt stops the batch early.
    """
    check_batch(user_prompts, n_parallel)
    if size_of(user_prompts) == 0:
        return []
    async with _client(options) as (client, rest):
        return await client.generate_text_completions(
            user_prompts,
            n_parallel,
            system_prompt=system_prompt,
            show_progress=show_progress,
            **rest,
        )


async def generate_text_completions_for_conversations(
    conversations: Source[Conversation],
    n_parallel: int = 5,
    *,
    show_progress: bool = True,
    **options: Unpack[FunctionOptions],
) -> list[TextCompletion]:
    """The completions of many conversations, in their order, over one client.

    Args:
        conversations: Conversations, consumed lazily.
        n_parallel: Requests under way at most; at least 1.
        show_progress: Whether a bar on stderr tells how far it is.
        **options: See `FunctionOptions`.

    Raises:
        BatchError: If any conversation failed, after all others were finished;
            an error that would strike every one stops the batch early.
    """
    check_batch(conversations, n_parallel)
    if size_of(conversations) == 0:
        return []
    async with _client(options) as (client, rest):
        return await client.generate_text_completions_for_conversations(
            conversations, n_parallel, show_progress=show_progress, **rest
        )


@asynccontextmanager
async def _client(
    options: FunctionOptions,
) -> AsyncGenerator[tuple[Client, CompletionOptions]]:
    """The client that *options* name or describe, and the options for its call."""
    client = options.get("client")
    base_url, api_key = options.get("base_url"), options.get("api_key")
    rest = {name: value for name, value in options.items() if name not in _OWN}
    call = cast("CompletionOptions", rest)
    if client is None:
        async with Client(base_url, api_key) as client:
            yield client, call
    elif base_url is None and api_key is None:
        yield client, call
    else:
        problem = "client: expected no base_url or api_key beside it, found one"
        raise ConfigurationError(problem)
