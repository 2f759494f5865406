"""Keeps the query of an endpoint's URL, which may hold a key, out of the log of httpx.

httpx logs the URL of each request at INFO, whoever sends it. The URL cannot be changed
for the log only, so the lines are changed that name such a query, and no others.
"""

from __future__ import annotations

import logging


class QueryFilter(logging.Filter):
    """Hides the queries that it was given."""

    def __init__(self) -> None:
        """Hide nothing yet."""
        super().__init__()
        self._queries: set[bytes] = set()

    def __repr__(self) -> str:
        """Return how many queries are hidden."""
        return f"<limin hides {len(self._queries)} queries>"

    def add(self, query: bytes) -> None:
        """Hide *query*."""
        self._queries.add(query)

    def filter(self, record: logging.LogRecord) -> bool:
        """Hide queries in the URLs among the arguments of *record*, and keep it."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(self._hide_query, record.args))
        return True

    def _hide_query(self, argument: object) -> object:
        query = getattr(argument, "query", None)
        if not isinstance(query, bytes) or not any(map(query.__contains__, self._queries)):
            return argument
        return str(argument).partition("?")[0] + "?***"


_filter = QueryFilter()


def hide(query: bytes, logger: str) -> None:
    """Hide *query*, unless it is empty, in the lines of *logger*."""
    if query:
        _filter.add(query)
        logging.getLogger(logger).addFilter(_filter)
