"""Checks of arguments: one verb, and one wording for every argument.

Each `check_` returns the argument as a plain value of Python if it is fine, and raises
a `ConfigurationError` otherwise: "name: expected X, found Y". So the number or flag of
another library, numpy's `int64` for example, is accepted, and limin never sees its type
again.

Messages end up in logs, so only numbers are shown. A text may be a prompt or a key:
everything else is shown by its type.
"""

from __future__ import annotations

import builtins
import math
import operator
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard, cast

from limin.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from limin.errors import LiminError

_PLAIN = (bool, int, float, str, type(None))

# The kinds of numpy's scalars that are flags and numbers. The others are no numbers,
# though some convert: a timedelta64 would give its nanoseconds.
# Source: https://numpy.org/doc/stable/reference/generated/numpy.dtype.kind.html
_NUMERIC_KINDS = "biuf"

# The methods that Python itself uses to convert to a number, each with its function.
# Integers come first: converting them to float would lose digits.
_CONVERSIONS = (("__index__", operator.index), ("__float__", float))

# The exceptions of a conversion without a result; torch and jax raise RuntimeError.
_NO_NUMBER = (TypeError, ValueError, ArithmeticError, RuntimeError)


def plain(value: object) -> object:
    """Return *value* as Python's own bool, int, float or str if it is one of another type.

    Such types are subclasses (numpy's `float64` and `str_`, an `IntEnum`), scalars of
    array libraries, and numbers such as `Decimal`. Anything else is returned unchanged:
    bytes, dates, arrays of numbers.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)  # An Enum's own `__str__` is another text.
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return _plain_scalar(value)


def _plain_scalar(value: object) -> object:
    """Return the number or flag that *value* converts to, or else *value* itself."""
    if isinstance(value, (bytes, bytearray)) or getattr(value, "shape", ()) != ():
        return value
    dtype_kind = getattr(getattr(value, "dtype", None), "kind", "f")
    if dtype_kind not in _NUMERIC_KINDS:
        return value
    try:
        item = cast("Any", value).item() if hasattr(value, "item") else value
        if type(item) in (bool, int, float):
            return item
        for method, convert in _CONVERSIONS:
            if hasattr(type(value), method):
                return convert(cast("Any", value))
    except _NO_NUMBER:
        pass
    return value


def plain_json(value: object) -> object:
    """Return *value* with every mapping, sequence, array and scalar in it as plain JSON.

    A value that JSON cannot hold is returned unchanged; the encoder refuses it.

    Raises:
        RecursionError: If *value* holds itself.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {plain(key): plain_json(entry) for key, entry in items}
    entries = as_list(value)
    return plain(value) if entries is None else [plain_json(entry) for entry in entries]


def plain_mapping(
    name: str, value: Mapping[str, object], error: Callable[[str], LiminError]
) -> dict[str, object]:
    """Return the argument *name* as a copy in plain JSON, which nobody else can change.

    Raises:
        LiminError: The one that *error* makes of a problem, if *value* is nested too
            deeply; a mapping that holds itself is.
    """
    try:
        return cast("dict[str, object]", plain_json(value))
    except RecursionError:
        problem = f"{name}: expected values that JSON can hold, found too deep a nesting"
        raise error(problem) from None


def as_list(value: object) -> list[object] | None:
    """Return the entries of a list, a tuple, an array or a column; None for another type.

    Arrays and columns of numpy, pandas, polars, pyarrow and torch are known by their
    methods `tolist` or `to_list`, and are no scalars.
    """
    if isinstance(value, (list, tuple)):
        return list(cast("Sequence[object]", value))
    method = getattr(value, "tolist", None) or getattr(value, "to_list", None)
    if isinstance(value, type) or not callable(method):
        return None
    entries = method()
    return cast("list[object]", entries) if isinstance(entries, list) else None


