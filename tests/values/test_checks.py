import math
import uuid
from decimal import Decimal
from typing import Any

import pytest

from limin.errors import ConfigurationError
from limin.values.checks import (
    check_argument,
    check_choice,
    check_integer,
    check_rate,
    check_seconds,
    check_text,
    describe_type,
    describe_value,
    with_article,
)

KEY = "sk-secret-0123456789"


def refusal(check: Any, *arguments: Any, **options: Any) -> str:
    """The message with which *check* refuses its arguments."""
    with pytest.raises(ConfigurationError) as caught:
        check(*arguments, **options)
    return str(caught.value)


def test_argument_that_fits() -> None:
    """An argument that fits passes, whatever its value."""
    check_argument("name", None, "anything", fits=True)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "None"),
        (0, "0"),
        (-1.5, "-1.5"),
        (math.nan, "nan"),
        (True, "True"),
        (KEY, "a str"),
        (KEY.encode(), "a bytes"),
        ([KEY], "a list"),
        (OSError(KEY), "an OSError"),
        (uuid.UUID(int=7), "a UUID"),
        (Decimal("7.25"), "a Decimal"),
    ],
)
def test_argument_that_does_not_fit(value: object, found: str) -> None:
    """One sentence holds name, expectation and value; only numbers are shown."""
    text = refusal(check_argument, "seed", value, "an even number", fits=False)
    assert text == f"seed: expected an even number, found {found}"
    assert describe_value(value) == found


@pytest.mark.parametrize("value", [0, 1, 10**30])
def test_integer_that_fits(value: int) -> None:
    """An integer fits from its bound on."""
    check_integer("n", value, at_least=0)


@pytest.mark.parametrize(
    ("value", "found"),
    [(-1, "-1"), (1.0, "1.0"), (True, "True"), (None, "None"), ("3", "a str")],
)
def test_integer_that_does_not_fit(value: object, found: str) -> None:
    """Neither a float, nor a bool, nor a text is an integer."""
    text = refusal(check_integer, "n", value, at_least=0)
    assert text == f"n: expected an integer of at least 0, found {found}"


@pytest.mark.parametrize("value", [None, 1, 0.001, 1e300])
@pytest.mark.parametrize("check", [check_rate, check_seconds])
def test_number_above_zero_or_none_that_fits(check: Any, value: float | None) -> None:
    """Every finite number above 0 fits, and None is no limit."""
    check("limit", value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0, "0"),
        (-1, "-1"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (True, "True"),
        ("60", "a str"),
    ],
)
@pytest.mark.parametrize(
    ("check", "expected"),
    [(check_rate, "a number above 0 or None"), (check_seconds, "seconds above 0 or None")],
)
def test_number_above_zero_or_none_that_does_not_fit(
    check: Any, expected: str, value: object, found: str
) -> None:
    """A limit that no clock could keep is refused."""
    assert refusal(check, "limit", value) == f"limit: expected {expected}, found {found}"


@pytest.mark.parametrize(
    ("choices", "expected"),
    [(("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")],
)
@pytest.mark.parametrize(
    ("value", "found"),
    [(KEY, "another str"), (None, "None"), (4, "4"), (["a"], "a list")],
)
def test_choice_that_does_not_exist(
    choices: tuple[str, ...], expected: str, value: object, found: str
) -> None:
    """The error lists the choices, and does not repeat the text that is none."""
    text = refusal(check_choice, "palette", value, choices)
    assert text == f"palette: expected {expected}, found {found}"


def test_choice_that_exists() -> None:
    """Each of the choices is accepted."""
    check_choice("palette", "b", ("a", "b"))


@pytest.mark.parametrize(
    ("value", "found"),
    [(1234567890, "an int"), (KEY.encode(), "a bytes"), (None, "a NoneType")],
)
def test_text_of_another_type(value: object, found: str) -> None:
    """A key that was given as a number is not shown either."""
    text = refusal(check_text, "api_key", value)
    assert text == f"api_key: expected a str, found {found}"


def test_text_that_fits() -> None:
    """Every text is one, also an empty one."""
    check_text("api_key", "")


@pytest.mark.parametrize(
    ("noun", "phrase"),
    [
        ("int", "an int"),
        ("assistant", "an assistant"),
        ("OrderedDict", "an OrderedDict"),
        ("user", "a user"),
        ("UUID", "a UUID"),
        ("_Private", "a _Private"),
        ("str", "a str"),
    ],
)
def test_article(noun: str, phrase: str) -> None:
    """Types and roles stand after the article that a person would say."""
    assert with_article(noun) == phrase


def test_type_of_a_value() -> None:
    """A type is described without its module and without the value."""
    assert describe_type(uuid.UUID(int=7)) == "a UUID"
