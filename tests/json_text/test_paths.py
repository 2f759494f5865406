import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limin.json_text.paths import keys_of, path_of


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ((), "$"),
        (("name",), "$.name"),
        (("größe", "_x1"), "$.größe._x1"),
        ((0, 12), "$[0][12]"),
        (("other name",), '$["other name"]'),
        (("0",), '$["0"]'),
        (("",), '$[""]'),
        (('a"b\\c',), '$["a\\"b\\\\c"]'),
        (("a.b", "c"), '$["a.b"].c'),
        (("zwei Wörter",), '$["zwei Wörter"]'),
        (("\u2028\x1b",), '$["\\u2028\\u001b"]'),
        (("\ud800",), '$["\\ud800"]'),
    ],
)
def test_path(keys: tuple[str | int, ...], path: str) -> None:
    """A name that is an identifier stands behind a dot, any other in brackets."""
    assert path_of(keys) == path
    assert keys_of(path) == keys


@given(st.lists(st.text() | st.text("\"\\.[]'$ä0", max_size=4) | st.integers(0)))
@example(["", 0, "0", '"', "\\", "]", "."])
def test_path_leads_back(keys: list[str | int]) -> None:
    """No two lists of keys have one path."""
    assert keys_of(path_of(keys)) == tuple(keys)


@pytest.mark.parametrize(
    "text",
    ["", "name", "$name", "$.", "$..a", "$[", "$[x]", "$[...]", '$["a]', "$[-1]"],
)
def test_no_path(text: str) -> None:
    """What `path_of` does not make is refused."""
    with pytest.raises(ValueError, match="no path of a value in JSON"):
        keys_of(text)


@given(st.lists(st.text(max_size=4) | st.integers(0, 30), max_size=4))
def test_path_can_be_written(steps: list[str | int]) -> None:
    """A path has a text that any file can hold, whatever the keys are."""
    path_of(steps).encode()
