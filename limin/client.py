"""One question, one answer: the client, its endpoint and its connections."""

from __future__ import annotations

import math
import time
import warnings
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

import anyio
import msgspec

from limin.batch import ask_all, check_batch, size_of
from limin.completion import Timing
from limin.conversation import Conversation, as_conversation
from limin.diagnostics import LiminWarning
from limin.endpoint import Endpoint, Limits
from limin.errors import AnswerWarningError, ConfigurationError, RequestTimeoutError
from limin.parameters import (
    CompletionOptions,
    checked_on_warning,
    resolve_configuration,
)
from limin.transport.http import HttpTransport
from limin.wire.request import RequestEncoder
from limin.wire.response import Question, read_completion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from limin.batch import Source
    from limin.completion import TextCompletion
    from limin.parameters import OnWarning
    from limin.transport.foreign import HttpClient

_Item = TypeVar("_Item")


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
        limits: Limits | None = None,
        http_client: HttpClient | None = None,
    ) -> None:
        """A client for one endpoint; nothing is sent yet.

        Args:
            base_url: URL up to and without `/chat/completions`; else
                `OPENAI_BASE_URL`, else OpenAI's.
            api_key: Sent as a bearer token; else `OPENAI_API_KEY`. Without one
                no Authorization header is sent.
            headers: More headers for each request; they win over limin's.
            timeout: Seconds for the whole of one completion; None for no limit.
            limits: What a server may cost at most.
            http_client: An `httpx.AsyncClient` or an `httpx2.AsyncClient` to use,
                and to leave open; it has limits of its own.

        Raises:
            ConfigurationError: If an argument makes no sense, or OpenAI's own
                server is meant and there is no key.
        """
        self._endpoint = Endpoint.resolve(base_url, api_key, headers)
        self._timeout = _checked_timeout(timeout)
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

    async def generate_text_completions(
        self,
        user_prompts: Source[str],
        n_parallel: int = 5,
        *,
        system_prompt: str | None = None,
        show_progress: bool = True,
        **options: Unpack[CompletionOptions],
    ) -> list[TextCompletion]:
        """The completions of many prompts, in the prompts' order.

        Args:
            user_prompts: Prompts, consumed lazily.
            n_parallel: Requests under way at most; at least 1.
            system_prompt: What the system says before each of them.
            show_progress: Whether a bar on stderr tells how far it is.
            **options: See `CompletionOptions`.

        Raises:
            BatchError: If any prompt failed, after all others were finished; an
                error that would strike every prompt stops the batch early.
        """
        asker = self._asker(options)

        async def ask(prompt: str) -> TextCompletion:
            return await asker.ask(as_conversation(prompt, system_prompt))

        return await _batch(user_prompts, ask, n_parallel, show_progress)

    async def generate_text_completions_for_conversations(
        self,
        conversations: Source[Conversation],
        n_parallel: int = 5,
        *,
        show_progress: bool = True,
        **options: Unpack[CompletionOptions],
    ) -> list[TextCompletion]:
        """The completions of many conversations, in their order.

        Args:
            conversations: Conversations, consumed lazily.
            n_parallel: Requests under way at most; at least 1.
            show_progress: Whether a bar on stderr tells how far it is.
            **options: See `CompletionOptions`.

        Raises:
            BatchError: If any conversation failed, after all others were
                finished; an error that would strike every one stops the batch
                early.
        """
        asker = self._asker(options)

        async def ask(conversation: Conversation) -> TextCompletion:
            return await asker.ask(as_conversation(conversation))

        return await _batch(conversations, ask, n_parallel, show_progress)

    def _asker(self, options: CompletionOptions) -> _Asker:
        configuration = resolve_configuration(options)
        timeout = _checked_timeout(options.get("timeout", self._timeout))
        return _Asker(
            self._endpoint,
            self._transport,
            RequestEncoder.of(configuration),
            configuration.model,
            timeout,
            checked_on_warning(options.get("on_warning", "ignore")),
        )


class _Asker(msgspec.Struct, frozen=True):
    """Asks with one configuration: what a batch makes once, and uses for each."""

    endpoint: Endpoint
    transport: HttpTransport
    encoder: RequestEncoder
    model: str
    timeout: float | None
    on_warning: OnWarning

    async def ask(self, conversation: Conversation) -> TextCompletion:
        body = self.encoder.encode(conversation)
        prompts = [message.content for message in conversation.messages]
        question = Question(
            conversation=conversation,
            model=self.model,
            asks_log_probs=self.encoder.asks_log_probs,
            top_log_probs=self.encoder.top_log_probs,
            secrets=(*self.endpoint.secrets(), *prompts),
        )
        start_time, start = time.time(), time.perf_counter()
        answer = None
        with anyio.move_on_after(self.timeout):
            answer = await self.transport.post(body)
        if answer is None:
            reason = f"no complete answer within {self.timeout:g} seconds"
            raise RequestTimeoutError(reason, self.timeout)
        timing = Timing(
            start_time=start_time,
            end_time=time.time(),
            duration=time.perf_counter() - start,
        )
        completion = read_completion(question, timing, answer)
        if self.on_warning != "ignore":
            _tell(completion, self.on_warning)
        return completion


async def _batch(
    source: Source[_Item],
    ask: Callable[[_Item], Awaitable[TextCompletion]],
    n_parallel: int,
    show_progress: bool,  # noqa: FBT001 (a private step of the functions above)
) -> list[TextCompletion]:
    check_batch(source, n_parallel)
    if not show_progress:
        return await ask_all(source, ask, n_parallel=n_parallel, report=_ignore)
    from limin.rendering.progress import BatchProgress  # noqa: PLC0415 (rich loads when shown)

    with BatchProgress(size_of(source)) as progress:
        return await ask_all(source, ask, n_parallel=n_parallel, report=progress.report)


def _tell(completion: TextCompletion, on_warning: OnWarning) -> None:
    """Make what is odd about *completion* heard."""
    found = completion.warnings
    if found and on_warning == "raise":
        raise AnswerWarningError(found, completion)
    try:
        for one in found:
            warnings.warn(str(one), LiminWarning, stacklevel=2)
    except LiminWarning as error:  # Warnings are errors here: no answer is lost by it.
        raise AnswerWarningError(found, completion) from error


def _ignore(_result: object) -> None:
    """Report to nobody."""


def _checked_timeout(timeout: float | None) -> float | None:
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is not None and not (number and 0 < timeout < math.inf):
        problem = f"timeout: expected seconds above 0 or None, found {timeout!r}"
        raise ConfigurationError(problem)
    return timeout
