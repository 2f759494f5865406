"""The client: one endpoint, its connections, and all that can be asked of it."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Literal, Self, Unpack, cast, overload

from limin.batch.results import Results, ask_all, check_batch, completions_or_raise
from limin.batch.workers import count_items
from limin.calls.call import Caller
from limin.calls.rate_limiter import RateLimiter
from limin.calls.stream import CompletionStream
from limin.checkpoint.recorder import RecordedCall
from limin.errors import CheckpointError
from limin.policy.retry import RetryPolicy
from limin.values.checks import check_integer, check_seconds
from limin.values.conversation import as_conversation
from limin.values.display import rendering
from limin.values.endpoint import Endpoint, Limits
from limin.values.options import (
    BatchOptions,
    CompletionOptions,
    check_on_warning,
    resolve_configuration,
)
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from limin.batch.results import OnError
    from limin.batch.workers import Parallel, Source
    from limin.errors import LiminError
    from limin.transport.http import HttpClient
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.options import StreamOptions

_OWN = BatchOptions.__annotations__.keys() - CompletionOptions.__annotations__.keys()


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
        """A client for one endpoint; nothing is sent yet.

        Args:
            base_url: URL up to and without `/chat/completions`; else
                `OPENAI_BASE_URL`, else OpenAI's.
            api_key: Sent as a bearer token to whatever server *base_url* names;
                else `OPENAI_API_KEY` is, to that server too. An empty one sends no
                Authorization header.
            headers: More headers for each request; they win over limin's.
            timeout: Seconds for the whole of one completion; None for no limit.
            idle_timeout: Seconds that a stream may bring no whole event once its
                first token came; None for no limit.
            max_retries: How often a request that failed for a passing reason is
                sent again.
            limits: What a server may cost at most.
            requests_per_minute: How many requests may leave in any minute, those
                that are sent again included; they leave evenly. None for no limit.
            tokens_per_minute: The same for tokens of questions and answers: as
                estimated before, and corrected by what the server counted.
            http_client: An `httpx.AsyncClient` or an `httpx2.AsyncClient` to use,
                and to leave open. Of *limits* only `body_bytes` applies to it, and
                its own are 5 seconds without data and 100 connections unless it was
                made with `timeout=None` and
                `limits=httpx.Limits(max_connections=None)`.

        Raises:
            ConfigurationError: If an argument makes no sense, or OpenAI's own
                server is meant and there is no key.
        """
        self._endpoint = Endpoint.resolve(base_url, api_key, headers)
        check_seconds("timeout", timeout)
        check_seconds("idle_timeout", idle_timeout)
        check_integer("max_retries", max_retries, at_least=0)
        self._timeout, self._idle_timeout = timeout, idle_timeout
        self._max_retries = max_retries
        self._rate_limiter = RateLimiter(requests_per_minute, tokens_per_minute)
        # Here httpx is loaded: `import limin` does without it.
        from limin.transport.http import HttpTransport  # noqa: PLC0415 (loads httpx)

        self._transport = HttpTransport(self._endpoint, limits or Limits(), http_client)

    def __repr__(self) -> str:
        """The endpoint's host; no key."""
        return f"<limin.Client of {self._endpoint.host}>"

    async def __aenter__(self) -> Self:
        """The client itself."""
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
        """The completion of one prompt.

        Args:
            user_prompt: What the user says.
            system_prompt: What the system says before.
            **options: See `CompletionOptions`.

        Raises:
            LiminError: If there is no completion; the subclass says why.
        """
        conversation = as_conversation(user_prompt, system_prompt)
        return await self._asker(options).ask(conversation)

    async def generate_text_completion_for_conversation(
        self, conversation: Conversation, **options: Unpack[CompletionOptions]
    ) -> TextCompletion:
        """The completion of a conversation.

        Args:
            conversation: What was said so far.
            **options: See `CompletionOptions`.

        Raises:
            LiminError: If there is no completion; the subclass says why.
        """
        return await self._asker(options).ask(as_conversation(conversation))

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
        """The completions of many prompts, in the prompts' order.

        Args:
            user_prompts: Prompts, consumed lazily.
            n_parallel: Requests under way at most; `auto` finds the number that
                the server takes best.
            system_prompt: What the system says before each of them.
            show_progress: Whether a bar on stderr tells how far it is.
            on_error: What to do if any prompt failed, after all others were
                finished: raise, or return the errors in their places.
            **options: See `BatchOptions`.

        Raises:
            BatchError: If any prompt failed; it holds every completion and every
                error. One that would strike every prompt stops the batch early,
                and so does a checkpoint that cannot be written, whatever *on_error*.
            CheckpointError: If the checkpoint cannot be used; nothing was sent.
        """
        check_batch(user_prompts, n_parallel, on_error)
        with self._recorder(options) as recorder:
            return await _batch(
                recorder,
                user_prompts,
                n_parallel,
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
        """The completions of many conversations, in their order.

        Args:
            conversations: Conversations, consumed lazily.
            n_parallel: Requests under way at most; `auto` finds the number that
                the server takes best.
            show_progress: Whether a bar on stderr tells how far it is.
            on_error: What to do if any failed, after all others were finished:
                raise, or return the errors in their places.
            **options: See `BatchOptions`.

        Raises:
            BatchError: If any conversation failed; it holds every completion and
                every error. One that would strike every one stops the batch early,
                and so does a checkpoint that cannot be written, whatever *on_error*.
            CheckpointError: If the checkpoint cannot be used; nothing was sent.
        """
        check_batch(conversations, n_parallel, on_error)
        with self._recorder(options) as recorder:
            return await _batch(
                recorder,
                conversations,
                n_parallel,
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
        """The results of many questions as they finish.

        `async with client.iter_text_completions(...) as results`, and in it
        `async for place, result in results`: the place of the question from 0,
        and its completion or error.

        Args:
            prompts_or_conversations: Questions, consumed lazily: no more than
                are under way, and no faster than the results are taken.
            n_parallel: Requests under way at most; `auto` finds the number that
                the server takes best.
            system_prompt: What the system says before each prompt.
            **options: See `BatchOptions`.
        """
        check_batch(prompts_or_conversations, n_parallel)
        recorder = self._recorder(options)
        ask = partial(recorder.ask, system_prompt=system_prompt)
        return Results(prompts_or_conversations, ask, n_parallel, recorder)

    def stream_text_completion(
        self,
        user_prompt: str,
        *,
        system_prompt: str | None = None,
        **options: Unpack[StreamOptions],
    ) -> CompletionStream:
        """The completion of one prompt as it comes.

        `async with client.stream_text_completion(...) as stream`, and in it
        `async for delta in stream`; then `stream.completion`.

        Args:
            user_prompt: What the user says.
            system_prompt: What the system says before.
            **options: See `StreamOptions`.
        """
        conversation = as_conversation(user_prompt, system_prompt)
        return self.stream_text_completion_for_conversation(conversation, **options)

    def stream_text_completion_for_conversation(
        self, conversation: Conversation, **options: Unpack[StreamOptions]
    ) -> CompletionStream:
        """The completion of a conversation as it comes; see `stream_text_completion`.

        Args:
            conversation: What was said so far.
            **options: See `StreamOptions`.
        """
        if "stream" in options:
            problem = "unexpected keyword argument: 'stream'"
            raise TypeError(problem)
        asker = self._asker(CompletionOptions(stream=True, **options))
        return CompletionStream(partial(asker.stream, as_conversation(conversation)))

    def _recorder(self, options: BatchOptions) -> RecordedCall:
        asking = {name: value for name, value in options.items() if name not in _OWN}
        return RecordedCall(
            self._asker(cast("CompletionOptions", asking)),
            options.get("checkpoint"),
            fsync=options.get("fsync", False),
        )

    def _asker(self, options: CompletionOptions) -> Caller:
        configuration = resolve_configuration(options)
        timeout = options.get("timeout", self._timeout)
        idle_timeout = options.get("idle_timeout", self._idle_timeout)
        max_retries = options.get("max_retries", self._max_retries)
        on_warning = options.get("on_warning", "ignore")
        check_seconds("timeout", timeout)
        check_seconds("idle_timeout", idle_timeout)
        check_integer("max_retries", max_retries, at_least=0)
        check_on_warning(on_warning)
        return Caller(
            self._endpoint,
            self._transport,
            RequestEncoder.of(configuration),
            configuration.model,
            timeout,
            idle_timeout,
            RetryPolicy(attempts=1 + max_retries),
            on_warning,
            self._rate_limiter,
        )


async def _batch(
    recorder: RecordedCall,
    source: Source[str | Conversation],
    n_parallel: Parallel,
    *,
    system_prompt: str | None = None,
    show_progress: bool,
    on_error: OnError,
) -> list[TextCompletion] | list[TextCompletion | LiminError]:
    ask = partial(recorder.ask, system_prompt=system_prompt)
    progress: AbstractContextManager[Callable[[object], None]] = nullcontext(_ignore)
    if show_progress:
        progress = rendering().batch_progress(
            count_items(source),
            in_flight=lambda: recorder.in_flight,
            seconds_of_rest=lambda: recorder.rest,
        )
    with progress as report:
        results, stopped_by = await ask_all(
            source, ask, n_parallel=n_parallel, report=report
        )
    if on_error == "return" and not isinstance(stopped_by, CheckpointError):
        return results
    return completions_or_raise(results, stopped_by)


def _ignore(_result: object) -> None:
    """Report to nobody."""
