"""Tokens in the colours of their probabilities, and as rows of a table."""

from __future__ import annotations

import io
import math
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from samples import log_probs, position

from limin import ConfigurationError
from limin.rendering.terminal_colors import colors
from limin.values.log_probs import LogProbs, Position

COLOR = re.compile(r"\x1b\[[0-9;]*m")
FOX = "🦊".encode()


def make_log_probs(*positions: Position) -> LogProbs:
    """Return the log probabilities of *positions*."""
    return LogProbs(lambda: (positions, ()))


def read_rows(
    tokens: LogProbs, width: int = 100, lowest: int | None = None
) -> list[list[str]]:
    """Return the words of each line of the table, the heading first."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_jupyter=False, _environ={})
    console.print(tokens.to_table(lowest=lowest))
    return [line.split() for line in file.getvalue().splitlines()]


def test_split_character_is_shown_once() -> None:
    """An emoji of three tokens is shown once, in the colour of their joint probability."""
    tokens = make_log_probs(
        position(FOX[:2], 0.5), position(FOX[2:3], 0.8), position(FOX[3:], 1.0)
    )
    red, green, blue = colors(0.4).foreground or (0, 0, 0)
    assert tokens.to_pretty_string() == f"\x1b[38;2;{red};{green};{blue}m🦊\x1b[0m"
    assert tokens.to_pretty_string(show_probabilities=True, color=False) == "🦊[0.40]"


def test_split_character_of_unknown_probability_is_dim() -> None:
    """A whole character is of unknown probability if a part of it is."""
    tokens = make_log_probs(position(FOX[:2], 0.5), position(FOX[2:], None))
    assert tokens.to_pretty_string(show_probabilities=True, color=False) == "🦊[?]"


def test_character_that_is_cut_off_is_shown_as_such() -> None:
    """An answer that ends inside a character ends in U+FFFD."""
    assert make_log_probs(position(FOX[:2], 0.5)).to_pretty_string(color=False) == "\ufffd"


def test_white_space_of_the_text_is_marked() -> None:
    """A line break is marked and breaks the line; a tab is marked and goes to its stop."""
    tokens = make_log_probs(
        position("a\n", 0.9), position("\tb", 0.9), position("\n\n", 0.9)
    )
    assert tokens.to_pretty_string(color=False) == "a⏎\n⇥       b⏎\n⏎\n"
    assert tokens.to_pretty_string(show_probabilities=True, color=False) == (
        "a⏎[0.90]\n⇥       b[0.90]⏎\n⏎[0.90]\n"
    )


def test_text_wraps_if_asked_to() -> None:
    """No line is wider than the given width."""
    tokens = make_log_probs(*(position(f"word{n} ", 0.9) for n in range(9)))
    wrapped = tokens.to_pretty_string(color=False, width=12).split("\n")
    assert len(wrapped) > 4
    assert max(map(len, wrapped)) <= 12


def test_viridis_colors_the_background() -> None:
    """The text is white on a dark background, and black on a bright one."""
    tokens = make_log_probs(position("a", 1e-9), position("b", 1.0))
    assert tokens.to_pretty_string(palette="viridis") == (
        "\x1b[38;2;255;255;255;48;2;68;1;84ma\x1b[0m"
        "\x1b[38;2;0;0;0;48;2;253;231;37mb\x1b[0m"
    )


def test_unknown_palette_is_refused() -> None:
    """An unknown palette is refused even without a token to colour."""
    for render in (make_log_probs().to_pretty_string, make_log_probs().to_table):
        with pytest.raises(ConfigurationError, match="palette: expected red-green or"):
            render(palette="sunset")  # type: ignore[arg-type, operator]  # that is the test


def test_table_has_a_row_for_each_position() -> None:
    """A row has position, token, probability, rank, entropy and alternatives."""
    tokens = make_log_probs(
        position(" Par", 0.6, (" Lon", 0.3), (" Rom", 0.004)),
        position("is\n", 0.2, ("\t", 0.7)),
        position("!", None),
        position("?", 0.3),
    )
    assert read_rows(tokens) == [
        ["#", "token", "probability", "rank", "entropy", "alternatives"],
        [
            "0",
            "␣Par",
            "0.60",
            "━━━━━━",
            *["1", "0.69", "␣Par", "0.60", "␣Lon", "0.30", "␣Rom", "<.01"],
        ],
        ["1", "is⏎", "0.20", "━━", *["2", "0.57", "⇥", "0.70", "is⏎", "0.20"]],
        ["2", "!", "?"],
        ["3", "?", "0.30", "━━━"],
    ]


def test_table_of_the_lowest_keeps_their_order() -> None:
    """The least probable positions are shown in the order of the answer."""
    tokens = make_log_probs(
        *(position(str(n), p) for n, p in enumerate([0.9, 0.1, None, 0.5, 0.05]))
    )
    assert [row[0] for row in read_rows(tokens, lowest=3)[1:]] == ["1", "3", "4"]
    assert [row[0] for row in read_rows(tokens, lowest=99)[1:]] == ["0", "1", "3", "4"]


@pytest.mark.parametrize("log_prob", [None, math.nan])
def test_unknown_probability(log_prob: float | None) -> None:
    """An unknown probability is a question mark, and no number is made up."""
    tokens = make_log_probs(Position("x", log_prob))
    assert read_rows(tokens)[1] == ["0", "x", "?"]
    assert tokens.to_pretty_string(show_probabilities=True, color=False) == "x[?]"


def test_table_of_no_positions_is_refused() -> None:
    """A table of no positions is refused."""
    with pytest.raises(ConfigurationError) as caught:
        make_log_probs().to_table(lowest=0)
    assert str(caught.value) == "lowest: expected at least 1, found 0"


def test_unknown_rank_is_shown_by_its_bound() -> None:
    """A list that ends above the sampled token gives only a bound of its rank."""
    tokens = make_log_probs(position("x", 0.1, ("a", 0.3), ("b", 0.2)))
    assert read_rows(tokens)[1][4] == "≥3"


def test_split_character_in_the_table() -> None:
    """Each token has its row and its bytes; the character stands at the first."""
    tokens = make_log_probs(position(FOX[:3], 0.5, (b"\xff", 0.1)), position(FOX[3:], 0.8))
    first, second = read_rows(tokens)[1:]
    assert first[:5] == ["0", "🦊", "⟨F0", "9F", "A6⟩"]
    assert first[-2:] == ["⟨FF⟩", "0.10"]
    assert second[:2] == ["1", "⟨8A⟩"]


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ("", "∅"),
        ("\u0301", "◌\u0301"),
        ("北京", "北京"),
        (" \t\n", "␣⇥⏎"),
        ("\u00a0", "⍽"),
        ("\x1b[2J", "␛[2J"),
        ("\ud83e", "⟨U+D83E⟩"),
    ],
)
def test_every_token_has_a_name(token: str, name: str) -> None:
    """No token is invisible, and none moves the columns."""
    assert read_rows(make_log_probs(Position(token, -0.5)))[1][1] == name


@pytest.mark.parametrize(
    ("width", "heading"),
    [
        (40, ["#", "token", "probability", "alternatives"]),
        (50, ["#", "token", "probability", "rank", "alternatives"]),
        (60, ["#", "token", "probability", "rank", "entropy", "alternatives"]),
    ],
)
def test_less_important_columns_are_hidden(width: int, heading: list[str]) -> None:
    """A narrow terminal has fewer columns."""
    assert read_rows(log_probs(), width)[0] == heading


@pytest.mark.parametrize("width", range(40, 100, 7))
def test_columns_are_aligned(width: int) -> None:
    """Wide, split and combining characters keep the columns aligned."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_jupyter=False, _environ={})
    console.print(log_probs().to_table())
    lines = file.getvalue().splitlines()
    column = lines[0].index("alternatives")
    for line in lines[1:]:
        assert cell_len(line.rstrip()) <= width
        left = line
        while cell_len(left) > column:
            left = left[:-1]
        assert cell_len(left) == column
        assert left.endswith(" ")
