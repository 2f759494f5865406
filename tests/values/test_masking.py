"""Keys and prompts that a server quotes, in every way that it may write them."""

from __future__ import annotations

import html
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.values.masking import mask_all, mask_body, mask_secrets
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-proj-ABCDEFGHijklmnop0123456789qrstuvwxyz"
PROMPT = (
    "The quick brown <fox> & 'jumps' over the lazy dog\n\n"
    'while it reads a "confidential" mémo: {"project": "Zebra"} + 100 % Yak.'
)

# Ways in which servers write what they quote.
WAYS: dict[str, Callable[[str], str]] = {
    "unchanged": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "white space": lambda text: text.replace(" ", " \n\t "),
    "one line": lambda text: " ".join(text.split()),
    "HTML": html.escape,
    "HTML twice": lambda text: html.escape(html.escape(text)),
    "HTML by number": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "URL": quote,
    "URL twice": lambda text: quote(quote(text)),
    "form": quote_plus,
    "JSON": json.dumps,
    "JSON of Unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "Python": repr,
    "ASCII of Python": ascii,
    "code points": lambda text: "".join(f"\\u{{{ord(letter):x}}}" for letter in text),
    "wide letters": lambda text: "".join(
        chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text
    ),
}

PARTS: dict[str, tuple[str, slice]] = {
    "key": (KEY, slice(None)),
    "start of a key": (KEY, slice(None, 12)),
    "middle of a key": (KEY, slice(20, 32)),
    "end of a key": (KEY, slice(-12, None)),
    "prompt": (PROMPT, slice(None)),
    "start of a prompt": (PROMPT, slice(None, 24)),
    "middle of a prompt": (PROMPT, slice(40, 80)),
    "end of a prompt": (PROMPT, slice(-36, None)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", PARTS)
def test_quotation_is_masked(part: str, way: str) -> None:
    """However much of it, and however it is written; the words around it stay."""
    secret, place = PARTS[part]
    text = f"Incorrect input: <{WAYS[way](secret[place])}>, says the server"
    masked = mask_secrets(text, ["another-secret", secret])
    start, _, rest = masked.partition("***")
    assert start.startswith("Incorrect input: <")
    assert rest.endswith(">, says the server")
    left = masked.removeprefix("Incorrect input: <").removesuffix(">, says the server")
    # Quotation marks, which may be escaped, and white space.
    assert len(left.replace("***", "")) <= 8, left


@pytest.mark.parametrize(
    "between",
    [
        *(
            "\0",
            "\x1b",
            "\x7f",
            "\x85",
            "\n",
            "\u00a0",
            "\u00ad",
            "\u034f",
            "\u115f",
            "\u180e",
        ),
        *("\u200b", "\u200d", "\u202e", "\u2028", "\u2060", "\u3164", "\ufe0f", "\ufeff"),
        *(
            "\u0301",
            "\u0903",
            "\u20dd",
            "\ud800",
            "\U000e0041",
            "\u200b\u0301 ",
            "\\u200b",
            "+",
        ),
    ],
)
@pytest.mark.parametrize("secret", [KEY, PROMPT])
def test_letters_between_which_nothing_is_seen(secret: str, between: str) -> None:
    """A person reads the secret, so it is masked."""
    text = f"Incorrect input: <{between.join(secret)}>, says the server"
    assert mask_secrets(text, [secret]) == "Incorrect input: <***>, says the server"
    assert excerpt(text, [secret]) == "Incorrect input: <***>, says the server"


def test_secret_of_accents_is_masked_with_others() -> None:
    """An accent may be a letter's own, or a mark behind it, or left out."""
    for text in (
        "Größte Überraschung",
        "Gro\u0308ßte U\u0308berraschung",
        "GROSSTE UBERRASCHUNG",
    ):
        assert mask_secrets(f"no: {text}!", ["Größte Überraschung"]) == "no: ***!"


def test_secret_of_more_letters_than_are_remembered() -> None:
    """Every letter of Chinese and Korean counts."""
    secret = "".join(map(chr, (*range(0x4E00, 0x9FFF), *range(0xAC00, 0xD7A3))))
    for start in (0, 20_500, 30_000):
        assert mask_secrets(f"no: {secret[start : start + 12]}", [secret]) == "no: ***"


def test_several_texts_at_once() -> None:
    """Each is masked as it is alone."""
    texts = [f"a {KEY[:20]}", "", f"b {PROMPT[10:40]}", KEY.upper(), "other"]
    secrets = [KEY, PROMPT, "short", "eight ch"]
    assert mask_all(texts, secrets) == [mask_secrets(text, secrets) for text in texts]
    assert mask_all([], secrets) == []


@pytest.mark.timed
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (("a" * 17 + "b") * 220, "a" * 500_000),
        (("a" * 17 + "b") * 220, ("a" * 17) * 30_000),
        ("a b" * 1_300, "a b " * 120_000),
        ("\\" * 4_096, "\\" * 300_000),
        ("%25" * 1_300, "%25" * 100_000),
        ("&amp;" * 800, "&amp;" * 60_000),
    ],
)
def test_time_grows_with_the_size(text: str, secret: str) -> None:
    """A secret is walked through once, however much the text has in common with it."""
    start = time.process_time()
    mask_secrets(text, [secret, secret[1:]])
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key",
        "sk-proj-ABC",  # 11 characters of the key
        "over the lazy cat",
        "the server answered 400: &lt; %20 \\n",
        "",
    ],
)
def test_other_text_stays(text: str) -> None:
    """What a message has in common with a secret by chance is no quotation."""
    assert mask_secrets(text, [KEY, PROMPT]) == text


