"""The endpoints of a client: one, or several replicas of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from limin.errors import ConfigurationError
from limin.values.checks import refuse
from limin.values.endpoint import Endpoint

# The endpoint of a client, or the endpoints of its replicas.
BaseUrl: TypeAlias = str | Endpoint | Sequence[str | Endpoint] | None


def resolve_endpoints(
    base_url: BaseUrl = None,
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[Endpoint, ...]:
    """Return the endpoint of these arguments, or those of the replicas in a list.

    Each is completed as by `Endpoint.resolve`; what an `Endpoint` has itself wins.

    Raises:
        ConfigurationError: If there is none, if one is there twice, or as in
            `Endpoint.resolve`.
    """
    if isinstance(base_url, Endpoint):
        return (base_url.completed_by(api_key, headers),)
    # Bytes are no list, and neither is what else is wrong: `resolve` refuses it.
    if isinstance(base_url, (str, bytes)) or not isinstance(base_url, Sequence):
        return (Endpoint.resolve(base_url, api_key, headers),)
    if not base_url:
        problem = "base_url: expected a URL or a list of them, found an empty list"
        raise ConfigurationError(problem)
    endpoints: list[Endpoint] = []
    for index, item in enumerate(base_url):
        endpoint = _check_item(index, item).completed_by(api_key, headers)
        if any(_are_same(endpoint, other) for other in endpoints):
            problem = f"base_url[{index}]: expected another replica, found one again"
            raise ConfigurationError(problem)
        endpoints.append(endpoint)
    return tuple(endpoints)


def _check_item(index: int, item: object) -> Endpoint:
    """Return *item*, a URL or an endpoint, as an endpoint.

    Raises:
        ConfigurationError: If it is neither, or the URL is wrong.
    """
    if isinstance(item, Endpoint):
        return item
    if not isinstance(item, str):
        refuse(f"base_url[{index}]", item, "a URL or a limin.Endpoint")
    try:
        return Endpoint(item)
    except ConfigurationError as error:
        error.problem = error.problem.replace("base_url", f"base_url[{index}]", 1)
        raise


def _are_same(one: Endpoint, other: Endpoint) -> bool:
    """Return whether both get the same requests."""
    if one.completions_url != other.completions_url:
        return False
    return one.request_headers() == other.request_headers()
