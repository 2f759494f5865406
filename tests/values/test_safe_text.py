import json
import re
import string
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.values.safe_text import escape_controls, excerpt

# Written out apart from limin's own pattern: C0 but tab and newline, DEL, C1,
# bidirectional controls, zero-width characters.
ACTING = {
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
} - {"\t", "\n"}

HOSTILE = st.text(st.one_of(st.characters(), st.sampled_from(sorted(ACTING))))

_SECRET_CHARACTERS = string.ascii_letters + string.digits + "-_.:/+= \n\t\"'\\éß🦊"


def secrets_of(length: int) -> st.SearchStrategy[str]:
    """Secrets of 8 to *length* characters that no collapsing of spaces changes.

    No star is in them, since stars stand for what is hidden.
    """
    texts = st.text(st.sampled_from(_SECRET_CHARACTERS), min_size=8, max_size=length)
    return texts.filter(lambda text: " ".join(text.split(" ")).strip() == text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, tabs\tand\nnewlines stay", "plain text, tabs\tand\nnewlines stay"),
        ("naïve 北京 🦊 e\u0301", "naïve 北京 🦊 e\u0301"),
        ("\x00", "␀"),
        ("\x07", "␇"),
        ("\x1b[2J", "␛[2J"),
        ("one\rtwo", "one␍two"),
        ("\x1f", "␟"),
        ("\x7f", "␡"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("\xad", "⟨U+00AD⟩"),
        ("\u202egnp.exe", "⟨U+202E⟩gnp.exe"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("\u2028", "⟨U+2028⟩"),
        ("\ufeff", "⟨U+FEFF⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("\U000e0100", "⟨U+E0100⟩"),
        ("\u3164", "⟨U+3164⟩"),
        ("\ufe0e", "⟨U+FE0E⟩"),
        ("\u2764\ufe0f", "\u2764\ufe0f"),
        ("\u2800 \u06dd \ue0b0", "\u2800 \u06dd \ue0b0"),
        ("👨\u200d👧", "👨⟨U+200D⟩👧"),
    ],
)
def test_acting_characters_become_symbols(text: str, shown: str) -> None:
    """A control character is shown as a symbol, and any other character unchanged."""
    assert escape_controls(text) == shown


def test_no_character_of_unicode_acts() -> None:
    """Exactly the characters that act or show nothing become symbols."""
    # Signs that Unicode calls format characters although they are seen.
    seen = {*map(chr, range(0x600, 0x606)), *"\u06dd\u070f\u0890\u0891\u08e2"}
    seen |= {*"\U000110bd\U000110cd\t\n"}
    acting = {
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        or "VARIATION SELECTOR" in unicodedata.name(character, "")
        or character in "\u034f\u115f\u1160\u3164\uffa0"
    }
    acting -= seen | {"\ufe0f"}
    assert len(acting) > 2500
    assert {
        character for character in acting if escape_controls(character) == character
    } == set()
    assert {
        character for character in seen if escape_controls(character) != character
    } == set()


@given(text=HOSTILE)
@example(text="".join(sorted(ACTING)))
def test_nothing_that_is_visible_acts(text: str) -> None:
    """Whatever the text, no control, bidirectional or zero-width character comes out."""
    shown = escape_controls(text)
    assert not ACTING & set(shown)
    assert all(unicodedata.category(c) != "Cc" for c in shown if c not in "\t\n")


@given(text=HOSTILE)
def test_visible_text_can_be_written_anywhere(text: str) -> None:
    """The result can be encoded, and escaping it again changes nothing."""
    shown = escape_controls(text)
    assert shown.encode().decode() == shown
    assert escape_controls(shown) == shown


@given(text=HOSTILE)
@example(text="word " * 100)
@example(text="\x1b" * 300)
@example(text="a\u2028b\x85c\x0bd\re\nf")
def test_excerpt_is_one_short_line(text: str) -> None:
    """An excerpt is one line of at most 200 characters, none of which acts."""
    shown = excerpt(text)
    assert len(shown) <= 200
    assert shown.splitlines() in ([shown], [])
    assert not ACTING & set(shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  two \n\n words\t", "two words"),
        ("", ""),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
    ],
)
def test_excerpt_cuts(text: str, shown: str) -> None:
    """White space becomes single spaces, and a long text ends in an ellipsis."""
    assert excerpt(text) == shown


@given(before=st.text(max_size=30), secret=secrets_of(60), after=st.text(max_size=30))
@example(before="key ", secret="sk-12345678", after=" is wrong")
def test_secret_is_never_quoted(before: str, secret: str, after: str) -> None:
    """A secret of eight characters or more is in no excerpt."""
    shown = excerpt(before + secret + after, [secret])
    assert "***" in shown
    assert secret not in shown.replace(before, "").replace(after, "")


@given(secret=secrets_of(12))
@example(secret='say "hello"\nto\tthe \\ server')
@example(secret="it's ein Größenwahn")
def test_escaped_secret_is_never_quoted(secret: str) -> None:
    """A secret that the server quotes as JSON or as Python is found all the same."""
    for quoted in (json.dumps(secret), repr(secret)):
        # Backslashes of the escaping may stay: they are no part of the secret.
        assert re.fullmatch(r"input: .\\*\*\*\*\\*.", excerpt(f"input: {quoted}", [secret]))


@given(length=st.integers(24, 60))
@example(length=24)
def test_truncated_secret_is_never_quoted(length: int) -> None:
    """The start of a long secret is hidden, wherever the server cut it."""
    prompt = "a prompt that is much longer than twenty-four characters"
    shown = excerpt(f"input: {prompt[:length]}... (cut)", [prompt])
    assert shown.replace("*** ", "***") == "input: ***... (cut)"


@given(secret=secrets_of(12))
def test_secret_is_hidden_wherever_it_stands(secret: str) -> None:
    """A secret that is quoted three times is hidden three times."""
    text = f"<{secret}> <{secret}> <{secret}>"
    assert excerpt(text, [secret]) == "<***> <***> <***>"


def test_longer_secret_goes_first() -> None:
    """A secret inside a longer one does not leave the rest of that visible."""
    secrets = ["password", "password-of-mine"]
    assert excerpt("it is password-of-mine", secrets) == "it is ***"
    assert excerpt("it is password-of-mine", reversed(secrets)) == "it is ***"


def test_short_secret_stays() -> None:
    """Hiding a prompt like `a` would hide every word."""
    assert excerpt("a key is missing", ["a", "missing", ""]) == "a key is missing"
    assert excerpt("a key is required", ["required"]) == "a key is ***"


def test_long_secret_that_is_not_quoted_hides_nothing() -> None:
    """Text that only begins like a long secret stays."""
    prompt = "the maximum context length of this model is unknown to me"
    assert excerpt("the maximum context is 5", [prompt]) == "the maximum context is 5"


def test_verbatim_long_prompt() -> None:
    """All of a prompt that is quoted verbatim is hidden, on every hash seed."""
    prompt = 'Write a poem about the word "Größenwahn" and my password hunter2'
    assert excerpt(f"input: {prompt}!", [prompt]) == "input: ***!"


@pytest.mark.parametrize("ensure_ascii", [True, False])
@pytest.mark.parametrize(
    "prompt",
    [
        'Write a poem about the word "Größenwahn" and my password hunter2',
        'Größe "x" und noch mehr Text dazu',
    ],
)
def test_escaped_long_prompt(prompt: str, *, ensure_ascii: bool) -> None:
    """All of a prompt is hidden in JSON too, whatever the server's writer escapes."""
    quoted = json.dumps(prompt, ensure_ascii=ensure_ascii)
    assert excerpt(quoted, [prompt]) == '"***"'
