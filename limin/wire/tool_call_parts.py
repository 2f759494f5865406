"""The fragments of tool calls in a stream, joined to the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.wire import untyped
from limin.wire.raw_json import has_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

# The objects of a call that hold its text, and the field with the text.
_BODIES = {"function": "arguments", "custom": "input"}

# Characters at the end of a text that may be white space behind it.
_END = 64

# Fields that come once, whatever servers repeat: LiteLLM repeats the type.
_ONCE = frozenset({"id", "type"})


def join_tool_calls(fragments: Iterable[msgspec.Raw]) -> msgspec.Raw | None:
    """Return the calls in the lists of *fragments* as one list; None if there are none.

    A fragment belongs to the call of its index. Where servers send no index, a new id
    begins a new call, and so does a new object of arguments; Ollama sends whole calls
    so. Where they always send 0, a new id with a name begins one.
    """
    calls = _Calls()
    for raw in filter(has_value, fragments):
        parsed = untyped.parse(bytes(raw))
        elements = untyped.as_list(parsed)
        elements = [parsed] if elements is None else elements
        for position, element in enumerate(elements):
            fields = untyped.as_object(element)
            if fields is not None:
                calls.add(fields, position if len(elements) > 1 else None)
    return untyped.encode(calls.as_sent()) if calls.calls else None


def join_function_call(fragments: Iterable[msgspec.Raw]) -> msgspec.Raw | None:
    """Return the object of OpenAI's older interface, joined; None if there is none."""
    body, has_any = _Body("arguments"), False
    for raw in filter(has_value, fragments):
        fields = untyped.as_object(untyped.parse(bytes(raw)))
        has_any = True
        body.add(fields or {})
    return untyped.encode(body.as_sent()) if has_any else None


class _Body:
    """The object of a call that holds its name and its text."""

    def __init__(self, text_name: str) -> None:
        self._text_name = text_name
        self._names: list[str] = []
        self._texts: list[str] = []
        self._fields: dict[str, object] = {}

    @property
    def is_complete(self) -> bool:
        """Whether the text may be a whole object of JSON."""
        return bool(self._texts) and self._texts[-1][-_END:].rstrip().endswith("}")

    def add(self, fields: dict[str, object]) -> None:
        for name, value in fields.items():
            if name == self._text_name:
                self._add_text(value)
            elif name == "name" and isinstance(value, str):
                self._add_name(value)
            elif value is not None:
                self._fields[name] = value

    def as_sent(self) -> dict[str, object]:
        parts = (("name", self._names), (self._text_name, self._texts))
        texts = {name: "".join(texts) for name, texts in parts if texts}
        return texts | self._fields

    def _add_text(self, value: object) -> None:
        if isinstance(value, str):
            self._texts.append(value)
        elif value is not None:  # Some servers send the object and not its JSON.
            self._texts.append(bytes(untyped.encode(value)).decode())

    def _add_name(self, name: str) -> None:
        """Add a part of the name, unless it is the whole name once more."""
        if not self._names or (name != self._names[0] and not self._texts):
            self._names.append(name)


class _Call:
    """One call, as far as its fragments came."""

    def __init__(self) -> None:
        self.id: str | None = None
        self._fields: dict[str, object] = {}
        self.bodies: dict[str, _Body] = {}

    def add(self, fields: dict[str, object]) -> None:
        self.id = self.id or untyped.as_text(fields.get("id"))
        for name, value in fields.items():
            inner = untyped.as_object(value)
            if name in _BODIES and inner is not None:
                body = self.bodies.setdefault(name, _Body(_BODIES[name]))
                body.add(inner)
            elif name == "index" or value is None:
                continue
            elif name not in _ONCE or not self._fields.get(name):
                self._fields[name] = value

    def as_sent(self) -> dict[str, object]:
        bodies = {name: body.as_sent() for name, body in self.bodies.items()}
        return self._fields | bodies


class _Calls:
    """The calls of one choice, in the order in which they began."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}

    def add(self, fields: dict[str, object], position: int | None) -> None:
        index = fields.get("index")
        key = index if type(index) is int else position
        own_id = untyped.as_text(fields.get("id"))
        call = self._find(fields, key, own_id)
        if call is None:
            call = _Call()
            self.calls.append(call)
        if key is not None:
            self._by_index[key] = call
        if own_id:
            self._by_id.setdefault(own_id, call)
        call.add(fields)

    def as_sent(self) -> list[dict[str, object]]:
        return [call.as_sent() for call in self.calls]

    def _find(
        self, fields: dict[str, object], key: int | None, own_id: str | None
    ) -> _Call | None:
        """Return the call that *fields* belong to; None if they begin a new one."""
        names = [_name(fields.get(name)) for name in _BODIES]
        if own_id and own_id in self._by_id:
            return self._by_id[own_id]
        if key is not None:
            call = self._by_index.get(key)
            is_new = call is not None and call.id and own_id and any(names)
            return None if is_new else call
        last = self.calls[-1] if self.calls else None
        if last is None or (own_id and last.id):
            return None
        is_whole = any(body.is_complete for body in last.bodies.values())
        return None if is_whole and any(names) else last


def _name(body: object) -> str | None:
    return untyped.as_text((untyped.as_object(body) or {}).get("name"))