def test_short_secret_stays() -> None:
    """It may be a part of any word."""
    assert mask_secrets("the test of the tests", ["test", "the    test"]) == (
        "the test of the tests"
    )


def test_only_the_start_of_a_long_text_is_looked_at() -> None:
    """The rest is cut off."""
    assert mask_secrets("a" * 5000, [KEY]) == "a" * 4096


@given(secret=st.text(min_size=8, max_size=40), before=st.text(), after=st.text())
@example(secret=" " * 8, before="", after="")
@example(secret="\\" * 8, before="", after="")
@example(secret="a" * 40, before="a", after="a")
@example(secret="%41" * 12, before="%", after="4")
def test_secret_is_masked_whatever_it_is(secret: str, before: str, after: str) -> None:
    """Even if nothing of it is left when it is folded."""
    masked = mask_secrets(f"{before}{secret}{after}", [secret])
    assert "***" in masked
    assert secret not in masked.replace(before, "").replace(after, "")


@given(st.text(max_size=200), st.lists(st.text(max_size=60), max_size=3))
def test_nothing_is_added(text: str, secrets: list[str]) -> None:
    """The result is the text, with masks in it."""
    position = 0
    for piece in mask_secrets(text, secrets).split("***"):
        position = text.index(piece, position) + len(piece)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": f"bad key {KEY}", "code": None, "n": [1, 2.5, True]}},
        {"error": {"message": f'bad key "{KEY}"', "raw": json.dumps({"key": KEY})}},
        {"message": f"of {KEY[:20]}…", KEY: {KEY: [KEY]}},
        [f"C:\\{KEY}\\", KEY.upper()],
        {"message": "a" * 5000 + KEY, "a": "b", "é": "é"},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_body_in_json_stays_json(body: object, indent: int | None) -> None:
    """Quotation marks and backslashes beside a key keep what they mean."""
    masked = mask_body(json.dumps(body, indent=indent).encode(), [KEY])
    value = json.loads(masked)
    assert type(value) is type(body)
    assert KEY[:12].casefold() not in masked.decode().casefold()


def test_values_beside_a_key_stay() -> None:
    """Only what quotes the key is changed, a number too."""
    body = b'{"error": {"message": "no", "code": 401, "x": null, "key": 1234567890123}}'
    assert json.loads(mask_body(body, ["1234567890123"])) == {
        "error": {"message": "no", "code": 401, "x": None, "key": "***"}
    }


@pytest.mark.parametrize("secrets", [[], [KEY], ["short"]])
def test_body_that_quotes_nothing_stays(secrets: list[str]) -> None:
    """It is the server's to the byte."""
    body = b'{"error":  {"x": 1e2, "y": "\\u00e9\\/"}}\n'
    assert mask_body(body, secrets) == body


@pytest.mark.parametrize(
    "body",
    [
        f"<html>{KEY}</html>",
        "[" * 60_000 + KEY,
        "[" * 5_000 + "1" + "]" * 5_000 + KEY,
        f'{{"a": "{KEY}"',
        f'{{"a": 1}}{" " * 70_000}{KEY}',
        json.dumps({"a": KEY, "b": "x" * 70_000}),
        "9" * 5000 + f" {KEY}",
    ],
)
def test_body_that_is_no_json_is_masked(body: str) -> None:
    """So is one that is too large to be read, whose start is left."""
    masked = mask_body(body.encode(), [KEY])
    assert KEY[:12].encode() not in masked
    assert len(masked) <= 65_536


def test_body_is_masked_soon() -> None:
    """A body that a server made to cost time costs little."""
    texts = [f"{KEY[:11]}{number}" for number in range(2_500)] + ["1"] * 5_000
    start = time.perf_counter()
    mask_body(json.dumps(texts).encode(), [KEY] * 3)
    assert time.perf_counter() - start < 2
