"""The URL and the key of an endpoint.

The only reader of `OPENAI_BASE_URL` and `OPENAI_API_KEY` in the environment.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import attrs

from limin.errors import ConfigurationError
from limin.values.checks import check_argument, check_text, describe_type, is_number

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPENAI = "https://api.openai.com/v1"
_PATH = "/chat/completions"

# RFC 9110, 5.1 and 5.5: names are tokens; values hold no control characters
# except tabs. Bytes beyond ASCII are legal but have no defined meaning, so they are
# refused.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ILLEGAL = re.compile(r"[^\t\x20-\x7e]")

# Some servers read a request that has them twice as two requests (RFC 9112, 11.2).
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

# The characters that a URL may hold (RFC 3986, 2).
_URL = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]*")

# The path of a server that `limin.local` started begins with such a segment.
SECRET_PATH_START = "secret-"  # noqa: S105 (how each of them begins)
_SECRET_SEGMENT = re.compile(SECRET_PATH_START + "[0-9a-f]{32}")


def hide_secret_path(text: str) -> str:
    """Return *text* with `***` for the secret segment of a local server's path."""
    return _SECRET_SEGMENT.sub("***", text)


class ApiKey:
    """A key that only the request shows: its repr and str are masked."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Keep *value*.

        Raises:
            ConfigurationError: If no HTTP header can hold it.
        """
        check_header_value("api_key", value)
        self._value = value

    def reveal(self) -> str:
        """Return the key itself."""
        return self._value

    def __repr__(self) -> str:
        """Return three stars, whatever the length of the key."""
        return "ApiKey('***')"


def check_header_name(name: str) -> None:
    """Refuse a *name* that would end the header or start another, without showing it.

    Raises:
        ConfigurationError: If *name* is no header name.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        problem = "headers: expected letters, digits and dashes as names, found another"
        raise ConfigurationError(problem)


def check_header_value(name: str, value: str) -> None:
    """Refuse a *value* that would end the header, without showing it.

    Raises:
        ConfigurationError: If *value* is no text that an HTTP header can hold.
    """
    check_text(name, value)
    illegal = _ILLEGAL.search(value)
    if illegal is not None:
        problem = (
            f"{name}: expected printable ASCII, found U+{ord(illegal[0]):04X} "
            f"at character {illegal.start()} of {len(value)}"
        )
        raise ConfigurationError(problem)


@attrs.frozen(kw_only=True)
class Limits:
    """Limits on the time and memory that a broken or hostile server can take.

    The time to the first byte is limited only by the deadline of the completion:
    reasoning models think for minutes.

    Attributes:
        connect_seconds: Maximum time for name resolution, connection and TLS handshake
            together; long, because a loaded event loop is late for its handshakes.
        header_bytes: Maximum size of the status line and headers of a response.
        headers: Maximum number of headers of a response.
        body_bytes: Maximum size of the body, before and after decompression.

    Raises:
        ConfigurationError: If a limit is not above 0.
    """

    connect_seconds: float = 60.0
    header_bytes: int = 65_536
    headers: int = 256
    body_bytes: int = 268_435_456

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            fits = is_number(value) and value > 0
            check_argument(name, value, "a number above 0", fits=fits)


@attrs.frozen(kw_only=True)
class Endpoint:
    """An OpenAI-compatible server: its URL, the key and the headers for it.

    Attributes:
        base_url: URL without `/chat/completions` at its end. The repr hides the secret
            path of a local server.
        api_key: The key; None sends no Authorization header.
        headers: More headers for each request. The repr leaves them out, because
            they may hold keys.
    """

    base_url: str = attrs.field(repr=lambda url: repr(hide_secret_path(url)))
    api_key: ApiKey | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)

    @classmethod
    def resolve(
        cls,
        base_url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """Return the endpoint of these arguments, completed from the environment.

        `OPENAI_BASE_URL` and `OPENAI_API_KEY` replace arguments that are None; an
        empty `api_key` means no key, whatever the environment says.

        Raises:
            ConfigurationError: If the URL or a header is wrong, or the endpoint is
                OpenAI's own server and there is no key.
        """
        url = base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI
        _check_url(url)
        key = os.environ.get("OPENAI_API_KEY") if api_key is None else api_key
        copied = dict(headers or {})
        for name, value in copied.items():
            check_header_name(name)
            if name.lower() in _FRAMING:
                problem = f"headers: expected none that limin itself sets, found {name}"
                raise ConfigurationError(problem)
            check_header_value(f"headers[{name!r}]", value)
        authorized = key or any(name.lower() == "authorization" for name in copied)
        if urlsplit(url).hostname == "api.openai.com" and not authorized:
            problem = (
                "api_key: expected a key for api.openai.com, found none; "
                "set OPENAI_API_KEY or pass api_key"
            )
            raise ConfigurationError(problem)
        return cls(base_url=url, api_key=ApiKey(key) if key else None, headers=copied)

    @property
    def completions_url(self) -> str:
        """The URL that requests go to; a query stays at its end."""
        parts = urlsplit(self.base_url)
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + _PATH))

    @property
    def host(self) -> str:
        """Name of the server, with its port if the URL has one."""
        return urlsplit(self.base_url).netloc

    def request_headers(self) -> dict[str, str]:
        """Return the headers of each request; the caller's win over limin's."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self.api_key is not None:
            headers["authorization"] = f"Bearer {self.api_key.reveal()}"
        return headers | {name.lower(): value for name, value in self.headers.items()}

    def secrets(self) -> tuple[str, ...]:
        """Return the texts to keep out of messages.

        They are the key, the values of the user's headers, and the secret path of a
        local server.
        """
        key = () if self.api_key is None else (self.api_key.reveal(),)
        paths = _SECRET_SEGMENT.findall(self.base_url)
        return (*key, *self.headers.values(), *paths)


def named_in_environment() -> bool:
    """Return whether `OPENAI_BASE_URL` names an endpoint."""
    return bool(os.environ.get("OPENAI_BASE_URL"))


def proxy_may_apply() -> bool:
    """Return whether the environment or the settings of the system may name a proxy."""
    has_settings = sys.platform in {"darwin", "win32"}
    return has_settings or any(name.lower().endswith("_proxy") for name in os.environ)


def _check_url(url: object) -> None:
    """Refuse a *url* that is no base URL, without showing it: it may be a key."""
    expected = "base_url: expected http:// or https://, a host and a path, all ASCII; found"
    if not isinstance(url, str):
        problem = f"{expected} {describe_type(url)}"
        raise ConfigurationError(problem)
    fault = _url_fault(url)
    if fault is not None:
        problem = f"{expected} {fault}"
        raise ConfigurationError(problem)


def _url_fault(url: str) -> str | None:
    """Return what makes *url* no base URL, or None."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "an address that cannot be read"
    if parts.scheme not in {"http", "https"} or not host or parts.port == 0:
        return "another scheme, no scheme, or no host to connect to"
    if "@" in parts.netloc:
        return "a user name or password; pass api_key or headers"
    if not _URL.fullmatch(url):
        return "a character that no URL holds, or a fragment"
    if parts.path.rstrip("/").endswith(_PATH):
        return f"{_PATH} at its end, which limin adds"
    return None
