import dataclasses
import json
import traceback
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from schema_kinds import Cat, City, Color, Dog, Household, Level, Node, Pair, Person

from limin.schemas.json_schema import JsonSchema
from limin.schemas.misfits import MisfitError

SECRET = "s3cret"  # noqa: S105 (it stands for what a model writes)


class Careful(attrs.exceptions.FrozenError):
    """An exception of an unusual kind."""


def refuse(instance: object, attribute: object, value: object) -> None:
    """Refuse *value* by an exception that msgspec lets through."""
    del instance, attribute
    raise LookupError(value)


@attrs.frozen
class Refused:
    value: str = attrs.field(validator=refuse)


@dataclasses.dataclass
class Checked:
    name: str

    def __post_init__(self) -> None:
        """Refuse every name, with a text that looks like a path."""
        problem = f"{self.name} - at `$.{SECRET}`"
        raise ValueError(problem)


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""


class Spaced(msgspec.Struct, rename={"name": "full name"}):
    name: int


class Extra(pydantic.BaseModel, extra="forbid"):
    by_key: dict[str, int] = {}
    rows: list[tuple[int, str]] = []
    either: int | list[int] = 1
    odd: Any = None

    @pydantic.field_validator("odd")
    @classmethod
    def fail(cls, value: object) -> object:
        """Raise what pydantic lets through."""
        raise LookupError(value)


class Partial(TypedDict):
    first: int
    other: NotRequired[int]


def misfit(kind: Any, text: str | bytes) -> MisfitError:
    """The error of *text* as a *kind*."""
    with pytest.raises(MisfitError) as caught:
        JsonSchema(kind).decode(text)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "text", "path", "problem"),
    [
        (
            City,
            '{"name": "", "country": "Italy"}',
            "$.name",
            "Expected `str` of length >= 1",
        ),
        (City, '{"name": "a", "country": "s3cret"}', "$.country", "Invalid enum value"),
        (City, '{"name": "a"}', "$", "Object missing required field `country`"),
        (City, '"s3cret"', "$", "Expected `object`, got `str`"),
        (list[City], '{"value": [{"name": 1}]}', "$[0].name", "Expected `str`, got `int`"),
        (list[City], "[]", "$", "Expected `object`, got `array`"),
        (list[int], '{"values": []}', "$", "Object missing required field `value`"),
        (int, '{"value": "s3cret"}', "$", "Expected `int`, got `str`"),
        (int, '{"value": 1.5}', "$", "Expected `int`, got `float`"),
        (int, '{"value": 1' + "0" * 9000 + "}", "$", "Integer value out of range"),
        (float, '{"value": 1e999}', "$", "Number out of range"),
        (Color, '{"value": "s3cret"}', "$", "Invalid enum value"),
        (Color, '{"value": "x - at `$.s3cret`"}', "$", "Invalid enum value"),
        (Level, '{"value": 53}', "$", "Invalid enum value"),
        (Cat | Dog, '{"value": {"type": "s3cret"}}', "$.type", "Invalid value"),
        (Closed, '{"s3cret": 1}', "$", "Object contains unknown field"),
        (
            dict[str, City],
            '{"s3cret": {}}',
            "$[...]",
            "Object missing required field `name`",
        ),
        (dict[int, int], '{"s3cret": 1}', "$", "Expected `int`, got `str`"),
        (Pair, '{"value": []}', "$", "Expected `array` of length 1 to 2"),
        (Spaced, '{"full name": ""}', "$.full name", "Expected `int`, got `str`"),
        (Partial, '{"other": 1}', "$", "Object missing required field `first`"),
        (
            Node,
            '{"value": 1, "children": [{"value": "s3cret"}]}',
            "$.children[0].value",
            "Expected `int`, got `str`",
        ),
        (bytes, '{"value": "s3cret"}', "$", "Invalid base64 encoded string"),
        (
            Annotated[str, msgspec.Meta(pattern="^a$")],
            '{"value": "s3cret"}',
            "$",
            "Expected `str` matching regex '^a$'",
        ),
        (
            Person,
            '{"name": "s3cret s3cret", "pet": {"kind": "cow"}}',
            "$.name",
            "string_too_long",
        ),
        (Person, '{"name": "a", "pet": {"kind": "s3cret"}}', "$.pet", "union_tag_invalid"),
        (Person, '{"name": "a", "pet": {}}', "$.pet", "union_tag_not_found"),
        (Person, '{"pet": {"kind": "cow"}}', "$.name", "missing"),
        (
            Person,
            '{"name": "a", "pet": {"kind": "cow"}, "friend": {"name": 1}}',
            "$.friend.name",
            "string_type",
        ),
        (Person, "5", "$", "model_type"),
        (Person | None, '{"value": {"name": 1}}', "$.name", "string_type"),
        (Extra, '{"s3cret": 1}', "$[...]", "extra_forbidden"),
        (Extra, '{"by_key": {"s3cret": "x"}}', "$.by_key[...]", "int_parsing"),
        (Extra, '{"rows": [[1, "a"], [2, 3]]}', "$.rows[1][1]", "string_type"),
        (Extra, '{"rows": [[1]]}', "$.rows[0][1]", "missing"),
        (Extra, '{"either": [1, "s3cret"]}', "$.either", "int_type"),
        (
            pydantic.TypeAdapter(list[int]),
            '{"value": [1, "s3cret"]}',
            "$[1]",
            "int_parsing",
        ),
        (
            Household,
            '{"people": [{"name": "a", "pet": {}}]}',
            "$.people[0].pet",
            "union_tag_not_found",
        ),
    ],
)
def test_does_not_fit(kind: Any, text: str, path: str, problem: str) -> None:
    """The error names place and expectation, and repeats nothing of the answer."""
    error = misfit(kind, text)
    assert (error.reason, error.path, error.problem) == ("invalid", path, problem)
    assert str(error) == f"{problem} - at `{path}`"
    assert error.__cause__ is None
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("kind", "text", "path", "cause"),
    [
        (City, '{"name": "a", "country": "Italy", "inhabitants": 0}', "$", ValueError),
        (
            list[City],
            '{"value": [{"name": "a", "country": "Italy", "inhabitants": 0}]}',
            "$[0]",
            ValueError,
        ),
        (list[Checked], '{"value": [{"name": "s3cret"}]}', "$[0]", ValueError),
        (Checked, '{"name": "s3cret"}', "$", ValueError),
        (list[Refused], '{"value": [{"value": "s3cret"}]}', "$", LookupError),
        (Person, '{"name": "Nobody", "pet": {"kind": "cow"}}', "$.name", ValueError),
        (
            Household,
            '{"people": [{"name": "Nobody", "pet": {"kind": "cow"}}]}',
            "$.people[0].name",
            ValueError,
        ),
        (Extra, '{"odd": "s3cret"}', "$", LookupError),
    ],
)
def test_validator(kind: Any, text: str, path: str, cause: type[Exception]) -> None:
    """A validator's exception is the cause; the message has its type and no word of it."""
    error = misfit(kind, text)
    assert (error.reason, error.path) == ("invalid", path)
    assert error.problem == f"{cause.__name__} of a validator"
    assert type(error.__cause__) is cause


