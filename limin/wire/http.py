"""The HTTP response that the transport hands over, whole or open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

# OpenAI and most others; Azure's gateway; Anthropic's compatible endpoint.
_REQUEST_IDS = ("x-request-id", "apim-request-id", "request-id")


@attrs.frozen
class HttpResponse:
    """An HTTP response that was read to its end.

    Attributes:
        status: Status code.
        headers: Headers, by their names in lower case.
        body: The body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 (2xx)

    @property
    def request_id(self) -> str | None:
        """Id of the request, as the server assigned it; None if there is none."""
        for name in _REQUEST_IDS:
            if value := self.headers.get(name):
                return excerpt(value)
        return None


class OpenResponse(Protocol):
    """An HTTP response whose body still comes.

    Whoever got it closes it, whatever happens.
    """

    @property
    def head(self) -> HttpResponse:
        """Status and headers, without a body."""
        ...

    async def receive(self) -> bytes:
        """Wait for the next bytes of the body, decompressed; none at its end.

        Raises:
            TransportError: If the body breaks off.
        """
        ...

    async def read(self) -> HttpResponse:
        """Return the complete response, and close it.

        Raises:
            TransportError: If the body breaks off.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection at once, unless the body was read to its end."""
        ...
