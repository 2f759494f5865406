"""Random types, random values of them, and the schemas that go out."""

import dataclasses
import enum
import functools
import itertools
import keyword
from typing import Any, Literal, Optional, TypedDict

import attrs
import jsonschema
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_rules import broken_rules

from limin.json_text.paths import path_of
from limin.schemas.json_schema import JsonSchema


@dataclasses.dataclass
class Case:
    """A type, a strategy for values of it, and whether strict mode can say it."""

    kind: Any
    values: st.SearchStrategy[Any]
    is_sayable: bool = True


COUNTER = itertools.count()

NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(
    lambda name: name not in dir(str) and not keyword.iskeyword(name)
)

SCALARS = st.sampled_from(
    [
        Case(int, st.integers(-(2**63), 2**63)),
        Case(float, st.floats(allow_nan=False, allow_infinity=False)),
        Case(str, st.text(st.characters(codec="utf-8"))),
        Case(bool, st.booleans()),
        Case(type(None), st.none()),
        Case(bytes, st.binary()),
        Case(Literal["a", "ß"], st.sampled_from(["a", "ß"])),
    ]
)


def listed(case: Case) -> Case:
    """A list of *case*."""
    return Case(list[case.kind], st.lists(case.values, max_size=3), case.is_sayable)


def optional(case: Case) -> Case:
    """A *case* or None."""
    return Case(Optional[case.kind], case.values | st.none(), case.is_sayable)  # noqa: UP045 (a None alone, too)


def keyed(case: Case) -> Case:
    """A mapping of free keys to *case*."""
    keys = st.text(st.characters(codec="utf-8"), max_size=3)
    return Case(
        dict[str, case.kind],
        st.dictionaries(keys, case.values, max_size=3),
        is_sayable=False,
    )


def paired(case: Case) -> Case:
    """A pair of *case* and a flag."""
    return Case(
        tuple[case.kind, bool], st.tuples(case.values, st.booleans()), is_sayable=False
    )


def chosen(names: list[str]) -> Case:
    """One of *names*."""
    kind: Any = enum.Enum(
        f"Chosen{next(COUNTER)}", {f"M{i}": name for i, name in enumerate(names)}
    )
    return Case(kind, st.sampled_from(list(kind)))


def fields(draw_from: dict[str, Case], make: str) -> Case:
    """A class with fields, in the way *make*."""
    title = f"Made{next(COUNTER)}"
    kinds = {name: case.kind for name, case in draw_from.items()}
    is_sayable = all(case.is_sayable for case in draw_from.values())
    values = {name: case.values for name, case in draw_from.items()}
    if make == "TypedDict":
        kind: Any = TypedDict(title, kinds)  # type: ignore[misc]  # made here
        return Case(kind, st.fixed_dictionaries(values), is_sayable)
    if make == "attrs":
        attributes = {name: attrs.field(type=kind) for name, kind in kinds.items()}
        kind = attrs.make_class(title, attributes)
    elif make == "dataclass":
        kind = dataclasses.make_dataclass(title, kinds.items())
    else:
        kind = msgspec.defstruct(title, list(kinds.items()))
    return Case(kind, st.builds(kind, **values), is_sayable)


def compound(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    """Types that are made of *inner* ones."""
    makes = st.sampled_from(["TypedDict", "attrs", "dataclass", "Struct"])
    return st.one_of(
        inner.map(listed),
        inner.map(optional),
        inner.map(keyed),
        inner.map(paired),
        st.lists(NAMES, min_size=1, max_size=4, unique=True).map(chosen),
        st.builds(fields, st.dictionaries(NAMES, inner, max_size=3), makes),
    )


CASES = st.recursive(SCALARS, compound, max_leaves=6)


@functools.cache
def validator() -> Any:
    """The validator of the draft that msgspec writes."""
    return jsonschema.Draft202012Validator


@settings(max_examples=150, deadline=None)
@given(data=st.data(), case=CASES, strict=st.booleans())
def test_round_trip(data: st.DataObject, case: Case, *, strict: bool) -> None:
    """A value of a type, as JSON, fits the schema that goes out, and comes back equal."""
    made: JsonSchema[Any] = JsonSchema(case.kind, strict=strict)
    value = data.draw(case.values)
    text = msgspec.json.encode({"value": value} if made.is_wrapped else value)
    assert made.decode(text) == value
    assert made.decode_or_unwrap(text) == value
    validator()(made.schema).validate(msgspec.json.decode(text))
    assert made.is_strict is (strict and case.is_sayable)
    if made.is_strict:
        assert broken_rules(made.schema) == []


def scalars(value: Any, keys: tuple[str | int, ...] = ()) -> list[tuple[str, Any]]:
    """Every scalar in *value*, by its path."""
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in scalars(v, (*keys, k))]
    if isinstance(value, list):
        return [pair for k, v in enumerate(value) for pair in scalars(v, (*keys, k))]
    return [(path_of(keys), value)]


@settings(max_examples=100, deadline=None)
@given(data=st.data(), case=CASES)
def test_allowed_values(data: st.DataObject, case: Case) -> None:
    """Where a schema allows finitely many values, the value is one of them."""
    made: JsonSchema[Any] = JsonSchema(case.kind)
    value = msgspec.json.decode(msgspec.json.encode(data.draw(case.values)))
    for path, scalar in scalars(value):
        allowed = made.allowed_values(path)
        if isinstance(scalar, bool):
            assert allowed is not None
        assert allowed is None or scalar in allowed
