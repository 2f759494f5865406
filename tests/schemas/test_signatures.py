import datetime as dt
import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypedDict

import attrs
import msgspec
import pytest
import quoted
from openai_rules import broken_rules
from schema_kinds import City, Color, Person

from limin.errors import ConfigurationError
from limin.schemas.misfits import MisfitError
from limin.schemas.signatures import SignatureSchema, signature_schema


class Options(TypedDict, total=False):
    verbose: bool


def tell_weather(  # noqa: D417 (not all are described)
    city: City,
    unit: Color = Color.RED,
    days: Annotated[int, msgspec.Meta(description="Days from today.", ge=0)] = 1,
    note: str | None = None,
    person: Person | None = None,
    *,
    options: Options | None = None,
) -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821 (what is returned does not matter)
    """Tell the weather
    of a city.

    With care.

    Args:
        city (City): Where
            it is.
        unit: The unit.
        days: Not this one.
    """  # noqa: D205 (two lines)


PARAMETERS = ["city", "unit", "days", "note", "person", "options"]


def names(schema: SignatureSchema) -> list[str]:
    """The names of the parameters."""
    return list(schema.schema["properties"])  # type: ignore[call-overload]  # a mapping


def test_strict_signature() -> None:
    """In strict mode all is required, and what has a default may be null."""
    made = signature_schema(tell_weather, strict=True)
    assert (made.name, made.description) == ("tell_weather", "Tell the weather of a city.")
    assert made.is_strict
    assert broken_rules(made.schema) == []
    properties: Any = made.schema["properties"]
    assert (
        made.schema["required"]
        == list(properties)
        == [*("city", "unit", "days", "note", "person", "options")]
    )
    assert properties["city"] == {
        "description": "Where it is.",
        "anyOf": [{"$ref": "#/$defs/City"}],
    }
    assert properties["unit"] == {
        "description": "The unit.",
        "anyOf": [{"$ref": "#/$defs/Color"}, {"type": "null"}],
    }
    assert properties["days"] == {
        "description": "Days from today.",
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}],
    }
    assert properties["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_loose_signature() -> None:
    """Otherwise what has a default is not required."""
    made = signature_schema(tell_weather, strict=False)
    assert not made.is_strict
    assert made.schema["required"] == ["city"]
    properties: Any = made.schema["properties"]
    assert properties["days"] == {
        "description": "Days from today.",
        "type": "integer",
        "minimum": 0,
    }
    assert properties["unit"] == {"description": "The unit.", "$ref": "#/$defs/Color"}


def find(place: tuple[float, float], tags: dict[str, str] = {}) -> None:  # noqa: B006
    pass


def test_signature_that_cannot_be_strict() -> None:
    """What strict mode cannot say is sent as without it."""
    made = signature_schema(find, strict=True)
    assert not made.is_strict
    assert made == signature_schema(find, strict=False) or made.schema["required"] == [
        "place"
    ]
    assert made.description == ""


CITY = '{"name": "Rom", "country": "Italy"}'
ROME = City("Rom", "Italy")


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        (f'{{"city": {CITY}}}', {"city": ROME}),
        (f'{{"city": {CITY}, "unit": "blue"}}', {"city": ROME, "unit": Color.BLUE}),
        (f' {{"unit": null, "days":null ,"city":{CITY}}} '.encode(), {"city": ROME}),
        (f'{{"city": {CITY}, "note": null}}', {"city": ROME, "note": None}),
        ({"city": {"name": "Rom", "country": "Italy"}}, {"city": ROME}),
        (
            f'{{"city": {CITY}, "options": {{"verbose": true}}}}',
            {"city": ROME, "options": {"verbose": True}},
        ),
    ],
)
def test_decode_arguments(
    arguments: str | bytes | Mapping[str, object], read: dict[str, object]
) -> None:
    """Arguments are of the function's types; null leaves a default to the function."""
    assert signature_schema(tell_weather, strict=True).decode_arguments(arguments) == read


@pytest.mark.parametrize(
    ("arguments", "path", "problem"),
    [
        ('"Paris"', "$", "Expected `object`, got `str`"),
        ("{}", "$.city", "missing"),
        ("", "$.city", "missing"),
        (" \n", "$.city", "missing"),
        ('{"city": null}', "$.city", "Expected `object`, got `null`"),
        ('{"city": {"name": 5}}', "$.city.name", "Expected `str`, got `int`"),
        (f'{{"city": {CITY}, "unit": "s3cret"}}', "$.unit", "Invalid enum value"),
        (f'{{"city": {CITY}, "days": -1}}', "$.days", "Expected `int` >= 0"),
        (
            f'{{"city": {CITY}, "person": {{"name": "Nobody", "pet": {{"kind": "cow"}}}}}}',
            "$.person.name",
            "ValueError of a validator",
        ),
        (
            f'{{"city": {CITY}, "s3cret": 1}}',
            "$",
            "an unknown argument; the function takes " + ", ".join(PARAMETERS),
        ),
        ({"city": object()}, "$", "a mapping that is no JSON"),
        ({"city": 10**5000}, "$", "a mapping that is no JSON"),
    ],
)
def test_arguments_that_do_not_fit(
    arguments: str | Mapping[str, object], path: str, problem: str
) -> None:
    """The error names the place by the parameter, and repeats nothing."""
    with pytest.raises(MisfitError) as caught:
        signature_schema(tell_weather, strict=True).decode_arguments(arguments)
    error = caught.value
    assert (error.reason, error.path, error.problem) == ("invalid", path, problem)


