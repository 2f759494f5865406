"""Where to ask: the URL and the key. The only reader of the environment."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import attrs

from limin.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPENAI = "https://api.openai.com/v1"
_PATH = "/chat/completions"

# RFC 9110, 5.1 and 5.5: names are tokens; values hold no control characters
# but tabs. Bytes beyond ASCII are legal and mean nothing, so they are refused.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


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
    """Refuse what would end the header, or be read as another.

    Raises:
        ConfigurationError: If *name* is no header name.
    """
    if not _HEADER_NAME.fullmatch(name):
        problem = f"headers: expected letters, digits and dashes as a name, found {name!r}"
        raise ConfigurationError(problem)


def check_header_value(name: str, value: str) -> None:
    """Refuse what would end the header; the value is not shown.

    Raises:
        ConfigurationError: If *value* holds a character that HTTP cannot carry.
    """
    legal = _HEADER_VALUE.match(value)
    end = 0 if legal is None else legal.end()
    if end < len(value):
        problem = (
            f"{name}: expected printable ASCII, found U+{ord(value[end]):04X} "
            f"at character {end} of {len(value)}"
        )
        raise ConfigurationError(problem)


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


def _check_url(url: str) -> None:
    expected = "base_url: expected http:// or https://, a host and a path"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        problem = f"{expected}; found an address that cannot be read"
        raise ConfigurationError(problem) from None
    if parts.username is not None or parts.password is not None:
        problem = (
            f"{expected}; found a user name or password in it; pass api_key or headers"
        )
        raise ConfigurationError(problem)
    if parts.scheme not in {"http", "https"} or not host:
        problem = f"{expected}, found {url!r}"
        raise ConfigurationError(problem)
    if not url.isascii() or not url.isprintable() or " " in url or parts.fragment:
        problem = f"{expected}, all ASCII, without spaces or a fragment; found {url!r}"
        raise ConfigurationError(problem)
    if parts.path.rstrip("/").endswith(_PATH):
        problem = f"{expected}, without {_PATH}, which limin adds; found {url!r}"
        raise ConfigurationError(problem)
