"""The verbs that ask about one conversation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack, cast, overload

from limin.asking import AnswerType, about, run_with_tools
from limin.calls.stream import CompletionStream
from limin.client.connected import ConnectedClient
from limin.client.option_table import with_options
from limin.values.conversation import as_conversation
from limin.values.option_names import check_option_names
from limin.values.options import (
    CompletionOptions,
    StreamOptions,
    ToolRunOptions,
    options_after_call,
)
from limin.values.tools import to_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import TypeForm, TypeVar

    from limin.recipes.ask import Ask
    from limin.schemas.json_schema import JsonSchema
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.tool_runs import ToolRun
    from limin.values.tools import ToolSource

    T = TypeVar("T", default=None)

_STREAM_NAMES = StreamOptions.__annotations__
_CALL_NAMES = CompletionOptions.__annotations__
_TOOL_RUN_NAMES = ToolRunOptions.__annotations__


class ConversationVerbs(ConnectedClient):
    """A client that asks about one conversation at a time."""

    # The first overload is for those who pass the method on as a function.
    @overload
    async def generate_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> TextCompletion: ...

    @overload
    async def generate_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        response_type: JsonSchema[T],
        reask: int = 0,
        **options: Unpack[CompletionOptions],
    ) -> TextCompletion[T]: ...

    @overload
    async def generate_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        reask: int = 0,
        **options: Unpack[CompletionOptions],
    ) -> TextCompletion[T]: ...

    @with_options(CompletionOptions)
    async def generate_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        response_type: object = None,
        reask: int = 0,
        **options: Unpack[CompletionOptions],
    ) -> TextCompletion[object]:
        """Return the completion of one prompt.

        Args:
            user_prompt: The user's message.
            system_prompt: The system's message before it; None for none.
            response_type: The type of the answer, or a `JsonSchema`: the answer must be
                JSON of it, and `completion.value` is the instance. None for any text.
            reask: How often to ask again, with the reason, if the answer does not fit
                *response_type*.
            **options: See `CompletionOptions`.

        Raises:
            StructuredOutputError: If the answer does not fit *response_type*.
            LiminError: If there is no completion; the subclass says why.
        """
        check_option_names(self.generate_text_completion, options, _CALL_NAMES)
        conversation = as_conversation(user_prompt, system_prompt)
        return await self._ask(conversation, AnswerType.of(response_type, reask), options)

    @overload
    async def generate_text_completion_for_conversation(
        self, conversation: Conversation, **options: Unpack[CompletionOptions]
    ) -> TextCompletion: ...

    @overload
    async def generate_text_completion_for_conversation(
        self,
        conversation: Conversation,
        *,
        response_type: JsonSchema[T],
        reask: int = 0,
        **options: Unpack[CompletionOptions],
    ) -> TextCompletion[T]: ...

    @overload
    async def generate_text_completion_for_conversation(
        self,
        conversation: Conversation,
        *,
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        reask: int = 0,
        **options: Unpack[CompletionOptions],
    ) -> TextCompletion[T]: ...

    @with_options(CompletionOptions)
    async def generate_text_completion_for_conversation(
        self,
        conversation: Conversation,
        *,
        response_type: object = None,
        reask: int = 0,
        **options: Unpack[CompletionOptions],
    ) -> TextCompletion[object]:
        """Return the completion of a conversation.

        Args:
            conversation: The messages so far.
            response_type: See `generate_text_completion`.
            reask: How often to ask again if the answer does not fit.
            **options: See `CompletionOptions`.

        Raises:
            StructuredOutputError: If the answer does not fit *response_type*.
            LiminError: If there is no completion; the subclass says why.
        """
        check_option_names(
            self.generate_text_completion_for_conversation, options, _CALL_NAMES
        )
        answer_type = AnswerType.of(response_type, reask)
        return await self._ask(as_conversation(conversation), answer_type, options)

    @overload
    def stream_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        response_type: JsonSchema[T],
        **options: Unpack[StreamOptions],
    ) -> CompletionStream[T]: ...

    @overload
    def stream_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        **options: Unpack[StreamOptions],
    ) -> CompletionStream[T]: ...

    @with_options(StreamOptions)
    def stream_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        response_type: object = None,
        **options: Unpack[StreamOptions],
    ) -> CompletionStream[object]:
        """Stream the completion of one prompt.

        `async with client.stream_text_completion(...) as stream`, and in it
        `async for delta in stream`; then `stream.completion`.

        Args:
            user_prompt: The user's message.
            system_prompt: The system's message before it; None for none.
            response_type: See `generate_text_completion`; `stream.partial` is the value
                so far.
            **options: See `StreamOptions`.
        """
        check_option_names(self.stream_text_completion, options, _STREAM_NAMES)
        conversation = as_conversation(user_prompt, system_prompt)
        return self._stream(conversation, AnswerType.of(response_type), options)

    @overload
    def stream_text_completion_for_conversation(
        self,
        conversation: Conversation,
        *,
        response_type: JsonSchema[T],
        **options: Unpack[StreamOptions],
    ) -> CompletionStream[T]: ...

    @overload
    def stream_text_completion_for_conversation(
        self,
        conversation: Conversation,
        *,
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        **options: Unpack[StreamOptions],
    ) -> CompletionStream[T]: ...

    @with_options(StreamOptions)
    def stream_text_completion_for_conversation(
        self,
        conversation: Conversation,
        *,
        response_type: object = None,
        **options: Unpack[StreamOptions],
    ) -> CompletionStream[object]:
        """Stream the completion of a conversation; see `stream_text_completion`.

        Args:
            conversation: The messages so far.
            response_type: See `generate_text_completion`.
            **options: See `StreamOptions`.
        """
        check_option_names(
            self.stream_text_completion_for_conversation, options, _STREAM_NAMES
        )
        answer_type = AnswerType.of(response_type)
        return self._stream(as_conversation(conversation), answer_type, options)

    @overload
    async def run_tools(
        self,
        conversation_or_prompt: Conversation | str,
        tools: Sequence[ToolSource],
        *,
        system_prompt: str | None = None,
        response_type: JsonSchema[T],
        reask: int = 0,
        **options: Unpack[ToolRunOptions],
    ) -> ToolRun[T]: ...

    @overload
    async def run_tools(
        self,
        conversation_or_prompt: Conversation | str,
        tools: Sequence[ToolSource],
        *,
        system_prompt: str | None = None,
        response_type: TypeForm[T] = None,  # type: ignore[assignment]  # T is None then
        reask: int = 0,
        **options: Unpack[ToolRunOptions],
    ) -> ToolRun[T]: ...

    @with_options(ToolRunOptions)
    async def run_tools(
        self,
        conversation_or_prompt: Conversation | str,
        tools: Sequence[ToolSource],
        *,
        system_prompt: str | None = None,
        response_type: object = None,
        reask: int = 0,
        **options: Unpack[ToolRunOptions],
    ) -> ToolRun[object]:
        """Let the model call tools until it answers, and return the whole run.

        The calls of one answer run side by side, sync functions in threads. Their
        results are told to the model in the order of the calls. It is also told if there
        is no such tool, and where arguments do not fit. Calls at the end of the
        conversation that have no result are run first.

        Args:
            conversation_or_prompt: The messages so far, or the user's message.
            tools: Functions, or `Tool` objects with a function; a mapping is a tool that
                the server runs itself.
            system_prompt: The system's message before a prompt; None for none. It is
                not added to a conversation, which has its own.
            response_type: The type of the last answer; see `generate_text_completion`.
            reask: How often to ask again if the last answer does not fit.
            **options: See `ToolRunOptions`.

        Raises:
            LiminError: If a request failed. Its `tool_run` is what came before.
            Exception: An exception of a tool, with `on_tool_error="raise"`. Its cause is
                a `ToolRunError`, whose `tool_run` is what came before.
        """
        check_option_names(self.run_tools, options, _TOOL_RUN_NAMES)
        conversation = as_conversation(conversation_or_prompt, system_prompt)
        answer_type = AnswerType.of(response_type, reask)
        call = {name: value for name, value in options.items() if name in _CALL_NAMES}
        asking = cast("CompletionOptions", call | {"tools": tools})
        relaxed, first = options_after_call(asking), self._caller(asking, answer_type)
        later = first if relaxed is asking else self._caller(relaxed, answer_type)
        run = partial(
            run_with_tools,
            conversation,
            to_tools(tools),
            (first, later),
            answer_type,
            options,
        )
        return await about(conversation, run)

    async def _ask(
        self,
        conversation: Conversation,
        answer_type: AnswerType | None,
        options: CompletionOptions,
    ) -> TextCompletion[object]:
        caller = self._caller(options, answer_type)
        ask: Ask = caller.ask
        if answer_type is not None:
            ask = answer_type.typed_ask(ask, caller)
        return await about(conversation, partial(ask, conversation))

    def _stream(
        self,
        conversation: Conversation,
        answer_type: AnswerType | None,
        options: StreamOptions,
    ) -> CompletionStream[object]:
        caller = self._caller(CompletionOptions(stream=True, **options), answer_type)
        begin = partial(about, conversation, partial(caller.stream, conversation))
        if answer_type is None:
            return CompletionStream(begin)
        return CompletionStream(begin, answer_type.typed_stream(caller))
