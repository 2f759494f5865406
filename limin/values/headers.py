"""The headers of a request: the key, and what a header can hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from limin.errors import ConfigurationError
from limin.values.checks import check_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_Argument = TypeVar("_Argument")

# RFC 9110, 5.1 and 5.5: names are tokens; values hold no control characters
# except tabs. Bytes beyond ASCII are legal but have no defined meaning, so they are
# refused.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ILLEGAL = re.compile(r"[^\t\x20-\x7e]")

# Characters that may stand around a key or a URL, and belong to neither: blanks and line
# ends, the byte order mark of a file, quotation marks of a shell, a page or an .env file.
AROUND = "\t\n\v\f\r \u00a0\u200b\ufeff" + "\"'`\u2018\u2019\u201c\u201d"

# Texts that people copy with a key: the header or the line of an .env file that it stood
# in, and the scheme, which limin sends itself (RFC 6750, 2.1).
_BEFORE_KEY = re.compile(
    r"\A(?:authorization\s*[:=]|(?:export\s+)?OPENAI_API_KEY\s*=|bearer(?:[\s:]+|$))\s*",
    re.IGNORECASE,
)

# Schemes that are not Bearer, at the start of a key.
# Source: https://www.iana.org/assignments/http-authschemes, and Token and ApiKey, which
# some APIs use.
_OTHER_SCHEME = re.compile(
    r"(?:basic|digest|negotiate|token|api-?key|aws4-hmac-sha256)[ \t]+", re.IGNORECASE
)


class ApiKey:
    """A key that only the request shows: its repr and str are masked.

    Attributes:
        source: Where it comes from: `api_key` or `OPENAI_API_KEY`.
    """

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str = "api_key") -> None:
        """Keep *value*, which comes from the argument or variable *source*.

        Raises:
            ConfigurationError: If no HTTP header can hold it.
        """
        value = conceal(value)
        self._value, self.source = check_header_value(source, value), source
        if _OTHER_SCHEME.match(self._value):
            problem = (
                f"{source}: expected the key of a Bearer token only, found another scheme "
                "before it; pass headers={'Authorization': ...} instead"
            )
            raise ConfigurationError(problem)

    @classmethod
    def clean(cls, value: object, source: str = "api_key") -> ApiKey | None:
        """Return the key in *value*, and nothing around it; None if there is no key.

        Raises:
            ConfigurationError: If it is no text, or no HTTP header can hold it.
        """
        value = conceal(value)
        key, before = conceal(check_text(source, value)), None
        while key != before:
            before, key = key, conceal(_BEFORE_KEY.sub("", key.strip(AROUND), count=1))
        return cls(key, source) if key else None

    def reveal(self) -> str:
        """Return the key itself."""
        return self._value

    def __repr__(self) -> str:
        """Return three stars, whatever the length of the key."""
        return "ApiKey('***')"

    def __eq__(self, other: object) -> bool:
        """Return whether *other* is the same key, wherever it comes from."""
        return isinstance(other, ApiKey) and self._value == other._value

    def __hash__(self) -> int:
        """Return a hash of the key."""
        return hash(self._value)


class PrivateText(str):
    """A text that may be a key or hold one; the repr shows nothing of it."""

    __slots__ = ()
    stands_for = str  # In a message about what was given.

    def __repr__(self) -> str:
        """Return three stars, whatever the text."""
        return "'***'"


class PrivateBytes(bytes):
    """Bytes in the place of a text that may be a key; the repr shows nothing of them."""

    __slots__ = ()
    stands_for = bytes

    def __repr__(self) -> str:
        """Return three stars, whatever the bytes."""
        return "b'***'"


class PrivateHeaders(dict[str, str]):
    """Headers by their names; the repr shows neither names nor values."""

    stands_for = dict

    def __repr__(self) -> str:
        """Return the number of headers."""
        return f"<{len(self)} headers>"


def conceal(argument: _Argument) -> _Argument:
    """Return the same key, URL, headers, or list of them, in objects with a silent repr.

    Tools that report errors show the local variables of each frame, so it is the first
    that a function does with such an *argument*. Bytes, which are refused later, are
    concealed, too; what else is wrong is returned as it is.
    """
    concealed: object = argument
    if isinstance(argument, str):
        # An Enum's own `__str__` is another text.
        concealed = PrivateText(str.__str__(argument))
    elif isinstance(argument, bytes):
        concealed = PrivateBytes(argument)
    elif isinstance(argument, Mapping):
        concealed = PrivateHeaders(cast("Mapping[str, str]", argument))
    elif isinstance(argument, (list, tuple)):
        items = map(conceal, cast("Sequence[object]", argument))
        concealed = list(items) if isinstance(argument, list) else tuple(items)
    return cast("_Argument", concealed)


def check_header_name(name: str) -> None:
    """Refuse a *name* that would end the header or start another, without showing it.

    Raises:
        ConfigurationError: If *name* is no header name.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        problem = "headers: expected letters, digits and dashes as names, found another"
        raise ConfigurationError(problem)


def check_header_value(name: str, value: object) -> str:
    """Return *value* without the blanks and line ends around it.

    Refuse a value that would end the header, without showing it.

    Raises:
        ConfigurationError: If *value* is no text that an HTTP header can hold.
    """
    value = conceal(value)
    # Blanks around a value are no part of it (RFC 9110, 5.5), and h11 refuses them.
    text = conceal(check_text(name, value).strip(" \t\r\n"))
    illegal = _ILLEGAL.search(text)
    if illegal is not None:
        problem = (
            f"{name}: expected printable ASCII, found U+{ord(illegal[0]):04X} "
            f"at character {illegal.start()} of {len(text)}"
        )
        raise ConfigurationError(problem)
    return str.__str__(text)
