import pytest

from limin.schemas.docstrings import Docstring, parse_docstring

FULL = """Tell the weather
    of a city.

    It is not always right.

    Args:
        city (str): Where
            it is: a name.
        *days: How many.

        unit (Literal["a", "b"]): The unit.
        bare:
            Told below.
        a line that is no entry

    Returns:
        weather: The weather.
    """


def test_google_style() -> None:
    """Types, stars, continuation lines and blank lines are no part of a description."""
    assert parse_docstring(FULL) == Docstring(
        "Tell the weather of a city.",
        {
            "city": "Where it is: a name.",
            "days": "How many.",
            "unit": "The unit.",
            "bare": "Told below. a line that is no entry",
        },
    )


@pytest.mark.parametrize(
    ("text", "summary", "arguments"),
    [
        (None, "", {}),
        ("", "", {}),
        ("One line.", "One line.", {}),
        ("\nArgs:\n    x: The x.", "", {"x": "The x."}),
        ("Sum.\nArguments:\n  x: The x.\nNote:\n  y: no", "Sum.", {"x": "The x."}),
        ("Sum.\n\nArgs:\n    words before any entry\n    x: X.", "Sum.", {"x": "X."}),
        ("Sum.\n\nArgs:\nx: not indented", "Sum.", {}),
    ],
)
def test_docstring(text: str | None, summary: str, arguments: dict[str, str]) -> None:
    """What a docstring does not have is empty."""
    assert parse_docstring(text) == Docstring(summary, arguments)
