"""The functions that ask about many conversations at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack, cast, overload

from limin.batch.results import check_batch
from limin.batch.workers import count_items
from limin.client.option_table import with_options
from limin.functions.clients import FunctionBatchOptions, find_client, open_client
from limin.values.option_names import check_option_names

if TYPE_CHECKING:
    from typing_extensions import TypeForm, TypeVar

    from limin.batch.results import OnError, Results
    from limin.batch.workers import Parallel, Source
    from limin.errors import LiminError
    from limin.schemas.json_schema import JsonSchema
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.options import Configured

    T = TypeVar("T", default=None)

_BATCH_NAMES = FunctionBatchOptions.__annotations__


@overload
async def generate_text_completions(
    user_prompts: Source[str | Configured],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["raise"] = "raise",
    response_type: JsonSchema[T],
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion[T]]: ...


@overload
async def generate_text_completions(
    user_prompts: Source[str | Configured],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["raise"] = "raise",
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion[T]]: ...


@overload
async def generate_text_completions(
    user_prompts: Source[str | Configured],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["return"],
    response_type: JsonSchema[T],
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion[T] | LiminError]: ...


@overload
async def generate_text_completions(
    user_prompts: Source[str | Configured],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["return"],
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion[T] | LiminError]: ...


@with_options(FunctionBatchOptions)
async def generate_text_completions(
    user_prompts: Source[str | Configured],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: OnError = "raise",
    response_type: object = None,
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[Any]:
    """Return the completions of many prompts, in the prompts' order, over one client.

    The arguments are those of `Client.generate_text_completions`, and the options those
    of `FunctionBatchOptions`. No prompts need no endpoint and no key.

    Raises:
        BatchError: If any prompt failed; it holds every completion and every error.
        CheckpointError: If the checkpoint cannot be used; nothing was sent.
    """
    check_option_names(generate_text_completions, options, _BATCH_NAMES)
    n_parallel = check_batch(user_prompts, n_parallel, on_error)
    sends = count_items(user_prompts) != 0
    async with open_client(options, sends=sends) as (client, rest):
        return await client.generate_text_completions(
            user_prompts,
            n_parallel,
            system_prompt=system_prompt,
            show_progress=show_progress,
            on_error=on_error,
            response_type=cast("Any", response_type),
            reask=reask,
            **rest,
        )


@overload
async def generate_text_completions_for_conversations(
    conversations: Source[Conversation | Configured],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: Literal["raise"] = "raise",
    response_type: JsonSchema[T],
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion[T]]: ...


@overload
async def generate_text_completions_for_conversations(
    conversations: Source[Conversation | Configured],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: Literal["raise"] = "raise",
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion[T]]: ...


@overload
async def generate_text_completions_for_conversations(
    conversations: Source[Conversation | Configured],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: Literal["return"],
    response_type: JsonSchema[T],
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion[T] | LiminError]: ...


@overload
async def generate_text_completions_for_conversations(
    conversations: Source[Conversation | Configured],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: Literal["return"],
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[TextCompletion[T] | LiminError]: ...


@with_options(FunctionBatchOptions)
async def generate_text_completions_for_conversations(
    conversations: Source[Conversation | Configured],
    n_parallel: Parallel = 5,
    *,
    show_progress: bool = True,
    on_error: OnError = "raise",
    response_type: object = None,
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> list[Any]:
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
    sends = count_items(conversations) != 0
    async with open_client(options, sends=sends) as (client, rest):
        return await client.generate_text_completions_for_conversations(
            conversations,
            n_parallel,
            show_progress=show_progress,
            on_error=on_error,
            response_type=cast("Any", response_type),
            reask=reask,
            **rest,
        )


@overload
def iter_text_completions(
    prompts_or_conversations: Source[str | Conversation | Configured],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = False,
    response_type: JsonSchema[T],
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> Results[TextCompletion[T]]: ...


@overload
def iter_text_completions(
    prompts_or_conversations: Source[str | Conversation | Configured],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = False,
    response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> Results[TextCompletion[T]]: ...


@with_options(FunctionBatchOptions)
def iter_text_completions(
    prompts_or_conversations: Source[str | Conversation | Configured],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = False,
    response_type: object = None,
    reask: int = 0,
    **options: Unpack[FunctionBatchOptions],
) -> Results[Any]:
    """Hand over the results of many prompts or conversations as they finish.

    `async with iter_text_completions(...) as results`, and in it
    `async for index, result in results`. The arguments are those of
    `Client.iter_text_completions`, and the options those of `FunctionBatchOptions`.

    Raises:
        ConfigurationError: If an argument makes no sense.
    """
    check_option_names(iter_text_completions, options, _BATCH_NAMES)
    client, is_own, rest = find_client(options)
    results = client.iter_text_completions(
        prompts_or_conversations,
        n_parallel,
        system_prompt=system_prompt,
        show_progress=show_progress,
        response_type=cast("Any", response_type),
        reask=reask,
        **rest,
    )
    return results.closing(client.aclose) if is_own else results
