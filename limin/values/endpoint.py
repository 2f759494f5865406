"""The URL and the key of an endpoint.

The only reader of `OPENAI_BASE_URL` and `OPENAI_API_KEY` in the environment.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import unquote_plus, urlsplit, urlunsplit

import attrs

from limin.errors import ConfigurationError
from limin.values.checks import describe_type, is_above_zero, is_integer, plain, refuse
from limin.values.headers import (
    AROUND,
    ApiKey,
    PrivateHeaders,
    check_header_name,
    check_header_value,
    conceal,
)

_OPENAI = "https://api.openai.com/v1"
_PATH = "/chat/completions"
_MODELS_PATH = "/models"
_URL_VARIABLE, _KEY_VARIABLE = "OPENAI_BASE_URL", "OPENAI_API_KEY"

# Some servers read a request that has them twice as two requests (RFC 9112, 11.2).
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

# The largest number that a float holds to the unit; zlib takes up to 2 ** 63.
_LARGEST_COUNT = 2**53

# The characters that a URL may hold (RFC 3986, 2).
_URL = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]*")

# Parameters of a query that are no secrets: Azure's, and other spellings of it.
_PUBLIC_PARAMETERS = frozenset({"api-version", "api_version", "apiversion", "version"})

# The port of a URL that names none, by its scheme.
DEFAULT_PORTS = {"http": 80, "https": 443}

# The key of an endpoint that is to get none, whatever the client's own is.
_NO_KEY = ApiKey("")

# The path of a server that `limin.local` started begins with such a segment.
SECRET_PATH_START = "secret-"  # noqa: S105 (how each of them begins)
_SECRET_SEGMENT = re.compile(SECRET_PATH_START + "[0-9a-f]{32}")


def hide_secret_path(text: str) -> str:
    """Return *text* with `***` for the secret segment of a local server's path."""
    return _SECRET_SEGMENT.sub("***", text)


def _to_seconds(seconds: float) -> float:
    return cast("float", plain(seconds))


