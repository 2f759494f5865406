"""What makes calls with one configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from limin.calls.call import Call
from limin.wire.response import ReadingContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from limin.calls.log import LogObserver
    from limin.calls.observer import AnyObserver
    from limin.calls.server import Servers
    from limin.calls.streamed_answer import StreamedAnswer
    from limin.calls.warning_report import SourceLine
    from limin.policy.parallelism import Parallelism
    from limin.policy.retry import RetryPolicy
    from limin.values.choice import Delta
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.headers import PrivateHeaders
    from limin.values.options import OnWarning
    from limin.wire.request import RequestEncoder


class Caller(msgspec.Struct, frozen=True):
    """Makes calls with one configuration: a batch has one, and uses it for each item.

    Attributes:
        servers: The server, or the replicas among which each attempt chooses.
        encoder: Encodes the requests.
        model: Name of the model.
        timeout: Seconds for a whole call; None for no limit.
        idle_timeout: Seconds that a stream may bring no event; None for no limit.
        retry: When to send a failed request again.
        on_warning: What to do about warnings.
        observers: The listeners to the calls.
        log: The listener that writes records about them, if anybody reads these; None
            for none.
        asked_at: The line of the program that makes the calls; None if it is found
            when a warning is issued.
        headers: The headers of these calls, which win over the transport's; the servers
            have them, too. None if there are none.
        served_models: How the server called each model before, by the name that was
            asked for; None if nobody knows.
    """

    servers: Servers
    encoder: RequestEncoder
    model: str
    timeout: float | None
    idle_timeout: float | None
    retry: RetryPolicy
    on_warning: OnWarning
    observers: tuple[AnyObserver, ...] = ()
    log: LogObserver | None = None
    asked_at: SourceLine | None = None
    headers: PrivateHeaders | None = None
    served_models: Mapping[str, str] | None = None

    def observed_by(self, *observers: AnyObserver) -> Caller:
        """Return a caller that *observers* listen to, beside those that do already."""
        return msgspec.structs.replace(self, observers=(*self.observers, *observers))

    def limited_by(
        self, n_parallel: int | Literal["auto"]
    ) -> tuple[Caller, int | Literal["auto"] | Parallelism]:
        """Return a caller for a batch, and how many of its requests may be under way."""
        servers, parallelism = self.servers.limited_by(n_parallel)
        return msgspec.structs.replace(self, servers=servers), parallelism

    def ask(
        self, conversation: Conversation, *, spent: float = 0.0
    ) -> Awaitable[TextCompletion]:
        """Return the completion of *conversation*, after as many attempts as needed.

        Args:
            conversation: The messages so far.
            spent: Seconds of the timeout that are over already.

        Raises:
            LiminError: If there is none; its `attempts` hold each request.
        """
        body, context = self.encoder.encode(conversation), self.context(conversation)
        return self.send(body, context, spent)

    def send(
        self, body: bytes, context: ReadingContext, spent: float = 0.0
    ) -> Awaitable[TextCompletion]:
        """Send *body*, and return the completion read in *context*; see `ask`.

        Raises:
            LiminError: If there is none; its `attempts` hold each request.
        """
        return Call(self, body, context, spent).run()

    def stream(
        self, conversation: Conversation
    ) -> Awaitable[tuple[StreamedAnswer, list[Delta]]]:
        """Return the answer to *conversation* while it comes, and its first deltas.

        Raises:
            LiminError: If none came; its `attempts` hold each request.
        """
        body, context = self.encoder.encode(conversation), self.context(conversation)
        return Call(self, body, context).stream()

    def context(self, conversation: Conversation) -> ReadingContext:
        """Return what is needed beside a response to *conversation* to read it."""
        return ReadingContext(
            conversation=conversation,
            model=self.model,
            asks_log_probs=self.encoder.asks_log_probs,
            top_log_probs=self.encoder.top_log_probs,
            n_choices=self.encoder.n_choices,
            sampling=self.encoder.sampling,
            secrets=(*self.servers.secrets, *conversation.texts()),
            endpoint=self.servers.name,
        )
