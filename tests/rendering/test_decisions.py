"""Decisions on a terminal."""

from __future__ import annotations

import attrs
import pytest
from samples import decision, score

from limin.rendering.labels import label_rows, name_label
from limin.values.decisions import Decision


def show(
    value: Decision[object] | Decision[str] | Decision[int], width: int = 60
) -> list[str]:
    """Return the lines of *value* on a terminal without colours."""
    text = value.to_pretty_string(width=width, color=False)
    return [line.rstrip() for line in text.split("\n")]


def make_decision(low: dict[object, float], **fields: float) -> Decision[object]:
    """Return a decision with nothing but what is sure."""
    rest: dict[str, float] = {"unfinished": 0, "ambiguous": 0, "unlisted": 0, "other": 0}
    return Decision(low=low, high=low, **(rest | fields))  # type: ignore[arg-type]  # floats


def test_bars_show_what_is_sure_and_what_is_possible() -> None:
    """What is possible is a line behind the bar."""
    value = Decision(
        low={"yes": 0.5, "no": 0.25},
        high={"yes": 0.75, "no": 0.5},
        unfinished=0.0,
        ambiguous=0.0,
        unlisted=0.25,
        other=0.0,
    )
    assert show(value, 36) == [
        "yes  0.50\N{EN DASH}0.75  ━━━━━━━━━━─────",
        "no   0.25\N{EN DASH}0.50  ━━━━━─────",
        "mass 0.75 · unlisted 0.25 · other",
        "0.00 · likeliest label uncertain",
    ]


def test_certain_and_none() -> None:
    """The last fact is whether another label can be likelier, or that there is none."""
    certain = show(make_decision({"a": 0.75, "b": 0.25}), 80)
    assert certain[0].startswith("a  0.75  ━━━")
    assert certain[-1] == "mass 1.00 · unlisted 0.00 · other 0.00 · likeliest label certain"
    assert show(make_decision({"a": 0.0}, other=1.0), 80)[-1].endswith(
        "likeliest label none"
    )


def test_numbers_have_their_mean() -> None:
    """Scores have a mean with its bounds, and orders their spread."""
    *_, first, second = show(score(), 80)
    facts = f"{first} {second}"
    assert "spread 0.12" in facts
    assert "expected 60.00 (5" in facts


def test_many_labels_are_cut() -> None:
    """The likeliest labels are shown in their order, and what the others have."""
    lines = show(score(), 80)
    assert [line.split()[0] for line in lines[:25]] == list(map(str, range(48, 73)))
    assert lines[25] == "… 76 more labels, together <.01"
    one_more = make_decision(dict.fromkeys(range(26), 0.03))
    assert show(one_more)[25] == "… 1 more label, together 0.03"


@pytest.mark.parametrize(
    ("label", "plain", "quoted"),
    [
        ("yes", "yes", '"yes"'),
        ("", "∅", '""'),
        ("a\nb\tc", "a⏎b⇥c", '"a\\nb\\tc"'),
        ("\x1b[2J\u202e", "␛[2J⟨U+202E⟩", '"\\u001b[2J⟨U+202E⟩"'),
        ("x" * 61, "x" * 60 + "…", '"' + "x" * 59 + "…"),
        (True, "true", "true"),
        (None, "null", "null"),
        (3, "3", "3"),
        ((1, 2), "[1, 2]", "[1, 2]"),
        (1j, '"1j"', '"1j"'),
    ],
)
def test_name_of_a_label(label: object, plain: str, quoted: str) -> None:
    """A name is on one line, harmless, and as JSON spells it."""
    assert name_label(label, quotes=False) == plain
    assert name_label(label, quotes=True) == quoted


def test_texts_have_quotes_beside_other_labels() -> None:
    """So `"1"` is not taken for 1."""
    rows = label_rows(make_decision({"1": 0.25, 1: 0.5}), 2)
    assert [(row.name, row.is_likeliest) for row in rows] == [('"1"', False), ("1", True)]


def test_narrow_terminal() -> None:
    """Nothing is wider than the terminal."""
    for width in (20, 30, 40):
        assert max(map(len, show(decision(), width))) <= width


def test_likeliest_label_is_bold() -> None:
    """It is told by its style, not by its place."""
    shown = attrs.evolve(decision(), warnings=()).to_pretty_string(color=True)
    assert "\x1b[1myes" in shown
    assert "\x1b[1mno" not in shown
