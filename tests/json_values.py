"""Random JSON, written with random white space and escapes, and where its scalars stand."""

import json
from collections.abc import Sequence

import attrs
from hypothesis import strategies as st

from limin.json_text.paths import path_of

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
)
KEYS = st.text(max_size=4) | st.sampled_from(["name", "other name", "größe", "a.b", '"'])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SPACES = st.sampled_from(["", "", " ", "\n", "\t\r\n  "])


@attrs.frozen
class Scalar:
    """A scalar as it is written: its path, its text, and where it stands."""

    path: str
    text: str
    start: int
    end: int


@attrs.frozen
class Written:
    """A JSON text, its value, and its scalars in their order."""

    text: str
    value: object
    scalars: list[Scalar]


@st.composite
def written(draw: st.DrawFn) -> Written:
    """A random value, written at random."""
    value = draw(VALUES)
    parts: list[str] = []
    scalars: list[Scalar] = []

    def write(*texts: str) -> None:
        parts.extend(texts)

    def write_space() -> None:
        write(draw(SPACES))

    def write_text(value: object) -> str:
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        return text.replace("/", "\\/") if isinstance(value, str) else text

    def write_value(value: object, steps: Sequence[str | int]) -> None:
        if isinstance(value, dict):
            members = list(value.items())
            write("{")
        elif isinstance(value, list):
            members = list(enumerate(value))
            write("[")
        else:
            text = write_text(value)
            quotes = int(isinstance(value, str))
            start = len("".join(parts)) + quotes
            write(text)
            end = len("".join(parts)) - quotes
            scalars.append(
                Scalar(path_of(steps), text[quotes : len(text) - quotes], start, end)
            )
            return
        write_space()
        for number, (step, member) in enumerate(members):
            if number:
                write(",")
                write_space()
            if isinstance(value, dict):
                write(write_text(step))
                write_space()
                write(":")
                write_space()
            write_value(member, (*steps, step))
            write_space()
        write("}" if isinstance(value, dict) else "]")

    write_space()
    write_value(value, ())
    write_space()
    return Written("".join(parts), value, scalars)


def cut(text: str, places: Sequence[int]) -> list[str]:
    """*text* in pieces, cut at *places*, counted around if the text is too short."""
    ends = sorted(place % (len(text) + 1) for place in places)
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


PLACES = st.lists(st.integers(0, 1000), max_size=8)
