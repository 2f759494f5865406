"""The verbs that decide between labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack, cast, overload

from limin.batch.results import check_batch
from limin.client.connected import ConnectedClient
from limin.values.conversation import as_conversation
from limin.values.option_names import check_option_names
from limin.values.options import AskOptions, DecisionOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from limin.batch.results import OnError
    from limin.batch.workers import Parallel, Source
    from limin.calls.call import Caller
    from limin.deciding import DecisionSetting
    from limin.errors import LiminError
    from limin.values.conversation import Conversation
    from limin.values.decisions import Decision

_NAMES = DecisionOptions.__annotations__
_CALL_NAMES = AskOptions.__annotations__

# Tokens of an answer: a letter or a number and some more, so that the text is there too.
_FEW_TOKENS = 16
_MORE_TOKENS = 64


class DecisionVerbs(ConnectedClient):
    """A client that lets a model choose a label."""

    @overload
    async def generate_decision(
        self,
        user_prompt: str | Conversation,
        labels: Iterable[str],
        *,
        system_prompt: str | None = None,
        **options: Unpack[DecisionOptions],
    ) -> Decision[str]: ...

    @overload
    async def generate_decision(
        self,
        user_prompt: str | Conversation,
        labels: Iterable[int],
        *,
        system_prompt: str | None = None,
        **options: Unpack[DecisionOptions],
    ) -> Decision[int]: ...

    async def generate_decision(
        self,
        user_prompt: str | Conversation,
        labels: Iterable[str] | Iterable[int],
        *,
        system_prompt: str | None = None,
        **options: Unpack[DecisionOptions],
    ) -> Decision[Any]:
        """Return which label a model's answer is, how sure that is, and what is unknown.

        The model is asked for a short answer, whose log probabilities are read; see
        `label_probs`.

        Args:
            user_prompt: The user's message, or the messages so far.
            labels: Texts; or whole numbers, such as a `range`, whose mean is
                `decision.expected` then.
            system_prompt: The system's message before a prompt; None for none.
            **options: See `DecisionOptions`.

        Raises:
            LogProbsMissingError: If the server sends no log probabilities.
            LiminError: If there is no answer.
        """
        check_option_names(self.generate_decision, options, _NAMES)
        conversation = as_conversation(user_prompt, system_prompt)
        from limin.deciding import decide_one  # noqa: PLC0415 (reads labels)

        listed = list(cast("Iterable[str]", labels))
        setting = self._decision_setting(options, listed)
        return await decide_one(setting, conversation, listed, options)

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[str | Conversation],
        labels: Iterable[str],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[str]]: ...

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[str | Conversation],
        labels: Iterable[int],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[int]]: ...

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[tuple[str | Conversation, Iterable[str]]],
        labels: None = None,
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[str]]: ...

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[str | Conversation],
        labels: Iterable[str],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["return"],
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[str] | LiminError]: ...

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[str | Conversation],
        labels: Iterable[int],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["return"],
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[int] | LiminError]: ...

    @overload
    async def generate_decisions(
        self,
        user_prompts: Source[tuple[str | Conversation, Iterable[str]]],
        labels: None = None,
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["return"],
        **options: Unpack[DecisionOptions],
    ) -> list[Decision[str] | LiminError]: ...

    async def generate_decisions(
        self,
        user_prompts: Source[Any],
        labels: Iterable[str] | Iterable[int] | None = None,
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
            system_prompt: The system's message before each prompt; None for none.
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
        listed = None if labels is None else list(cast("Iterable[str]", labels))
        from limin.deciding import decide_all  # noqa: PLC0415 (reads labels)

        return await decide_all(
            self._decision_setting(options, listed),
            user_prompts,
            listed,
            n_parallel,
            options,
            system_prompt=system_prompt,
            show_progress=show_progress,
            on_error=on_error,
        )

    def _decision_setting(
        self, options: DecisionOptions, labels: Sequence[str] | None
    ) -> DecisionSetting:
        call: dict[str, Any] = {"temperature": 0.0, "max_tokens": _FEW_TOKENS}
        if options.get("by") == "text":
            longest = max(map(len, map(str, labels or [])), default=_MORE_TOKENS)
            call["max_tokens"] = max(_FEW_TOKENS, longest)
        if "max_completion_tokens" in options:
            del call["max_tokens"]
        call |= {name: value for name, value in options.items() if name in _CALL_NAMES}
        if options.get("continue_prefill"):
            fields = {"continue_final_message": True, "add_generation_prompt": False}
            call["extra_body"] = fields | dict(call.get("extra_body") or {})

        from limin.deciding import DecisionSetting  # noqa: PLC0415 (reads labels)

        def caller(n_alternatives: int) -> Caller:
            ask = call | {"log_probs": True, "top_log_probs": n_alternatives}
            return self._caller(cast("AskOptions", ask), None)

        return DecisionSetting(caller, options, self._alternatives, labels)
