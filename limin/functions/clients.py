"""The client of a one-call function: the user's own, or one for the call."""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, TypedDict, cast

from limin.client import Client
from limin.errors import ConfigurationError
from limin.values.checks import describe_type
from limin.values.options import (
    BatchOptions,
    CompletionOptions,
    DecisionOptions,
    StreamOptions,
    ToolRunOptions,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from limin.values.endpoint import Endpoint


class ClientOptions(TypedDict, total=False):
    """Where a function asks.

    Attributes:
        client: A client to use and to leave open, with an endpoint of its own. None
            opens one for the call.
        api_key: The key, for calls without a client; see `Client`.
        base_url: The endpoint, or a list of replicas, for calls without a client; see
            `Client`.
    """

    client: Client | None
    api_key: str | None
    base_url: str | Endpoint | Sequence[str | Endpoint] | None


class FunctionStreamOptions(StreamOptions, ClientOptions, total=False):
    """The options of the stream functions; see `StreamOptions` and `ClientOptions`."""


class FunctionOptions(FunctionStreamOptions, CompletionOptions, total=False):
    """The options of the one-call functions; see `FunctionStreamOptions`, too."""


class FunctionBatchOptions(BatchOptions, FunctionOptions, total=False):
    """The options of the batch functions; see `BatchOptions` and `FunctionOptions`."""


class FunctionToolRunOptions(ToolRunOptions, ClientOptions, total=False):
    """The options of `run_tools`; see `ToolRunOptions` and `ClientOptions`."""


class FunctionDecisionOptions(DecisionOptions, ClientOptions, total=False):
    """The options of decisions; see `DecisionOptions` and `ClientOptions`."""


_OWN = frozenset({"client", "api_key", "base_url"})

# An endpoint and a key for calls that send nothing, which need neither.
_UNUSED_URL = "http://unused.invalid/v1"
_UNUSED_KEY = "unused"


def find_client(
    options: ClientOptions, *, sends: bool = True
) -> tuple[Client, bool, CompletionOptions]:
    """Return a client, whether it was made for this call, and the options of the call.

    A call that *sends* nothing needs no endpoint and no key, but all else must be right.

    Raises:
        ConfigurationError: If *options* name a client and an endpoint, or something
            else as a client.
    """
    client = options.get("client")
    base_url, api_key = options.get("base_url"), options.get("api_key")
    if client is not None and (base_url is not None or api_key is not None):
        problem = "client: expected no base_url or api_key beside it, found one"
        raise ConfigurationError(problem)
    # A stand-in with the methods of a client is one, too.
    if client is not None and not hasattr(client, "stream_text_completion"):
        problem = f"client: expected a limin.Client or None, found {describe_type(client)}"
        raise ConfigurationError(problem)
    rest = {name: value for name, value in options.items() if name not in _OWN}
    is_own = client is None
    if client is None:  # The headers of the call may bring the key.
        if not sends:
            base_url = _UNUSED_URL if base_url is None else base_url
            api_key = _UNUSED_KEY if api_key is None else api_key
        headers = cast("Mapping[str, str] | None", rest.pop("headers", None))
        opened = Client(base_url, api_key, headers=headers)
    else:
        opened = client
    return opened, is_own, cast("CompletionOptions", rest)


@asynccontextmanager
async def open_client(
    options: ClientOptions, *, sends: bool = True
) -> AsyncGenerator[tuple[Client, CompletionOptions]]:
    """Open a client if *options* name none; yield it, and the options of the call.

    *sends* is whether the call sends anything; see `find_client`.
    """
    client, is_own, rest = find_client(options, sends=sends)
    async with client if is_own else nullcontext():
        yield client, rest
