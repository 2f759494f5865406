import datetime as dt
import enum
import math
import uuid
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import ConfigurationError
from limin.values.checks import (
    as_list,
    check_argument,
    check_choice,
    check_flag,
    check_integer,
    check_length,
    check_rate,
    check_seconds,
    check_text,
    describe_type,
    describe_value,
    plain,
    plain_json,
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
        (10**400, "an int beyond the range of a float"),
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


@pytest.mark.parametrize(
    ("choices", "others", "expected"),
    [
        (("a",), (), "a"),
        (("a",), ("None",), "a or None"),
        (("a", "b"), ("None",), "a, b or None"),
    ],
)
def test_choice_beside_values_of_other_types(
    choices: tuple[str, ...], others: tuple[str, ...], expected: str
) -> None:
    """The error names them, too, and their names are no choices."""
    text = refusal(check_choice, "palette", "None", choices, *others)
    assert text == f"palette: expected {expected}, found another str"


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
        ("NAType", "an NAType"),
        ("SSLError", "an SSLError"),
        ("NoneType", "a NoneType"),
        ("ndarray", "an ndarray"),
        ("numpy.bool", "a numpy.bool"),
    ],
)
def test_article(noun: str, phrase: str) -> None:
    """Types and roles stand after the article that a person would say."""
    assert with_article(noun) == phrase


def test_type_of_a_value() -> None:
    """A type is described without its module and without the value."""
    assert describe_type(uuid.UUID(int=7)) == "a UUID"


def test_type_with_the_name_of_another() -> None:
    """A type that only shares the name of Python's own can be told from it."""
    assert describe_type(np.bool_(True)) == "a numpy.bool"  # noqa: FBT003 (numpy's flag)


class Size(enum.IntEnum):
    SMALL = 3


class Name(str, enum.Enum):  # noqa: UP042 (StrEnum is another kind)
    FIRST = "first"


class Prompt(str):
    """A text with a `__str__` of its own, as `Name` has."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another text"


class Failing:
    """A number that turns out to be none, like a tensor without data."""

    def __float__(self) -> float:
        raise RuntimeError


# A value as people have it, and the plain value that it is.
PLAIN: list[tuple[Any, Any]] = [
    (np.float16(0.5), 0.5),
    (np.float32(0.5), 0.5),
    (np.float64(0.5), 0.5),
    (np.longdouble(0.5), 0.5),
    (np.int8(-3), -3),
    (np.int64(3), 3),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.bool_(True), True),  # noqa: FBT003 (numpy's flag)
    (np.array(3), 3),
    (np.array(0.5), 0.5),
    (np.str_("text"), "text"),
    (pd.Series([3, 4])[0], 3),
    (pd.Series([3, 4], dtype="Int64")[0], 3),
    (pd.Series([True], dtype="boolean")[0], True),
    (pd.Series([0.5], dtype="float32")[0], 0.5),
    (pd.Series(["text"])[0], "text"),
    (pl.Series([0.5])[0], 0.5),
    (Decimal("0.5"), 0.5),
    (Fraction(1, 2), 0.5),
    (Size.SMALL, 3),
    (Name.FIRST, "first"),
    (Prompt("text"), "text"),
    (3, 3),
    (10**30, 10**30),
    ("text", "text"),
    (None, None),
]


@pytest.mark.parametrize(("value", "expected"), PLAIN)
def test_value_as_people_have_it(value: Any, expected: Any) -> None:
    """A scalar of any library becomes Python's own of the same value."""
    converted = plain(value)
    assert (type(converted), converted) == (type(expected), expected)


# Values that are no number, no flag and no text, though some have a way to a number.
NO_SCALAR: list[Any] = [
    np.timedelta64(5, "ns"),
    np.datetime64("2020-01-01", "ns"),
    np.complex64(1),
    np.bytes_(b"5"),
    np.array([5]),
    np.array([[5]]),
    np.array("text"),
    pd.NA,
    pd.NaT,
    pd.Series([5]),
    pd.DataFrame({"a": [5]}),
    pd.Timestamp("2020-01-01"),
    pd.Timedelta(5),
    pl.Series([5]),
    dt.timedelta(seconds=5),
    b"5",
    bytearray(b"5"),
    Decimal("sNaN"),
    Fraction(10**400),
    Failing(),
    [5],
]