def _to_count(count: int) -> int:
    """Return *count* as an `int` if it is a whole number, such as 1e6, or else itself."""
    number = plain(count)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return cast("int", number)


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
        ConfigurationError: If a limit is not above 0, or a size or number is not whole
            or beyond 2 ** 53.
    """

    connect_seconds: float = attrs.field(default=60.0, converter=_to_seconds)
    header_bytes: int = attrs.field(default=65_536, converter=_to_count)
    headers: int = attrs.field(default=256, converter=_to_count)
    body_bytes: int = attrs.field(default=268_435_456, converter=_to_count)

    def __attrs_post_init__(self) -> None:
        if not is_above_zero(self.connect_seconds):
            name, value = "connect_seconds", self.connect_seconds
            refuse(name, value, "a number above 0, and finite")
        for name in ("header_bytes", "headers", "body_bytes"):
            value = getattr(self, name)
            if not is_integer(value, 1) or value > _LARGEST_COUNT:
                refuse(name, value, "a number above 0, whole and at most 2 ** 53")


def _without_secrets(url: str) -> str:
    """Return the repr of *url* with `***` for its query and for a secret path."""
    parts = urlsplit(url)
    shown = urlunsplit(parts._replace(query="***" if parts.query else ""))
    return repr(hide_secret_path(shown))


def find_private_query(base_url: str) -> list[str]:
    """Return the texts in the query of *base_url* that may be keys, also as they are sent.

    A parameter without a value may be one itself.
    """
    private: dict[str, None] = {}
    for parameter in urlsplit(base_url).query.split("&"):
        name, _, value = parameter.partition("=")
        if name.lower() not in _PUBLIC_PARAMETERS:
            # Signs of equality alone are the end of a key in base64.
            sent = value if value.strip("=") else parameter.rstrip("=")
            private |= dict.fromkeys(filter(None, (unquote_plus(sent), sent)))
    return list(private)


def _find_secrets(endpoint: Endpoint) -> tuple[str, ...]:
    key = () if endpoint.api_key is None else (endpoint.api_key.reveal(),)
    private = find_private_query(endpoint.base_url)
    paths = _SECRET_SEGMENT.findall(endpoint.base_url)
    return (*key, *endpoint.headers.values(), *private, *paths)


def _copy_headers(headers: object) -> dict[str, str]:
    """Return a copy of *headers*, without the blanks around the values."""
    if headers is None:
        return {}
    headers = conceal(headers)
    if not isinstance(headers, Mapping):
        refuse("headers", headers, "a mapping of names to values, or None")
    copied = PrivateHeaders()
    # Each name and each value gets a silent repr, even one of a wrong type.
    for name, value in map(conceal, cast("Mapping[str, object]", headers).items()):
        check_header_name(name)
        if name.lower() in _FRAMING:
            problem = f"headers: expected none that limin itself sets, found {name}"
            raise ConfigurationError(problem)
        field = f"headers[{str.__str__(name)!r}]"
        copied[str.__str__(name)] = check_header_value(field, value)
    return copied


def _to_url(base_url: str) -> str:
    return check_url("base_url", base_url)


def _to_headers(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    return _copy_headers(headers)


def _to_key(api_key: str | ApiKey | None) -> ApiKey | None:
    """Return *api_key* as a key; an empty one says that none is to be sent."""
    if api_key is None or isinstance(api_key, ApiKey):
        return api_key
    return ApiKey.clean(api_key) or _NO_KEY


@attrs.frozen(init=False)
class Endpoint:
    """An OpenAI-compatible server: its URL, and the key and the headers for it.

    A client takes it in the place of a URL; see `Client`.

    Attributes:
        base_url: URL without `/chat/completions` at its end. The repr leaves out its
            query, because it may hold a key, and the secret path of a local server.
        api_key: The key, in an object whose repr hides it; None for the client's own. An
            empty one sends no Authorization header.
        headers: More headers for each request, which win over the client's. The repr
            leaves them out, because they may hold keys.

    Raises:
        ConfigurationError: If the URL, the key or a header is wrong.
    """

    base_url: str = attrs.field(converter=_to_url)
    api_key: ApiKey | None = attrs.field(default=None, converter=_to_key)
    headers: Mapping[str, str] = attrs.field(default=None, converter=_to_headers)
    # Every call needs them, and reading a URL takes a while.
    _secrets: tuple[str, ...] = attrs.field(
        default=attrs.Factory(_find_secrets, takes_self=True),
        init=False,
        eq=False,
    )

    def __init__(
        self,
        base_url: str,
        api_key: str | ApiKey | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Check the arguments, which no traceback shows.

        Raises:
            ConfigurationError: If the URL, the key or a header is wrong.
        """
        base_url, api_key = conceal(base_url), conceal(api_key)
        headers = conceal(headers)
        cast("Any", self).__attrs_init__(base_url, api_key, headers)

    def __repr__(self) -> str:
        """Return the URL without secrets, and whether there is a key."""
        if not hasattr(self, "_secrets"):  # In the traceback of a refused argument.
            return "<limin.Endpoint, not ready>"
        url = _without_secrets(self.base_url)
        return f"Endpoint(base_url={url}, api_key={self.api_key!r})"

    @classmethod
    def resolve(
        cls,
        base_url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """Return the endpoint of these arguments, completed from the environment.

        `OPENAI_BASE_URL` and `OPENAI_API_KEY` replace arguments that are None; an
        empty `api_key` means no key, whatever the environment says. Blanks, line ends
        and quotation marks around a key or a variable are taken off, and so is
        `Bearer` before a key.

        Raises:
            ConfigurationError: If the URL or a header is wrong, or the endpoint is
                OpenAI's own server and there is no key.
        """
        base_url, api_key = conceal(base_url), conceal(api_key)
        headers = conceal(headers)
        endpoint = cls(_find_url(base_url), _find_key(api_key), headers)
        _check_has_key(endpoint)
        return endpoint

    def completed_by(
        self, api_key: str | None, headers: Mapping[str, str] | None
    ) -> Endpoint:
        """Return the endpoint, whose missing key and headers are those of the client.

        They come from the arguments and the environment, as in `resolve`.

        Raises:
            ConfigurationError: As in `resolve`.
        """
        api_key, headers = conceal(api_key), conceal(headers)
        key = _find_key(api_key) if self.api_key is None else self.api_key
        key = None if key is _NO_KEY else key
        endpoint = Endpoint(self.base_url, key, headers).with_headers(self.headers)
        _check_has_key(endpoint)
        return endpoint

    def with_headers(self, headers: Mapping[str, str] | None) -> Endpoint:
        """Return the endpoint of requests that have *headers*, too; they win over its own.

        Raises:
            ConfigurationError: If a header is wrong.
        """
        headers = conceal(headers)
        copied = _copy_headers(headers)
        if not copied:
            return self
        names = {name.lower() for name in copied}
        kept = {n: value for n, value in self.headers.items() if n.lower() not in names}
        return attrs.evolve(self, headers=kept | copied)

    @property
    def completions_url(self) -> str:
        """The URL that requests go to; a query stays at its end."""
        parts = urlsplit(self.base_url)
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + _PATH))

    @property
    def models_url(self) -> str:
        """The URL that lists the models; a query stays at its end."""
        parts = urlsplit(self.base_url)
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + _MODELS_PATH))

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

    @property
    def key_source(self) -> str:
        """The key that requests hold, and where it comes from, for a message."""
        names = sorted(name.lower() for name in self.headers)
        if "authorization" in names:
            return "with the header authorization of headers"
        if self.api_key is not None:
            return f"with the key of {self.api_key.source}"
        return (
            f"without a key, with headers {', '.join(names)}" if names else "without a key"
        )

    def secrets(self) -> tuple[str, ...]:
        """Return the texts to keep out of messages.

        They are the key, the values of the user's headers and of the URL's query, and the
        secret path of a local server.
        """
        return self._secrets


