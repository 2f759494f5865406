"""One endpoint or its replicas, their connections, and the callers that ask them."""

from __future__ import annotations

import math
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from limin.calls.caller import Caller
from limin.calls.observer import check_observers
from limin.calls.rate_limiter import RateLimiter
from limin.calls.server import OneServer, Server
from limin.calls.warning_report import find_caller
from limin.policy.retry import RetryPolicy
from limin.recipes.alternatives import Alternatives
from limin.values.checks import (
    check_argument,
    check_flag,
    check_integer,
    check_rate,
    check_seconds,
)
from limin.values.client_state import ClientState
from limin.values.endpoint import Limits, as_private
from limin.values.endpoints import resolve_endpoints
from limin.values.headers import conceal
from limin.values.options import (
    DEFAULTS,
    check_on_warning,
    find_filled_in,
    resolve_configuration,
)
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from limin.asking import AnswerType
    from limin.calls.observer import AnyObserver
    from limin.calls.server import Servers
    from limin.transport.http import HttpClient
    from limin.values.endpoints import BaseUrl
    from limin.values.options import AskOptions


class ConnectedClient:
    """A client without its verbs: what they share."""

    def __init__(
        self,
        base_url: BaseUrl = None,
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
        affinity: bool = True,
        observers: Iterable[AnyObserver] = (),
    ) -> None:
        """Make a client for one endpoint, or for several replicas of it.

        Nothing is sent yet.

        Args:
            base_url: URL without `/chat/completions`; by default
                `OPENAI_BASE_URL`, then OpenAI's. Or an `Endpoint`; or a list of both:
                servers of the same model, over which the requests are spread.
            api_key: Bearer token for the servers of *base_url*, whichever they are; by
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
                they leave evenly. Of several replicas, each may get so many. None for
                no limit.
            tokens_per_minute: Tokens of prompts and answers in any minute at most:
                estimated before, and corrected by the server's count. Of several
                replicas, each may have so many. None for no limit.
            http_client: An `httpx.AsyncClient` or an `httpx2.AsyncClient` to use,
                and to leave open. Of *limits* only `body_bytes` applies to it, and
                its own are 5 seconds without data and 100 connections unless it was
                made with `timeout=None` and
                `limits=httpx.Limits(max_connections=None)`.
            affinity: Whether a conversation in which an assistant has spoken goes to the
                replica that has its beginning in its cache, unless that is much busier
                than the others. Without, each request goes to the replica with the
                fewest under way. One endpoint alone gets them all.
            observers: What listens to the calls of this client: observers, or other
                objects with all five of its methods.

        Raises:
            ConfigurationError: If an argument makes no sense, or the server is
                OpenAI's and there is no key.
        """
        base_url, api_key = conceal(base_url), conceal(api_key)
        headers = conceal(headers)
        endpoints = resolve_endpoints(base_url, api_key, headers)
        self._timeout = check_seconds("timeout", timeout)
        self._idle_timeout = check_seconds("idle_timeout", idle_timeout)
        self._max_retries = check_integer("max_retries", max_retries, at_least=0)
        is_limits = limits is None or isinstance(limits, Limits)
        check_argument("limits", limits, "a limin.Limits or None", fits=is_limits)
        requests_per_minute = check_rate("requests_per_minute", requests_per_minute)
        tokens_per_minute = check_rate("tokens_per_minute", tokens_per_minute)
        affinity = check_flag("affinity", affinity)
        self._alternatives: defaultdict[str, Alternatives] = defaultdict(Alternatives)
        self._observers = check_observers(observers)
        # Here httpx is loaded, and with it logging: `import limin` does without them.
        from limin.calls.log import LOG  # noqa: PLC0415 (loads logging)
        from limin.transport.http import HttpTransport  # noqa: PLC0415 (loads httpx)

        self._log = LOG
        limits = limits or Limits()
        servers = [
            Server.of(
                endpoint,
                HttpTransport(endpoint, limits, http_client),
                RateLimiter(requests_per_minute, tokens_per_minute),
            )
            for endpoint in endpoints
        ]
        self._servers: Servers = OneServer(servers[0])
        if len(servers) > 1:
            from limin.calls.replicas import Replicas  # noqa: PLC0415 (few clients have some)

            self._servers = Replicas.of(servers, affinity=affinity)

    def __repr__(self) -> str:
        """Return the endpoint's host and the client's state, without the key."""
        if not hasattr(self, "_servers"):  # In the traceback of a refused argument.
            return "<limin.Client, not ready>"
        state, servers = self.state, self._servers.all
        facts = [f"{state.in_flight} in flight"]
        if state.idle is not None:
            facts.append(f"{state.idle} idle")
        if state.queued:
            facts.append(f"{state.queued} queued")
        if state.seconds_of_rest > 0:
            facts.append(f"resting {math.ceil(state.seconds_of_rest)} s")
        elif state.replicas_resting:
            facts.append(f"{state.replicas_resting} resting")
        if state.is_closed:
            facts = ["closed"]
        is_one = len(servers) == 1
        name = servers[0].endpoint.host if is_one else f"{len(servers)} replicas"
        return f"<limin.Client of {name}: {', '.join(facts)}>"

    @property
    def state(self) -> ClientState:
        """What the client is doing now; any thread may ask."""
        limiters = [server.rate_limiter for server in self._servers.all]
        transports = [server.transport for server in self._servers.all]
        idle = [transport.idle for transport in transports]
        requests_per_minute, tokens_per_minute = limiters[0].rates
        return ClientState(
            in_flight=sum(transport.in_flight for transport in transports),
            idle=None if None in idle else sum(filter(None, idle)),
            queued=sum(limiter.queued for limiter in limiters),
            seconds_of_rest=self._servers.seconds_of_rest,
            replicas_resting=self._servers.n_resting,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            is_closed=transports[0].is_closed,
        )

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
        async with AsyncExitStack() as stack:  # Each is closed, whatever another raises.
            for server in self._servers.all:
                stack.push_async_callback(server.transport.aclose)

    def _caller(self, options: AskOptions, answer_type: AnswerType | None = None) -> Caller:
        """Return what makes calls with *options*, for answers of a type if one is given.

        Raises:
            ConfigurationError: If an option makes no sense.
        """
        configuration = resolve_configuration(options)
        schema = None if answer_type is None else answer_type.schema
        option = cast("Mapping[str, Any]", options).get
        max_retries = option("max_retries", self._max_retries)
        on_warning = check_on_warning(option("on_warning", DEFAULTS["on_warning"]))
        headers = option("headers")
        return Caller(
            self._servers.with_headers(headers),
            RequestEncoder.of(
                configuration, schema, find_filled_in(options, configuration)
            ),
            configuration.model,
            check_seconds("timeout", option("timeout", self._timeout)),
            check_seconds("idle_timeout", option("idle_timeout", self._idle_timeout)),
            RetryPolicy(attempts=1 + check_integer("max_retries", max_retries, at_least=0)),
            on_warning,
            self._observers,
            self._log,
            asked_at=find_caller() if on_warning == "warn" else None,
            headers=as_private(headers) if headers else None,
        )
