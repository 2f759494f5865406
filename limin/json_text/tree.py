"""The value that the events of a JSON text build, and where its scalars stand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import msgspec

from limin.json_text.paths import ROOT, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from limin.json_text.scanner import Event

# Objects and arrays, with anything in the place of their scalars.
Tree: TypeAlias = "dict[str, object] | list[object]"

_WORDS: Final = {"true": True, "false": False, "null": None}
# Python refuses to read longer integers, by default, since that is not linear.
_MOST_DIGITS = 4300


class TreeBuilder:
    """Builds the value of a JSON text, from its events, as it grows.

    Of repeated keys the last counts, as in parsers, and stands where it was written.

    Attributes:
        value: The value so far, one object that grows; `msgspec.UNSET` before it has
            begun. A container is there from its first bracket on.
    """

    __slots__ = ("_key", "_open", "_read", "value")

    def __init__(self, read: Callable[[Event], object]) -> None:
        """Build a value in which what *read* returns stands for each scalar."""
        self.value: object = msgspec.UNSET
        self._read = read
        self._open: list[Tree] = []
        self._key = ""

    def add(self, events: Iterable[Event]) -> None:
        """Take the next events of the text."""
        for event in events:
            kind = event.kind
            if kind == "key":
                self._key = unescape(event.text)
            elif kind == "end":
                self._open.pop()
            elif kind == "object":
                self._begin({})
            elif kind == "array":
                self._begin([])
            else:
                self._put(self._read(event))

    def _begin(self, container: Tree) -> None:
        self._put(container)
        self._open.append(container)

    def _put(self, value: object) -> None:
        if not self._open:
            self.value = value
            return
        container = self._open[-1]
        if isinstance(container, list):
            container.append(value)
            return
        container.pop(self._key, None)
        container[self._key] = value


def read_scalar(event: Event) -> object:
    """Return the value of a scalar, as `json.loads` does.

    A number beyond what Python reads, of more than 4300 digits, is a float.
    """
    if event.kind == "string":
        return unescape(event.text)
    if event.kind == "number":
        return _read_number(event.text)
    return _WORDS[event.text]


def unescape(text: str) -> str:
    """Return the string that *text* is between quotation marks."""
    if "\\" not in text:
        return text
    return cast("str", json.loads(f'"{text}"'))


def _read_number(text: str) -> int | float:
    is_whole = text.lstrip("-").isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if is_whole else float(text)


def walk_scalars(tree: object) -> Iterator[tuple[str, object]]:
    """Yield path and value of each scalar in *tree*, in the order of the text."""
    if not isinstance(tree, dict | list):
        yield ROOT, tree
        return
    open_ = [(ROOT, _members(cast("Tree", tree)))]
    while open_:
        parent, members = open_[-1]
        for step, value in members:
            path = parent + step_of(step)
            if isinstance(value, dict | list):
                open_.append((path, _members(cast("Tree", value))))
                break
            yield path, value
        else:
            open_.pop()


def _members(tree: Tree) -> Iterator[tuple[str | int, object]]:
    return iter(tree.items() if isinstance(tree, dict) else enumerate(tree))
