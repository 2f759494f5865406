"""What a scripted endpoint was asked, as a test looks at it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import attrs

from limin.json_text.lenient import parse_leniently
from limin.values.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Names of headers whose values are secrets.
_SECRET = re.compile(r"auth|key|token|secret|cookie|password|signature")

# A scheme before the secret, as in `Bearer sk-...`, is none.
_SCHEME = re.compile(r"(?:bearer|basic|token|api-?key) ", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Request:
    """A request that reached a scripted endpoint.

    Attributes:
        messages: The messages, as JSON has them.
        parameters: The other fields of the body.
        headers: The headers, by their names in lower case. What may be a key is `***`,
            the scheme before it stays: `Bearer ***`.
        body: The body, as it came.
    """

    messages: list[dict[str, Any]] = attrs.field(repr=lambda m: f"<{len(m)} messages>")
    parameters: dict[str, Any] = attrs.field(repr=lambda fields: repr(sorted(fields)))
    headers: Mapping[str, str] = attrs.field(repr=lambda headers: repr(sorted(headers)))
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")

    @property
    def streams(self) -> bool:
        """Whether it asks for a stream."""
        return bool(self.parameters.get("stream"))

    @property
    def includes_usage(self) -> bool:
        """Whether it asks for the usage at the end of a stream."""
        options = self.parameters.get("stream_options")
        return isinstance(options, dict) and bool(
            cast("dict[str, object]", options).get("include_usage")
        )

    @property
    def n_choices(self) -> int:
        """Number of choices that it asks for."""
        n: object = self.parameters.get("n")
        return n if type(n) is int and 1 <= n <= _MOST_CHOICES else 1

    @property
    def top_log_probs(self) -> int | None:
        """Number of alternatives that it asks for; None without log probabilities."""
        if not self.parameters.get("logprobs"):
            return None
        top: object = self.parameters.get("top_logprobs")
        return top if type(top) is int and top > 0 else 0


_MOST_CHOICES = 128  # As OpenAI's; a test that asks for a billion gets one.


def read_request(body: bytes, headers: Iterable[tuple[str, str]]) -> Request | None:
    """Return the request with *body*; None if it is no JSON object with messages."""
    try:
        fields = parse_leniently(body)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    parameters = dict(cast("dict[str, Any]", fields))
    messages: object = parameters.pop("messages", None)
    if not isinstance(messages, list):
        return None
    if not all(isinstance(message, dict) for message in cast("list[object]", messages)):
        return None
    return Request(
        messages=cast("list[dict[str, Any]]", messages),
        parameters=parameters,
        headers=_mask(headers),
        body=body,
    )


def _mask(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    masked: dict[str, str] = {}
    for name, value in headers:
        lower, shown = name.lower(), value
        if _SECRET.search(lower):
            scheme = _SCHEME.match(value)
            shown = (scheme[0] if scheme else "") + MASK
        masked[lower] = f"{masked[lower]}, {shown}" if lower in masked else shown
    return masked
