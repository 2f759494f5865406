import contextlib
import enum
import math
import pickle
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import ConfigurationError
from limin.values.endpoint import (
    SECRET_PATH_START,
    ApiKey,
    Endpoint,
    Limits,
    check_header_name,
    check_header_value,
    hide_secret_path,
    named_in_environment,
)
from limin.values.headers import conceal

KEY = "sk-this-opens-nothing"
LOCAL = "http://127.0.0.1:8080/v1"
OPENAI = "https://api.openai.com/v1"


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """URL and key are those that the caller names."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    endpoint = Endpoint.resolve(LOCAL, KEY)
    assert endpoint.base_url == LOCAL
    assert endpoint.request_headers()["authorization"] == f"Bearer {KEY}"


def test_environment_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments, URL and key come from the two OPENAI_ variables."""
    monkeypatch.setenv("OPENAI_BASE_URL", LOCAL)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    endpoint = Endpoint.resolve()
    assert endpoint.base_url == LOCAL
    assert endpoint.request_headers()["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("base_url", [None, ""])
def test_openai_is_the_last_resort(
    monkeypatch: pytest.MonkeyPatch, base_url: str | None
) -> None:
    """An empty variable or argument counts as none, and the endpoint is OpenAI's."""
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert Endpoint.resolve(base_url, KEY).base_url == OPENAI


@pytest.mark.parametrize("api_key", [None, ""])
def test_no_key_sends_no_authorization(
    monkeypatch: pytest.MonkeyPatch, api_key: str | None
) -> None:
    """Without a key there is no Authorization header, not even an empty one."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    endpoint = Endpoint.resolve(LOCAL, api_key)
    assert endpoint.api_key is None
    assert endpoint.request_headers() == {
        "content-type": "application/json",
        "accept": "application/json",
    }
    assert endpoint.secrets() == ()


def test_empty_key_is_no_key_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An empty `api_key` keeps the environment's key from a server of one's own."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert "authorization" not in Endpoint.resolve(LOCAL, "").request_headers()


@pytest.mark.parametrize(
    ("base_url", "completions_url"),
    [
        (LOCAL, f"{LOCAL}/chat/completions"),
        (f"{LOCAL}/", f"{LOCAL}/chat/completions"),
        (f"{LOCAL}//", f"{LOCAL}/chat/completions"),
        ("http://localhost", "http://localhost/chat/completions"),
        ("https://[::1]:8000/v1", "https://[::1]:8000/v1/chat/completions"),
        (
            "https://me.openai.azure.com/openai/deployments/gpt?api-version=2024-10-21",
            (
                "https://me.openai.azure.com/openai/deployments/gpt/chat/completions"
                "?api-version=2024-10-21"
            ),
        ),
        (
            "https://me.openai.azure.com/openai/deployments/gpt/?a=/b&c=%20",
            (
                "https://me.openai.azure.com/openai/deployments/gpt/chat/completions"
                "?a=/b&c=%20"
            ),
        ),
        ("HTTP://LOCALHOST/V1", "http://LOCALHOST/V1/chat/completions"),
    ],
)
def test_completions_url(base_url: str, completions_url: str) -> None:
    """The path is added to the URL's path, and a query stays at the end."""
    assert Endpoint.resolve(base_url, KEY).completions_url == completions_url


@pytest.mark.parametrize(
    ("base_url", "host"),
    [(LOCAL, "127.0.0.1:8080"), (OPENAI, "api.openai.com"), ("http://[::1]/", "[::1]")],
)
def test_host(base_url: str, host: str) -> None:
    """The host is named with its port if there is one."""
    assert Endpoint.resolve(base_url, KEY).host == host


@pytest.mark.parametrize(("value", "named"), [(None, False), ("", False), (LOCAL, True)])
def test_named_in_environment(
    monkeypatch: pytest.MonkeyPatch, value: str | None, *, named: bool
) -> None:
    """A program can check whether the environment names an endpoint."""
    if value is not None:
        monkeypatch.setenv("OPENAI_BASE_URL", value)
    assert named_in_environment() is named


EXPECTED = "base_url: expected http:// or https://, a host and a path, all ASCII; found"


SCHEME = "another scheme, no scheme, or no host to connect to"
READ = "an address that cannot be read"
CHARACTER = "a character that no URL holds, or a fragment"
WITH_USER = "a user name or password; pass api_key or headers"


@pytest.mark.parametrize(
    ("base_url", "found"),
    [
        ("localhost:8080/v1", SCHEME),
        ("/v1", SCHEME),
        ("ftp://host/v1", SCHEME),
        ("http://", SCHEME),
        ("http:///v1", SCHEME),
        ("http://127.0.0.1:0/v1", SCHEME),
        ("https://:443/v1", SCHEME),
        ("sk-this-opens-nothing", SCHEME),
        ("https:/me:hunter22@host/v1", SCHEME),
        ("me:hunter22@host/v1", SCHEME),
        ("ftp://me:hunter22@host/v1", SCHEME),
        ("http://[::1/v1", READ),
        ("http://host:port/v1", READ),
        ("http://host:70000/v1", READ),
        ("http://höst/v1", CHARACTER),
        ("http://host/v 1", CHARACTER),
        (" http://host/v1", CHARACTER),
        ("http://host/v1\r\nx: y", CHARACTER),
        ("http://ho\tst/v1", CHARACTER),
        ("http://ho\\st/v1", CHARACTER),
        ("http://host/v1#top", CHARACTER),
        ("http://me:hunter22@host/v1", WITH_USER),
        ("http://hunter22@host/v1", WITH_USER),
        ("http://:hunter22@host/v1", WITH_USER),
        ("http://me:hunter22@ho st/v1", WITH_USER),
        (
            "http://host/v1/chat/completions",
            "/chat/completions at its end, which limin adds",
        ),
        ("http://host/chat/completions/", "/chat/completions at its end, which limin adds"),
        (5, "an int"),
    ],
)
def test_url_that_makes_no_sense(base_url: str, found: str) -> None:
    """A URL that no request could go to is refused, and not shown: it may be a key."""
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.resolve(base_url, "http://host/v1")
    assert str(caught.value) == f"{EXPECTED} {found}"


def test_url_of_the_environment_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that holds no URL is as wrong as an argument."""
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost")
    with pytest.raises(
        ConfigurationError, match=r"OPENAI_BASE_URL: .*found another scheme"
    ):
        Endpoint.resolve()


@pytest.mark.parametrize("base_url", [None, OPENAI, "https://API.OpenAI.com:443/v1"])
@pytest.mark.parametrize("api_key", [None, ""])
def test_openai_needs_a_key(base_url: str | None, api_key: str | None) -> None:
    """OpenAI without a key is refused here, and the error names the variable."""
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.resolve(base_url, api_key)
    assert str(caught.value) == (
        "api_key: expected a key for api.openai.com, found none; "
        "set OPENAI_API_KEY or pass api_key"
    )


def test_own_authorization_is_a_key() -> None:
    """Whoever brings an Authorization header needs no key, in whatever case."""
    endpoint = Endpoint.resolve(OPENAI, headers={"AUTHORIZATION": "Bearer mine"})
    assert endpoint.request_headers()["authorization"] == "Bearer mine"


def test_own_headers_win() -> None:
    """The caller's headers replace limin's, whatever their case."""
    endpoint = Endpoint.resolve(
        LOCAL, KEY, {"Authorization": "Basic abc", "Accept": "*/*", "X-Team": "blue"}
    )
    assert endpoint.request_headers() == {
        "content-type": "application/json",
        "accept": "*/*",
        "authorization": "Basic abc",
        "x-team": "blue",
    }


def test_headers_are_copied() -> None:
    """A header added to the caller's mapping later is not sent."""
    headers = {"x-team": "blue"}
    endpoint = Endpoint.resolve(LOCAL, headers=headers)
    headers["x-late"] = "yes"
    assert "x-late" not in endpoint.request_headers()


def test_secrets() -> None:
    """The key and the values of the caller's headers must not be seen."""
    endpoint = Endpoint.resolve(LOCAL, KEY, {"api-key": "azure-key"})
    assert endpoint.secrets() == (KEY, "azure-key")


def test_secret_path_of_a_local_server() -> None:
    """Whoever reads a message or a repr cannot use the server."""
    secret = SECRET_PATH_START + "0123456789abcdef" * 2
    endpoint = Endpoint.resolve(f"http://127.0.0.1:8080/{secret}/v1", "")
    assert endpoint.secrets() == (secret,)
    assert secret in endpoint.completions_url
    assert "'http://127.0.0.1:8080/***/v1'" in repr(endpoint)
    assert hide_secret_path(f"POST /{secret}/v1: 404") == "POST /***/v1: 404"


def test_repr_holds_no_key() -> None:
    """Neither the key nor a header's value is in a repr or a str."""
    endpoint = Endpoint.resolve(LOCAL, KEY, {"api-key": "azure-key"})
    assert repr(endpoint) == f"Endpoint(base_url='{LOCAL}', api_key=ApiKey('***'))"
    assert str(endpoint.api_key) == "ApiKey('***')"
    assert f"{endpoint.api_key!r:>14}" == " ApiKey('***')"


def test_repr_of_what_was_refused() -> None:
    """A traceback that shows local variables shows no key."""
    assert repr(conceal(KEY)) == "'***'"
    assert repr(conceal(KEY.encode())) == "b'***'"
    with pytest.raises(ConfigurationError) as caught:
        Endpoint(f"{LOCAL}\n", KEY)
    frames = [entry.frame.f_locals for entry in caught.traceback]
    (refused,) = {id(f["self"]): f["self"] for f in frames if "self" in f}.values()
    assert repr(refused) == "<limin.Endpoint, not ready>"


def test_query_is_a_secret() -> None:
    """A key in the query of the URL is in no repr, and kept out of messages."""
    endpoint = Endpoint.resolve(f"{LOCAL}?api-version=2024-10-21&key={KEY}")
    assert repr(endpoint) == f"Endpoint(base_url='{LOCAL}?***', api_key=None)"
    assert endpoint.secrets() == (KEY,)


@pytest.mark.parametrize(
    ("query", "secrets"),
    [
        (KEY, (KEY,)),
        (f"a=1&{KEY}&version=2", ("1", KEY)),
        ("c2stbG9uZw==", ("c2stbG9uZw",)),
        ("key=c2st%2Bb+9uZw==", ("c2st+b 9uZw==", "c2st%2Bb+9uZw==")),
        (f"version_key={KEY}", (KEY,)),
        ("API-Version=2024-10-21&version=3&api_version=", ()),
        ("key=&&=", ("key",)),
        ("", ()),
    ],
)
def test_secrets_of_a_query(query: str, secrets: tuple[str, ...]) -> None:
    """A key may stand there without a name, and servers quote it as it was sent."""
    assert Endpoint(f"{LOCAL}?{query}").secrets() == secrets


def test_key_reveals_itself_when_asked() -> None:
    """The request gets the key itself, and a pickled endpoint still works."""
    assert ApiKey(KEY).reveal() == KEY
    restored = pickle.loads(pickle.dumps(Endpoint.resolve(LOCAL, KEY)))  # noqa: S301 (our own bytes)
    assert restored.request_headers()["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("character", ["\0", "\x7f", "é", "\u2028"])
@pytest.mark.parametrize("index", [0, 6, len(KEY)])
def test_key_that_no_header_can_carry(character: str, index: int) -> None:
    """A key with a control character is refused by its position, and not shown."""
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.resolve(LOCAL, KEY[:index] + character + KEY[index:])
    assert str(caught.value) == (
        f"api_key: expected printable ASCII, found U+{ord(character):04X} "
        f"at character {index} of {len(KEY) + 1}"
    )


# Texts around a key that are no part of it, as (before, after).
AROUND_A_KEY = [
    ("", "\n"),
    ("", "\r\n"),
    ("\n", ""),
    (" ", ""),
    ("", " "),
    ("\t ", " \t"),
    ("\u00a0", "\u200b"),
    ("\ufeff", ""),
    ('"', '"'),
    ("'", "'"),
    ("\u201c", "\u201d"),
    ("`", "`"),
    ('"', '"\n'),
    (' "', ""),
    ("Bearer ", ""),
    ("bearer  ", "\n"),
    ("BEARER\t", ""),
    ("Bearer: ", ""),
    ('"Bearer ', '"'),
    ("Bearer '", "'"),
    ("Bearer Bearer ", ""),
    ("Authorization: Bearer ", "\r\n"),
    ("OPENAI_API_KEY=", ""),
    ('export OPENAI_API_KEY = "', '"\n'),
]


@pytest.mark.parametrize(("before", "after"), AROUND_A_KEY)
@pytest.mark.parametrize("from_environment", [True, False])
def test_key_with_something_around_it(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str, *, from_environment: bool
) -> None:
    """What cannot belong to a key is taken off, so that a copied one works."""
    copied = f"{before}{KEY}{after}"
    if from_environment:
        monkeypatch.setenv("OPENAI_API_KEY", copied)
        copied = None  # type: ignore[assignment]  # as without an argument
    endpoint = Endpoint.resolve(LOCAL, copied)
    assert endpoint.request_headers()["authorization"] == f"Bearer {KEY}"
    assert endpoint.secrets() == (KEY,)


# The syntax of a bearer token (RFC 6750, 2.1), which begins with no sign.
TOKENS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._~+/-]*=*\Z")


@given(TOKENS, st.sampled_from(AROUND_A_KEY))
def test_cleaning_a_clean_key_changes_nothing(key: str, around: tuple[str, str]) -> None:
    """What is around any key is taken off, and a second cleaning finds nothing more."""
    before, after = around
    with contextlib.suppress(ConfigurationError):
        cleaned = Endpoint.resolve(LOCAL, key).secrets()
        assert Endpoint.resolve(LOCAL, f"{before}{key}{after}").secrets() == cleaned
        assert Endpoint.resolve(LOCAL, *cleaned or ("",)).secrets() == cleaned


@given(st.text())
def test_any_text_as_key(key: str) -> None:
    """Any text is sent as a key, is none, or is refused without being shown."""
    marked = f"{KEY}{key}{KEY}"
    try:
        header = Endpoint.resolve(LOCAL, marked).request_headers()["authorization"]
    except ConfigurationError as error:
        assert KEY not in str(error)  # noqa: PT017 (not every text is refused)
    else:
        assert header == f"Bearer {marked}"


@pytest.mark.parametrize("key", ["bearer-of-news", "it's-a-key", "basically", "a b", "a'b"])
def test_key_that_only_looks_like_more(key: str) -> None:
    """What may belong to a key stays in it."""
    assert (
        Endpoint.resolve(LOCAL, key).request_headers()["authorization"] == f"Bearer {key}"
    )


@pytest.mark.parametrize("key", [" ", "\n", "\t \r\n", '""', "''", "Bearer ", '"Bearer "'])
@pytest.mark.parametrize("from_environment", [True, False])
def test_only_blanks_are_no_key(
    monkeypatch: pytest.MonkeyPatch, key: str, *, from_environment: bool
) -> None:
    """A key of nothing is none: nothing is sent, and OpenAI's own server wants one."""
    argument: str | None = key
    if from_environment:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        argument = None
    assert "authorization" not in Endpoint.resolve(LOCAL, argument).request_headers()
    with pytest.raises(ConfigurationError, match=r"expected a key for api\.openai\.com"):
        Endpoint.resolve(OPENAI, argument)


@pytest.mark.parametrize("scheme", ["Basic", "Token", "ApiKey", "api-key", "digest"])
def test_key_with_another_scheme(scheme: str) -> None:
    """A key for another scheme would be sent as a Bearer token, so it is refused."""
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.resolve(LOCAL, f"{scheme} {KEY}")
    assert str(caught.value) == (
        "api_key: expected the key of a Bearer token only, found another scheme "
        "before it; pass headers={'Authorization': ...} instead"
    )


@pytest.mark.parametrize("wrong", ["\u200b", "\r\nx-other: ", "\n", "\0", "é"], ids=ascii)
def test_key_of_the_environment_is_checked(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """A wrong key out of the environment is called by the variable, and not shown."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}{wrong}{KEY}".replace("\0", "\1"))
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.resolve(LOCAL)
    assert str(caught.value).startswith(
        "OPENAI_API_KEY: expected printable ASCII, found U+"
    )
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after"), [("", "\n"), (" ", " "), ('"', '"'), ("'", "'\r\n"), ("\t", "")]
)
def test_url_of_the_environment_is_cleaned(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    """Quotation marks and line ends around the variable are not meant."""
    monkeypatch.setenv("OPENAI_BASE_URL", f"{before}{LOCAL}{after}")
    assert Endpoint.resolve().base_url == LOCAL
    assert named_in_environment()


@pytest.mark.parametrize("blank", [" ", "\n", '""'])
def test_blank_variable_names_no_endpoint(
    monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    """A variable of blanks alone is an empty one."""
    monkeypatch.setenv("OPENAI_BASE_URL", blank)
    assert Endpoint.resolve(None, KEY).base_url == OPENAI
    assert not named_in_environment()


def test_texts_of_a_subclass_become_plain() -> None:
    """The texts of an array are as good as any."""
    endpoint = Endpoint.resolve(
        np.str_(LOCAL), np.str_(KEY), {np.str_("x-team"): np.str_("blue")}
    )
    headers = endpoint.request_headers()
    texts = [endpoint.base_url, *headers, *headers.values()]
    assert {type(text) for text in texts} == {str}


def test_key_of_an_enum_is_its_text() -> None:
    """A member of an Enum of texts stands for its text, not for its name."""

    class Keys(str, enum.Enum):  # noqa: UP042 (its `__str__` is not that of StrEnum)
        MINE = KEY

    concealed = conceal(Keys.MINE)
    assert Endpoint(LOCAL, concealed).api_key == ApiKey(KEY)


@pytest.mark.parametrize("value", ["", "a b\tc", "~!@#$%^&*()[]{}'\""])
def test_header_values_that_http_can_carry(value: str) -> None:
    """Printable ASCII, spaces and tabs pass as they are."""
    assert check_header_value("x-team", value) == value
    endpoint = Endpoint.resolve(LOCAL, headers={"x-team": value})
    assert endpoint.request_headers()["x-team"] == value


@pytest.mark.parametrize("value", [f" {KEY}", f"{KEY}\n", f"\t{KEY} \r\n"])
def test_blanks_around_a_header_value(value: str) -> None:
    """Blanks and line ends around a header's value are no part of it."""
    endpoint = Endpoint.resolve(OPENAI, headers={"Authorization": value})
    assert endpoint.request_headers()["authorization"] == KEY


def test_blank_authorization_is_no_key() -> None:
    """A header of blanks alone does not replace a key."""
    with pytest.raises(ConfigurationError, match=r"expected a key for api\.openai\.com"):
        Endpoint.resolve(OPENAI, headers={"Authorization": " "})


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\x1b", "é"])
def test_header_value_that_http_cannot_carry(character: str) -> None:
    """A value that would end its header is refused by the position, and not shown."""
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.resolve(LOCAL, headers={"api-key": f"{KEY}{character}x: y"})
    assert str(caught.value) == (
        f"headers['api-key']: expected printable ASCII, found U+{ord(character):04X} "
        f"at character {len(KEY)} of {len(KEY) + 5}"
    )


@pytest.mark.parametrize("name", ["x-team", "X_Team", "1", "!#$%&'*+.^_`|~-"])
def test_header_names_that_http_knows(name: str) -> None:
    """Every name that RFC 9110 allows passes."""
    check_header_name(name)
    assert Endpoint.resolve(LOCAL, headers={name: "y"}).headers == {name: "y"}


@pytest.mark.parametrize(
    "name", ["", "x team", "x:y", "x\r", "x\ny", "x\0", "é", "x\n", "x,y"]
)
def test_header_name_that_http_does_not_know(name: str) -> None:
    """A name that would be read as another header is refused."""
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.resolve(LOCAL, headers={name: "y"})
    assert str(caught.value) == (
        "headers: expected letters, digits and dashes as names, found another"
    )


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((pd.NA,), "base_url: expected .* found an NAType"),
        ((np.array(["a", "b"]),), "base_url: expected .* found an ndarray"),
        (("http://h/v1", pd.NA), "api_key: expected a str, found an NAType"),
        (("http://h/v1", 5), "api_key: expected a str, found an int"),
        (("http://h/v1", None, {"a": None}), r"headers\['a'\]: expected a str, found a No"),
        (("http://h/v1", None, {5: "a"}), "headers: expected letters"),
        (("http://h/v1", None, "x: y"), "headers: expected a mapping .*, found a str"),
        (("http://h/v1", None, 0), "headers: expected a mapping .*, found 0"),
    ],
)
def test_arguments_of_the_wrong_type(arguments: tuple[str, ...], found: str) -> None:
    """The message is limin's own, not Python's."""
    with pytest.raises(ConfigurationError, match=found):
        Endpoint.resolve(*arguments)


