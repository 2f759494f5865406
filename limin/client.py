"""The client: one endpoint, its connections, and every way to ask it."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, Unpack, cast, overload

from limin.asking import run_with_tools
from limin.batch.results import check_batch
from limin.calls.call import Caller
from limin.calls.rate_limiter import RateLimiter
from limin.calls.stream import CompletionStream
from limin.calls.warning_report import find_caller
from limin.parallel import complete_all, iter_completions
from limin.policy.retry import RetryPolicy
from limin.values.checks import check_argument, check_integer, check_rate, check_seconds
from limin.values.conversation import as_conversation
from limin.values.endpoint import Endpoint, Limits
from limin.values.option_names import check_option_names
from limin.values.options import (
    BatchOptions,
    CompletionOptions,
    StreamOptions,
    ToolRunOptions,
    check_on_warning,
    options_after_call,
    resolve_configuration,
)
from limin.values.tools import to_tools
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from limin.batch.results import OnError, Results
    from limin.batch.workers import Parallel, Source
    from limin.errors import LiminError
    from limin.transport.http import HttpClient
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.tool_runs import ToolRun
    from limin.values.tools import ToolSource

_STREAM_NAMES = StreamOptions.__annotations__
_CALL_NAMES = CompletionOptions.__annotations__
_BATCH_NAMES = BatchOptions.__annotations__
_TOOL_RUN_NAMES = ToolRunOptions.__annotations__
_BATCH_ONLY = _BATCH_NAMES.keys() - _CALL_NAMES.keys()


class Client:
    """Asks one OpenAI-compatible endpoint, over connections of its own.

    Use it with `async with`, or call `aclose` when done.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = 600.0,
        idle_timeout: float | None = 60.0,
        max_retries: int = 4,
        limits: Limits | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        http_client: HttpClient | None = None,
    ) -> None:
        """Make a client for one endpoint; nothing is sent yet.

        Args:
            base_url: URL without `/chat/completions`; by default
                `OPENAI_BASE_URL`, then OpenAI's.
            api_key: Bearer token for the server of *base_url*, whichever that is; by
                default `OPENAI_API_KEY`. Blanks, line ends and quotation marks around
                it, and `Bearer` before it, are taken off. An empty one sends no
                Authorization header.
            headers: More headers for each request; they win over limin's.
            timeout: Seconds for one completion, retries included; None for no limit.
            idle_timeout: Longest gap between two events of a stream, in seconds,
                counted from the first token; None for no limit.
            max_retries: How often a transient failure is retried at most.
            limits: Limits of size and number for one server.
            requests_per_minute: Requests in any minute at most, retries included;
                they leave evenly. None for no limit.
            tokens_per_minute: Tokens of prompts and answers in any minute at most:
                estimated before, and corrected by the server's count. None for no
                limit.
            http_client: An `httpx.AsyncClient` or an `httpx2.AsyncClient` to use,
                and to leave open. Of *limits* only `body_bytes` applies to it, and
                its own are 5 seconds without data and 100 connections unless it was
                made with `timeout=None` and
                `limits=httpx.Limits(max_connections=None)`.

        Raises:
            ConfigurationError: If an argument makes no sense, or the server is
                OpenAI's and there is no key.
        """
        self._endpoint = Endpoint.resolve(base_url, api_key, headers)
        self._timeout = check_seconds("timeout", timeout)
        self._idle_timeout = check_seconds("idle_timeout", idle_timeout)
        self._max_retries = check_integer("max_retries", max_retries, at_least=0)
        is_limits = limits is None or isinstance(limits, Limits)
        check_argument("limits", limits, "a limin.Limits or None", fits=is_limits)
        self._rate_limiter = RateLimiter(
            check_rate("requests_per_minute", requests_per_minute),
            check_rate("tokens_per_minute", tokens_per_minute),
        )
        # Here httpx is loaded: `import limin` does without it.
        from limin.transport.http import HttpTransport  # noqa: PLC0415 (loads httpx)

        self._transport = HttpTransport(self._endpoint, limits or Limits(), http_client)

    def __repr__(self) -> str:
        """Return the endpoint's host and the client's state, without the key."""
        if not hasattr(self, "_transport"):  # In the traceback of a refused argument.
            return "<limin.Client, not ready>"
        transport, rest = self._transport, self._rate_limiter.seconds_of_rest
        state = [f"{transport.in_flight} in flight"]
        if transport.idle is not None:
            state.append(f"{transport.idle} idle")
        if rest > 0:
            state.append(f"resting {math.ceil(rest)} s")
        if transport.is_closed:
            state = ["closed"]
        return f"<limin.Client of {self._endpoint.host}: {', '.join(state)}>"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        """Refuse to be pickled or copied.

        Connections belong to one process, and a pickle would hold the key.

        Raises:
            TypeError: Always.
        """
        problem = (
            "a limin.Client cannot be pickled or copied: it holds a key, and connections "
            "of this process; share it within the process, and make one in each other "
            "process, with the same arguments"
        )
        raise TypeError(problem)

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, but not those of the user's `http_client`."""
        await self._transport.aclose()

    async def generate_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> TextCompletion:
        """Return the completion of one prompt.

        Args:
            user_prompt: The user's message.
            system_prompt: The system's message before it; None for none.
            **options: See `CompletionOptions`.

        Raises:
            LiminError: If there is no completion; the subclass says why.
        """
        check_option_names(Client.generate_text_completion, options, _CALL_NAMES)
        conversation = as_conversation(user_prompt, system_prompt)
        return await self._caller(options).ask(conversation)

    async def generate_text_completion_for_conversation(
        self, conversation: Conversation, **options: Unpack[CompletionOptions]
    ) -> TextCompletion:
        """Return the completion of a conversation.

        Args:
            conversation: The messages so far.
            **options: See `CompletionOptions`.

        Raises:
            LiminError: If there is no completion; the subclass says why.
        """
        check_option_names(
            Client.generate_text_completion_for_conversation, options, _CALL_NAMES
        )
        return await self._caller(options).ask(as_conversation(conversation))

    @overload
    async def generate_text_completions(
        self,
        user_prompts: Source[str],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion]: ...

    @overload
    async def generate_text_completions(
        self,
        user_prompts: Source[str],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: Literal["return"],
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion | LiminError]: ...

    async def generate_text_completions(
        self,
        user_prompts: Source[str],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        on_error: OnError = "raise",
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion] | list[TextCompletion | LiminError]:
        """Return the completions of many prompts, in the prompts' order.

        Args:
            user_prompts: Prompts, consumed lazily.
            n_parallel: Requests under way at most; `auto` finds the number that
                suits the server best.
            system_prompt: The system's message before each prompt; None for none.
            show_progress: Whether a bar on stderr shows the progress.
            on_error: Whether to raise if any prompt failed, or to return the errors
                in their places; both after all others were finished.
            **options: See `BatchOptions`.

        Raises:
            BatchError: If any prompt failed; it holds every completion and every
                error. An error that would fail every prompt stops the batch early,
                and so does a checkpoint that cannot be written, whatever *on_error*.
            CheckpointError: If the checkpoint cannot be used; nothing was sent.
        """
        check_option_names(Client.generate_text_completions, options, _BATCH_NAMES)
        n_parallel = check_batch(user_prompts, n_parallel, on_error)
        return await complete_all(
            self._batch_caller(options),
            user_prompts,
            n_parallel,
            options,
            system_prompt=system_prompt,
            show_progress=show_progress,
            on_error=on_error,
        )

    @overload
    async def generate_text_completions_for_conversations(
        self,
        conversations: Source[Conversation],
        n_parallel: Parallel = 5,
        *,
        show_progress: bool = True,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion]: ...

    @overload
    async def generate_text_completions_for_conversations(
        self,
        conversations: Source[Conversation],
        n_parallel: Parallel = 5,
        *,
        show_progress: bool = True,
        on_error: Literal["return"],
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion | LiminError]: ...

    async def generate_text_completions_for_conversations(
        self,
        conversations: Source[Conversation],
        n_parallel: Parallel = 5,
        *,
        show_progress: bool = True,
        on_error: OnError = "raise",
        **options: Unpack[BatchOptions],
    ) -> list[TextCompletion] | list[TextCompletion | LiminError]:
        """Return the completions of many conversations, in their order.

        Args:
            conversations: Conversations, consumed lazily.
            n_parallel: See `generate_text_completions`; the rest, too.
            show_progress: Whether a bar on stderr shows the progress.
            on_error: Whether to raise or to return errors.
            **options: See `BatchOptions`.

        Raises:
            BatchError: If any conversation failed; see `generate_text_completions`.
            CheckpointError: If the checkpoint cannot be used; nothing was sent.
        """
        check_option_names(
            Client.generate_text_completions_for_conversations, options, _BATCH_NAMES
        )
        n_parallel = check_batch(conversations, n_parallel, on_error)
        return await complete_all(
            self._batch_caller(options),
            conversations,
            n_parallel,
            options,
            show_progress=show_progress,
            on_error=on_error,
        )

    def iter_text_completions(
        self,
        prompts_or_conversations: Source[str | Conversation],
        n_parallel: Parallel = 5,
        *,
        system_prompt: str | None = None,
        **options: Unpack[BatchOptions],
    ) -> Results:
        """Hand over the results of many prompts or conversations as they finish.

        `async with client.iter_text_completions(...) as results`, and in it
        `async for index, result in results`: the index in the source, from 0, and
        the completion or the error.

        Args:
            prompts_or_conversations: Consumed lazily: no more than are under way,
                and no faster than the results are taken.
            n_parallel: Requests under way at most; `auto` finds the number that
                suits the server best.
            system_prompt: The system's message before each prompt; None for none.
            **options: See `BatchOptions`.

        Raises:
            ConfigurationError: If an argument makes no sense. Errors of the batch
                are raised by the `Results`.
        """
        check_option_names(Client.iter_text_completions, options, _BATCH_NAMES)
        n_parallel = check_batch(prompts_or_conversations, n_parallel)
        return iter_completions(
            self._batch_caller(options),
            prompts_or_conversations,
            n_parallel,
            options,
            system_prompt=system_prompt,
        )

    def stream_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        **options: Unpack[StreamOptions],
    ) -> CompletionStream:
        """Stream the completion of one prompt.

        `async with client.stream_text_completion(...) as stream`, and in it
        `async for delta in stream`; then `stream.completion`.

        Args:
            user_prompt: The user's message.
            system_prompt: The system's message before it; None for none.
            **options: See `StreamOptions`.
        """
        check_option_names(Client.stream_text_completion, options, _STREAM_NAMES)
        conversation = as_conversation(user_prompt, system_prompt)
        return self.stream_text_completion_for_conversation(conversation, **options)

    def stream_text_completion_for_conversation(
        self, conversation: Conversation, **options: Unpack[StreamOptions]
    ) -> CompletionStream:
        """Stream the completion of a conversation; see `stream_text_completion`.

        Args:
            conversation: The messages so far.
            **options: See `StreamOptions`.
        """
        check_option_names(
            Client.stream_text_completion_for_conversation, options, _STREAM_NAMES
        )
        caller = self._caller(CompletionOptions(stream=True, **options))
        return CompletionStream(partial(caller.stream, as_conversation(conversation)))

    async def run_tools(
        self,
        conversation_or_prompt: Conversation | str,
        tools: Sequence[ToolSource],
        *,
        system_prompt: str | None = None,
        **options: Unpack[ToolRunOptions],
    ) -> ToolRun:
        """Let the model call tools until it answers, and return the whole run.

        The calls of one answer run side by side, sync functions in threads. Their
        results are told to the model in the order of the calls. It is also told if there
        is no such tool, and where arguments do not fit. Calls at the end of the
        conversation that have no result are run first.

        Args:
            conversation_or_prompt: The messages so far, or the user's message.
            tools: Functions, or `Tool` objects with a function; a mapping is a tool that
                the server runs itself.
            system_prompt: The system's message before a prompt; None for none.
            **options: See `ToolRunOptions`.

        Raises:
            LiminError: If a request failed. Its `tool_run` is what came before.
            Exception: An exception of a tool, with `on_tool_error="raise"`. Its cause is
                a `ToolRunError`, whose `tool_run` is what came before.
        """
        check_option_names(Client.run_tools, options, _TOOL_RUN_NAMES)
        conversation = as_conversation(conversation_or_prompt, system_prompt)
        call = {name: value for name, value in options.items() if name in _CALL_NAMES}
        asking = cast("CompletionOptions", call | {"tools": tools})
        relaxed, first = options_after_call(asking), self._caller(asking)
        later = first if relaxed is asking else self._caller(relaxed)
        return await run_with_tools(conversation, to_tools(tools), first, later, options)

    def _batch_caller(self, options: BatchOptions) -> Caller:
        call = {name: value for name, value in options.items() if name not in _BATCH_ONLY}
        return self._caller(cast("CompletionOptions", call))

    def _caller(self, options: CompletionOptions) -> Caller:
        configuration = resolve_configuration(options)
        option = cast("Mapping[str, Any]", options).get
        max_retries = option("max_retries", self._max_retries)
        on_warning = check_on_warning(option("on_warning", "ignore"))
        return Caller(
            self._endpoint,
            self._transport,
            RequestEncoder.of(configuration),
            configuration.model,
            check_seconds("timeout", option("timeout", self._timeout)),
            check_seconds("idle_timeout", option("idle_timeout", self._idle_timeout)),
            RetryPolicy(attempts=1 + check_integer("max_retries", max_retries, at_least=0)),
            on_warning,
            self._rate_limiter,
            asked_at=find_caller() if on_warning == "warn" else None,
        )
