"""Names of tokens, in which nothing is invisible."""

from __future__ import annotations

import html
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.rendering.symbols import EMPTY, NEWLINE, name_token, show_on_one_line
from limin.values.conversation import Conversation
from limin.values.log_probs import LogProbs, Position
from limin.values.tokens import TokenLogProb


@pytest.mark.parametrize(
    ("text", "token_bytes", "name"),
    [
        (" a\n\t\u00a0", None, "␣a⏎⇥⍽"),
        ("\\xf0", b" \xf0\x9f", "⟨20 F0 9F⟩"),
        ("\\x20", b" ", "␣"),
        ("<|end|>", b"", "<|end|>"),
        ("", b"", "∅"),
    ],
)
def test_name_of_a_token(text: str, token_bytes: bytes | None, name: str) -> None:
    """The bytes decide if the server sent some, else the text."""
    assert name_token(TokenLogProb(text, -0.1, token_bytes)) == name


@given(text=st.text())
@example(text="")
@example(text="\u0301")
def test_name_has_one_line(text: str) -> None:
    """No name is empty, breaks a line, or begins with a character that joins another."""
    name = show_on_one_line(text)
    assert not {" ", "\n", "\t", "\u00a0"} & set(name)
    assert not unicodedata.category(name[0]).startswith("M")


@pytest.mark.parametrize("token", [" Paris", "\n", "\u0301", "", "\x1b[2J"])
def test_page_and_table_agree(token: str) -> None:
    """A token has the same name on a page as in a terminal's table."""
    name = name_token(TokenLogProb(token, -0.1))
    log_probs = LogProbs(lambda: ((Position(token, -0.1),), ()))
    assert f'aria-description="{html.escape(name)}\n' in log_probs.to_html()


@pytest.mark.parametrize(("element", "symbol"), [("i", NEWLINE), ("span:empty", EMPTY)])
def test_stylesheet_has_the_same_symbols(element: str, symbol: str) -> None:
    """Marks that are not copied with the text are drawn by the stylesheet."""
    rule = f'.limin-tokens {element}::before {{ content: "{symbol}";'
    assert rule in Conversation().to_html()