def is_number(value: object) -> TypeGuard[float]:
    """Return whether *value* is a number that a float can hold, and not True or False."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def is_above_zero(value: object) -> TypeGuard[float]:
    """Return whether *value* is a finite number above 0."""
    return is_number(value) and 0 < value < math.inf


def is_integer(value: object, at_least: float) -> TypeGuard[int]:
    """Return whether *value* is an integer of at least *at_least* that a float can hold."""
    return isinstance(value, int) and is_number(value) and value >= at_least


def check_argument(name: str, value: object, expected: str, *, fits: bool) -> None:
    """Refuse the argument *name* unless its *value* *fits*.

    Raises:
        ConfigurationError: If it does not.
    """
    if not fits:
        refuse(name, value, expected)


def check_integer(name: str, value: object, at_least: int) -> int:
    """Return *value* as an `int`; refuse it if it is no integer of at least *at_least*.

    Raises:
        ConfigurationError: If it is not.
    """
    number = plain(value)
    if not is_integer(number, at_least):
        refuse(name, number, f"an integer of at least {at_least}")
    return number


def check_length(name: str, value: object) -> int | None:
    """Return *value* as an `int`; refuse it if it is neither None nor at least 1.

    Raises:
        ConfigurationError: If it is neither.
    """
    number = plain(value)
    if number is not None and not is_integer(number, 1):
        refuse(name, number, "at least 1")
    return number


def check_rate(name: str, value: object) -> float | None:
    """Return *value* as a number; refuse it if it is neither None nor above 0.

    Raises:
        ConfigurationError: If it is neither.
    """
    return _above_zero_or_none(name, value, "a number above 0 or None")


def check_seconds(name: str, value: object) -> float | None:
    """Return *value* as seconds; refuse it if it is neither None nor above 0.

    Raises:
        ConfigurationError: If it is neither.
    """
    return _above_zero_or_none(name, value, "seconds above 0 or None")


def _above_zero_or_none(name: str, value: object, expected: str) -> float | None:
    number = plain(value)
    if number is not None and not is_above_zero(number):
        refuse(name, number, expected)
    return number


def check_flag(name: str, value: object) -> bool:
    """Return *value* as a `bool`; refuse it if it is neither True nor False.

    Raises:
        ConfigurationError: If it is neither.
    """
    flag = plain(value)
    if not isinstance(flag, bool):
        refuse(name, flag, "True or False")
    return flag


def check_choice(
    name: str, value: object, choices: Sequence[str], *others_taken: str
) -> str:
    """Return *value* as a `str`; refuse it if it is none of *choices*.

    *others_taken* are values of other types that the caller takes; the message names
    them, too.

    Raises:
        ConfigurationError: If it is none of them; the message does not repeat it.
    """
    text = plain(value)
    if isinstance(text, str) and text in choices:
        return text
    *others, last = *choices, *others_taken
    expected = f"{', '.join(others)} or {last}" if others else last
    shown = "another str" if isinstance(text, str) else describe_value(text)
    problem = f"{name}: expected {expected}, found {shown}"
    raise ConfigurationError(problem)


def check_text(name: str, value: object) -> str:
    """Return *value* as a `str`; refuse it if it is no text.

    Raises:
        ConfigurationError: If it is no `str`; the message shows nothing of it, even if
            it is a number.
    """
    if isinstance(value, str):
        return str.__str__(value)
    problem = f"{name}: expected a str, found {describe_type(value)}"
    raise ConfigurationError(problem)


def refuse(name: str, value: object, expected: str) -> NoReturn:
    """Refuse the argument *name*, whose *value* is not as *expected*.

    Raises:
        ConfigurationError: Always.
    """
    problem = f"{name}: expected {expected}, found {describe_value(value)}"
    raise ConfigurationError(problem)


def describe_value(value: object) -> str:
    """Return *value* for a message: numbers and None as they are, the rest by its type."""
    if isinstance(value, int) and not is_number(value) and not isinstance(value, bool):
        return "an int beyond the range of a float"
    is_shown = value is None or isinstance(value, (int, float))
    return repr(value) if is_shown else describe_type(value)


def describe_type(value: object) -> str:
    """Return the type of *value* for a message, `a list`, and nothing of its content.

    A type that has the name of one of Python's own is named with its module. One that
    stands in for the user's, to hide what it holds, has that one as `stands_for`.
    """
    kind: type = getattr(type(value), "stands_for", type(value))
    name, module = kind.__name__, kind.__module__
    is_namesake = module != "builtins" and hasattr(builtins, name)
    return with_article(f"{module}.{name}" if is_namesake else name)


# Nouns that sound as if they began with a vowel: initials such as NAType and SSLError,
# whose first letter is spelled out, and numpy's ndarray.
_VOWEL_SOUND = re.compile(r"[aeio]|[FHLMNRSX][A-Z]|nd", re.ASCII)


def with_article(noun: str) -> str:
    """Return *noun* after `a` or `an`.

    A `u` that begins the name of a type or a role sounds like "you": a UUID, a user.
    """
    has_vowel = _VOWEL_SOUND.match(noun) or noun[0] in "AEIO"
    return f"{'an' if has_vowel else 'a'} {noun}"
