"""Which proxy the environment names for a URL: decided once, and for any form of NO_PROXY.

httpx's own reading of NO_PROXY fails on `[::1]` and on ranges of addresses.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from limin.values.endpoint import DEFAULT_PORTS, proxy_may_apply

if TYPE_CHECKING:
    from collections.abc import Mapping

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# An entry of NO_PROXY: a scheme that httpx allows, a host or a range, a port.
_ENTRY = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?"
    r"(?:\[(?P<bracketed>[^\]]*)\](?P<suffix>/\d+)?|(?P<host>[^\[\]]*?))"
    r"(?::(?P<port>\d+))?/?"
)


def find_proxy(url: str) -> str | None:
    """Return the proxy that the environment, or the system, names for *url*.

    None if it names none, or excepts the host.
    """
    if not proxy_may_apply():
        return None
    request = importlib.import_module("urllib.request")
    proxies: Mapping[str, str] = request.getproxies()
    scheme = urlsplit(url).scheme
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or is_excepted(url, proxies.get("no", "")):
        return None
    host = urlsplit(url).hostname or ""
    if not request.getproxies_environment() and request.proxy_bypass(host):
        return None  # Settings of macOS or Windows.
    return proxy if "://" in proxy else f"http://{proxy}"


def is_excepted(url: str, no_proxy: str) -> bool:
    """Return whether *no_proxy* excepts the host of *url* from proxies.

    Its entries stand between commas or blanks. Each is `*`, a name (with all names
    below it, with or without a dot or `*.` before it), an address of either version
    with or without brackets, or a range such as `10.0.0.0/8`; behind a name or an
    address may stand a port. An entry that cannot be read excepts nothing.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    entries = re.split(r"[\s,]+", no_proxy.strip().lower())
    return any(_matches(entry, parts.scheme, host, port) for entry in entries if entry)


def _matches(entry: str, scheme: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    address, network = _address(host), _network(entry)
    if network is not None:
        return address is not None and address in network
    match = _ENTRY.fullmatch(entry)
    if match is None or match["scheme"] not in {None, scheme, "all"}:
        return False
    if match["port"] is not None and int(match["port"]) != port:
        return False
    name = match["bracketed"] or match["host"] or ""
    network = _network(name + (match["suffix"] or ""))
    if network is not None:
        return address is not None and address in network
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the addresses that *entry* stands for; None if it is not of that form."""
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
