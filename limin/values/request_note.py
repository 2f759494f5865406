"""Where a request went that failed: a note for its error."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from limin.errors import (
    AuthenticationError,
    LiminError,
    ResponseError,
    StatusError,
    StreamError,
    TransportError,
)
from limin.values.masking import SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limin.values.endpoint import Endpoint

_UNAUTHORIZED, _NOT_FOUND = 401, 404
_MOST_CAUSES = 8

# The errors that a request can fail with.
_OF_REQUESTS = (TransportError, StatusError, ResponseError, StreamError)

# Errors of OpenSSL if the answer to its greeting is plain HTTP, in lower case: versions
# up to 3.1, and later ones. Source: ssl/record/ssl3_record.c and
# ssl/record/methods/tls_common.c of OpenSSL.
_PLAIN_HTTP = (
    "wrong_version_number",
    "http_request",
    "record_layer_failure",
    "packet_length_too_long",
)

# Answers of servers that speak TLS to plain HTTP, in lower case. Sources: nginx
# (ngx_http_special_response.c), Go (net/http/server.go), Apache (ssl_engine_kernel.c) and
# Tomcat (NioEndpoint.java). The last two are an alert of TLS (RFC 8446, 6) as limin's
# transport names it, and as h11 quotes it.
_TLS = (
    "plain http request was sent to https port",
    "http request to an https server",
    "speaking plain http to an ssl-enabled server port",
    "this combination of host and port requires tls",
    "tls alert",
    r"\x15\x03",
)

# Messages about a server that closed instead of answering. Servers with OpenSSL do so
# after plain HTTP, but there are other reasons.
_NO_ANSWER = ("without an answer", "without sending a response", "connection broke")


def note_request(error: LiminError, endpoint: Endpoint) -> None:
    """Note in *error* which request to *endpoint* has failed, if it is one's error."""
    if isinstance(error, _OF_REQUESTS):
        reason = _reason_by_key_or_path(error, endpoint) or _reason_by_scheme(
            error, endpoint
        )
        error.asked = f"POST {public_url(endpoint)}{reason}"


def note_question_for_models(error: LiminError, endpoint: Endpoint) -> None:
    """Note in *error* that the models of *endpoint* were asked for."""
    error.asked = f"GET {public_url(endpoint, endpoint.models_url)}"


def public_url(endpoint: Endpoint, url: str | None = None) -> str:
    """Return *url* of *endpoint* without its query and without secrets.

    By default it is the URL that requests go to.
    """
    url = urlunsplit(urlsplit(url or endpoint.completions_url)._replace(query=""))
    for secret in endpoint.secrets():
        if len(secret) >= SHORTEST_SECRET:
            url = url.replace(secret, "***")
    return url


def _reason_by_key_or_path(error: LiminError, endpoint: Endpoint) -> str:
    """Return which key a 401 is about, or that the usual path is missing; or nothing."""
    cause = error.cause if isinstance(error, StreamError) else error
    if not isinstance(cause, StatusError):
        return ""
    status = cause.effective_status
    if isinstance(cause, AuthenticationError) or status == _UNAUTHORIZED:
        return f", {endpoint.key_source}"
    # Azure's URLs, which name a version in their query, have no such path.
    url = urlsplit(endpoint.completions_url)
    if status == _NOT_FOUND and "/v1" not in url.path and not url.query:
        return ", where base_url has no /v1"
    return ""


def _reason_by_scheme(error: LiminError, endpoint: Endpoint) -> str:
    """Return that the server speaks another scheme than its URL says; or nothing."""
    text = " ".join(_messages(error)).lower()
    if endpoint.base_url.lower().startswith("https:"):
        is_plain = isinstance(error, TransportError) and _has_any(text, _PLAIN_HTTP)
        return ", where the server speaks http, not https" if is_plain else ""
    if _has_any(text, _TLS):
        return ", where the server speaks https, not http"
    failures = [attempt.error for attempt in error.attempts]
    if failures and all(map(_is_without_answer, failures)):
        return ", where the server perhaps speaks https, not http"
    return ""


def _is_without_answer(error: LiminError | None) -> bool:
    """Return whether *error* says that the server closed instead of answering."""
    is_of_transport = isinstance(error, TransportError)
    return is_of_transport and _has_any(str(error).lower(), _NO_ANSWER)


def _messages(error: BaseException | None) -> Iterator[str]:
    """Yield the messages of *error* and of its causes; trio hides OpenSSL's in the last."""
    for _ in range(_MOST_CAUSES):
        if error is None:
            return
        yield str(error)
        error = error.__cause__ or error.__context__


def _has_any(text: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in text for phrase in phrases)
