"""The functions that decide between labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast, overload

from limin.batch.results import check_batch
from limin.batch.workers import count_items
from limin.client.option_table import with_options
from limin.functions.clients import FunctionDecisionOptions, open_client
from limin.values.option_names import check_option_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.batch.results import OnError
    from limin.batch.workers import Parallel, Source
    from limin.errors import LiminError
    from limin.values.conversation import Conversation
    from limin.values.decisions import Decision
    from limin.values.options import DecisionOptions

_NAMES = FunctionDecisionOptions.__annotations__

LabelT = TypeVar("LabelT", str, int)


@with_options(FunctionDecisionOptions)
async def generate_decision(
    user_prompt: str | Conversation,
    labels: Iterable[LabelT],
    *,
    system_prompt: str | None = None,
    **options: Unpack[FunctionDecisionOptions],
) -> Decision[LabelT]:
    """Return which label a model's answer is; see `Client.generate_decision`.

    Args:
        user_prompt: The user's message, or the messages so far.
        labels: Texts; or whole numbers, such as a `range`.
        system_prompt: The system's message before a prompt; None for none. It is
            not added to a conversation, which has its own.
        **options: See `FunctionDecisionOptions`.

    Raises:
        LogProbsMissingError: If the server sends no log probabilities.
        LiminError: If there is no answer.
    """
    check_option_names(generate_decision, options, _NAMES)
    async with open_client(options) as (client, rest):
        return await client.generate_decision(
            user_prompt,
            labels,
            system_prompt=system_prompt,
            **cast("DecisionOptions", rest),
        )


@overload
async def generate_decisions(
    user_prompts: Source[str | Conversation],
    labels: Iterable[LabelT],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["raise"] = "raise",
    **options: Unpack[FunctionDecisionOptions],
) -> list[Decision[LabelT]]: ...


@overload
async def generate_decisions(
    user_prompts: Source[tuple[str | Conversation, Iterable[LabelT]]],
    labels: None = None,
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["raise"] = "raise",
    **options: Unpack[FunctionDecisionOptions],
) -> list[Decision[LabelT]]: ...


@overload
async def generate_decisions(
    user_prompts: Source[str | Conversation],
    labels: Iterable[LabelT],
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["return"],
    **options: Unpack[FunctionDecisionOptions],
) -> list[Decision[LabelT] | LiminError]: ...


@overload
async def generate_decisions(
    user_prompts: Source[tuple[str | Conversation, Iterable[LabelT]]],
    labels: None = None,
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: Literal["return"],
    **options: Unpack[FunctionDecisionOptions],
) -> list[Decision[LabelT] | LiminError]: ...


@with_options(FunctionDecisionOptions)
async def generate_decisions(
    user_prompts: Source[Any],
    labels: Iterable[Any] | None = None,
    n_parallel: Parallel = 5,
    *,
    system_prompt: str | None = None,
    show_progress: bool = True,
    on_error: OnError = "raise",
    **options: Unpack[FunctionDecisionOptions],
) -> Any:
    """Return the decisions about many prompts, in the prompts' order, over one client.

    The arguments are those of `Client.generate_decisions`, and the options those of
    `FunctionDecisionOptions`. No prompts need no endpoint and no key.

    Raises:
        BatchError: If any prompt failed; it holds every decision and every error.
        CheckpointError: If the checkpoint cannot be used; nothing was sent.
    """
    check_option_names(generate_decisions, options, _NAMES)
    n_parallel = check_batch(user_prompts, n_parallel, on_error)
    sends = count_items(user_prompts) != 0
    async with open_client(options, sends=sends) as (client, rest):
        return await client.generate_decisions(
            user_prompts,
            cast("Any", labels),
            n_parallel,
            system_prompt=system_prompt,
            show_progress=show_progress,
            on_error=on_error,
            **cast("DecisionOptions", rest),
        )