@pytest.mark.parametrize("kind", [City, int, Person, {"type": "object"}, Any])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Input data was truncated"),
        ("  ", "Input data was truncated"),
        ("s3cret", "JSON is malformed: invalid character (byte 0)"),
        ('{"name": "s3cret', "Input data was truncated"),
        ("5 is s3cret", "JSON is malformed: trailing characters (byte 3)"),
        ("NaN", "JSON is malformed: invalid character (byte 0)"),
        ('{"name": 5} s3cret', "JSON is malformed: trailing characters (byte 13)"),
        ('{"value": s3cret}', "JSON is malformed: invalid character (byte 10)"),
        (b'{"value": "\xff"}', "no valid UTF-8"),
        ('{"value": "\ud800"}', "half of a surrogate pair"),
    ],
)
def test_not_json(kind: Any, text: str | bytes, problem: str) -> None:
    """A text that is no JSON is told from JSON that does not fit."""
    error = misfit(kind, text)
    assert (error.reason, error.path, error.problem) == ("not-json", "$", problem)
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("kind", [City, Node, list[Node], Person, int, {"type": "object"}])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        '{"value":' * 100_000,
        '{"value":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"value":0,"children":[' * 100_000,
        '{"value":' + "9" * 1_000_000 + "}",
        '{"name":"' + "a" * 10_000_000 + '"}',
        '{"a":1,' + '"a":1,' * 500_000 + '"a":{}}',
        '"' + "\\u0000" * 100_000 + '"',
    ],
    ids=["open", "objects", "closed", "nodes", "digits", "long", "duplicates", "escapes"],
)
def test_hostile_text(kind: Any, text: str) -> None:
    """Whatever a model writes is a value or this one error."""
    message = ""
    try:
        JsonSchema(kind).decode_or_unwrap(text)
    except MisfitError as error:
        message = str(error)
    assert len(message) < 200


def test_nested_too_deeply() -> None:
    """JSON that is deeper than Python can go does not fit."""
    depth = 100_000
    error = misfit(Any, '{"value":' + "[" * depth + "]" * depth + "}")
    assert (error.reason, error.problem) == ("invalid", "nested too deeply")
    text = '{"name": "a", "pet": {"kind": "cow"}, "friend": ' + "[" * 500 + "]" * 500 + "}"
    assert misfit(Person, text).reason == "invalid"


def test_duplicated_key() -> None:
    """The last of equal keys counts, as in Python's own json."""
    assert JsonSchema(int).decode('{"value": 1, "value": 2}') == 2


@given(text=st.text() | st.text('{}[]",:0-1e.tfn \\u"value', max_size=40))
@example(text='{"value": {}}')
def test_any_text(text: str) -> None:
    """Every text is an instance or a MisfitError, for every reader."""
    for kind in (City, list[City], Person, Literal["a"], {"type": "object"}, Node | None):
        made: JsonSchema[object] = JsonSchema(kind)  # type: ignore[arg-type]  # of any kind
        try:
            made.decode(text)
        except MisfitError as error:
            is_json = error.reason == "invalid"
            try:
                json.loads(text, parse_constant=int)
            except (ValueError, RecursionError):
                assert not is_json