@pytest.mark.parametrize("value", NO_SCALAR, ids=describe_type)
@pytest.mark.parametrize(
    "check", [lambda *a: check_integer(*a, at_least=0), check_seconds, check_flag]
)
def test_value_that_is_no_scalar(check: Any, value: Any) -> None:
    """A value that no plain one equals stays as it is, and is refused by its type."""
    assert plain(value) is value
    assert refusal(check, "n", value).endswith(f", found {describe_type(value)}")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, Decimal])
def test_nan_is_no_number(kind: Any) -> None:
    """NaN is refused whatever type it comes in."""
    assert refusal(check_rate, "n", kind("nan")).endswith("found nan")


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_of_numpy_is_kept(number: int) -> None:
    """No digit of an integer is lost."""
    assert plain(np.int64(number)) == number


@pytest.mark.parametrize("flag", [True, np.bool_(True)])  # noqa: FBT003 (numpy's flag)
def test_flag_that_fits(flag: Any) -> None:
    """Flags of numpy are flags."""
    assert check_flag("stream", flag) is True


@pytest.mark.parametrize(
    ("value", "found"),
    [(1, "1"), (np.int64(0), "0"), (None, "None"), ("True", "a str"), (pd.NA, "an NAType")],
)
def test_flag_that_does_not_fit(value: object, found: str) -> None:
    """A number is no flag, and neither is a text."""
    text = refusal(check_flag, "stream", value)
    assert text == f"stream: expected True or False, found {found}"


def test_checks_return_plain_values() -> None:
    """What is checked is what is used from then on."""
    values = [
        check_integer("n", np.int64(3), at_least=0),
        check_seconds("n", np.float32(0.5)),
        check_choice("n", np.str_("b"), ("a", "b")),
        check_text("n", Name.FIRST),
    ]
    assert [(type(value), value) for value in values] == [
        (int, 3),
        (float, 0.5),
        (str, "b"),
        (str, "first"),
    ]


@pytest.mark.parametrize(("value", "expected"), [(None, None), (1, 1), (np.int64(3), 3)])
def test_length_that_fits(value: Any, expected: int | None) -> None:
    """A width or a number of rows is at least 1, or None for no limit."""
    assert check_length("width", value) == expected


@pytest.mark.parametrize(("value", "found"), [(0, "0"), (1.5, "1.5"), ("80", "a str")])
def test_length_that_does_not_fit(value: object, found: str) -> None:
    """Neither nothing nor half a column can be shown."""
    text = refusal(check_length, "width", value)
    assert text == f"width: expected at least 1, found {found}"


def test_integer_beyond_every_float() -> None:
    """A number that no clock and no server could take is refused, and not written out."""
    text = refusal(check_integer, "n", 10**5000, at_least=0)
    assert text.endswith("found an int beyond the range of a float")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2], [1, 2]),
        ((1, 2), [1, 2]),
        (np.array([1, 2]), [1, 2]),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Index([1, 2]), [1, 2]),
        (pl.Series([1, 2]), [1, 2]),
        (np.array(1), None),
        (np.int64(1), None),
        (list, None),
        ("text", None),
        ({1}, None),
        (None, None),
    ],
)
def test_entries_of_a_sequence(value: object, expected: object) -> None:
    """Arrays and columns of every library are sequences; scalars are none."""
    assert as_list(value) == expected


def test_json_in_other_types() -> None:
    """Arrays, columns, scalars and mappings become lists, numbers and dictionaries."""
    value = {
        np.str_("name"): np.str_("text"),
        "bias": {np.int64(50256): np.float32(-100)},
        "array": np.array([[0.5, 1], [2, 3]], dtype=np.float32),
        "column": pd.Series([1, 2]),
        "series": pl.Series(["a", "b"]),
        "mapping": MappingProxyType({"flag": np.bool_(True)}),  # noqa: FBT003
        "tuple": (None, Decimal("0.5"), True),
    }
    assert repr(plain_json(value)) == repr(
        {
            "name": "text",
            "bias": {50256: -100.0},
            "array": [[0.5, 1.0], [2.0, 3.0]],
            "column": [1, 2],
            "series": ["a", "b"],
            "mapping": {"flag": True},
            "tuple": [None, 0.5, True],
        }
    )


def test_value_that_json_cannot_hold() -> None:
    """A value that is no JSON stays, so that the encoder names its type."""
    value = {1, 2}
    assert plain_json(value) is value
