"""The functions that ask about one conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, cast, overload

from limin.client.option_table import with_options
from limin.functions.clients import (
    FunctionOptions,
    FunctionStreamOptions,
    FunctionToolRunOptions,
    find_client,
    open_client,
)
from limin.values.conversation import as_conversation
from limin.values.option_names import check_option_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import TypeForm, TypeVar

    from limin.calls.stream import CompletionStream
    from limin.schemas.json_schema import JsonSchema
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.options import StreamOptions, ToolRunOptions
    from limin.values.tool_runs import ToolRun
    from limin.values.tools import ToolSource

    T = TypeVar("T", default=None)

_NAMES = FunctionOptions.__annotations__
_STREAM_NAMES = FunctionStreamOptions.__annotations__
_TOOL_RUN_NAMES = FunctionToolRunOptions.__annotations__


@overload
async def generate_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    **options: Unpack[FunctionOptions],
) -> TextCompletion: ...


@overload
async def generate_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    response_type: JsonSchema[T],
    reask: int = 0,
    **options: Unpack[FunctionOptions],
) -> TextCompletion[T]: ...


@overload
async def generate_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    reask: int = 0,
    **options: Unpack[FunctionOptions],
) -> TextCompletion[T]: ...


@with_options(FunctionOptions)
async def generate_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    response_type: object = None,
    reask: int = 0,
    **options: Unpack[FunctionOptions],
) -> TextCompletion[object]:
    """Return the completion of one prompt; see `Client.generate_text_completion`.

    Args:
        user_prompt: The user's message.
        system_prompt: The system's message before it; None for none.
        response_type: The type of the answer, or a `JsonSchema`; None for any text.
        reask: How often to ask again if the answer does not fit.
        **options: See `FunctionOptions`.

    Raises:
        StructuredOutputError: If the answer does not fit *response_type*.
        LiminError: If there is no completion.
    """
    check_option_names(generate_text_completion, options, _NAMES)
    async with open_client(options) as (client, rest):
        return await client.generate_text_completion(
            user_prompt,
            system_prompt=system_prompt,
            response_type=cast("Any", response_type),
            reask=reask,
            **rest,
        )


@overload
async def generate_text_completion_for_conversation(
    conversation: Conversation,
    **options: Unpack[FunctionOptions],
) -> TextCompletion: ...


@overload
async def generate_text_completion_for_conversation(
    conversation: Conversation,
    *,
    response_type: JsonSchema[T],
    reask: int = 0,
    **options: Unpack[FunctionOptions],
) -> TextCompletion[T]: ...


@overload
async def generate_text_completion_for_conversation(
    conversation: Conversation,
    *,
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    reask: int = 0,
    **options: Unpack[FunctionOptions],
) -> TextCompletion[T]: ...


@with_options(FunctionOptions)
async def generate_text_completion_for_conversation(
    conversation: Conversation,
    *,
    response_type: object = None,
    reask: int = 0,
    **options: Unpack[FunctionOptions],
) -> TextCompletion[object]:
    """Return the completion of a conversation.

    See `Client.generate_text_completion_for_conversation`, and `FunctionOptions`.

    Raises:
        StructuredOutputError: If the answer does not fit *response_type*.
        LiminError: If there is no completion.
    """
    check_option_names(generate_text_completion_for_conversation, options, _NAMES)
    async with open_client(options) as (client, rest):
        return await client.generate_text_completion_for_conversation(
            conversation, response_type=cast("Any", response_type), reask=reask, **rest
        )


@overload
def stream_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    response_type: JsonSchema[T],
    **options: Unpack[FunctionStreamOptions],
) -> CompletionStream[T]: ...


@overload
def stream_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    **options: Unpack[FunctionStreamOptions],
) -> CompletionStream[T]: ...


@with_options(FunctionStreamOptions)
def stream_text_completion(
    user_prompt: str,
    *,
    system_prompt: str | None = None,
    response_type: object = None,
    **options: Unpack[FunctionStreamOptions],
) -> CompletionStream[object]:
    """Stream the completion of one prompt.

    `async with stream_text_completion(...) as stream`, and in it
    `async for delta in stream`; then `stream.completion`.

    Args:
        user_prompt: The user's message.
        system_prompt: The system's message before it; None for none.
        response_type: The type of the answer; `stream.partial` is the value so far.
        **options: See `FunctionStreamOptions`.
    """
    check_option_names(stream_text_completion, options, _STREAM_NAMES)
    conversation = as_conversation(user_prompt, system_prompt)
    return stream_text_completion_for_conversation(
        conversation, response_type=cast("Any", response_type), **options
    )


@overload
def stream_text_completion_for_conversation(
    conversation: Conversation,
    *,
    response_type: JsonSchema[T],
    **options: Unpack[FunctionStreamOptions],
) -> CompletionStream[T]: ...


@overload
def stream_text_completion_for_conversation(
    conversation: Conversation,
    *,
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    **options: Unpack[FunctionStreamOptions],
) -> CompletionStream[T]: ...


@with_options(FunctionStreamOptions)
def stream_text_completion_for_conversation(
    conversation: Conversation,
    *,
    response_type: object = None,
    **options: Unpack[FunctionStreamOptions],
) -> CompletionStream[object]:
    """Stream the completion of a conversation; see `stream_text_completion`.

    Args:
        conversation: The messages so far.
        response_type: The type of the answer; None for any text.
        **options: See `FunctionStreamOptions`.
    """
    check_option_names(stream_text_completion_for_conversation, options, _STREAM_NAMES)
    client, is_own, rest = find_client(options)
    stream = client.stream_text_completion_for_conversation(
        conversation,
        response_type=cast("Any", response_type),
        **cast("StreamOptions", rest),
    )
    return stream.closing(client.aclose) if is_own else stream


@overload
async def run_tools(
    conversation_or_prompt: Conversation | str,
    tools: Sequence[ToolSource],
    *,
    system_prompt: str | None = None,
    response_type: JsonSchema[T],
    reask: int = 0,
    **options: Unpack[FunctionToolRunOptions],
) -> ToolRun[T]: ...


@overload
async def run_tools(
    conversation_or_prompt: Conversation | str,
    tools: Sequence[ToolSource],
    *,
    system_prompt: str | None = None,
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    reask: int = 0,
    **options: Unpack[FunctionToolRunOptions],
) -> ToolRun[T]: ...


@with_options(FunctionToolRunOptions)
async def run_tools(
    conversation_or_prompt: Conversation | str,
    tools: Sequence[ToolSource],
    *,
    system_prompt: str | None = None,
    response_type: object = None,
    reask: int = 0,
    **options: Unpack[FunctionToolRunOptions],
) -> ToolRun[object]:
    """Let the model call tools until it answers; see `Client.run_tools`.

    Args:
        conversation_or_prompt: The messages so far, or the user's message.
        tools: Functions, or `Tool` objects with a function.
        system_prompt: The system's message before a prompt; None for none. It is
            not added to a conversation, which has its own.
        response_type: The type of the last answer; None for any text.
        reask: How often to ask again if the last answer does not fit.
        **options: See `FunctionToolRunOptions`.

    Raises:
        LiminError: If a request failed. Its `tool_run` is what came before.
        Exception: An exception of a tool, with `on_tool_error="raise"`.
    """
    check_option_names(run_tools, options, _TOOL_RUN_NAMES)
    async with open_client(options) as (client, rest):
        return await client.run_tools(
            conversation_or_prompt,
            tools,
            system_prompt=system_prompt,
            response_type=cast("Any", response_type),
            reask=reask,
            **cast("ToolRunOptions", rest),
        )
