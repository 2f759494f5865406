"""Fields that limin does not know, of all chunks of a stream, merged.

The fields of deltas become those of a whole message, as OpenAI's SDK accumulates them:
texts are joined, lists grow, objects are merged. The fields around deltas describe the
answer so far: objects are merged, and of anything else the last value counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from limin.wire import untyped
from limin.wire.raw_json import has_value, is_null, kind_of, read_text, split_elements
from limin.wire.raw_json import split_fields as _split_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_Node: TypeAlias = "msgspec.Raw | _Texts | _Elements | MergedFields"

# Texts that name something, and are no part of a longer text.
_NAMES = frozenset({"id", "type", "role", "name", "object", "model", "format", "title"})

# Lists whose elements come in pieces without an index: an element continues the last one
# of its type. LiteLLM sends Anthropic's `thinking_blocks` so, and Mistral its content.
_PIECEWISE = frozenset({"thinking_blocks", "content", "thinking"})
_PIECES = frozenset({"text", "thinking"})

# What tells elements with the same index apart, as OpenRouter's `reasoning_details`.
_TELLING = frozenset({"type", "id"})
_KEPT = _TELLING | {"signature"}

# More deeply nested values are not merged: the last one counts. So the time is linear.
_DEEPEST = 16


def select_unknown(
    fields: Mapping[str, msgspec.Raw], known: frozenset[str]
) -> dict[str, msgspec.Raw]:
    """Return the *fields* whose names are not *known*."""
    return {name: value for name, value in fields.items() if name not in known}


class MergedFields:
    """Values by their names, each merged with the values before it."""

    __slots__ = ("_depth", "_joins", "_last", "_nodes")

    def __init__(self, *, joins: bool, depth: int = 0) -> None:
        """Start without a field.

        Args:
            joins: Whether the values are parts of a message, and not states of it.
            depth: Number of values around the fields.
        """
        self._joins, self._depth = joins, depth
        self._nodes: dict[str, _Node] = {}
        self._last: dict[str, msgspec.Raw] = {}

    def __bool__(self) -> bool:
        """Return whether there is any field."""
        return bool(self._nodes)

    def add(self, fields: Mapping[str, msgspec.Raw]) -> None:
        """Merge *fields* into those that came before."""
        for name, value in fields.items():
            old = self._nodes.get(name)
            if old is None:
                self._nodes[name] = value
            elif self._joins or value != self._last.get(name):  # Most repeat their state.
                self._nodes[name] = self.merge(name, old, value)
            if not self._joins:
                self._last[name] = value

    def merge(self, name: str, old: _Node, value: msgspec.Raw) -> _Node:
        """Return *old*, the value of a field, merged with the next *value*."""
        if is_null(value):
            return old
        kind = kind_of(value)
        if self._depth < _DEEPEST:
            if kind == b"{":
                return self._merge_object(old, value)
            if kind == b"[" and self._joins:
                return self._merge_list(name, old, value)
        if kind == b'"' and self._joins and name not in _NAMES:
            return _merge_text(old, value)
        return value

    def encoded(self) -> dict[str, msgspec.Raw]:
        """Return the merged values."""
        return {name: _encode(node) for name, node in self._nodes.items()}

    def _merge_object(self, old: _Node, value: msgspec.Raw) -> _Node:
        if isinstance(old, msgspec.Raw):
            if kind_of(old) != b"{":
                return value
            fields = MergedFields(joins=self._joins, depth=self._depth + 1)
            fields.add(_split_fields(old))
        elif isinstance(old, MergedFields):
            fields = old
        else:
            return value
        fields.add(_split_fields(value))
        return fields

    def _merge_list(self, name: str, old: _Node, value: msgspec.Raw) -> _Node:
        if isinstance(old, msgspec.Raw):
            if kind_of(old) != b"[":
                return value
            inner = MergedFields(joins=True, depth=self._depth + 1)
            elements = _Elements(inner, is_piecewise=name in _PIECEWISE)
            elements.add(split_elements(old))
        elif isinstance(old, _Elements):
            elements = old
        else:
            return value
        elements.add(split_elements(value))
        return elements


class _Texts:
    """The parts of a text."""

    __slots__ = ("parts",)

    def __init__(self, part: msgspec.Raw) -> None:
        self.parts = [part]


class _Elements:
    """The elements of a list; those with the same index are parts of one."""

    __slots__ = ("_by_index", "_is_piecewise", "_merger", "_names", "nodes")

    def __init__(self, merger: MergedFields, *, is_piecewise: bool) -> None:
        self._merger, self._is_piecewise = merger, is_piecewise
        self.nodes: list[_Node] = []
        self._names: list[dict[str, bytes]] = []  # What tells the elements apart.
        self._by_index: dict[bytes, int] = {}

    def add(self, elements: Iterable[msgspec.Raw]) -> None:
        for element in elements:
            fields = _split_fields(element) if kind_of(element) == b"{" else {}
            names = {
                name: bytes(value)
                for name, value in fields.items()
                if name in _KEPT and has_value(value)
            }
            index = bytes(fields.get("index", b""))
            position = self._find(index, names)
            if position is None:
                position = len(self.nodes)
                self.nodes.append(element)
                self._names.append(names)
            else:
                merged = self._merger.merge("", self.nodes[position], element)
                self.nodes[position] = merged
                self._names[position] |= names
            if index.isdigit():
                self._by_index[index] = position

    def _find(self, index: bytes, names: dict[str, bytes]) -> int | None:
        """Return the position of the element that goes on; None for a new one."""
        if index.isdigit():
            position = self._by_index.get(index)
        else:
            position = len(self.nodes) - 1 if self._is_piecewise and self.nodes else None
        if position is None:
            return None
        before = self._names[position]
        shared = _TELLING & before.keys() & names.keys()
        if any(before[name] != names[name] for name in shared):
            return None
        if index.isdigit():
            return position
        kind = names.get("type", b"").strip(b'"').decode("utf-8", "replace")
        is_piece = kind in _PIECES and before.get("type") == names.get("type")
        return position if is_piece and "signature" not in before else None


def _merge_text(old: _Node, value: msgspec.Raw) -> _Node:
    if isinstance(old, msgspec.Raw):
        if kind_of(old) != b'"':
            return value
        old = _Texts(old)
    elif not isinstance(old, _Texts):
        return value
    old.parts.append(value)
    return old


def _encode(node: _Node) -> msgspec.Raw:
    if isinstance(node, msgspec.Raw):
        return node
    if isinstance(node, _Texts):
        return untyped.encode("".join(read_text(part) or "" for part in node.parts))
    if isinstance(node, _Elements):
        return msgspec.Raw(msgspec.json.encode(list(map(_encode, node.nodes))))
    return msgspec.Raw(msgspec.json.encode(node.encoded()))
