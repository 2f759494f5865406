"""The endpoints of a client: one URL, an `Endpoint`, or a list of replicas."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from limin import ConfigurationError, Endpoint
from limin.values.endpoints import resolve_endpoints

KEY = "sk-this-opens-nothing"
ONE, TWO = "http://one.test/v1", "http://two.test/v1"


class Url(str):
    """A text of another class, as arrays hold them."""

    __slots__ = ()


def test_one_url_is_one_endpoint() -> None:
    """So is a list of one, an `Endpoint`, and a text of another class."""
    expected = (Endpoint.resolve(ONE),)
    for base_url in (
        ONE,
        Url(ONE),
        [ONE],
        (Url(ONE),),
        Endpoint(ONE),
        [Endpoint(Url(ONE))],
    ):
        assert resolve_endpoints(base_url) == expected


def test_environment_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL without an argument, and the key of every replica without one."""
    monkeypatch.setenv("OPENAI_BASE_URL", ONE)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert resolve_endpoints()[0].base_url == ONE
    keys = [endpoint.api_key for endpoint in resolve_endpoints([ONE, TWO])]
    assert [key.reveal() for key in keys if key is not None] == [KEY, KEY]


def test_what_an_endpoint_has_itself_wins() -> None:
    """An empty key is none; headers are put together, whatever their case."""
    endpoints = resolve_endpoints(
        [
            Endpoint(ONE, api_key="", headers={"x-team": "own"}),
            Endpoint(ONE, api_key=f" Bearer {KEY}\n"),
            Endpoint(TWO),
        ],
        "sk-of-the-client",
        {"X-Team": "all", "X-Run": "1"},
    )
    headers = [endpoint.request_headers() for endpoint in endpoints]
    assert [each.get("authorization") for each in headers] == [
        None,
        f"Bearer {KEY}",
        "Bearer sk-of-the-client",
    ]
    assert [each["x-team"] for each in headers] == ["own", "all", "all"]
    assert [each["x-run"] for each in headers] == ["1", "1", "1"]


def test_endpoint_shows_no_secret() -> None:
    """Neither does one that was pickled, for another process."""
    endpoint = Endpoint(f"{ONE}?key=abcdefgh", KEY, {"x-key": "header-secret"})
    for each in (endpoint, pickle.loads(pickle.dumps(endpoint))):  # noqa: S301 (our own)
        assert each == endpoint
        assert repr(each) == f"Endpoint(base_url='{ONE}?***', api_key=ApiKey('***'))"
    assert endpoint != Endpoint(endpoint.base_url, "sk-another", endpoint.headers)
    assert len({endpoint.api_key, Endpoint(TWO, KEY).api_key}) == 1
    assert endpoint.api_key != KEY


@pytest.mark.parametrize(
    ("base_url", "problem"),
    [
        ([], "base_url: expected a URL or a list of them, found an empty list"),
        ([ONE, f"{ONE}/"], "base_url[1]: expected another replica, found one again"),
        ([Endpoint(ONE), ONE], "base_url[1]: expected another replica, found one again"),
        ([ONE, 3], "base_url[1]: expected a URL or a limin.Endpoint, found 3"),
        ([[ONE]], "base_url[0]: expected a URL or a limin.Endpoint, found a list"),
        ([ONE, ""], "base_url[1]: expected http:// or https://"),
        ([ONE, KEY], "base_url[1]: expected http:// or https://"),
        ({ONE}, "found a set"),
        (b"http://one.test", "found a bytes"),
        (3, "found an int"),
    ],
)
def test_list_that_makes_no_sense(base_url: Any, problem: str) -> None:
    """The message says which item is wrong, and shows none that may be a key."""
    with pytest.raises(ConfigurationError) as caught:
        resolve_endpoints(base_url)
    assert problem in str(caught.value)
    assert KEY not in str(caught.value)


def test_two_keys_of_one_url_are_two_replicas() -> None:
    """Each account has its own limits."""
    endpoints = resolve_endpoints([Endpoint(ONE, KEY), Endpoint(ONE, "sk-another")])
    assert len(endpoints) == 2


@pytest.mark.parametrize("api_key", ["", None])
def test_openai_needs_a_key(api_key: str | None) -> None:
    """Each replica must have what it cannot do without."""
    openai = Endpoint("https://api.openai.com/v1", api_key)
    with pytest.raises(ConfigurationError, match=r"expected a key for api\.openai\.com"):
        resolve_endpoints([ONE, openai])
