"""JSON that is none, or does not fit: where, and why, without a word of its content."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import attrs
import msgspec

from limin.json_text.paths import step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    Names = Callable[[], Collection[str]]

T = TypeVar("T")

# "... - at `$.city.name`", and "... - at `key` in `$.cities`" for the key of a mapping.
_PLACE = re.compile(r" - at (?:`key` in )?`(\$[^`]*)`\Z")

# These messages of msgspec end in the value that was found.
_QUOTING = re.compile(
    r"(Invalid (?:enum )?value|Object contains unknown field)\b.*", re.DOTALL
)


@attrs.define(slots=False)
class MisfitError(ValueError):
    """A text that is no JSON, or JSON that is no instance of the type.

    Whoever reads an answer or a call turns it into an error or a message of their own.
    The cause is the exception of a validator, whose text may quote the value.

    Attributes:
        reason: "not-json", or "invalid" for JSON that does not fit.
        path: Place of what does not fit, as `$.city`; a key that is the model's is
            `[...]` in it.
        problem: What is wrong there, without a word of the text.
    """

    reason: Literal["not-json", "invalid"]
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.problem} - at `{self.path}`"

    def below(self, path: str) -> MisfitError:
        """Return the same error, of a value that stands at *path* of another."""
        return attrs.evolve(self, path=path + self.path[1:])


def not_json(problem: str) -> MisfitError:
    """Return the error for a text that is no JSON."""
    return MisfitError("not-json", "$", problem)


def invalid(problem: str, path: str = "$") -> MisfitError:
    """Return the error for JSON that does not fit at *path*."""
    return MisfitError("invalid", path, problem)


def encode(text: str | bytes) -> bytes:
    """Return *text* as bytes.

    Raises:
        MisfitError: If half of a surrogate pair is in it, which no bytes stand for.
    """
    if isinstance(text, bytes):
        return text
    try:
        return text.encode()
    except UnicodeEncodeError:
        problem = "half of a surrogate pair"
        raise not_json(problem) from None


def read(data: bytes, decode: Callable[[bytes], T], names: Names) -> T:
    """Return what *decode* makes of *data*.

    Args:
        data: JSON, perhaps.
        decode: A decoder, which runs the validators of the type.
        names: Finds the type's own names, the only ones that a path may hold.

    Raises:
        MisfitError: In the place of every exception of *decode*.
    """
    try:
        return decode(data)
    except Exception as error:  # noqa: BLE001 (validators raise anything)
        misfit, cause = _explain(error, data, names)
    raise misfit from cause


def _explain(
    error: Exception, data: bytes, names: Names
) -> tuple[MisfitError, BaseException | None]:
    """Return *error* without what it quotes, and the exception of a validator."""
    if isinstance(error, RecursionError):
        return invalid("nested too deeply"), None
    value, misfit = _read_anything(data)
    if misfit is not None:
        return misfit, None
    if isinstance(error, msgspec.ValidationError):
        return _explain_msgspec(error)
    if callable(getattr(error, "errors", None)):
        return _explain_pydantic(error, value, names)
    return invalid(_of_validator(error)), error


def _read_anything(data: bytes) -> tuple[object, MisfitError | None]:
    """Return *data* as plain values, or the reason why it is no JSON."""
    try:
        return msgspec.json.decode(data), None
    except (msgspec.ValidationError, RecursionError):
        return None, None  # A number that is out of range, or deep nesting, is JSON.
    except msgspec.DecodeError as error:
        return None, not_json(str(error))
    except UnicodeDecodeError:
        return None, not_json("no valid UTF-8")


def _explain_msgspec(
    error: msgspec.ValidationError,
) -> tuple[MisfitError, BaseException | None]:
    cause = error.__cause__
    message = str(error)
    if cause is not None:
        message = message.removeprefix(str(cause))
    suffix = _PLACE.search(message)
    path = suffix[1] if suffix else "$"
    if isinstance(cause, MisfitError):
        return cause.below(path), cause.__cause__
    if cause is not None:
        return invalid(_of_validator(cause), path), cause
    problem = message[: suffix.start()] if suffix else message
    return invalid(_QUOTING.sub(r"\1", problem), path), None


def _of_validator(error: BaseException) -> str:
    return f"{type(error).__name__} of a validator"


def _explain_pydantic(
    error: Exception, value: object, names: Names
) -> tuple[MisfitError, BaseException | None]:
    """Return the first of pydantic's errors, by its type and its place alone.

    Source: https://docs.pydantic.dev/latest/errors/errors/, `ValidationError.errors()`.
    """
    details = cast("list[Mapping[str, object]]", error.errors())  # type: ignore[attr-defined]  # known by its shape
    first = details[0]
    location = cast("Iterable[str | int]", first["loc"])
    path = _place_of(location, value, names(), is_missing=first["type"] == "missing")
    context = cast("Mapping[str, object]", first.get("ctx", {}))
    cause = context.get("error")
    if isinstance(cause, BaseException):
        return invalid(_of_validator(cause), path), cause
    return invalid(str(first["type"]), path), None


def _place_of(
    location: Iterable[str | int],
    value: object,
    names: Collection[str],
    *,
    is_missing: bool,
) -> str:
    """Return the path of *location* in *value*.

    Between the keys, pydantic names members of unions and functions, which are no place.
    """
    path, step = "$", ""
    for key in location:
        step = step_of(key) if isinstance(key, int) or key in names else "[...]"
        children = _children_of(value)
        if key in children:
            value, path, step = children[key], path + step, ""
    return path + step if is_missing else path


def _children_of(value: object) -> Mapping[str | int, object]:
    if isinstance(value, dict):
        return cast("dict[str | int, object]", value)
    is_list = isinstance(value, list)
    return dict(enumerate(cast("list[object]", value))) if is_list else {}
