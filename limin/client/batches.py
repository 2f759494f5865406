"""The verbs that ask about many conversations at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from limin.asking import AnswerType
from limin.batch.results import check_batch
from limin.client.connected import ConnectedClient
from limin.client.option_table import with_options
from limin.parallel import complete_all, iter_completions
from limin.values.option_names import check_option_names
from limin.values.options import BatchOptions

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

_BATCH_NAMES = BatchOptions.__annotations__


class BatchVerbs(ConnectedClient):
    """A client that asks about many conversations at once."""

    @overload
    async def generate_text_completions(
        self,
        user_prompts: Source[str | Configured],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        response_type: JsonSchema[T],
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion[T]]: ...

    @overload
    async def generate_text_completions(
        self,
        user_prompts: Source[str | Configured],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion[T]]: ...

    @overload
    async def generate_text_completions(
        self,
        user_prompts: Source[str | Configured],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["return"],
        response_type: JsonSchema[T],
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion[T] | LiminError]: ...

    @overload
    async def generate_text_completions(
        self,
        user_prompts: Source[str | Configured],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["return"],
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion[T] | LiminError]: ...

    @with_options(BatchOptions)
    async def generate_text_completions(
        self,
        user_prompts: Source[str | Configured],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: OnError = "raise",
        response_type: object = None,
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[Any]:
        """Return the completions of many prompts, in the prompts' order.

        Args:
            user_prompts: Prompts, or pairs of a prompt or conversation and a
                `ModelConfiguration` of its own; consumed lazily.
            n_parallel: Requests under way at most; `auto` finds the number that
                suits the server best.
            system_prompt: The system's message before each prompt; None for none. It is
                not added to a conversation, which has its own.
            show_progress: Whether a bar on stderr shows the progress.
            on_error: Whether to raise if any prompt failed, or to return the errors
                in their places; both after all others were finished.
            response_type: The type of each answer, or a `JsonSchema`: the answer must be
                JSON of it, and `completion.value` is the instance. None for any text.
            reask: How often to ask again, with the reason, if an answer does not fit.
            **options: See `BatchOptions`.

        Raises:
            BatchError: If any prompt failed; it holds every completion and every
                error. An error that would fail every prompt stops the batch early,
                and so does a checkpoint that cannot be written, whatever *on_error*.
            CheckpointError: If the checkpoint cannot be used; nothing was sent.
        """
        check_option_names(self.generate_text_completions, options, _BATCH_NAMES)
        n_parallel = check_batch(user_prompts, n_parallel, on_error)
        answer_type = AnswerType.of(response_type, reask)
        return await complete_all(
            self._caller(options, answer_type),
            user_prompts,
            n_parallel,
            options,
            answer_type,
            system_prompt=system_prompt,
            show_progress=show_progress,
            on_error=on_error,
        )

    @overload
    async def generate_text_completions_for_conversations(
        self,
        conversations: Source[Conversation | Configured],
        n_parallel: Parallel = 5,
        *,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        response_type: JsonSchema[T],
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion[T]]: ...

    @overload
    async def generate_text_completions_for_conversations(
        self,
        conversations: Source[Conversation | Configured],
        n_parallel: Parallel = 5,
        *,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion[T]]: ...

    @overload
    async def generate_text_completions_for_conversations(
        self,
        conversations: Source[Conversation | Configured],
        n_parallel: Parallel = 5,
        *,
        show_progress: bool = True,
        on_error: Literal["return"],
        response_type: JsonSchema[T],
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion[T] | LiminError]: ...

    @overload
    async def generate_text_completions_for_conversations(
        self,
        conversations: Source[Conversation | Configured],
        n_parallel: Parallel = 5,
        *,
        show_progress: bool = True,
        on_error: Literal["return"],
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion[T] | LiminError]: ...

    @with_options(BatchOptions)
    async def generate_text_completions_for_conversations(
        self,
        conversations: Source[Conversation | Configured],
        n_parallel: Parallel = 5,
        *,
        show_progress: bool = True,
        on_error: OnError = "raise",
        response_type: object = None,
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> list[Any]:
        """Return the completions of many conversations, in their order.

        Args:
            conversations: Conversations, or pairs of one and a `ModelConfiguration`;
                consumed lazily.
            n_parallel: See `generate_text_completions`; the rest, too.
            show_progress: Whether a bar on stderr shows the progress.
            on_error: Whether to raise or to return errors.
            response_type: The type of each answer.
            reask: How often to ask again if an answer does not fit.
            **options: See `BatchOptions`.

        Raises:
            BatchError: If any conversation failed; see `generate_text_completions`.
            CheckpointError: If the checkpoint cannot be used; nothing was sent.
        """
        check_option_names(
            self.generate_text_completions_for_conversations, options, _BATCH_NAMES
        )
        n_parallel = check_batch(conversations, n_parallel, on_error)
        answer_type = AnswerType.of(response_type, reask)
        return await complete_all(
            self._caller(options, answer_type),
            conversations,
            n_parallel,
            options,
            answer_type,
            show_progress=show_progress,
            on_error=on_error,
        )

    @overload
    def iter_text_completions(
        self,
        prompts_or_conversations: Source[str | Conversation | Configured],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = False,
        response_type: JsonSchema[T],
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> Results[TextCompletion[T]]: ...

    @overload
    def iter_text_completions(
        self,
        prompts_or_conversations: Source[str | Conversation | Configured],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = False,
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> Results[TextCompletion[T]]: ...

    @with_options(BatchOptions)
    def iter_text_completions(
        self,
        prompts_or_conversations: Source[str | Conversation | Configured],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = False,
        response_type: object = None,
        reask: int = 0,
        **options: Unpack[BatchOptions],
    ) -> Results[Any]:
        """Hand over the results of many prompts or conversations as they finish.

        `async with client.iter_text_completions(...) as results`, and in it
        `async for index, result in results`: the index in the source, from 0, and
        the completion or the error.

        Args:
            prompts_or_conversations: Or pairs of one and a `ModelConfiguration` of its
                own. Consumed lazily: no more than are under way,
                and no faster than the results are taken.
            n_parallel: Requests under way at most; `auto` finds the number that
                suits the server best.
            system_prompt: The system's message before each prompt; None for none. It is
                not added to a conversation, which has its own.
            show_progress: Whether a bar on stderr shows the progress.
            response_type: The type of each answer; see `generate_text_completions`.
            reask: How often to ask again if an answer does not fit.
            **options: See `BatchOptions`.

        Raises:
            ConfigurationError: If an argument makes no sense. Errors of the batch
                are raised by the `Results`.
        """
        check_option_names(self.iter_text_completions, options, _BATCH_NAMES)
        n_parallel = check_batch(prompts_or_conversations, n_parallel)
        answer_type = AnswerType.of(response_type, reask)
        return iter_completions(
            self._caller(options, answer_type),
            prompts_or_conversations,
            n_parallel,
            options,
            answer_type,
            system_prompt=system_prompt,
            show_progress=show_progress,
        )
