import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.json_text.paths import path_of

STEPS = st.lists(st.text(max_size=4) | st.integers(0, 30), max_size=4)


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ((), "$"),
        (("name",), "$.name"),
        (("_2", "größe", "class"), "$._2.größe.class"),
        (("other name",), '$["other name"]'),
        (("2nd", "", "a.b"), '$["2nd"][""]["a.b"]'),
        ((0, 12, "a"), "$[0][12].a"),
        (("0",), '$["0"]'),
        (('say "hi"\n\\',), '$["say \\"hi\\"\\n\\\\"]'),
        (("Straße 1",), '$["Straße 1"]'),
        (("\ud83d ö",), '$["\\ud83d \\u00f6"]'),
    ],
)
def test_path(steps: tuple[str | int, ...], path: str) -> None:
    """An identifier stands behind a dot, another key and an index in brackets."""
    assert path_of(steps) == path


@given(STEPS, STEPS)
def test_paths_are_unique(left: list[str | int], right: list[str | int]) -> None:
    """Two places never have the same path."""
    assert (path_of(left) == path_of(right)) is (left == right)


@given(STEPS)
def test_path_can_be_written(steps: list[str | int]) -> None:
    """A path has a text that any file can hold, whatever the keys are."""
    path_of(steps).encode()
