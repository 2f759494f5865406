"""A server that requests go to, and the route of the calls of a client that has one."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from limin.values.request_note import public_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limin.calls.rate_limiter import RateLimiter
    from limin.calls.replicas import ReplicaRoute, Replicas
    from limin.errors import LiminError
    from limin.transport.http import HttpTransport
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.values.endpoint import Endpoint

    Servers: TypeAlias = "OneServer | Replicas"
    Route: TypeAlias = "OneServer | ReplicaRoute"


class Outlook(Enum):
    """Whether another server may take a request that failed."""

    NONE = "none"
    LATER = "later"  # After the backoff of a retry.
    NOW = "now"


class Server(msgspec.Struct, frozen=True):
    """A server, the way to it, and when requests may be sent to it.

    Attributes:
        endpoint: Its URL, key and headers.
        transport: The way to it.
        rate_limiter: Says when a request may be sent.
        name: Its base URL, without query and secrets.
    """

    endpoint: Endpoint
    transport: HttpTransport
    rate_limiter: RateLimiter
    name: str

    @classmethod
    def of(
        cls, endpoint: Endpoint, transport: HttpTransport, rate_limiter: RateLimiter
    ) -> Server:
        """Return the server at *endpoint*."""
        name = public_url(endpoint, endpoint.base_url)
        return cls(endpoint, transport, rate_limiter, name)

    def with_headers(self, headers: Mapping[str, str] | None) -> Server:
        """Return the server of requests that have *headers*, too.

        Raises:
            ConfigurationError: If a header is wrong.
        """
        endpoint = self.endpoint.with_headers(headers)
        return msgspec.structs.replace(self, endpoint=endpoint)


class OneServer:
    """The only server of a client, and the route of all its calls.

    Attributes:
        server: The server.
        n_moves: How often a call has moved to another server.
    """

    __slots__ = ("server",)

    n_moves = 0

    def __init__(self, server: Server) -> None:
        """Send every request to *server*."""
        self.server = server

    @property
    def all(self) -> tuple[Server, ...]:
        """Every server."""
        return (self.server,)

    @property
    def name(self) -> str:
        """The server's name, which all completions have."""
        return self.server.name

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts to keep out of messages."""
        return self.server.endpoint.secrets()

    @property
    def resting_until(self) -> float:
        """End of the server's pause, by the clock of the event loop."""
        return self.server.rate_limiter.resting_until

    @property
    def seconds_of_rest(self) -> float:
        """Seconds for which the server still wants a pause; any thread may ask."""
        return self.server.rate_limiter.seconds_of_rest

    @property
    def n_resting(self) -> int:
        """How many replicas rest; a server without replicas does not."""
        return 0

    def healthy_first(self) -> tuple[Server, ...]:
        """Return every server, those that rest at the end."""
        return self.all

    def with_headers(self, headers: Mapping[str, str] | None) -> OneServer:
        """Return the server of requests that have *headers*, too.

        Raises:
            ConfigurationError: If a header is wrong.
        """
        return OneServer(self.server.with_headers(headers)) if headers else self

    def limited_by(
        self, n_parallel: int | Literal["auto"]
    ) -> tuple[OneServer, int | Literal["auto"]]:
        """Return the server and the limit for the calls of a batch, as they are."""
        return self, n_parallel

    def route(self, _conversation: Conversation) -> OneServer:
        """Return the route of one call."""
        return self

    def choose(self) -> None:
        """Choose the server of the next attempt: there is one."""

    def leave(self, _error: LiminError, _chance: float) -> Outlook:
        """Return whether another server may take the request: there is none."""
        return Outlook.NONE

    def finish(self, completion: TextCompletion) -> TextCompletion:
        """Return the *completion* that the call came to."""
        return completion

    def release(self) -> None:
        """End the attempt under way, if there is one."""
