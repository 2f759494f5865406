"""Output for a terminal, compared with files; `LIMIN_WRITE_GOLDEN=1` writes them again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from samples import SAMPLES

from limin.rendering import terminal

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = [40, 80, 200]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_looks_as_it_did(name: str, width: int) -> None:
    """The output stays as it was when somebody last looked at it."""
    path = GOLDEN / f"{name}-{width}.txt"
    text = terminal.to_string(SAMPLES[name](), width=width, color=True) + "\n"
    if os.environ.get("LIMIN_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        pytest.fail(f"wrote {path.name}: look at it, and run without LIMIN_WRITE_GOLDEN")
    assert text == path.read_text(encoding="utf-8")


def test_no_file_is_left_over() -> None:
    """Each file belongs to a test."""
    named = {f"{name}-{width}.txt" for name in SAMPLES for width in WIDTHS}
    assert {path.name for path in GOLDEN.iterdir()} == named