def _check_has_key(endpoint: Endpoint) -> None:
    """Refuse OpenAI's own server without a key."""
    names = {name.lower() for name, value in endpoint.headers.items() if value}
    has_key = endpoint.api_key is not None or "authorization" in names
    if urlsplit(endpoint.base_url).hostname == "api.openai.com" and not has_key:
        problem = (
            "api_key: expected a key for api.openai.com, found none; "
            "set OPENAI_API_KEY or pass api_key"
        )
        raise ConfigurationError(problem)


def named_in_environment() -> bool:
    """Return whether `OPENAI_BASE_URL` names an endpoint."""
    return bool(_read_variable(_URL_VARIABLE))


def proxy_may_apply() -> bool:
    """Return whether the environment or the settings of the system may name a proxy."""
    has_settings = sys.platform in {"darwin", "win32"}
    return has_settings or any(name.lower().endswith("_proxy") for name in os.environ)


def _read_variable(name: str) -> str:
    """Return the variable *name* without blanks and quotation marks around it."""
    return os.environ.get(name, "").strip(AROUND)


def _find_url(base_url: object) -> str:
    """Return the URL of the argument, of the environment, or else OpenAI's."""
    is_missing = base_url is None or (isinstance(base_url, str) and not base_url)
    if not is_missing:
        return check_url("base_url", base_url)
    variable = conceal(_read_variable(_URL_VARIABLE))
    return check_url(_URL_VARIABLE, variable) if variable else _OPENAI


def _find_key(api_key: object) -> ApiKey | None:
    """Return the key of the argument, or else of the environment; None if there is none."""
    if api_key is not None:
        return ApiKey.clean(api_key)
    return ApiKey.clean(os.environ.get(_KEY_VARIABLE, ""), _KEY_VARIABLE)


def as_private(headers: Mapping[str, str]) -> PrivateHeaders:
    """Return *headers* with their names in lower case; no repr shows them.

    Raises:
        ConfigurationError: If a header is wrong.
    """
    headers = conceal(headers)
    copied = _copy_headers(headers)
    return PrivateHeaders((name.lower(), value) for name, value in copied.items())


def check_url(name: str, url: object) -> str:
    """Return *url* as a `str`; refuse one that is no base URL, without showing it.

    It may be a key, and so has a silent repr here.
    """
    url = conceal(url)
    expected = f"{name}: expected http:// or https://, a host and a path, all ASCII; found"
    if not isinstance(url, str):
        problem = f"{expected} {describe_type(url)}"
        raise ConfigurationError(problem)
    fault = _url_fault(url)
    if fault is not None:
        problem = f"{expected} {fault}"
        raise ConfigurationError(problem)
    return str.__str__(url)


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
