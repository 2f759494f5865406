"""Keeps the secrets in an endpoint's URL out of the log of httpx.

The query may hold a key, and the path of a local server begins with a secret. httpx
logs the URL of each request at INFO, whoever sends it. The URL cannot be changed for
the log only, so the lines are changed that name such a query or path, and no others.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from limin.values.endpoint import hide_secret_path

if TYPE_CHECKING:
    import httpx


class QueryFilter(logging.Filter):
    """Hides the secret paths of local servers, and the queries that were added."""

    def __init__(self) -> None:
        """Begin without queries."""
        super().__init__()
        self._queries: set[bytes] = set()

    def __repr__(self) -> str:
        """Return how many queries are hidden."""
        return f"<limin hides {len(self._queries)} queries>"

    def add(self, query: bytes) -> None:
        """Hide *query*."""
        self._queries.add(query)

    def filter(self, record: logging.LogRecord) -> bool:
        """Hide secrets in the URLs among the arguments of *record*, and keep it."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(self._hide_secrets, record.args))
        return True

    def _hide_secrets(self, argument: object) -> object:
        query = getattr(argument, "query", None)
        if not isinstance(query, bytes):
            return argument
        url = hide_secret_path(str(argument))
        if any(map(query.__contains__, self._queries)):
            url = url.partition("?")[0] + "?***"
        return argument if url == str(argument) else url


_filter = QueryFilter()


def hide(url: httpx.URL, logger: str) -> None:
    """Hide the query and the secret path of *url* in the lines of *logger*."""
    if url.query:
        _filter.add(url.query)
    if url.query or hide_secret_path(url.path) != url.path:
        logging.getLogger(logger).addFilter(_filter)
