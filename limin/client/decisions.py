"""The verbs that decide between labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast, overload

from limin.batch.results import check_batch
from limin.client.connected import ConnectedClient
from limin.client.option_table import with_options
from limin.values.conversation import as_conversation
from limin.values.option_names import check_option_names
from limin.values.options import DecisionOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limin.batch.results import OnError
    from limin.batch.workers import Parallel, Source
    from limin.errors import LiminError
    from limin.values.conversation import Conversation
    from limin.values.decisions import Decision

_NAMES = DecisionOptions.__annotations__

# Labels are texts or whole numbers, and all of one kind.
LabelT = TypeVar("LabelT", str, int)


class DecisionVerbs(ConnectedClient):
    """A client that lets a model choose a label."""

    @with_options(DecisionOptions)
    async def generate_decision(
        self,
        user_prompt: str | Conversation,
        labels: Iterable[LabelT],
        *,
        system_prompt: str | None = None,
        **options: Unpack[DecisionOptions],
    ) -> Decision[LabelT]:
        """Return which label a model's answer is, how sure that is, and what is unknown.

        The model is asked for a short answer, whose log probabilities are read; see
        `label_probs`.

        Args:
            user_prompt: The user's message, or the messages so far.
            labels: Texts; or whole numbers, such as a `range`, whose mean is
                `decision.expected` then.
            system_prompt: The system's message before a prompt; None for none. It is
                not added to a conversation, which has its own.
            **options: See `DecisionOptions`.

        Raises:
            LogProbsMissingError: If the server sends no log probabilities.
            LiminError: If there is no answer.
        """
        check_option_names(self.generate_decision, options, _NAMES)
        conversation = as_conversation(user_prompt, system_prompt)
        from limin.deciding import DecisionSetting, decide_one  # noqa: PLC0415 (labels)

        setting = DecisionSetting.of(options, labels)
        caller = self._caller(setting.call_options, None)
        known = self._alternatives[caller.model]
        decision = await decide_one(setting, caller, known, conversation)
        return cast("Decision[LabelT]", decision)

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[str | Conversation],
        labels: Iterable[LabelT],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[LabelT]]: ...

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[tuple[str | Conversation, Iterable[LabelT]]],
        labels: None = None,
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[LabelT]]: ...

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[str | Conversation],
        labels: Iterable[LabelT],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["return"],
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[LabelT] | LiminError]: ...

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[tuple[str | Conversation, Iterable[LabelT]]],
        labels: None = None,
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["return"],
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[LabelT] | LiminError]: ...

    @with_options(DecisionOptions)
    async def generate_decisions(
        self,
        user_prompts: Source[Any],
        labels: Iterable[Any] | None = None,
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: OnError = "raise",
        **options: Unpack[DecisionOptions],
    ) -> list[Any]:
        """Return the decisions about many prompts, in the prompts' order.

        Args:
            user_prompts: Prompts or conversations, consumed lazily; without *labels*
                pairs of a prompt and its own labels.
            labels: The labels of every prompt; None if each has its own.
            n_parallel: Requests under way at most, or `auto`.
            system_prompt: The system's message before each prompt; None for none. It is
                not added to a conversation, which has its own.
            show_progress: Whether a bar on stderr shows the progress.
            on_error: Whether to raise if any prompt failed, or to return the errors in
                their places.
            **options: See `DecisionOptions`.

        Raises:
            BatchError: If any prompt failed; it holds every decision and every error.
            CheckpointError: If the checkpoint cannot be used; nothing was sent.
        """
        check_option_names(self.generate_decisions, options, _NAMES)
        n_parallel = check_batch(user_prompts, n_parallel, on_error)
        from limin.deciding import DecisionSetting, decide_all  # noqa: PLC0415 (labels)

        setting = DecisionSetting.of(options, labels)
        caller = self._caller(setting.call_options, None)
        return await decide_all(
            setting,
            caller,
            self._alternatives[caller.model],
            user_prompts,
            n_parallel,
            system_prompt=system_prompt,
            show_progress=show_progress,
            on_error=on_error,
        )
