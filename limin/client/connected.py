"""One endpoint, its connections, and the callers that ask it."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from limin.calls.call import Caller
from limin.calls.rate_limiter import RateLimiter
from limin.calls.warning_report import find_caller
from limin.policy.retry import RetryPolicy
from limin.recipes.alternatives import Alternatives
from limin.values.checks import check_argument, check_integer, check_rate, check_seconds
from limin.values.endpoint import Endpoint, Limits, as_private
from limin.values.options import (
    DEFAULTS,
    check_on_warning,
    find_filled_in,
    resolve_configuration,
)
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from limin.asking import AnswerType
    from limin.transport.http import HttpClient
    from limin.values.options import AskOptions


class ConnectedClient:
    """A client without its verbs: what they share."""

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
        self._alternatives: defaultdict[str, Alternatives] = defaultdict(Alternatives)
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
        endpoint = self._endpoint.with_headers(headers)
        return Caller(
            endpoint,
            self._transport,
            RequestEncoder.of(
                configuration, schema, find_filled_in(options, configuration)
            ),
            configuration.model,
            check_seconds("timeout", option("timeout", self._timeout)),
            check_seconds("idle_timeout", option("idle_timeout", self._idle_timeout)),
            RetryPolicy(attempts=1 + check_integer("max_retries", max_retries, at_least=0)),
            on_warning,
            self._rate_limiter,
            asked_at=find_caller() if on_warning == "warn" else None,
            headers=as_private(headers) if headers else None,
        )