COUNTS = ("header_bytes", "headers", "body_bytes")


@pytest.mark.parametrize("name", ["connect_seconds", *COUNTS])
@pytest.mark.parametrize(
    "value",
    [
        *(0, -1, "many", b"5", None, True, [5], math.nan, math.inf, 10**400),
        *(np.bool_(True), np.float32("nan"), np.timedelta64(5, "s"), pd.NA),  # noqa: FBT003
    ],
    ids=repr,
)
def test_limit_that_makes_no_sense(name: str, value: object) -> None:
    """A limit is a finite number above 0, and no flag."""
    with pytest.raises(ConfigurationError, match=f"^{name}: expected a number above 0"):
        Limits(**{name: value})  # type: ignore[arg-type]  # the mistake itself


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0.5, 1.5, np.float32(2.5), 2**53 + 1, 1e300])
def test_count_that_makes_no_sense(name: str, value: float) -> None:
    """Sizes and numbers are whole, and no larger than a float can count to."""
    with pytest.raises(ConfigurationError, match=f"^{name}: expected a number above 0, wh"):
        Limits(**{name: value})  # type: ignore[arg-type]  # the mistake itself


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        (1.5e6, 1_500_000),
        (np.int64(5), 5),
        (np.float32(1e6), 1_000_000),
        (Decimal(7), 7),
        (2**53, 2**53),
    ],
)
def test_whole_number_is_a_count(name: str, value: Any, expected: int) -> None:
    """A whole number is taken as an `int`, in whatever type it comes."""
    limit = getattr(Limits(**{name: value}), name)
    assert (type(limit), limit) == (int, expected)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.25, 0.25), (np.float32(0.5), 0.5), (np.int64(3), 3)]
)
def test_seconds_to_connect(value: Any, expected: float) -> None:
    """Seconds may be any finite number above 0."""
    assert repr(Limits(connect_seconds=value).connect_seconds) == repr(expected)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "CONNECTION"])
def test_header_that_frames_the_request(name: str) -> None:
    """A second length could make two requests of one."""
    with pytest.raises(ConfigurationError, match=f"none that limin itself sets.*{name}"):
        Endpoint.resolve(LOCAL, headers={name: "5"})


def test_header_line_as_name() -> None:
    """A whole header line in the place of a name is not shown."""
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.resolve("http://h/v1", headers={"Authorization: Bearer sk-abcdefgh": ""})
    assert "sk-abcdefgh" not in str(caught.value)
