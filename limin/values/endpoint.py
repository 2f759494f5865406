"""Where to ask: the URL and the key. The only reader of the environment."""

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
# but tabs. Bytes beyond ASCII are legal and mean nothing, so they are refused.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ILLEGAL = re.compile(r"[^\t\x20-\x7e]")

# Two of them in one request are two requests to some servers (RFC 9112, 11.2).
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

# RFC 3986, 2: the characters that a URL is made of.
_URL = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]*")


class ApiKey:
    """A key that shows itself to nobody but the request that carries it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Hold *value*.

        Raises:
            ConfigurationError: If no HTTP header can carry it.
        """
        check_header_value("api_key", value)
        self._value = value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def __repr__(self) -> str:
        """Stars, however long the key."""
        return "ApiKey('***')"


def check_header_name(name: str) -> None:
    """Refuse what would end the header, or be read as another; it is not shown.

    Raises:
        ConfigurationError: If *name* is no header name.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        problem = "headers: expected letters, digits and dashes as names, found another"
        raise ConfigurationError(problem)


def check_header_value(name: str, value: str) -> None:
    """Refuse what would end the header; the value is not shown.

    Raises:
        ConfigurationError: If *value* is no text that HTTP can carry.
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
    """What a server may cost at most, however broken or hostile it is.

    There is no limit on the time to the first byte but the deadline of the
    completion: reasoning models think for minutes.

    Attributes:
        connect_seconds: For the name, the connection and the TLS handshake
            together; long, since a loaded event loop is late for its handshakes.
        header_bytes: Size of an answer's head.
        headers: Number of an answer's headers.
        body_bytes: Size of an answer's body, before and after decompression.

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
    """An OpenAI-compatible server, and what opens its door.

    Attributes:
        base_url: URL up to and without `/chat/completions`.
        api_key: The key; None sends no Authorization header.
        headers: More headers for each request; they may hold keys, so the repr
            leaves them out.
    """

    base_url: str
    api_key: ApiKey | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)

    @classmethod
    def resolve(
        cls,
        base_url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """The endpoint of these arguments, or else of the environment.

        `OPENAI_BASE_URL` and `OPENAI_API_KEY` stand in for what is None; an
        empty `api_key` is no key, whatever the environment says.

        Raises:
            ConfigurationError: If the URL or a header makes no sense, or
                OpenAI's own server is meant and there is no key.
        """
        url = base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI
        _check_url(url)
        key = os.environ.get("OPENAI_API_KEY") if api_key is None else api_key
        given = dict(headers or {})
        for name, value in given.items():
            check_header_name(name)
            if name.lower() in _FRAMING:
                problem = f"headers: expected none that limin itself sets, found {name}"
                raise ConfigurationError(problem)
            check_header_value(f"headers[{name!r}]", value)
        authorized = key or any(name.lower() == "authorization" for name in given)
        if urlsplit(url).hostname == "api.openai.com" and not authorized:
            problem = (
                "api_key: expected a key for api.openai.com, found none; "
                "set OPENAI_API_KEY or pass api_key"
            )
            raise ConfigurationError(problem)
        return cls(base_url=url, api_key=ApiKey(key) if key else None, headers=given)

    @property
    def completions_url(self) -> str:
        """The URL that completions are asked of; a query stays at its end."""
        parts = urlsplit(self.base_url)
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + _PATH))

    @property
    def host(self) -> str:
        """The server's name, with its port if one is given."""
        return urlsplit(self.base_url).netloc

    def request_headers(self) -> dict[str, str]:
        """The headers of each request; the caller's own win."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self.api_key is not None:
            headers["authorization"] = f"Bearer {self.api_key.reveal()}"
        return headers | {name.lower(): value for name, value in self.headers.items()}

    def secrets(self) -> tuple[str, ...]:
        """What must not be seen: the key, and the values of the user's headers."""
        key = () if self.api_key is None else (self.api_key.reveal(),)
        return (*key, *self.headers.values())


def named_in_environment() -> bool:
    """Whether `OPENAI_BASE_URL` names an endpoint."""
    return bool(os.environ.get("OPENAI_BASE_URL"))


def proxy_may_apply() -> bool:
    """Whether the environment, or the settings of the system, may name a proxy."""
    elsewhere = sys.platform in {"darwin", "win32"}
    return elsewhere or any(name.lower().endswith("_proxy") for name in os.environ)


def _check_url(url: object) -> None:
    """Refuse what is no base URL; it is not shown, since it may be a key."""
    expected = "base_url: expected http:// or https://, a host and a path, all ASCII; found"
    if not isinstance(url, str):
        problem = f"{expected} {describe_type(url)}"
        raise ConfigurationError(problem)
    found = _what_is_wrong(url)
    if found is not None:
        problem = f"{expected} {found}"
        raise ConfigurationError(problem)


def _what_is_wrong(url: str) -> str | None:
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
