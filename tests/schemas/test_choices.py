from typing import Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from schema_kinds import Cat, City, Color, Dog, Level, Movie, Node, Pair, Person

from limin.schemas.json_schema import JsonSchema


@attrs.frozen
class Ticket:
    city: City
    colors: list[Color | None]
    pets: dict[str, Cat | Dog]
    seat: tuple[Literal[1, 2], bool] = (1, True)


@pytest.mark.parametrize(
    ("kind", "path", "values"),
    [
        (City, "$.country", ("France", "Italy")),
        (City, "$.name", None),
        (City, "$", None),
        (City, "$.nothing", None),
        (City, "$[0]", None),
        (Movie, "$.answer", (True, False)),
        (Movie, "$.reasons[3]", None),
        (Color, "$", ("blue", "red")),
        (Level, "$", (1, 2)),
        ({"enum": [1, True, 1.0, "1"]}, "$", (1, True, 1.0, "1")),
        (Literal["a"] | None, "$", ("a", None)),
        (bool | None, "$", (True, False, None)),
        (int | bool, "$", None),
        (list[Color], "$[17]", ("blue", "red")),
        (Ticket, "$.city.country", ("France", "Italy")),
        (Ticket, "$.colors[0]", ("blue", "red", None)),
        (Ticket, '$.pets["any name"].type', ("Cat", "Dog")),
        (Ticket, "$.pets.rex.lives", None),
        (Ticket, "$.seat[0]", (1, 2)),
        (Ticket, "$.seat[1]", (True, False)),
        (Ticket, "$.seat[2]", None),
        (Node, "$.children[0].twin.twin.value", None),
        (Person, "$.friend.friend.pet.kind", ("cow", "pig")),
        (Pair, "$[0]", None),
        ({"type": "array", "items": {"enum": [1, [2]]}}, "$[0]", None),
        ({"type": ["boolean", "null"]}, "$", (True, False, None)),
        ({"enum": []}, "$", None),
        ({"anyOf": [True]}, "$", None),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "$.x", None),
        (Any, "$.x", None),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_allowed_values(kind: Any, path: str, values: object, *, strict: bool) -> None:
    """A Literal, an Enum, a bool and None have finitely many values, in any place."""
    found = JsonSchema(kind, strict=strict).allowed_values(path)
    assert found == values
    assert found is None or [type(value) for value in found] == [
        type(value)
        for value in values  # type: ignore[attr-defined]
    ]


def test_no_path() -> None:
    """A path that is none is a mistake."""
    with pytest.raises(ValueError, match="no path"):
        JsonSchema(City).allowed_values("country")


@given(st.lists(st.sampled_from(["children", "twin", 0]), max_size=2000))
def test_recursion_is_linear(keys: list[str | int]) -> None:
    """A path through a recursive type is as long as it likes."""
    path = "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    assert JsonSchema(Node).allowed_values(path) is None