@pytest.mark.parametrize("text", ['{"city', "Paris", '{"city": tru}', "{} {}", '"\ud800"'])
def test_arguments_that_are_no_json(text: str) -> None:
    """A text that is no JSON is told from arguments that do not fit."""
    with pytest.raises(MisfitError) as caught:
        signature_schema(tell_weather, strict=True).decode_arguments(text)
    assert (caught.value.reason, caught.value.path) == ("not-json", "$")


def decorate(function: Callable[..., object]) -> Callable[..., object]:
    """Wrap *function* as decorators do."""

    @functools.wraps(function)
    def call(*arguments: object, **options: object) -> object:
        return function(*arguments, **options)

    return call


class Shop:
    """A shop."""

    def buy(self, count: int) -> None:
        """Buy."""

    @classmethod
    def open(cls, hour: int) -> None:
        """Open."""

    @staticmethod
    def close(hour: int) -> None:
        """Close."""

    def __call__(self, wish: str) -> None:
        """Wish."""


class Silent:
    """A silent one."""

    def __call__(self, wish: str) -> None:
        pass


async def wait(seconds: float) -> None:
    """Wait."""


def secret(key: str, city: str, count: int = 1) -> None:
    """Ask."""


PARTIAL = functools.partial(functools.partial(secret, key="k"), count=2)


@pytest.mark.parametrize(
    ("function", "name", "description", "parameters"),
    [
        (Shop().buy, "buy", "Buy.", ["count"]),
        (Shop.open, "open", "Open.", ["hour"]),
        (Shop.close, "close", "Close.", ["hour"]),
        (Shop(), "Shop", "Wish.", ["wish"]),
        (Silent(), "Silent", "A silent one.", ["wish"]),
        (wait, "wait", "Wait.", ["seconds"]),
        (decorate(wait), "wait", "Wait.", ["seconds"]),
        (functools.lru_cache(secret), "secret", "Ask.", ["key", "city", "count"]),
        (functools.partial(secret, "k"), "secret", "Ask.", ["city", "count"]),
        (functools.partial(secret, key="k"), "secret", "Ask.", ["city", "count"]),
        (PARTIAL, "secret", "Ask.", ["city"]),
        (lambda: None, "lambda", "", []),
        (quoted.look, "look", "Look.", ["place", "again"]),
        (quoted.Camera().shoot, "shoot", "Shoot.", ["place"]),
    ],
)
def test_what_can_be_called(
    function: Callable[..., object], name: str, description: str, parameters: list[str]
) -> None:
    """Methods, partials, decorated functions and objects are functions, too."""
    made = signature_schema(function, strict=True)
    assert (made.name, made.description, names(made)) == (name, description, parameters)
    assert made.is_strict


def test_quoted_annotations() -> None:
    """Annotations in quotes are those of the module of the function."""
    made = signature_schema(quoted.look, strict=False)
    assert made.decode_arguments('{"place": {"x": 1}}') == {"place": quoted.Place(1)}


def no_annotation(a: int, b) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    pass


def positional_only(a: int, /) -> None:
    pass


def variadic(a: int, *rest: int) -> None:
    pass


def keywords(**rest: int) -> None:
    pass


def no_schema(a: int, call: Callable[[], int]) -> None:
    pass


def misspelt(a: "Cty") -> None:  # type: ignore[name-defined]  # noqa: F821 (the mistake)
    pass


def malformed(a: "1 +") -> None:  # type: ignore[syntax]  # noqa: F722 (the mistake)
    pass


@attrs.frozen
class Inner:
    value: Callable[[], int]


def inner(a: list[Inner]) -> None:
    pass


UNRESOLVED = "the annotation of a cannot be resolved where the function is defined"
POSITIONAL = "is positional only; arguments are given by name"


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (no_annotation, "no_annotation: the parameter b has no annotation"),
        (Shop.buy, "buy: the parameter self has no annotation"),
        (positional_only, f"positional_only: the parameter a {POSITIONAL}"),
        (variadic, "variadic: expected named parameters, found *rest: int"),
        (keywords, "keywords: expected named parameters, found **rest: int"),
        (no_schema, "no_schema.call: Callable[int] has no JSON schema"),
        (inner, "inner.a[].value: Callable[int] has no JSON schema"),
        (misspelt, f"misspelt: {UNRESOLVED}: 'Cty' is not defined"),
        (malformed, f"malformed: {UNRESOLVED}: SyntaxError"),
        (City, "function: expected a function, found a class"),
        (functools.partial(City, "a"), "function: expected a function, found a class"),
        ("s3cret", "function: expected a function, found str"),
        (dict.fromkeys, f"fromkeys: the parameter iterable {POSITIONAL}"),
        (max, "max: Python does not know its parameters"),
    ],
)
def test_not_for_a_model(function: Any, problem: str) -> None:
    """A function that a model cannot call is refused, and the parameter named."""
    with pytest.raises(ConfigurationError) as caught:
        signature_schema(function, strict=True)
    assert str(caught.value) == problem


def remind(at: dt.datetime, kind: Literal["mail", "call"], people: list[Person]) -> None:
    pass


def test_types_of_arguments() -> None:
    """Dates, choices and models arrive as such."""
    made = signature_schema(remind, strict=True)
    assert broken_rules(made.schema) == []
    read = made.decode_arguments(
        '{"at": "2026-11-26T10:00:00Z", "kind": "mail", '
        '"people": [{"name": "Ada", "pet": {"kind": "pig"}}]}'
    )
    assert read["at"] == dt.datetime(2026, 11, 26, 10, tzinfo=dt.UTC)
    assert isinstance(read["people"], list)
    assert type(read["people"][0]) is Person
