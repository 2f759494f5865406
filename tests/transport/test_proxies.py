"""The proxy that the environment names for a URL."""

from __future__ import annotations

import urllib.request

import pytest

from limin.transport.proxies import find_proxy, is_excepted

PROXY = "http://proxy.test:3128"


# Each form of an entry that people write, with a host that it excepts.
EXCEPTED = [
    ("*", "http://model.test/v1"),
    ("model.test", "http://model.test/v1"),
    ("MODEL.test", "http://model.TEST./v1"),
    ("test", "http://model.test/v1"),
    (".test", "http://model.test/v1"),
    ("*.corp.local", "http://a.b.corp.local/v1"),
    (".corp.local", "http://corp.local/v1"),
    ("model.test:8000", "http://model.test:8000/v1"),
    ("model.test:80", "http://model.test/v1"),
    ("model.test:443", "https://model.test/v1"),
    ("http://intranet", "http://intranet/v1"),
    ("all://intranet", "https://intranet/v1"),
    ("127.0.0.1", "http://127.0.0.1:8000/v1"),
    ("127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
    ("10.0.0.0/8", "http://10.1.2.3/v1"),
    ("10.1.2.3/8", "http://10.9.9.9/v1"),
    ("::1", "http://[::1]:8000/v1"),
    ("[::1]", "http://[::1]:8000/v1"),
    ("[::1]:8000", "http://[::1]:8000/v1"),
    ("0:0:0:0:0:0:0:1", "http://[::1]/v1"),
    ("fe80::/10", "http://[fe80::1]/v1"),
    ("[fe80::]/10", "http://[fe80::1]/v1"),
    ("localhost, 127.0.0.1 ,[::1]", "http://127.0.0.1/v1"),
    ("localhost 127.0.0.1", "http://127.0.0.1/v1"),
    ("[,localhost", "http://localhost/v1"),
]

# An entry, and a host that it does not except.
OTHERS = [
    ("", "http://model.test/v1"),
    (" , ,", "http://model.test/v1"),
    ("odel.test", "http://model.test/v1"),
    ("model.test.org", "http://model.test/v1"),
    ("model.test:8001", "http://model.test:8000/v1"),
    ("https://intranet", "http://intranet/v1"),
    ("127.0.0.2", "http://127.0.0.1/v1"),
    ("10.0.0.0/8", "http://11.0.0.1/v1"),
    ("10.0.0.0/8", "http://model.test/v1"),
    ("[::2]", "http://[::1]/v1"),
    ("[fe80::]/10", "http://[::1]/v1"),
    ("localhost,127.0.0.1,[::1]", "http://model.test/v1"),
    ("[", "http://model.test/v1"),
    ("10.0.0.0/99", "http://10.0.0.1/v1"),
    ("[::1", "http://[::1]/v1"),
    (".", "http://model.test/v1"),
    ("*.", "http://model.test/v1"),
]


@pytest.mark.parametrize(("no_proxy", "url"), EXCEPTED)
def test_host_that_is_excepted(no_proxy: str, url: str) -> None:
    """The host is reached directly, in whatever form the exception is written."""
    assert is_excepted(url, no_proxy)


@pytest.mark.parametrize(("no_proxy", "url"), OTHERS)
def test_host_that_is_not_excepted(no_proxy: str, url: str) -> None:
    """An exception for another host, or one that cannot be read, has no effect."""
    assert not is_excepted(url, no_proxy)


@pytest.mark.parametrize("no_proxy", [None, "localhost,127.0.0.1,[::1]", "fe80::/10"])
def test_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str | None
) -> None:
    """The proxy for the URL's scheme wins over the proxy for all."""
    monkeypatch.setenv("ALL_PROXY", "http://second.test")
    monkeypatch.setenv("HTTP_PROXY", "proxy.test:3128")
    if no_proxy is not None:
        monkeypatch.setenv("NO_PROXY", no_proxy)
    assert find_proxy("http://model.test/v1") == PROXY
    assert find_proxy("https://model.test/v1") == "http://second.test"


def test_no_proxy_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an empty environment nor an exception names a proxy."""
    assert find_proxy("http://model.test/v1") is None
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert find_proxy("http://model.test/v1") is None
    monkeypatch.setenv("NO_PROXY", "model.test")
    assert find_proxy("https://model.test/v1") is None


@pytest.mark.parametrize("bypass", [False, True])
def test_proxy_of_the_system(monkeypatch: pytest.MonkeyPatch, *, bypass: bool) -> None:
    """MacOS and Windows keep proxies, and exceptions, in their settings."""
    monkeypatch.setattr("limin.transport.proxies.proxy_may_apply", lambda: True)
    monkeypatch.setattr(urllib.request, "getproxies", lambda: {"http": PROXY})
    monkeypatch.setattr(urllib.request, "proxy_bypass", lambda _host: bypass)
    assert find_proxy("http://model.test/v1") == (None if bypass else PROXY)
